"""Robustness of one model over a suite: by corruption, on average, at worst, and relative to a baseline."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from imparfait.core.optional import frame_of
from imparfait.corruptions import ALL_CORRUPTIONS, CORRUPTIONS
from imparfait.evaluation.intervals import GroupInterval, Interval
from imparfait.evaluation.result_plots import plot_accuracies
from imparfait.evaluation.scores import ConditionResult, Score, Scores
from imparfait.evaluation.statistics import Crossing, crossing
from imparfait.evaluation.suite import CLEAN, CUSTOM, is_of_photos, levels_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

BASELINE = Path(__file__).parent / "baseline.json"
BASELINE_SHA256 = "9243da91f13df87f58bbddafa88a9d8baae153cf9a6c996672de25c0908a795f"
CROSSING_ACCURACY = 0.95  # of digits: the severity where accuracy falls below this is reported
CROSSING_SHARE = 0.9  # of photographs: the same, as a share of the clean accuracy, which differs from task to task
CROSSING_RESAMPLES = 1000


@dataclass(frozen=True)
class CorruptionSummary:
    """Accuracy under one corruption, by severity."""

    corruption: str
    family: str
    severities: tuple[float, ...]
    """The levels that count in the means, rising."""
    accuracies: tuple[float, ...]
    intervals: tuple[Interval, ...]
    crossing: Crossing
    """Where accuracy falls below 95 %, for photographs below nine tenths of the clean accuracy."""
    mnist_c: float | None = None
    """The accuracy at the severity of MNIST-C's published parameters, where there is one."""
    in_kind: bool = False
    """Whether the corruption only resembles the published one of its name."""
    core: float | None = None
    """The accuracy at the core suite's severity, where there is one."""

    @property
    def is_of_photos(self) -> bool:
        """Whether it is a corruption of photographs."""
        return is_of_photos([(self.corruption, 0.0)])

    @property
    def accuracy(self) -> float:
        """The mean over its levels."""
        return float(np.mean(self.accuracies))


