"""Intervals for counts of right answers, and tests of differences between classifiers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from scipy.special import stdtr, stdtrit

Interval = tuple[float, float]
RESAMPLES = 10_000


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> Interval:
    """The interval for an accuracy when each source image appears once.

    Source: Wilson (1927), as SciPy computes it.
    """
    from scipy.stats import binomtest  # late: it takes half a second, which every worker would pay

    interval = binomtest(correct, total).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap_interval(
    correct: Int[np.ndarray, " sources"], each: int, confidence: float = 0.95, resamples: int = RESAMPLES
) -> Interval:
    """The interval for a mean when each source image appears `each` times, `right` of them correctly.

    Sources are resampled with all their copies. Drawing n sources with replacement and counting how many have
    0, 1, …, `each` right answers is one multinomial draw, which is what is drawn. For a difference between two
    classifiers, `right` are the differences of their right answers.
    """
    values, counts = np.unique(correct, return_counts=True)
    draws = np.random.default_rng(0).multinomial(len(correct), counts / len(correct), size=resamples)
    means = draws @ values / (len(correct) * each)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Difference:
    """The mean of paired differences over the folds of repeated cross-validation, and what can be said of it."""

    mean: float
    error: float
    """The corrected standard error of the mean."""
    freedom: int

    @property
    def p(self) -> float:
        """How probable so large a difference, one way or the other, is where there is none.

        1 where all folds differ by the same: that happens on few images, and leaves no spread to test by.
        """
        if self.error == 0:
            return 1.0
        return float(2 * stdtr(self.freedom, -abs(self.mean) / self.error))

    def reach(self, level: float = 0.05) -> float:
        """The smallest difference that a test at `level` would have shown; half the width of its interval."""
        return float(-stdtrit(self.freedom, level / 2) * self.error)

    @property
    def interval(self) -> Interval:
        """The 95 % interval."""
        return self.mean - self.reach(), self.mean + self.reach()


def corrected_difference(differences: Float[np.ndarray, " folds"], test_share: float) -> Difference:
    """What paired differences, one for each fold of each repetition of k-fold cross-validation, say of their mean.

    The folds' training images overlap, so their differences vary less than independent ones would: the variance of
    the mean is taken as (1/kr + test_share)·s², where `test_share` is held-out images over training images, with
    kr − 1 degrees of freedom.
    Source: Nadeau & Bengio (Machine Learning 52, 2003); for repeated k-fold Bouckaert & Frank (PAKDD 2004).
    """
    n = len(differences)
    spread = float(np.std(differences, ddof=1)) if np.ptp(differences) > 1e-12 else 0.0  # beyond rounding
    return Difference(float(np.mean(differences)), spread * float(np.sqrt(1 / n + test_share)), n - 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values adjusted for there being several: the chance of one false finding among all stays at the level.

    Source: Holm (Scandinavian Journal of Statistics 6, 1979).
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


@dataclass(frozen=True)
class Discordance:
    """The images that one of two classifiers alone reads correctly, and the exact two-sided p of this split."""

    only_first: int
    only_second: int
    p: float


def mcnemar(first: Bool[np.ndarray, " n"], second: Bool[np.ndarray, " n"]) -> Discordance:
    """Whether two saved models differ on the same `n` images: which of them each reads correctly, a row an image.

    Only for independent images that neither model was fitted on. p is 1 where they err on the same images.
    Source: McNemar (Psychometrika 12, 1947); exact: each discordant image is a fair toss.
    """
    from scipy.stats import binomtest  # late, as above

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    tosses = only_first + only_second
    return Discordance(only_first, only_second, float(binomtest(only_first, tosses).pvalue) if tosses else 1.0)


@dataclass(frozen=True)
class Crossing:
    """The severity at which accuracy falls through a level, with its 95 % interval; None is beyond the last one."""

    severity: float | None
    low: float | None
    high: float | None


def crossing(
    severities: Float[np.ndarray, " severities"],
    correct: Shaped[np.ndarray, "severities sources"],
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> Crossing:
    """Where accuracy first falls below `level`, on straight lines between the severities, which rise from 0 (clean).

    `right` says of each source at each severity whether it is read correctly (or which share of its copies, 0..1).
    It is the first severity where accuracy is below the level from the start. The interval is a bootstrap over
    sources, each with all its severities; an end is None where that share of the resamples is not below by the last.
    """
    patterns, counts = np.unique(correct, axis=1, return_counts=True)  # few: so resampling is one multinomial draw
    draws = np.random.default_rng(0).multinomial(correct.shape[1], counts / correct.shape[1], size=resamples)
    accuracies = np.vstack([counts, draws]) @ patterns.astype(float).T / correct.shape[1]
    found = _first_below(severities, accuracies, level)
    ends = np.quantile(found[1:], [0.025, 0.975], method="inverted_cdf")  # interpolating would mix in the infinite
    return Crossing(*(float(value) if np.isfinite(value) else None for value in (found[0], *ends)))


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
    there = severities[before] + share * (severities[after] - severities[before])
    return np.where(below.any(1), there, np.inf)
