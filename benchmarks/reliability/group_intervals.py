"""Coverage of intervals over groups: the package's, a plain t interval, and a bootstrap of the groups.

python benchmarks/reliability/group_intervals.py [--repeats 1000] [--out results/group-interval-coverage]

Accuracies of groups are beta distributed about a known mean, sizes of groups log-normal (a group in six is larger than
2.7 times the median). An interval covers if it contains the mean: 95 % of them should. About 2 minutes.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import t

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait.evaluation.intervals import Interval, group_interval

SETTINGS = ((0.8, 4.0), (0.9, 8.0), (0.97, 20.0))  # mean accuracy, and the beta's a + b
GROUPS = (3, 6, 16, 40, 100)
MEDIAN_IMAGES, SPREAD = 55, 1.0  # of the sizes of groups, and the standard deviation of their logarithm
RESAMPLES = 1000


def ours(correct: np.ndarray, groups: np.ndarray) -> Interval:
    """The interval that the package reports."""
    found = group_interval(correct, groups)
    assert found
    return found.interval


def plain_t(correct: np.ndarray, groups: np.ndarray) -> Interval:
    """Mean ± t with the cluster-robust standard error, and as many groups minus one degrees of freedom."""
    residuals = np.bincount(groups, weights=correct - correct.mean())
    n = len(residuals)
    half = t.ppf(0.975, n - 1) * np.sqrt(n / (n - 1) * (residuals**2).sum()) / len(correct)
    return correct.mean() - half, correct.mean() + half


def bootstrap(correct: np.ndarray, groups: np.ndarray) -> Interval:
    """Percentiles of the mean over resampled groups."""
    sums, sizes = np.bincount(groups, weights=correct), np.bincount(groups)
    drawn = np.random.default_rng(0).integers(0, len(sums), (RESAMPLES, len(sums)))
    low, high = np.quantile(sums[drawn].sum(1) / sizes[drawn].sum(1), [0.025, 0.975])
    return float(low), float(high)


METHODS: dict[str, Callable[[np.ndarray, np.ndarray], Interval]] = {
    "package": ours, "plain t": plain_t, "bootstrap": bootstrap
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    random = np.random.default_rng(1)
    rows = []
    for mean, concentration in SETTINGS:
        for count in GROUPS:
            covered, widths = dict.fromkeys(METHODS, 0), {name: [] for name in METHODS}
            for _ in range(options.repeats):
                sizes = np.maximum(5, random.lognormal(np.log(MEDIAN_IMAGES), SPREAD, count)).astype(int)
                accuracies = random.beta(mean * concentration, (1 - mean) * concentration, count)
                groups = np.repeat(np.arange(count), sizes)
                correct = (random.random(len(groups)) < accuracies[groups]).astype(float)
                for name, method in METHODS.items():
                    low, high = method(correct, groups)
                    covered[name] += int(low <= mean <= high)
                    widths[name].append(high - low)
            rows.append(
                {
                    "mean": mean,
                    "groups": count,
                    "covered": covered,
                    "median_width": {name: round(float(np.median(width)), 4) for name, width in widths.items()},
                }
            )
            print(rows[-1])
    if options.out:
        write_claim(options.out, {"repeats": options.repeats, "rows": rows})


if __name__ == "__main__":
    main()
