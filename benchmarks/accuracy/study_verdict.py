"""Is the study's `cnn_gru` as accurate as its `cnn`? By results/study-verdict/PLAN.md, committed before any run.

python benchmarks/accuracy/study_verdict.py train --networks cnn --runs runs/study-verdict       # resumable
python benchmarks/accuracy/study_verdict.py train --networks cnn_gru --runs runs/study-verdict
python benchmarks/accuracy/study_verdict.py cell --runs runs/study-verdict                       # the collapsed one
python benchmarks/accuracy/study_verdict.py analyse --runs runs/study-verdict --out results/study-verdict

Each training runs for the recipe's own ten epochs in float32 on one thread, by the recipe `study` or `study-gru`. Its
division is fresh: fold 0 of 5 of a partition that was never used. The two networks of a seed have the same division.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import fisher_exact, t

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

import imparfait
from imparfait.core.compute import ComputeConfig
from imparfait.core.storage import write_json
from imparfait.data.dataset import LabelledImages
from imparfait.data.splits import fold
from imparfait.evaluation.intervals import wilson_interval
from imparfait.evaluation.scores import score_conditions
from imparfait.evaluation.statistics import corrected_difference
from imparfait.evaluation.suite import apply_conditions, conditions_from
from imparfait.training.loop import network_for

RECIPES = {"cnn": "study", "cnn_gru": "study-gru"}
SEEDS = (100, 101, 102, 103, 104, 105)
"""Also the numbers of the partitions: the comparisons of before used 0 to 4."""
FOLDS = 5
FAILED = 0.95  # accuracy on fitted clean images at the end: below, the training has failed
MARGIN = 0.005  # of the test of equivalence
GOAL = 0.98  # core mean that seconds are counted to
FITTED_IMAGES = 10_000
COMPUTE = ComputeConfig(threads=1, precision="float32")


def train(network: str, seed: int, images: LabelledImages, runs: Path, partition: int | None = None) -> dict[str, Any]:
    """One training, resumed where it was left: its epochs, and its accuracies at the end."""
    name = f"{network}-s{seed}"
    result = runs / f"{name}.json"
    if result.exists():
        return dict(json.loads(result.read_text()))
    fitted, held_out = fold(images, FOLDS, 0, seed if partition is None else partition)
    settings = imparfait.RECIPES[RECIPES[network]].settings.model_copy(update={"seed": seed})
    model = network_for(settings, fitted)
    epochs = []
    for epoch in imparfait.train(model, fitted, settings, COMPUTE, checkpoint_dir=runs / name, validation=held_out):
        accuracies = {score.corruption: score.correct / score.total for score in epoch.validation}
        row = {"epoch": epoch.number, "loss": epoch.loss, "seconds": epoch.seconds, "held_out": accuracies}
        epochs.append(row | {"core_mean": float(np.mean(list(accuracies.values())))})
        print(name, row, flush=True)
    classifier = imparfait.as_classifier(model, COMPUTE)
    few = fitted.select(np.arange(FITTED_IMAGES))
    [clean] = score_conditions(classifier, apply_conditions(few, conditions_from([("clean", 0.0)]))).scores
    found = {
        "network": network,
        "seed": seed,
        "settings": settings.model_dump(),
        "compute": str(COMPUTE),
        "epochs": epochs,
        "fitted_accuracy": clean.accuracy,
        "core_mean": epochs[-1]["core_mean"],
    }
    write_json(result, found)
    return found


def analyse(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The verdict, as the plan says."""
    by_slot = {(row["network"], row["seed"]): row for row in rows}
    seeds = [seed for seed in SEEDS if all((network, seed) in by_slot for network in RECIPES)]
    failed = {network: [s for s in seeds if by_slot[network, s]["fitted_accuracy"] < FAILED] for network in RECIPES}
    counts = {network: len(own) for network, own in failed.items()}
    n = len(seeds)
    both = [seed for seed in seeds if not any(seed in own for own in failed.values())]
    ahead = np.array([by_slot["cnn_gru", s]["core_mean"] - by_slot["cnn", s]["core_mean"] for s in both])
    result: dict[str, Any] = {
        "seeds": seeds,
        "core_mean": {network: [by_slot[network, s]["core_mean"] for s in seeds] for network in RECIPES},
        "failed": failed,
        "failure_rate": {network: wilson_interval(count, n) for network, count in counts.items()},
        "failures_fisher_p": float(fisher_exact([[c, n - c] for c in counts.values()]).pvalue),
        "epochs_to_goal": {
            network: [
                next((row["epoch"] for row in by_slot[network, s]["epochs"] if row["core_mean"] >= GOAL), None)
                for s in seeds
            ]
            for network in RECIPES
        },
        "seconds_an_epoch": {
            network: [by_slot[network, s]["epochs"][-1]["seconds"] / len(by_slot[network, s]["epochs"]) for s in seeds]
            for network in RECIPES
        },
    }
    if len(both) > 1:
        found = corrected_difference(ahead, 1 / (FOLDS - 1))
        p = max(
            float(t.sf((found.mean + MARGIN) / found.error, found.degrees_of_freedom)),
            float(t.cdf((found.mean - MARGIN) / found.error, found.degrees_of_freedom)),
        )
        verdict = "equivalent" if p <= 0.05 else "different" if found.p <= 0.05 else "not decided"
        result |= {
            "difference": found.mean, "interval": found.interval, "p": found.p, "equivalence_p": p, "verdict": verdict
        }  # fmt: skip
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "cell", "analyse"])
    parser.add_argument("--networks", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    if options.what == "analyse":
        rows = [json.loads(path.read_text()) for path in sorted(options.runs.glob("cnn*-s*.json"))]
        cell = options.runs / "cell" / "cnn_gru-s0.json"
        extra = {"collapsed_cell": json.loads(cell.read_text())} if cell.exists() else {}
        write_claim(options.out, {"verdict": analyse(rows), "trainings": rows} | extra)
        print(json.dumps(analyse(rows), indent=2))
        return
    images = imparfait.load_data("mnist").train
    if options.what == "cell":
        folder = options.runs / "cell"
        folder.mkdir(exist_ok=True)
        train("cnn_gru", 0, images, folder, partition=0)
        return
    for seed in options.seeds:
        for network in options.networks:
            train(network, seed, images, options.runs)


if __name__ == "__main__":
    main()
