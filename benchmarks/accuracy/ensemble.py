"""Accuracy of several seeds as an ensemble: each seed alone, all together, and all but one.

python benchmarks/accuracy/ensemble.py runs/best-s* --out results/best-validation/ensemble
python benchmarks/accuracy/ensemble.py runs/best-s* --final --out results/best-test      # one test access

Evaluated on the core suite and on affNIST-like images (affnist.py). The ensemble averages the temperature-scaled
probabilities of its members. `jackknife_over_members` says how much its accuracy on these images depends on which
members it has (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, ch. 11). It is not the error for new images,
which `error_over_images` is.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import affnist
import numpy as np
from scipy.special import softmax

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import validation_run, write_claim

import imparfait
from imparfait.core.storage import fingerprint
from imparfait.data.dataset import LabelledImages
from imparfait.data.label_errors import is_mnist_test, without_label_errors
from imparfait.data.test_ledger import LEDGER

CORE_SUITE = ("clean", "geometric", "shrunk")
Probabilities = dict[str, np.ndarray]
"""Class probabilities of each image, by corruption."""


def predict(run: Path, data: LabelledImages) -> Probabilities:
    """Probabilities of a run on the core suite and on affNIST-like images."""
    classify = imparfait.load_classifier(run)
    conditions = [*imparfait.core_suite(data), affnist.corrupt_like_affnist(data)]
    return {c.corruption: softmax(classify(c.data.pixels.astype(np.float32) / 255), axis=1) for c in conditions}


def accuracies(members: list[Probabilities], data: LabelledImages) -> dict[str, float]:
    """Accuracy of these members as one ensemble, in percent."""
    percent = {}
    for name in members[0]:
        correct = np.mean([member[name] for member in members], axis=0).argmax(1) == data.labels
        percent[name] = 100 * float(correct.mean())
        if name == "clean" and is_mnist_test(data.labels):
            percent["clean without label errors"] = 100 * float(correct[without_label_errors(data.labels)].mean())
    return percent | {"core mean": statistics.mean(percent[name] for name in CORE_SUITE)}


def jackknife_over_members(leave_one_out: list[float]) -> float:
    """Standard error of an ensemble's accuracy for other members, on the same images, from all but one at a time."""
    n = len(leave_one_out)
    return float(np.sqrt((n - 1) / n * np.sum((np.array(leave_one_out) - np.mean(leave_one_out)) ** 2)))


def error_over_images(members: list[Probabilities], data: LabelledImages) -> dict[str, float]:
    """Standard error of the ensemble's accuracy for other images, with the same members, in percentage points."""
    correct = {name: np.mean([each[name] for each in members], axis=0).argmax(1) == data.labels for name in members[0]}
    shares = {name: each.astype(float) for name, each in correct.items()}
    shares["core mean"] = np.mean([shares[name] for name in CORE_SUITE], axis=0)
    return {name: 100 * float(each.std(ddof=1)) / len(each) ** 0.5 for name, each in shares.items()}


def evaluate_ensemble(runs: list[Path], data: LabelledImages) -> dict[str, Any]:
    """Accuracies of each member alone, of all together and of all but one."""
    members = [predict(run, data) for run in runs]
    alone = [accuracies([member], data) for member in members]
    leave_one_out = [accuracies(members[:i] + members[i + 1 :], data) for i in range(len(members))]
    return {
        "images": data.split,
        "runs": [run.name for run in runs],
        "alone": alone,
        "mean_alone": {name: statistics.mean(each[name] for each in alone) for name in alone[0]},
        "together": accuracies(members, data),
        "all_but_one": leave_one_out,
        "jackknife_over_members": {
            name: jackknife_over_members([each[name] for each in leave_one_out]) for name in alone[0]
        },
        "error_over_images": error_over_images(members, data),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--final", action="store_true", help="evaluate on the test set, once")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder with the ledger of test accesses")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    dataset = imparfait.load_data("mnist")
    if options.final:
        hashes = [json.loads((run / "settings.json").read_text())["hash"] for run in options.models]
        with dataset.test.open(options.runs / LEDGER, fingerprint("ensemble", *hashes)) as access:
            scores = evaluate_ensemble(options.models, access.images)
            together = scores["together"]
            access.result = (
                f"ensemble of {len(hashes)}: clean {together['clean']:.2f} %, mean {together['core mean']:.2f} %"
            )
    else:
        scores = evaluate_ensemble([validation_run(run) for run in options.models], imparfait.split(dataset.train)[1])
    write_claim(options.out, scores)
    print(
        json.dumps(
            {key: scores[key] for key in ("mean_alone", "together", "jackknife_over_members", "error_over_images")},
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
