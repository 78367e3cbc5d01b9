"""Trained seeds as one classifier: each alone, all together, and all but one.

python benchmarks/ensemble.py runs/best-s* --out results/<date>-ensemble
python benchmarks/ensemble.py runs/best-s* --final --out results/<date>-ensemble-test      # opens the test, once

Asked are the three, and the same digits on affNIST's canvas (affnist.py). Probabilities are averaged, each network's
after its own temperature. How much an ensemble of other seeds would differ is told from those with one member left
out, by the jackknife (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, ch. 11): no further networks are
trained for it.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import affnist
import numpy as np
from claims import development_run, leave

import imparfait
from imparfait.core.storage import fingerprint
from imparfait.data.dataset import LabelledImages
from imparfait.data.label_errors import is_mnist_test, without_disputed
from imparfait.data.sealed_test import LEDGER
from imparfait.evaluation.calibration import softmax

CORE_SUITE = ("clean", "geometric", "shrunk")
Shares = dict[str, np.ndarray]
"""By alteration, the probabilities of each picture's classes."""


def answers(run: Path, data: LabelledImages) -> Shares:
    """What a run says to the three, and to affNIST's canvas."""
    classify = imparfait.load_classifier(run)
    parts = [*imparfait.core_suite(data), affnist.altered(data)]
    return {p.alteration: softmax(classify(p.data.pixels.astype(np.float32) / 255)) for p in parts}


def accuracies(members: list[Shares], data: LabelledImages) -> dict[str, float]:
    """Of these members as one, in percent."""
    found = {}
    for name in members[0]:
        right = np.mean([member[name] for member in members], axis=0).argmax(1) == data.labels
        found[name] = 100 * float(right.mean())
        if name == "clean" and is_mnist_test(data.labels):
            found["clean without disputed labels"] = 100 * float(right[without_disputed(data.labels)].mean())
    return found | {"mean of the three": statistics.mean(found[name] for name in CORE_SUITE)}


def jackknife(without: list[float]) -> float:
    """The standard error of what was found with all, from what was found with one left out."""
    n = len(without)
    return float(np.sqrt((n - 1) / n * np.sum((np.array(without) - np.mean(without)) ** 2)))


def told(runs: list[Path], data: LabelledImages) -> dict[str, Any]:
    """Each alone, all together, all but one."""
    members = [answers(run, data) for run in runs]
    alone = [accuracies([member], data) for member in members]
    without = [accuracies(members[:i] + members[i + 1 :], data) for i in range(len(members))]
    return {
        "pictures": data.split,
        "runs": [run.name for run in runs],
        "alone": alone,
        "mean_alone": {name: statistics.mean(each[name] for each in alone) for name in alone[0]},
        "together": accuracies(members, data),
        "all_but_one": without,
        "standard_error": {name: jackknife([each[name] for each in without]) for name in alone[0]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--final", action="store_true", help="open the test pictures, once")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder with the ledger of test openings")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    dataset = imparfait.load_data("mnist")
    if options.final:
        marks = [json.loads((run / "settings.json").read_text())["hash"] for run in options.models]
        with dataset.test.open(options.runs / LEDGER, fingerprint("ensemble", *marks)) as opening:
            found = told(options.models, opening.pictures)
            here = found["together"]
            opening.result = (
                f"ensemble of {len(marks)}: clean {here['clean']:.2f} %, mean {here['mean of the three']:.2f} %"
            )
    else:
        found = told([development_run(run) for run in options.models], imparfait.split(dataset.train)[1])
    leave(options.out, found)
    print(json.dumps({k: found[k] for k in ("mean_alone", "together", "standard_error")}, indent=2))


if __name__ == "__main__":
    main()
