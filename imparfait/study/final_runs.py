"""The final networks, read from their run folders."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from sklearn.metrics import classification_report

from imparfait.evaluation.intervals import Interval, wilson_interval
from imparfait.evaluation.scores_file import read_scores
from imparfait.training.manifest import read_manifest
from imparfait.training.settings import TrainingSettings

Counts = Int64[np.ndarray, "classes classes"]
"""Images by (true class, predicted class)."""


@dataclass(frozen=True, eq=False)
class FinalRun:
    """A finished training: its settings, its epochs, and its confusion matrix under each corruption."""

    name: str
    folder: Path
    settings: TrainingSettings
    images: int
    """Training images, before they are corrupted."""
    epochs: tuple[Mapping[str, float], ...]
    """Rows of epochs.csv."""
    confusion: Mapping[str, Counts]
    mean: float
    interval: Interval
    classes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Duration of the training."""
        return self.epochs[-1]["seconds"]

    @property
    def evaluated(self) -> int:
        """Source images that it was evaluated on."""
        return int(next(iter(self.confusion.values())).sum())

    def accuracy(self, corruption: str) -> float:
        """Accuracy under a corruption."""
        return _accuracy(self.confusion[corruption])

    def interval_of(self, corruption: str) -> Interval:
        """Wilson's 95 % interval of that accuracy."""
        counts = self.confusion[corruption]
        return wilson_interval(int(np.trace(counts)), int(counts.sum()))

    @property
    def corrupted(self) -> Counts:
        """The sum of the confusion matrices under the corruptions, clean excluded."""
        return np.asarray(sum(counts for name, counts in self.confusion.items() if name != "clean"))

    @property
    def corrupted_accuracy(self) -> float:
        """Accuracy on corrupted images."""
        return _accuracy(self.corrupted)

    def curve(self, column: str) -> list[float]:
        """A column of its epochs."""
        return [epoch[column] for epoch in self.epochs]

    def to_json(self) -> dict[str, Any]:
        """As numbers."""
        return {
            "name": self.name,
            "run": self.folder.name,
            "settings": self.settings.model_dump(),
            "training_images": self.images,
            "evaluated_images": self.evaluated,
            "mean": self.mean,
            "interval": self.interval,
            "accuracy": {name: self.accuracy(name) for name in self.confusion},
            "training_seconds": self.seconds,
        }


def read_final_run(name: str, folder: Path) -> FinalRun:
    """The finished run in `folder`, under the name that the study gives it."""
    scores, manifest = read_scores(folder), read_manifest(folder)
    with (folder / "epochs.csv").open(newline="", encoding="utf-8") as file:
        epochs = tuple({key: float(value) for key, value in row.items()} for row in csv.DictReader(file))
    return FinalRun(
        name=name,
        folder=folder,
        settings=manifest.settings,
        images=manifest.data.images,
        epochs=epochs,
        confusion={condition.corruption: np.array(condition.confusion) for condition in scores.conditions},
        mean=scores.mean,
        interval=scores.mean_interval,
        classes=scores.classes,
    )


def report_of(counts: Counts, classes: tuple[str, ...]) -> str:
    """scikit-learn's classification report from a confusion matrix."""
    truths, predicted = (axis.ravel().repeat(counts.ravel()) for axis in np.indices(counts.shape))
    return str(
        classification_report(
            truths, predicted, labels=range(len(classes)), target_names=classes, digits=4, zero_division=0
        )
    )


def _accuracy(counts: Counts) -> float:
    return float(np.trace(counts) / counts.sum())
