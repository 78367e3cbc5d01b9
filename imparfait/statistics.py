"""Intervals for counts of right answers."""

import numpy as np
from jaxtyping import Int
from scipy.stats import binomtest

Interval = tuple[float, float]


def wilson_interval(right: int, total: int, confidence: float = 0.95) -> Interval:
    """The interval for an accuracy when each source picture appears once.

    Source: Wilson (1927), as SciPy computes it.
    """
    interval = binomtest(right, total).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap_interval(
    right: Int[np.ndarray, " sources"], each: int, confidence: float = 0.95, resamples: int = 10_000
) -> Interval:
    """The interval for a mean accuracy when each source picture appears `each` times, `right` of them correctly.

    Sources are resampled with all their copies. Drawing n sources with replacement and counting how many have
    0, 1, …, `each` right answers is one multinomial draw, which is what is drawn.
    """
    values, counts = np.unique(right, return_counts=True)
    draws = np.random.default_rng(0).multinomial(len(right), counts / len(right), size=resamples)
    means = draws @ values / (len(right) * each)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
