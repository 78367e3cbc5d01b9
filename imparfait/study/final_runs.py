"""The networks that are trained at length, as their run folders tell of them."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from sklearn.metrics import classification_report

from imparfait.evaluation.statistics import Interval, wilson_interval
from imparfait.training.settings import TrainingSettings

Counts = Int64[np.ndarray, "classes classes"]


@dataclass(frozen=True, eq=False)
class Final:
    """A finished run: what it was told, its course, and its counts by (corruption, true class, answer)."""

    name: str
    folder: Path
    settings: TrainingSettings
    images: int
    """That it was fitted on, before they are corrupted."""
    epochs: tuple[Mapping[str, float], ...]
    """Its course: a line of epochs.csv each."""
    confusion: Mapping[str, Counts]
    mean: float
    interval: Interval
    classes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Of training."""
        return self.epochs[-1]["seconds"]

    @property
    def judged(self) -> int:
        """Source images that it was scored on."""
        return int(next(iter(self.confusion.values())).sum())

    def accuracy(self, corruption: str) -> float:
        """The share of right answers to images corrupted so."""
        counts = self.confusion[corruption]
        return float(np.trace(counts) / counts.sum())

    def interval_of(self, corruption: str) -> Interval:
        """Wilson's 95 % interval of that share."""
        counts = self.confusion[corruption]
        return wilson_interval(int(np.trace(counts)), int(counts.sum()))

    @property
    def corrupted(self) -> Counts:
        """The counts of all that is not clean, together."""
        return np.asarray(sum(counts for name, counts in self.confusion.items() if name != "clean"))

    def course(self, what: str) -> list[float]:
        """A column of its course."""
        return [epoch[what] for epoch in self.epochs]

    def to_json(self) -> dict[str, Any]:
        """As numbers."""
        return {
            "name": self.name,
            "run": self.folder.name,
            "settings": self.settings.model_dump(),
            "fitted_on": self.images,
            "judged_on": self.judged,
            "mean": self.mean,
            "interval": self.interval,
            "accuracy": {name: self.accuracy(name) for name in self.confusion},
            "training_seconds": self.seconds,
        }


def read_final(name: str, folder: Path) -> Final:
    """The finished run in `folder`, under the name that the study gives it."""
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    told = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    with (folder / "epochs.csv").open(newline="", encoding="utf-8") as file:
        epochs = tuple({key: float(value) for key, value in row.items()} for row in csv.DictReader(file))
    return Final(
        name=name,
        folder=folder,
        settings=TrainingSettings.model_validate(told["settings"]),
        images=told["data"]["images"],
        epochs=epochs,
        confusion={part["corruption"]: np.array(part["confusion"]) for part in scores["parts"]},
        mean=scores["mean"],
        interval=(scores["mean_interval"][0], scores["mean_interval"][1]),
        classes=tuple(scores["classes"]),
    )


def report_of(counts: Counts, classes: tuple[str, ...]) -> str:
    """scikit-learn's classification report of answers that are counted already."""
    truths, said = (side.ravel().repeat(counts.ravel()) for side in np.indices(counts.shape))
    return str(
        classification_report(truths, said, labels=range(len(classes)), target_names=classes, digits=4, zero_division=0)
    )
