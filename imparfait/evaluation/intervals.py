"""Confidence intervals for accuracies: over images, over source images with several copies, and over groups."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit, logit, ndtri, stdtrit

Interval = tuple[float, float]
UNSEEN_SOURCES = 0.5
"""Source images that `mean_interval` adds to the variance: all copies of one half are wrong, of the other correct.

Among sources that are all alike, one that fails under every corruption may have been missed by chance. Chosen on real
predictions: results/interval-coverage.
"""


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> Interval:
    """The interval for an accuracy where each source image appears once.

    Source: Wilson (Journal of the American Statistical Association 22, 1927).
    """
    return _wilson(correct / total, total, confidence)


def mean_interval(shares: Float[np.ndarray, " sources"], copies: int, confidence: float = 0.95) -> Interval:
    """The interval for a mean accuracy where each source image has `copies` copies, a share (0..1) of them correct.

    Copies of one image are alike: they count as fewer images than they are, and as more than their sources. It is
    Wilson's interval for that effective number, which the variance between sources gives. A bootstrap has no width
    where all are correct, and covers 25 to 90 % of the time above 99 % of few images.
    Source of the effective number: Kish (Survey Sampling, 1965); in Wilson's interval: Korn & Graubard (Survey
    Methodology 24, 1998) do so in Clopper and Pearson's.
    """
    n, mean = len(shares), float(shares.mean())
    if copies == 1:
        return _wilson(mean, n, confidence)
    unseen = UNSEEN_SOURCES * ((1 - mean) ** 2 + mean**2) / 2
    variance = (float(((shares - mean) ** 2).sum()) + unseen) / (n + UNSEEN_SOURCES - 1)  # between sources
    shrunk = (n * mean + UNSEEN_SOURCES / 2) / (n + UNSEEN_SOURCES)
    effective = min(max(n * shrunk * (1 - shrunk) / variance, n), n * copies)
    return _wilson(mean, effective, confidence)


def difference_interval(ahead: Float[np.ndarray, " sources"], confidence: float = 0.95) -> Interval:
    """The interval for the difference of two mean accuracies on the same source images, -1..1.

    `ahead` is by which share of its copies (-1..1) the first classifier is ahead on each source. A t interval over
    sources; its variance has `UNSEEN_SOURCES`, on which one classifier is right each time and the other never, so that
    few equal sources do not prove equality.
    """
    n, mean = len(ahead), float(ahead.mean())
    variance = (float(((ahead - mean) ** 2).sum()) + UNSEEN_SOURCES) / (n + UNSEEN_SOURCES - 1)
    half = -float(stdtrit(max(n - 1, 1), (1 - confidence) / 2)) * (variance / n) ** 0.5
    return max(mean - half, -1.0), min(mean + half, 1.0)


def _wilson(mean: float, images: float, confidence: float) -> Interval:
    """Wilson's interval for a number of images that need not be whole."""
    z = -float(ndtri((1 - confidence) / 2))
    middle = (mean + z**2 / (2 * images)) / (1 + z**2 / images)
    half = z / (1 + z**2 / images) * (mean * (1 - mean) / images + z**2 / (4 * images**2)) ** 0.5
    return max(middle - half, 0.0), min(middle + half, 1.0)


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


def mean_error(values: Float[np.ndarray, " n"], groups: Int[np.ndarray, " n"] | None) -> tuple[float, float]:
    """The standard error of the mean of `values`, of two or more images, and its degrees of freedom.

    Over new images; over new groups where there are two or more. It is never below the one over images: a few groups
    often agree by chance, and equal ones would leave no error at all.
    """
    error, freedom = float(values.std(ddof=1)) / len(values) ** 0.5, len(values) - 1.0
    if groups is None or len(np.unique(groups)) < 2:
        return error, freedom
    over_groups, freedom = group_error(values, groups)
    return max(error, over_groups), freedom
