"""Coverage of the intervals and error rates of the comparisons, by simulation.

python benchmarks/reliability/statistical_guarantees.py --out results/statistics-coverage

The corrected t test is tried on three kinds of folds' differences. Drawn: normal, as correlated as the test assumes.
Resampled: two candidates drawn anew from 40 real trainings of one recipe, with their folds. With failures: the same,
where each training collapses to 75 % with some probability, for both alike or for the second only; or where a heavy
tail (t, 2 degrees of freedom) is added. Coverage is of the true mean difference, collapses included. No real pair of
recipes is in it: how differently two recipes take to the same fold is not simulated.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from evaluation import test_statistics as simulations
from selection import test_false_positive_rate as false_positives
from tools.claims import write_claim

from imparfait.evaluation.intervals import wilson_interval
from imparfait.evaluation.statistics import corrected_difference

COMPARISONS = 4000
COLLAPSED = 0.75  # accuracy of a training that failed, as seen in the founding study
TAIL = 0.002  # scale of the heavy tail, accuracy
TEST_SHARE = 1 / 4  # 5 folds: held-out images over training images


def resampled(accuracies: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One candidate, float64 [partition, fold]: of each fold one of its real trainings."""
    seeds = random.integers(0, accuracies.shape[2], accuracies.shape[:2])
    return np.take_along_axis(accuracies, seeds[..., None], 2)[..., 0]


def corrected_t(
    accuracies: np.ndarray, lead: float, collapses: tuple[float, float], tail: float, random: np.random.Generator
) -> dict[str, float]:
    """How often the interval covers the true difference, and how often a difference is shown."""
    usual = float(accuracies.mean())
    means = [(1 - share) * usual + share * COLLAPSED for share in collapses]
    truth = means[0] + (1 - collapses[0]) * lead - means[1]
    covered = shown = 0
    for _ in range(COMPARISONS):
        both = []
        for ahead, share in zip((lead, 0.0), collapses, strict=True):
            own = resampled(accuracies, random) + ahead + tail * random.standard_t(2, accuracies.shape[:2])
            both.append(np.where(random.random(own.shape) < share, COLLAPSED, own))
        found = corrected_difference((both[0] - both[1]).ravel(), TEST_SHARE)
        covered += found.interval[0] <= truth <= found.interval[1]
        shown += found.p <= 0.05
    return {"true_difference": truth, "coverage": covered / COMPARISONS, "shown": shown / COMPARISONS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    n, random = simulations.EVALUATIONS, np.random.default_rng(10)  # not the tests' seed
    results: dict[str, object] = {"simulated_evaluations": n, "simulated_comparisons": COMPARISONS}

    for truth in (0.9, 0.975, 0.994):
        counts = random.binomial(10_000, truth, n)
        intervals = {count: wilson_interval(int(count), 10_000) for count in np.unique(counts)}
        coverage = simulations.coverage([intervals[count] for count in counts], truth)
        results[f"Wilson interval, accuracy {truth}, 10,000 images"] = coverage
    for folds, seeds in ((5, 2), (5, 3), (10, 3)):
        shared = random.standard_normal((n, 1)) * np.sqrt(1 / folds)
        independent = random.standard_normal((n, folds * seeds)) * np.sqrt(1 - 1 / folds)
        rows = 0.2 + 0.3 * (shared + independent)
        corrected = [corrected_difference(row, 1 / (folds - 1)).interval for row in rows]
        results[f"corrected t, drawn, {folds} folds x {seeds} seeds"] = simulations.coverage(corrected, 0.2)

    real = false_positives.read_counts()
    accuracies = (real[..., :3] / real[..., 3:]).mean(3)
    kinds = {
        "as they were": ((0.0, 0.0), 0.0),
        "heavy tails": ((0.0, 0.0), TAIL),
        "5 % of both collapse": ((0.05, 0.05), 0.0),
        "10 % of both collapse": ((0.1, 0.1), 0.0),
        "10 % of the second collapse": ((0.0, 0.1), 0.0),
    }
    results["real trainings"] = accuracies.size
    results["corrected t, resampled"] = {
        f"{kind}, lead {100 * lead:g} points": corrected_t(accuracies, lead, collapses, tail, random)
        for kind, (collapses, tail) in kinds.items()
        for lead in (0.0, 0.003, 0.0125)
    }

    results["false positives of 300, different recipes, exchangeable by image"] = sum(
        bool(simulations.simulated(random).verdicts[0].is_significant) for _ in range(300)
    )
    planted = [simulations.simulated(random, 0.02).verdicts[0] for _ in range(100)]
    results["detected of 100, 2 points planted in 1,500 images"] = sum(
        verdict.is_significant and verdict.names[0] == "one" for verdict in planted
    )
    results["false positives of 300, real trainings re-paired"] = false_positives.count_detections(real)
    for points in (0.1, 0.2, 0.3):
        results[f"detected of 300, {points} points planted in real trainings"] = false_positives.count_detections(
            real, points / 100
        )

    write_claim(options.out, results)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
