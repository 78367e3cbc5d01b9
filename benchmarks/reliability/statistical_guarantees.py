"""How often the intervals and verdicts hold what they promise, in numbers: the simulations of the tests.

python benchmarks/promises.py --out results/2026-11-24-statistics
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import test_null as null
import test_statistics as simulations
from claims import leave

from imparfait.evaluation.statistics import bootstrap_interval, corrected_difference, wilson_interval


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    n, random = simulations.EVALUATIONS, np.random.default_rng(10)  # another seed than the tests'
    found: dict[str, object] = {"simulated_evaluations": n}

    for truth in (0.9, 0.975, 0.994):
        counts = random.binomial(10_000, truth, n)
        intervals = {count: wilson_interval(int(count), 10_000) for count in np.unique(counts)}
        held = simulations.covered([intervals[count] for count in counts], truth)
        found[f"wilson, accuracy {truth}, 10,000 images"] = held
    for alike in (0.0, 0.5, 0.9):
        bootstraps = []
        for _ in range(n):
            shared, apart = random.random((3000, 1)) < 0.97, random.random((3000, 3)) < 0.97
            right = np.where(random.random((3000, 1)) < alike, shared, apart).sum(1)
            bootstraps.append(bootstrap_interval(right, each=3, resamples=1000))
        found[f"bootstrap by source, copies alike {alike}"] = simulations.covered(bootstraps, 0.97)
    for folds, seeds in ((5, 2), (5, 3), (10, 3)):
        shared = random.standard_normal((n, 1)) * np.sqrt(1 / folds)
        apart = random.standard_normal((n, folds * seeds)) * np.sqrt(1 - 1 / folds)
        rows = 0.2 + 0.3 * (shared + apart)
        corrected = [corrected_difference(row, 1 / (folds - 1)).interval for row in rows]
        found[f"corrected t, {folds} folds x {seeds} seeds"] = simulations.covered(corrected, 0.2)

    found["false better, different recipes exchangeable by image, of 300"] = sum(
        bool(simulations.simulated(random).verdicts[0].shown) for _ in range(300)
    )
    planted = [simulations.simulated(random, 0.02).verdicts[0] for _ in range(100)]
    found["found of 100, 2 points planted in 1,500 images"] = sum(
        verdict.shown and verdict.names[0] == "one" for verdict in planted
    )
    right = null.read(null.JOBS_FOLDER)
    found["real trainings"] = 40
    found["false better, real trainings re-paired, of 300"] = int(null.shown(right))
    for points in (0.1, 0.2, 0.3):
        found[f"found of 300, {points} points planted in real trainings"] = int(null.shown(right, points / 100))

    leave(options.out, found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
