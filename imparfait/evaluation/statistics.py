"""Significance tests between classifiers, and the severity at which accuracy falls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped
from scipy.special import gammaln, stdtr, stdtrit

from imparfait.evaluation.intervals import Interval

RESAMPLES = 10_000  # of a bootstrap
SIGNIFICANCE_LEVEL = 0.05


@dataclass(frozen=True)
class Difference:
    """The mean of paired differences, a share, with its standard error and the t test on it."""

    mean: float
    error: float
    """The standard error of the mean."""
    degrees_of_freedom: float

    @property
    def p(self) -> float:
        """The two-sided p value of the t test for no difference.

        1 where all differences are equal: that happens with few images, and leaves no spread to test by.
        """
        if self.error == 0:
            return 1.0
        return float(2 * stdtr(self.degrees_of_freedom, -abs(self.mean) / self.error))

    def detectable(self, level: float = SIGNIFICANCE_LEVEL) -> float:
        """The smallest difference that is significant at `level`: half the width of the interval."""
        return float(-stdtrit(self.degrees_of_freedom, level / 2) * self.error)

    @property
    def interval(self) -> Interval:
        """The 95 % interval."""
        return self.mean - self.detectable(), self.mean + self.detectable()


def corrected_difference(differences: Float[np.ndarray, " folds"], test_share: float) -> Difference:
    """The mean of paired differences, one per fold of repeated k-fold cross-validation, with a corrected error.

    The folds' training images overlap, so their differences vary less than independent ones would. The variance of
    the mean is therefore (1/kr + test_share)·s², where `test_share` is held-out images over training images, with
    kr − 1 degrees of freedom.
    Source: Nadeau & Bengio (Machine Learning 52, 2003); for repeated k-fold Bouckaert & Frank (PAKDD 2004).
    """
    n = len(differences)
    spread = float(np.std(differences, ddof=1)) if np.ptp(differences) > 1e-12 else 0.0  # beyond rounding
    return Difference(float(np.mean(differences)), spread * float(np.sqrt(1 / n + test_share)), n - 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values adjusted for multiple tests: the chance of any false positive stays at the level.

    Source: Holm (Scandinavian Journal of Statistics 6, 1979).
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


@dataclass(frozen=True)
class AdjustedDifference:
    """A difference, and its p value adjusted for the others that were tested with it."""

    difference: Difference
    p: float
    """Holm's."""


@dataclass(frozen=True)
class Verdict:
    """The primary test of a pair of models: the difference of their mean accuracies, and its adjusted p value."""

    names: tuple[str, str]
    difference: Difference
    """The first's accuracy minus the second's, a share."""
    p: float
    """Holm's, over all pairs."""
    pairs: int = 1
    """How many pairs were compared."""
    jobs: int = 0
    """Cross-validation folds that both finished; 0 for finished models on the same images."""
    by_source: Interval | None = None
    """The interval over source images of the same difference, for these trained networks only."""
    corruptions: Mapping[str, AdjustedDifference] = field(default_factory=dict)
    """Secondary tests by corruption, adjusted within the pair; severities are not tested."""
    single_runs: tuple[str, ...] = ()
    """Those of the two that are one trained network: the verdict then says nothing about their recipes."""

    @property
    def is_significant(self) -> bool:
        """Whether the test shows a difference."""
        return self.p <= SIGNIFICANCE_LEVEL

    @property
    def better(self) -> str:
        """The one with the higher mean."""
        return self.names[0] if self.difference.mean >= 0 else self.names[1]

    @property
    def other(self) -> str:
        """The one with the lower mean."""
        return self.names[1] if self.difference.mean >= 0 else self.names[0]

    @property
    def detectable(self) -> float:
        """A difference that would have been significant, whatever the other pairs show."""
        return self.difference.detectable(SIGNIFICANCE_LEVEL / self.pairs)


@dataclass(frozen=True)
class Discordance:
    """How many images only one of two classifiers gets right, and the exact two-sided p value of that split."""

    only_first: int
    only_second: int
    p: float


def mcnemar(first: Bool[np.ndarray, " n"], second: Bool[np.ndarray, " n"]) -> Discordance:
    """McNemar's exact test of two saved models from which of the same `n` images each gets right.

    Only for independent images that neither model was trained on. p is 1 where both err on the same images.
    Source: McNemar (Psychometrika 12, 1947); exact: each discordant image is a fair toss.
    """
    from scipy.stats import binomtest  # late: the import takes about a second

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    tosses = only_first + only_second
    return Discordance(only_first, only_second, float(binomtest(only_first, tosses).pvalue) if tosses else 1.0)


def log_choose(n: int, k: Any) -> Any:
    """The logarithm of the binomial coefficient of `n` and each of `k`."""
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


@dataclass(frozen=True)
class Crossing:
    """The severity at which accuracy falls below a level, with its 95 % interval; None is beyond the last one."""

    severity: float | None
    low: float | None
    high: float | None


def crossing(
    severities: Float[np.ndarray, " severities"],
    correct: Shaped[np.ndarray, "severities sources"],
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> Crossing:
    """Where accuracy first falls below `level`, interpolated linearly between severities rising from 0 (clean).

    `correct` holds, for each source at each severity, whether it is correct, or the share of its copies (0..1). The
    result is the first severity where accuracy starts below the level. The interval is a bootstrap over sources, each
    with all its severities; an end is None where that share of the resamples never falls below the level.
    """
    patterns, counts = np.unique(correct, axis=1, return_counts=True)  # few, so resampling is one multinomial draw
    draws = np.random.default_rng(0).multinomial(correct.shape[1], counts / correct.shape[1], size=resamples)
    accuracies = np.vstack([counts, draws]) @ patterns.astype(float).T / correct.shape[1]
    crossings = _first_below(severities, accuracies, level)
    ends = np.quantile(crossings[1:], [0.025, 0.975], method="inverted_cdf")  # interpolation would mix in infinities
    return Crossing(*(float(value) if np.isfinite(value) else None for value in (crossings[0], *ends)))


def _first_below(
    severities: Float[np.ndarray, " severities"], accuracies: Float[np.ndarray, "rows severities"], level: float
) -> Float[np.ndarray, " rows"]:
    """Where each row crosses the level; infinite where it does not."""
    below = accuracies < level
    after = below.argmax(1)
    before = (after - 1).clip(0)
    rows = np.arange(len(accuracies))
    high, low = accuracies[rows, before], accuracies[rows, after]
    fall = np.where(after == before, 1.0, high - low)
    share = np.where(after == before, 0.0, (high - level) / np.where(below.any(1), fall, 1.0))
    crossings = severities[before] + share * (severities[after] - severities[before])
    return np.where(below.any(1), crossings, np.inf)