@dataclass(frozen=True, eq=False)
class SuiteResult:
    """The scores of one trained model over a suite, summarised."""

    scores: Scores

    @cached_property
    def conditions(self) -> dict[tuple[str, float], ConditionResult]:
        """The results by corruption and severity."""
        return {(result.corruption, result.severity): result for result in self.scores.conditions}

    @property
    def clean(self) -> ConditionResult:
        """The result on clean images."""
        return self.conditions[CLEAN, 0.0]

    @cached_property
    def levels(self) -> dict[str, tuple[float, ...]]:
        """The severities of each corruption that count in the means."""
        return levels_of(self.conditions)

    @cached_property
    def corruptions(self) -> list[CorruptionSummary]:
        """A summary of each corruption."""
        return [self._summary(name, levels) for name, levels in self.levels.items()]

    @cached_property
    def is_full(self) -> bool:
        """Whether any corruption has several severities; in the core suite none has."""
        return self.scores.is_full

    @cached_property
    def is_of_photos(self) -> bool:
        """Whether the suite is of corruptions of photographs."""
        return is_of_photos(self.conditions)

    @property
    def crossing_accuracy(self) -> float:
        """The accuracy below which a model counts as broken, 0..1."""
        return CROSSING_SHARE * self.clean.score.accuracy if self.is_of_photos else CROSSING_ACCURACY

    @cached_property
    def mean(self) -> float:
        """The headline: the mean over corruptions of each one's mean over its levels, without clean.

        In a short suite, such as the core suite, the plain mean over its conditions, clean included.
        """
        return self.scores.mean

    @property
    def mean_interval(self) -> Interval:
        """The 95 % interval of the mean, over source images with all their corrupted copies."""
        return self.scores.mean_interval

    @property
    def mean_group_interval(self) -> GroupInterval | None:
        """The 95 % interval of the mean over groups; None without groups, or with one."""
        return self.scores.mean_group_interval

    @property
    def worst(self) -> Score:
        """The condition with the lowest accuracy, among those that count in the mean."""
        lowest = min(self.corruptions, key=lambda summary: min(summary.accuracies))
        severity = lowest.severities[int(np.argmin(lowest.accuracies))]
        return self.conditions[lowest.corruption, severity].score

    @property
    def mnist_c_mean(self) -> float | None:
        """The mean over MNIST-C's 15 at the severity of its published parameters, where all are in the suite."""
        own = [summary.mnist_c for summary in self.corruptions if summary.mnist_c is not None]
        expected = sum(known.mnist_c is not None for known in CORRUPTIONS.values())
        return float(np.mean(own)) if len(own) == expected else None

    @property
    def imagenet_c_mean(self) -> float | None:
        """The mean over ImageNet-C's 15 corruptions at their five levels, where all are in the suite."""
        names = {name: known.levels for name, known in ALL_CORRUPTIONS.items() if known.imagenet_c}
        own = [each.accuracy for each in self.corruptions if each.severities == names.get(each.corruption)]
        return float(np.mean(own)) if len(own) == len(names) else None

    @property
    def core_mean(self) -> float | None:
        """The mean of clean, geometric and shrunk, where all are in the suite."""
        own = [summary.core for summary in self.corruptions if summary.core is not None]
        expected = sum(known.protocol is not None for known in CORRUPTIONS.values())
        return float(np.mean([self.clean.score.accuracy, *own])) if len(own) == expected else None

    def rows(self) -> list[dict[str, Any]]:
        """A row per condition: corruption, family, severity, correct, total, accuracy (0..1), ends of its interval."""
        families = {summary.corruption: summary.family for summary in self.corruptions}
        return [
            {
                "corruption": score.corruption, "family": families.get(score.corruption, ""),
                "severity": score.severity, "correct": score.correct, "total": score.total,
                "accuracy": score.accuracy, "low": score.interval[0], "high": score.interval[1],
            }
            for score in self.scores.scores
        ]  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """A pandas row per condition, as `rows`."""
        return frame_of(self.rows())

    def plot(self, ax: Axes | None = None) -> Axes:
        """The accuracy under each corruption, the mean over its severities, the lowest first; then clean and mean."""
        ranked = sorted(self.corruptions, key=lambda summary: summary.accuracy)
        names = [*(summary.corruption for summary in ranked), CLEAN, "mean"]
        values = [*(summary.accuracy for summary in ranked), self.clean.score.accuracy, self.mean]
        intervals = [*[None] * len(ranked), self.clean.score.interval, self.mean_interval]
        return plot_accuracies(ax, names, values, intervals, "accuracy in %")

    def by_source(self, corruption: str | None = None) -> Float[np.ndarray, " sources"]:
        """The share of correct corrupted copies of each source image, weighted as in the mean."""
        if not corruption:
            return self.scores.by_source()
        levels = self.levels[corruption]
        return np.asarray(np.mean([self.conditions[corruption, level].correct for level in levels], 0))

    def corruption_error(self, baseline: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """The errors under each corruption, over its severities, divided by the baseline's.

        Their mean is the mean corruption error (mCE) of Hendrycks and Dietterich (ICLR 2019), relative to this
        baseline. It must not be compared with a published mCE, whose baseline is another network.
        """
        ratios = {}
        for summary in self.corruptions:
            by_severity = baseline.get(summary.corruption, {})
            if all(f"{severity:g}" in by_severity for severity in summary.severities):
                total = sum(by_severity[f"{severity:g}"] for severity in summary.severities)
                ratios[summary.corruption] = sum(1 - accuracy for accuracy in summary.accuracies) / total
        return ratios

    def _summary(self, name: str, levels: Sequence[float]) -> CorruptionSummary:
        scores = [self.conditions[name, level].score for level in levels]
        known = ALL_CORRUPTIONS.get(name)
        correct = np.stack([self.clean.correct, *(self.conditions[name, level].correct for level in levels)])
        return CorruptionSummary(
            name,
            (known.family if known else None) or CUSTOM,
            tuple(levels),
            tuple(score.accuracy for score in scores),
            tuple(score.interval for score in scores),
            crossing(np.array([0.0, *levels]), correct, self.crossing_accuracy, resamples=CROSSING_RESAMPLES),
            self._accuracy_at(name, known.mnist_c if known else None),
            bool(known and known.in_kind),
            self._accuracy_at(name, known.protocol if known else None),
        )

    def _accuracy_at(self, name: str, severity: float | None) -> float | None:
        if not severity or (name, severity) not in self.conditions:
            return None
        return self.conditions[name, severity].score.accuracy


def published_baseline() -> dict[str, dict[str, float]]:
    """The baseline's errors by corruption and severity: the study's `cnn`, trained on clean images, over 5 seeds.

    Measured by benchmarks/accuracy/baseline.py; measure again when a corruption's severities change.
    """
    content = BASELINE.read_bytes()
    assert hashlib.sha256(content).hexdigest() == BASELINE_SHA256, "the baseline's file is not the published one"
    return dict(json.loads(content)["errors"])
