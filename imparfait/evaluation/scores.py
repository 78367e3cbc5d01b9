"""What a classifier gets right on images as they are and corrupted, in counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int64
from scipy.special import softmax

from imparfait.core.errors import UserError
from imparfait.core.types import Classifier, Labels, Probabilities, Sources
from imparfait.data.dataset import ConditionImages
from imparfait.evaluation.statistics import Interval, bootstrap_interval, wilson_interval

if TYPE_CHECKING:
    import pandas as pd

BATCH = 2000  # images turned to float32 at once: 6 MB of MNIST


@dataclass(frozen=True)
class Score:
    """`right` of `total` images, corrupted this way at this severity, were classified correctly."""

    corruption: str
    severity: float
    correct: int
    total: int

    @property
    def accuracy(self) -> float:
        """The share that is right, 0..1."""
        return self.correct / self.total

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval for the accuracy."""
        return wilson_interval(self.correct, self.total)


@dataclass(frozen=True, eq=False)
class ConditionResult:
    """What a classifier said to each image of one part."""

    corruption: str
    severity: float
    sources: Sources
    truths: Labels
    probabilities: Probabilities

    @property
    def said(self) -> Labels:
        """The class with the largest probability."""
        return np.asarray(self.probabilities.argmax(1))

    @property
    def score(self) -> Score:
        """How many answers are right."""
        return Score(self.corruption, self.severity, int((self.said == self.truths).sum()), len(self.truths))

    def confusion(self) -> Int64[np.ndarray, "classes classes"]:
        """Counts of images by (true class, answer)."""
        classes = self.probabilities.shape[1]
        return np.bincount(self.truths * classes + self.said, minlength=classes**2).reshape(classes, classes)


@dataclass(frozen=True, eq=False)
class Scores:
    """The answers to all parts, and what follows from them. In a notebook it shows as a table."""

    parts: tuple[ConditionResult, ...]
    classes: tuple[str, ...]

    @property
    def each(self) -> list[Score]:
        """The score of each part."""
        return [part.score for part in self.parts]

    @property
    def name_of_mean(self) -> str:
        """How the mean is called in tables."""
        return f"mean of the {'three' if len(self.parts) == 3 else len(self.parts)}"

    @property
    def mean(self) -> float:
        """The mean of the parts' accuracies: the headline."""
        return float(np.mean([score.accuracy for score in self.each]))

    @property
    def mean_interval(self) -> Interval:
        """Its 95 % interval, a bootstrap over source images with all their corrupted copies."""
        first = self.parts[0].sources
        if any(not np.array_equal(part.sources, first) for part in self.parts):
            raise UserError("the parts show different source images, so their mean has no common interval")
        correct = np.sum([part.said == part.truths for part in self.parts], axis=0)
        return bootstrap_interval(correct, each=len(self.parts))

    def to_frame(self) -> pd.DataFrame:
        """A row a part, and the mean."""
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for score in self.each:
            low, high = score.interval
            rows.append({"images": score.corruption, "severity": score.severity, "correct": score.correct})
            rows[-1] |= {"total": score.total, "accuracy": score.accuracy, "low": low, "high": high}
        low, high = self.mean_interval
        rows.append({"images": self.name_of_mean, "accuracy": self.mean, "low": low, "high": high})
        return pd.DataFrame(rows).set_index("images").astype({"correct": "Int64", "total": "Int64"})

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in self.rows())
        return f"<table><tr>{''.join(f'<th>{name}</th>' for name in HEADINGS)}</tr>{rows}</table>"

    def __repr__(self) -> str:
        return str(self)  # in a notebook and at a prompt: the table, not arrays

    def __str__(self) -> str:
        lines = [HEADINGS, *self.rows()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)

    def rows(self) -> list[tuple[str, str, str, str]]:
        """The result as people read it: images, right, accuracy, interval."""
        names = [part.corruption for part in self.parts]
        lines = [
            (
                f"{score.corruption} {score.severity:.3g}" if names.count(score.corruption) > 1 else score.corruption,
                f"{score.correct}/{score.total}",
                percent(score.accuracy),
                percents(score.interval),
            )
            for score in self.each
        ]
        mean = (self.name_of_mean, "", percent(self.mean), percents(self.mean_interval))
        return [*lines, mean] if len(self.parts) > 1 else lines

    def to_json(self) -> dict[str, Any]:
        """Counts first; the intervals, which need the single answers, beside them."""
        return {
            "mean": self.mean,
            "mean_interval": self.mean_interval,
            "classes": self.classes,
            "parts": [
                {
                    "corruption": score.corruption,
                    "severity": score.severity,
                    "correct": score.correct,
                    "total": score.total,
                    "interval": score.interval,
                    "confusion": part.confusion().tolist(),
                }
                for score, part in zip(self.each, self.parts, strict=True)
            ],
        }


HEADINGS = ("images", "correct", "accuracy", "95 % interval")


def percent(share: float) -> str:
    """0.9968 as "99.68 %"."""
    return f"{100 * share:.2f} %"


def percents(interval: Interval) -> str:
    """(0.9955, 0.9977) as "99.55 – 99.77"."""
    return " – ".join(f"{100 * end:.2f}" for end in interval)


def evaluate(classifier: Classifier, parts: Iterable[ConditionImages]) -> Scores:
    """Ask `classifier` every image of `parts` (such as `core_suite(data)`) and keep what it said.

    Parts may be made one after the other: of their images nothing is kept. Raises UserError when the answers are
    not one finite number a class for each image.
    """
    classes: tuple[str, ...] = ()
    answers = []
    for part in parts:
        classes = part.data.classes
        answers.append(_answers(classifier, part))
    return Scores(tuple(answers), classes)


def _answers(classifier: Classifier, part: ConditionImages) -> ConditionResult:
    data = part.data
    logits = []
    for start in range(0, len(data), BATCH):
        images = data.pixels[start : start + BATCH].astype(np.float32) / 255
        answer = classifier(images)
        if np.shape(answer) != (len(images), len(data.classes)) or not np.isfinite(answer).all():
            raise UserError(
                f"the classifier answered {len(images)} images with an array of shape {np.shape(answer)}; "
                f"expected finite numbers of shape ({len(images)}, {len(data.classes)}), one a class"
            )
        logits.append(np.asarray(answer, np.float64))
    probabilities = softmax(np.concatenate(logits), 1).astype(np.float32)
    return ConditionResult(part.corruption, part.severity, data.sources, data.labels, probabilities)
