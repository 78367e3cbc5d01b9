"""Confidence intervals for accuracies, and significance tests between classifiers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from scipy.special import expit, logit, stdtr, stdtrit

Interval = tuple[float, float]
RESAMPLES = 10_000  # bootstrap samples
SIGNIFICANCE_LEVEL = 0.05


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> Interval:
    """The interval for an accuracy where each source image appears once.

    Source: Wilson (1927), as SciPy computes it.
    """
    from scipy.stats import binomtest  # late: the import takes half a second, which every worker would pay

    interval = binomtest(correct, total).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap_interval(
    correct: Int[np.ndarray, " sources"], copies: int, confidence: float = 0.95, resamples: int = RESAMPLES
) -> Interval:
    """The interval for a mean where each source image has `copies` copies, of which `correct` are correct.

    Sources are resampled with all their copies. Drawing n sources with replacement and counting how many have
    0, 1, …, `copies` correct ones is a single multinomial draw. For the difference of two classifiers, `correct` is
    the difference of their counts.
    """
    values, counts = np.unique(correct, return_counts=True)
    draws = np.random.default_rng(0).multinomial(len(correct), counts / len(correct), size=resamples)
    means = draws @ values / (len(correct) * copies)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class GroupInterval:
    """The 95 % interval of an accuracy over groups of images, such as devices or writers."""

    groups: int
    interval: Interval


def group_interval(
    correct: Float[np.ndarray, " n"], groups: Int[np.ndarray, " n"], confidence: float = 0.95
) -> GroupInterval | None:
    """The interval for the accuracy on images of new groups, of which `groups` are a sample; None for one group.

    `correct` is the share of correct copies of each image (0..1). Images of one group are alike, so that the groups
    count, not the images. It is a t interval of the log odds, with the variance of a jackknife that leaves out one
    group at a time, and the effective number of groups (Kish's, for unequal sizes) minus one degrees of freedom. A
    bootstrap of the groups is too narrow where they are few or unequal: results/group-interval-coverage. Where all
    are correct, or none, it is Wilson's for as many groups.
    Source: MacKinnon, Nielsen & Webb (Journal of Econometrics 232, 2023), for jackknife and t; Carter, Schnepel &
    Steigerwald (Review of Economics and Statistics 99, 2017), for the effective number.
    """
    n, mean = len(np.unique(groups)), float(correct.mean())
    if n < 2:
        return None
    if mean in (0.0, 1.0):
        return GroupInterval(n, wilson_interval(round(mean * n), n, confidence))
    error, freedom = group_error(correct, groups)
    error /= mean * (1 - mean)  # of the log odds
    half = -float(stdtrit(freedom, (1 - confidence) / 2)) * error
    return GroupInterval(n, (float(expit(logit(mean) - half)), float(expit(logit(mean) + half))))


def group_error(values: Float[np.ndarray, " n"], groups: Int[np.ndarray, " n"]) -> tuple[float, float]:
    """The standard error of the mean of `values` over new groups, and its degrees of freedom, at least 1.

    A jackknife that leaves out one of two or more groups at a time; degrees of freedom are the effective number of
    groups (Kish's, for unequal sizes) minus one. Sources: those of `group_interval`.
    """
    _, members, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    shares = sizes / sizes.sum()
    # What leaving out a group changes in the mean.
    changes = np.bincount(members, weights=values - float(values.mean())) / sizes.sum() / (1 - shares)
    error = float(np.sqrt((len(sizes) - 1) / len(sizes) * (changes**2).sum()))
    return error, max(1.0, 1 / float((shares**2).sum()) - 1)


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
    """A bootstrap over source images of the same difference, for these trained networks only."""
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
    from scipy.stats import binomtest  # late, as above

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    tosses = only_first + only_second
    return Discordance(only_first, only_second, float(binomtest(only_first, tosses).pvalue) if tosses else 1.0)


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
