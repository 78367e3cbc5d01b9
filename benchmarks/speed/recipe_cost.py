"""Training time of recipes, in turn: seconds of some steps of each, times its number of steps.

    python benchmarks/speed/recipe_cost.py [--steps 150] [--rounds 3] [--threads 1] --out results/recipe-cost

*old default* and *old quick* are the recipes of before 29 November 2026: `petit` on the core suite.
"""

import argparse
import statistics
import sys
import time
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait.core.compute import ComputeConfig
from imparfait.core.hardware import has_bf16_units
from imparfait.data.load import load_data
from imparfait.training.loop import Training, network_for
from imparfait.training.recipes import RECIPES
from imparfait.training.settings import TrainingSettings

COMPARED = {
    "old default": TrainingSettings(),
    "default": RECIPES["default"].settings,
    "old quick": TrainingSettings(model_args={"filters": 16}, epochs=1, batch_size=96, learning_rate=0.02),
    "quick": RECIPES["quick"].settings,
}
WARM_UP = 20  # steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    data, _ = load_data("mnist").train_val()
    precision = "bfloat16" if has_bf16_units() else "float32"
    compute = ComputeConfig(device="cpu", threads=options.threads, precision=precision)
    seconds: dict[str, list[float]] = {name: [] for name in COMPARED}
    for _ in range(options.rounds):
        for name, settings in COMPARED.items():
            training = Training(network_for(settings, data), data, settings, compute)
            steps = iter(training)
            for _ in islice(steps, WARM_UP):
                pass
            start = time.perf_counter()
            done = sum(1 for _ in islice(steps, options.steps))
            seconds[name].append((time.perf_counter() - start) / done * training.steps)
            print(f"{name}: {seconds[name][-1]:.1f} s", flush=True)
    middle = {name: statistics.median(each) for name, each in seconds.items()}
    ratios = {name: middle[name] / middle[f"old {name}"] for name in ("default", "quick")}
    print(ratios)
    write_claim(options.out, {"seconds": seconds, "median_seconds": middle, "ratio_to_old": ratios})


if __name__ == "__main__":
    main()
