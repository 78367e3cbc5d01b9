"""Final networks of the recipes on images that no choice was made on: MNIST's test set, and another data set's digits.

python benchmarks/accuracy/final_test.py weights RUN... --out results/final-weights         # then commit it
python benchmarks/accuracy/final_test.py mnist RUN... --out results/default-test            # one test access
python benchmarks/accuracy/final_test.py outside RUN... digits digits-clean --out results/outside-digits   # another

The runs are those of final_runs.py. `mnist` and `outside` open nothing before they have found the sha256 of every
model's weights in results/final-weights as it is committed. `mnist`: each seed alone, on the core suite and the full
suite. `outside`: scikit-learn's 1,797 digits of 8×8 pixels, light on dark, each predicted as a file would be.
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

import imparfait
from imparfait.core.storage import fingerprint
from imparfait.data.dataset import LabelledImages
from imparfait.data.sealed_test import SealedTest
from imparfait.data.test_ledger import LEDGER
from imparfait.evaluation.intervals import wilson_interval
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import score_conditions
from imparfait.evaluation.suite import apply_conditions, full_suite
from imparfait.models.pretrained import PRETRAINED

ROOT = Path(__file__).parents[2]
WEIGHTS = "results/final-weights/scores.json"


def weights_of(model: str) -> str:
    """The sha256 of a run's weights, or of a pretrained model's file."""
    file = PRETRAINED[model].folder / "model.onnx" if model in PRETRAINED else Path(model) / "model.safetensors"
    return hashlib.sha256(file.read_bytes()).hexdigest()


def name_of(model: str) -> str:
    """A run folder's name, or a pretrained model's."""
    return model if model in PRETRAINED else Path(model).name


def check_committed(models: Sequence[str]) -> None:
    """Exit unless the weights of all models are those whose hashes are committed."""
    shown = subprocess.run(["git", "show", f"HEAD:{WEIGHTS}"], cwd=ROOT, capture_output=True, text=True)
    if shown.returncode:
        raise SystemExit(f"{WEIGHTS} is not committed")
    committed = json.loads(shown.stdout)
    for model in models:
        if committed.get(name_of(model)) != weights_of(model):
            raise SystemExit(f"{model}: its weights are not those of {WEIGHTS}")


def on_mnist(run: str, data: LabelledImages) -> dict[str, Any]:
    """Accuracy of a run on the core suite and the full suite, in percent."""
    classify = imparfait.load_classifier(Path(run))
    core = score_conditions(classify, imparfait.core_suite(data))
    suite = SuiteResult(score_conditions(classify, apply_conditions(data, full_suite())))
    return {
        "run": Path(run).name,
        "core": {each.corruption: [int(each.correct.sum()), len(each.correct)] for each in core.conditions},
        "core_mean": 100 * core.mean,
        "suite_mean": 100 * suite.mean,
        "mnist_c_mean": 100 * (suite.mnist_c_mean or 0),
        "corruptions": {each.corruption: 100 * each.accuracy for each in suite.corruptions},
    }


def summary_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over seeds."""
    values = {name: [row[name] for row in rows] for name in ("core_mean", "suite_mean", "mnist_c_mean")}
    values |= {name: [100 * row["core"][name][0] / row["core"][name][1] for row in rows] for name in rows[0]["core"]}
    return {
        name: {"mean": statistics.mean(each), "sd": statistics.stdev(each) if len(each) > 1 else None}
        for name, each in values.items()
    }


def outside_digits() -> LabelledImages:
    """scikit-learn's digits, of 17 grey levels, as uint8."""
    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    classes = tuple("0123456789")
    return LabelledImages(pixels, digits.target.astype(np.int64), np.arange(len(pixels)), classes, "digits-8x8", "test")


def on_outside(model: str, data: LabelledImages) -> dict[str, Any]:
    """How many images a model classifies correctly, how sure it is, and which digits it takes for which."""
    predictions = imparfait.predict(list(data.pixels[:, 0]), model)
    found = np.array([int(each.label) for each in predictions])
    confident = np.array([each.confident for each in predictions])
    correct = found == data.labels
    low, high = wilson_interval(int(correct.sum()), len(correct))
    confusions = np.zeros((10, 10), int)
    np.add.at(confusions, (data.labels, found), 1)
    return {
        "model": name_of(model),
        "correct": int(correct.sum()),
        "total": len(correct),
        "percent": 100 * float(correct.mean()),
        "interval_percent": [100 * low, 100 * high],
        "confident": int(confident.sum()),
        "confident_and_wrong": int((confident & ~correct).sum()),
        "confusions": confusions.tolist(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["weights", "mnist", "outside"])
    parser.add_argument("models", nargs="+", help="run folders; for `weights` and `outside` pretrained models too")
    parser.add_argument("--ledger", type=Path, default=ROOT / "results" / LEDGER)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.what == "weights":
        scores: Any = {name_of(model): weights_of(model) for model in options.models}
        write_claim(options.out, scores)
        return
    check_committed(options.models)
    settings = fingerprint(options.what, *(weights_of(model) for model in options.models))
    if options.what == "mnist":
        with imparfait.load_data("mnist").test.open(options.ledger, settings) as access:
            rows = [on_mnist(run, access.images) for run in options.models]
            scores = {"images": "MNIST test set", "summary": summary_of(rows), "seeds": rows}
            core = scores["summary"]["core_mean"]["mean"]
            access.result = f"{', '.join(map(name_of, options.models))}: core mean {core:.2f} %"
    else:
        with SealedTest("digits-8x8", outside_digits).open(options.ledger, settings) as access:
            scores = [on_outside(model, access.images) for model in options.models]
            access.result = "8×8 digits: " + ", ".join(f"{each['model']} {each['percent']:.2f} %" for each in scores)
    write_claim(options.out, scores)
    print(json.dumps(scores, indent=2))


if __name__ == "__main__":
    main()
