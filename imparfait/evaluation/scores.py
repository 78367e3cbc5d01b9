"""Accuracy of a classifier under each condition, in counts, with means and intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64
from scipy.special import softmax

from imparfait.core.compute import ARRAY_VALUES, images_at_once
from imparfait.core.errors import UserError
from imparfait.core.optional import frame_of
from imparfait.core.types import Classifier, Groups, Labels, Pixels, Probabilities, Sources
from imparfait.data.dataset import ConditionImages
from imparfait.evaluation.intervals import GroupInterval, Interval, group_interval, mean_interval, wilson_interval
from imparfait.evaluation.metrics import max_probability
from imparfait.evaluation.result_plots import plot_accuracies

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

BATCH_IMAGES = 2000  # converted to float32 at once: 6 MB of MNIST


@dataclass(frozen=True)
class Score:
    """`correct` of `total` images, corrupted this way at this severity, were classified correctly."""

    corruption: str
    severity: float
    correct: int
    total: int

    @property
    def accuracy(self) -> float:
        """The share that is correct, 0..1."""
        return self.correct / self.total

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval for the accuracy."""
        return wilson_interval(self.correct, self.total)


@dataclass(frozen=True, eq=False)
class ConditionResult:
    """The predictions of a classifier for each image under one condition."""

    corruption: str
    severity: float
    sources: Sources
    truths: Labels
    probabilities: Probabilities
    groups: Groups | None = None

    @property
    def predicted(self) -> Labels:
        """The class with the largest probability."""
        return np.asarray(self.probabilities.argmax(1))

    @cached_property
    def correct(self) -> Bool[np.ndarray, " n"]:
        """Which images are classified correctly."""
        return np.asarray(self.predicted == self.truths)

    @cached_property
    def confidence(self) -> Float32[np.ndarray, " n"]:
        """The probability of the predicted class."""
        return max_probability(self.probabilities)

    @property
    def score(self) -> Score:
        """How many images are classified correctly."""
        return Score(self.corruption, self.severity, int(self.correct.sum()), len(self.truths))

    def confusion(self) -> Int64[np.ndarray, "classes classes"]:
        """Counts of images by (true class, predicted class)."""
        classes = self.probabilities.shape[1]
        return np.bincount(self.truths * classes + self.predicted, minlength=classes**2).reshape(classes, classes)


