"""One model over a whole suite: corruption by corruption, in the mean, at worst, and against a baseline."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from imparfait.corruptions import CORRUPTIONS
from imparfait.evaluation.scores import ConditionResult, Scores
from imparfait.evaluation.statistics import Crossing, Interval, crossing
from imparfait.evaluation.suite import CLEAN, YOURS, is_full, levels_of, weights

BASELINE = Path(__file__).parent / "baseline.json"
BASELINE_SHA256 = "9243da91f13df87f58bbddafa88a9d8baae153cf9a6c996672de25c0908a795f"
ENOUGH = 0.95  # the accuracy whose loss is looked for
Z = 1.959964  # of a normal 95 % interval


@dataclass(frozen=True)
class CorruptionSummary:
    """A corruption over its severities."""

    corruption: str
    family: str
    severities: tuple[float, ...]
    """The levels that count in the means, rising."""
    accuracies: tuple[float, ...]
    intervals: tuple[Interval, ...]
    crossing: Crossing
    """Where accuracy falls below 95 %."""
    mnist_c: float | None = None
    """The accuracy at the severity of MNIST-C's published parameters, where there is one."""
    in_kind: bool = False
    protocol: float | None = None

    @property
    def accuracy(self) -> float:
        """The mean over its levels."""
        return float(np.mean(self.accuracies))

    @property
    def name(self) -> str:
        """As reports write it: "fog-like" where it agrees with MNIST-C's only in kind."""
        return f"{self.corruption}-like" if self.in_kind else self.corruption


@dataclass(frozen=True, eq=False)
class SuiteResult:
    """What `scores` of a full suite say."""

    scores: Scores

    @cached_property
    def parts(self) -> dict[tuple[str, float], ConditionResult]:
        """The answers by corruption and severity."""
        return {(part.corruption, part.severity): part for part in self.scores.parts}

    @property
    def clean(self) -> ConditionResult:
        """The answers to the images as they are."""
        return self.parts[CLEAN, 0.0]

    @cached_property
    def levels(self) -> dict[str, tuple[float, ...]]:
        """The severities of each corruption that count in the means: not those where only others' parameters lie."""
        return levels_of(self.parts)

    @cached_property
    def rows(self) -> list[CorruptionSummary]:
        """A row a corruption."""
        return [self._row(name, levels) for name, levels in self.levels.items()]

    @cached_property
    def is_full(self) -> bool:
        """Whether corruptions are there at several severities; the core suite are not."""
        return is_full(self.parts)

    @cached_property
    def mean(self) -> float:
        """The headline: the mean over corruptions of each one's mean over its levels, clean not in it.

        Of a few parts (the three) it is their plain mean, clean in it.
        """
        accuracies = [part.score.accuracy for part in self.parts.values()]
        return float(np.average(accuracies, weights=weights(list(self.parts))))

    @property
    def mean_interval(self) -> Interval:
        """Its 95 % interval over source images, each with all its corrupted copies."""
        each = self.by_source()
        half = Z * float(each.std(ddof=1)) / len(each) ** 0.5
        return max(0.0, self.mean - half), min(1.0, self.mean + half)

    @property
    def worst(self) -> tuple[str, float, float]:
        """Corruption, severity and accuracy where accuracy is lowest."""
        lowest = min((r for r in self.rows), key=lambda row: min(row.accuracies))
        level = int(np.argmin(lowest.accuracies))
        return lowest.corruption, lowest.severities[level], lowest.accuracies[level]

    @property
    def mnist_c_mean(self) -> float | None:
        """The mean over MNIST-C's 15 at the severity of its published parameters, where all are in the suite."""
        found = [row.mnist_c for row in self.rows if row.mnist_c is not None]
        return float(np.mean(found)) if len(found) == sum(a.mnist_c is not None for a in CORRUPTIONS.values()) else None

    @property
    def core_mean(self) -> float | None:
        """The mean of the protocol's clean, geometric and shrunk, where all are in the suite."""
        found = [row.protocol for row in self.rows if row.protocol is not None]
        expected = sum(a.protocol is not None for a in CORRUPTIONS.values())
        return float(np.mean([self.clean.score.accuracy, *found])) if len(found) == expected else None

    def by_source(self, corruption: str | None = None) -> Float[np.ndarray, " sources"]:
        """For each source image the share of its corrupted copies read correctly, weighted as in the mean."""
        if corruption:
            return np.asarray(np.mean([self._correct(corruption, level) for level in self.levels[corruption]], 0))
        correct = [self._correct(*place) for place in self.parts]
        return np.asarray(np.average(correct, 0, weights(list(self.parts))))

    def corruption_error(self, baseline: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """Each corruption's errors over its severities, divided by the baseline's there.

        Their mean is the mean corruption error of Hendrycks and Dietterich (ICLR 2019), to this baseline: not to be
        compared with a published one, whose baseline is another network.
        """
        found = {}
        for row in self.rows:
            theirs_at = baseline.get(row.corruption, {})
            if all(f"{severity:g}" in theirs_at for severity in row.severities):
                theirs = sum(theirs_at[f"{severity:g}"] for severity in row.severities)
                found[row.corruption] = sum(1 - accuracy for accuracy in row.accuracies) / theirs
        return found

    def _correct(self, corruption: str, severity: float) -> Bool[np.ndarray, " sources"]:
        part = self.parts[corruption, severity]
        return np.asarray(part.said == part.truths)

    def _row(self, name: str, levels: Sequence[float]) -> CorruptionSummary:
        scores = [self.parts[name, level].score for level in levels]
        known = CORRUPTIONS.get(name)
        steps = np.array([0.0, *levels])
        correct = np.stack([self._correct(CLEAN, 0.0), *(self._correct(name, level) for level in levels)])
        return CorruptionSummary(
            name,
            (known.family if known else None) or YOURS,
            tuple(levels),
            tuple(score.accuracy for score in scores),
            tuple(score.interval for score in scores),
            crossing(steps, correct, ENOUGH, resamples=1000),
            self._named(name, known.mnist_c if known else None),
            bool(known and known.in_kind),
            self._named(name, known.protocol if known else None),
        )

    def _named(self, name: str, severity: float | None) -> float | None:
        return self.parts[name, severity].score.accuracy if severity and (name, severity) in self.parts else None


def read_baseline() -> dict[str, dict[str, float]]:
    """The baseline's errors by corruption and severity: the study's `cnn`, trained on clean images, over 5 seeds.

    Measured by benchmarks/baseline.py, and to be measured again when the table's severities change.
    """
    content = BASELINE.read_bytes()
    assert hashlib.sha256(content).hexdigest() == BASELINE_SHA256, "the baseline's file is not the published one"
    return dict(json.loads(content)["errors"])
