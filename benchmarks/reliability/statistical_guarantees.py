"""Coverage of the intervals and error rates of the comparisons, from the tests' simulations.

python benchmarks/reliability/statistical_guarantees.py --out results/statistics-coverage
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

from imparfait.evaluation.statistics import bootstrap_interval, corrected_difference, wilson_interval


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    n, random = simulations.EVALUATIONS, np.random.default_rng(10)  # not the tests' seed
    results: dict[str, object] = {"simulated_evaluations": n}

    for truth in (0.9, 0.975, 0.994):
        counts = random.binomial(10_000, truth, n)
        intervals = {count: wilson_interval(int(count), 10_000) for count in np.unique(counts)}
        coverage = simulations.covered([intervals[count] for count in counts], truth)
        results[f"Wilson interval, accuracy {truth}, 10,000 images"] = coverage
    for correlation in (0.0, 0.5, 0.9):
        bootstraps = []
        for _ in range(n):
            shared, independent = random.random((3000, 1)) < 0.97, random.random((3000, 3)) < 0.97
            correct = np.where(random.random((3000, 1)) < correlation, shared, independent).sum(1)
            bootstraps.append(bootstrap_interval(correct, copies=3, resamples=1000))
        results[f"bootstrap over source images, correlation {correlation}"] = simulations.covered(bootstraps, 0.97)
    for folds, seeds in ((5, 2), (5, 3), (10, 3)):
        shared = random.standard_normal((n, 1)) * np.sqrt(1 / folds)
        independent = random.standard_normal((n, folds * seeds)) * np.sqrt(1 - 1 / folds)
        rows = 0.2 + 0.3 * (shared + independent)
        corrected = [corrected_difference(row, 1 / (folds - 1)).interval for row in rows]
        results[f"corrected t, {folds} folds x {seeds} seeds"] = simulations.covered(corrected, 0.2)

    results["false positives of 300, different recipes, exchangeable by image"] = sum(
        bool(simulations.simulated(random).verdicts[0].is_significant) for _ in range(300)
    )
    planted = [simulations.simulated(random, 0.02).verdicts[0] for _ in range(100)]
    results["detected of 100, 2 points planted in 1,500 images"] = sum(
        verdict.is_significant and verdict.names[0] == "one" for verdict in planted
    )
    counts = false_positives.read_counts()
    results["real trainings"] = 40
    results["false positives of 300, real trainings re-paired"] = false_positives.count_detections(counts)
    for points in (0.1, 0.2, 0.3):
        results[f"detected of 300, {points} points planted in real trainings"] = false_positives.count_detections(
            counts, points / 100
        )

    write_claim(options.out, results)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