@dataclass(frozen=True, eq=False)
class Scores:
    """The result of a classifier under several conditions; a table of numbers in a notebook."""

    conditions: tuple[ConditionResult, ...]
    classes: tuple[str, ...]

    @property
    def scores(self) -> list[Score]:
        """The score under each condition."""
        return [condition.score for condition in self.conditions]

    @property
    def is_full(self) -> bool:
        """Whether any corruption has several severities; in the core suite none has."""
        from imparfait.evaluation.suite import is_full  # late: it imports PyTorch, and scores are read without it

        return is_full((condition.corruption, condition.severity) for condition in self.conditions)

    @cached_property
    def weights(self) -> Int64[np.ndarray, " conditions"]:
        """The weight of each condition in the mean."""
        from imparfait.evaluation.suite import weights  # late, as above

        return weights([(condition.corruption, condition.severity) for condition in self.conditions])

    @property
    def mean(self) -> float:
        """The headline: the mean over corruptions of each one's mean over its levels, without clean.

        Where no corruption has several severities, as in the core suite, the plain mean over the conditions, clean
        included.
        """
        return float(np.average([score.accuracy for score in self.scores], weights=self.weights))

    def by_source(self) -> Float[np.ndarray, " sources"]:
        """The share of correct copies of each source image (0..1), weighted as in the mean.

        Raises UserError where the conditions have different source images.
        """
        first = self.conditions[0].sources
        if any(not np.array_equal(condition.sources, first) for condition in self.conditions):
            raise UserError(
                "conditions with different source images", expected="the same ones: else their mean has no interval"
            )
        return np.asarray(np.average([condition.correct for condition in self.conditions], 0, self.weights))

    @property
    def mean_interval(self) -> Interval:
        """The 95 % interval of the mean, over source images with all their corrupted copies.

        Raises UserError where the conditions have different source images.
        """
        return mean_interval(self.by_source(), copies=len(self.conditions))

    @property
    def shown_mean_interval(self) -> Interval | None:
        """The 95 % interval of the mean; None where the conditions have different source images."""
        try:
            return self.mean_interval
        except UserError:
            return None

    @property
    def groups(self) -> Groups | None:
        """The group of each image; None without groups, or with one."""
        groups = self.conditions[0].groups
        return None if groups is None or len(np.unique(groups)) < 2 else groups

    @property
    def mean_group_interval(self) -> GroupInterval | None:
        """The 95 % interval of the mean over groups; None without groups, or with one. Raises as `mean_interval`."""
        return None if self.groups is None else group_interval(self.by_source(), self.groups)

    def to_frame(self) -> pd.DataFrame:
        """A pandas row per condition, and the mean; conditions with different source images leave it no interval."""
        names = ("corruption", "severity", "correct", "total", "accuracy", "low", "high")
        rows = [
            (score.corruption, score.severity, score.correct, score.total, score.accuracy, *score.interval)
            for score in self.scores
        ]
        mean = ("mean", None, None, None, self.mean, *(self.shown_mean_interval or (None, None)))
        frame = frame_of([dict(zip(names, row, strict=True)) for row in (*rows, mean)], names).set_index("corruption")
        return frame.astype({"severity": "Float64", "correct": "Int64", "total": "Int64"})

    def plot(self, ax: Axes | None = None) -> Axes:
        """The accuracy of each condition and their mean, with 95 % intervals, in matplotlib axes."""
        scores = self.scores
        several = len({score.corruption for score in scores}) < len(scores)
        names = [f"{each.corruption} {each.severity:g}" if several else each.corruption for each in scores]
        values, intervals = [score.accuracy for score in scores], [score.interval for score in scores]
        return plot_accuracies(ax, [*names, "mean"], [*values, self.mean], [*intervals, self.shown_mean_interval])

    def _repr_html_(self) -> str:
        return str(self.to_frame().to_html(float_format="{:.4f}".format, na_rep=""))

    def __repr__(self) -> str:
        return str(self)  # at a prompt the table, not ten thousand probabilities

    def __str__(self) -> str:
        return str(self.to_frame().to_string(float_format="{:.4f}".format, na_rep=""))


def score_conditions(classifier: Classifier, conditions: Iterable[ConditionImages]) -> Scores:
    """Run `classifier` on every image of `conditions`, such as `core_suite(data)`, and keep its probabilities.

    Conditions may be made one after the other: their images are not kept. Raises UserError when the outputs are not
    a finite number per class for each image.
    """
    classes: tuple[str, ...] = ()
    results = []
    for condition in conditions:
        classes = condition.data.classes
        results.append(_result(classifier, condition))
    return Scores(tuple(results), classes)


def float_batches(pixels: Pixels) -> Iterator[Float32[np.ndarray, "n channels height width"]]:
    """The images in batches as classifiers take them, 0..1: all at once they would need four times the memory."""
    batch = images_at_once(pixels.shape[1:], BATCH_IMAGES, ARRAY_VALUES)
    return (pixels[start : start + batch].astype(np.float32) / 255 for start in range(0, len(pixels), batch))


def probabilities_of(classifier: Classifier, pixels: Pixels, classes: int) -> Probabilities:
    """The probability of each class for each image, computed in batches; raises UserError as `score_conditions`."""
    logits = []
    for images in float_batches(pixels):
        outputs = classifier(images)
        if np.shape(outputs) != (len(images), classes) or not np.isfinite(outputs).all():
            raise UserError(
                f"the classifier returned an array of shape {np.shape(outputs)} for {len(images)} images",
                expected=f"finite numbers of shape ({len(images)}, {classes}), one per class",
            )
        logits.append(np.asarray(outputs, np.float64))
    return softmax(np.concatenate(logits), 1).astype(np.float32)


def _result(classifier: Classifier, condition: ConditionImages) -> ConditionResult:
    data = condition.data
    probabilities = probabilities_of(classifier, data.pixels, len(data.classes))
    return ConditionResult(
        condition.corruption, condition.severity, data.sources, data.labels, probabilities, data.groups
    )
