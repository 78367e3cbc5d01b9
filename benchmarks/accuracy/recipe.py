"""Accuracy, training time and memory of a recipe over several seeds, evaluated on the validation set.

python benchmarks/accuracy/recipe.py default --seeds 0 1 2 --out results/default-validation

Each seed is one `imparfait train` in its own process, one after the other, and every seed is reported. Each is also
evaluated on the full suite, on the first 2,000 validation images. With --final each seed is evaluated on the test set
instead, on the core suite only.
"""

import argparse
import csv
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait.core.storage import write_json
from imparfait.data.load import load_data
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import score_conditions
from imparfait.evaluation.suite import apply_conditions, full_suite
from imparfait.models.loading import load_classifier

SUITE_IMAGES = 2000


def full_suite_scores(folder: Path) -> dict[str, object]:
    """Suite mean, MNIST-C's 15 and the accuracy under each corruption."""
    _, validation = load_data("mnist").train_val()
    few = validation.select(np.arange(SUITE_IMAGES))
    suite = SuiteResult(score_conditions(load_classifier(folder), apply_conditions(few, full_suite())))
    return {
        "suite_images": SUITE_IMAGES,
        "suite_mean": suite.mean,
        "mnist_c_mean": suite.mnist_c_mean,
        "corruptions": {summary.corruption: round(summary.accuracy, 5) for summary in suite.corruptions},
    }


def train(recipe: str, seed: int, runs: Path, final: bool) -> dict[str, object]:
    """Train one seed and collect what it printed and saved."""
    arguments = [
        sys.executable,
        "-m",
        "imparfait",
        "train",
        "--recipe",
        recipe,
        "--seed",
        str(seed),
        "--out",
        str(runs),
        "--json",
    ]
    start = time.perf_counter()
    output = subprocess.run(
        [*arguments, *(["--final"] if final else [])], check=True, capture_output=True, text=True
    ).stdout
    wall = time.perf_counter() - start
    scores = json.loads(output)
    folder = Path(scores["folder"])
    with (folder / "epochs.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    return ({} if final else full_suite_scores(folder)) | {
        "seed": seed,
        "mean": scores["mean"],
        "conditions": {
            condition["corruption"]: [condition["correct"], condition["total"]] for condition in scores["conditions"]
        },
        "training_seconds": round(float(last["seconds"]), 1),
        "wall_seconds": round(wall, 1),
        "settings": json.loads((folder / "settings.json").read_text()),
        "environment": json.loads((folder / "environment.json").read_text()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="recipe to train")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--final", action="store_true", help="train on all images and evaluate on the test set, once per seed"
    )
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as runs:
        rows = [train(options.recipe, seed, Path(runs), options.final) for seed in options.seeds]
        means = [100 * float(row["mean"]) for row in rows]  # type: ignore[arg-type]
        options.out.mkdir(parents=True, exist_ok=True)
        ledger = Path(runs) / "TEST_LEDGER.csv"
        if ledger.exists():
            (options.out / "TEST_LEDGER.csv").write_text(ledger.read_text())
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    summary = {
        "images": "MNIST test set" if options.final else "MNIST validation set",
        "n": len(rows),
        "core_mean_percent": round(statistics.mean(means), 3),
        "standard_deviation": round(statistics.stdev(means), 3) if len(means) > 1 else None,
        **{
            f"{name}_percent": round(100 * statistics.mean(float(row[name]) for row in rows), 2)  # type: ignore[arg-type]
            for name in ("suite_mean", "mnist_c_mean")
            if name in rows[0]
        },
        "training_seconds_median": statistics.median(float(row["training_seconds"]) for row in rows),  # type: ignore[arg-type]
        "wall_seconds_median": statistics.median(float(row["wall_seconds"]) for row in rows),  # type: ignore[arg-type]
        "peak_memory_GiB": round(peak, 2),
    }
    environment, settings = rows[0].pop("environment"), rows[0].pop("settings")
    for row in rows[1:]:
        row.pop("environment"), row.pop("settings")
    write_claim(options.out, {"summary": summary, "seeds": rows}, environment)  # type: ignore[arg-type]
    write_json(options.out / "settings.json", settings)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
