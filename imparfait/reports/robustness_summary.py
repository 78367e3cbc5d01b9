"""A few numbers about robustness for the end of a training: the suite mean and the worst corruptions."""

from pathlib import Path

import numpy as np
from pydantic import BaseModel

from imparfait.core.counts import counted
from imparfait.core.storage import write_json
from imparfait.core.types import Classifier, Watch
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import score_conditions
from imparfait.evaluation.suite import apply_conditions, conditions_for
from imparfait.reports.text import corruption_label, percent

FILE = "robustness.json"
IMAGES = 500  # 163 conditions of each: half a minute, where all images of MNIST would take ten
SHOWN = 3


class RobustnessSummary(BaseModel, frozen=True, extra="forbid"):
    """Accuracy of one model over the digits or the photo suite, on few images."""

    images: int
    corruptions: int
    mean: float
    """The mean over corruptions of each one's mean over its severities."""
    worst: dict[str, float]
    """The corruptions with the lowest accuracy, each the mean over its severities; the lowest first."""

    @property
    def sentence(self) -> str:
        """The summary in one line."""
        worst = ", ".join(f"{corruption_label(name)} {percent(accuracy)}" for name, accuracy in self.worst.items())
        return (
            f"suite mean {percent(self.mean)}: {counted(self.corruptions, 'corruption')} at every severity, "
            f"{counted(self.images, 'image')}"
            f"; worst: {worst}"
        )


def summarize_robustness(classifier: Classifier, data: LabelledImages, watch: Watch, suite: str) -> RobustnessSummary:
    """Evaluate `classifier` on a suite such as "digits", on 500 images from all over `data`, or on all of fewer."""
    few = data.select(np.linspace(0, len(data) - 1, min(IMAGES, len(data))).round().astype(int))
    conditions = conditions_for(suite, data)
    result = SuiteResult(score_conditions(classifier, watch(apply_conditions(few, conditions), len(conditions))))
    lowest = sorted(result.corruptions, key=lambda summary: summary.accuracy)[:SHOWN]
    return RobustnessSummary(
        images=len(few),
        corruptions=len(result.corruptions),
        mean=result.mean,
        worst={summary.corruption: summary.accuracy for summary in lowest},
    )


def write_summary(folder: Path, summary: RobustnessSummary) -> None:
    """Write the summary into the folder of a run."""
    write_json(folder / FILE, summary.model_dump())


def read_summary(folder: Path) -> RobustnessSummary | None:
    """The summary in the folder of a run, if there is one."""
    path = folder / FILE
    return RobustnessSummary.model_validate_json(path.read_text(encoding="utf-8")) if path.exists() else None
