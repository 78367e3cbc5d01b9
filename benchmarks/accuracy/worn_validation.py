"""How optimistic is the validation set that all recipes were chosen on? By results/worn-validation/PLAN.md.

python benchmarks/accuracy/worn_validation.py train --runs runs/worn-validation             # resumable
python benchmarks/accuracy/worn_validation.py train --runs runs/worn-validation --share 0 2 # or in two processes:
python benchmarks/accuracy/worn_validation.py train --runs runs/worn-validation --share 1 2 # one on each core
python benchmarks/accuracy/worn_validation.py analyse --runs runs/worn-validation --out results/worn-validation

Six trainings of each recipe and seed, each with another sixth of MNIST's 60,000 training images held out: first the
validation set, then five folds of the rest. Each runs on one thread and leaves one .npz file; it never runs twice.
"""

import argparse
import io
import json
import sys
import time
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

import imparfait
from imparfait.core.compute import ComputeConfig
from imparfait.core.hardware import has_bf16_units
from imparfait.core.storage import atomic_write
from imparfait.data.dataset import LabelledImages
from imparfait.data.splits import check_apart, fold
from imparfait.evaluation.scores import score_conditions
from imparfait.training.loop import network_for
from imparfait.training.settings import TrainingSettings

SETTINGS = {
    "old quick": TrainingSettings(model_args={"filters": 16}, epochs=1, batch_size=96, learning_rate=0.02),
    "quick": imparfait.RECIPES["quick"].settings,
    "old default": TrainingSettings(),
    "default": imparfait.RECIPES["default"].settings,
}
"""The old recipes are those of before 29 November 2026; each new one was chosen on the validation set."""
SEEDS, FOLDS, PARTITION = (310, 311), 6, 57
WORN = 0  # the fold that is the validation set
Slot = tuple[str, int, int]
"""Recipe, fold, seed."""


def held_out(images: LabelledImages, number: int) -> tuple[LabelledImages, LabelledImages]:
    """The images of all other folds, and those of fold `number`."""
    rest, validation = imparfait.split(images)
    if number == WORN:
        return rest, validation
    _, other = fold(rest, FOLDS - 1, number - 1, PARTITION)
    return images.select(~np.isin(images.sources, other.sources)), images.select(np.isin(images.sources, other.sources))


def train(recipe: str, number: int, seed: int, images: LabelledImages, file: Path) -> None:
    """One training; the share of the core suite's conditions in which each held-out image is classified correctly."""
    fitted, other = held_out(images, number)
    check_apart(fitted, other)
    settings = SETTINGS[recipe].model_copy(update={"seed": seed})
    compute = ComputeConfig(threads=1, precision="bfloat16" if has_bf16_units() else "float32")
    model = network_for(settings, fitted)
    start = time.perf_counter()
    for _ in imparfait.train(model, fitted, settings, compute):
        pass
    seconds = time.perf_counter() - start
    scores = score_conditions(imparfait.as_classifier(model, compute), imparfait.core_suite(other))
    correct = np.mean([each.correct for each in scores.conditions], axis=0)
    content = io.BytesIO()
    np.savez(content, correct=correct, sources=other.sources, seconds=seconds)
    atomic_write(file, content.getvalue())
    print(f"{file.stem}: {100 * correct.mean():.3f} % in {seconds:.0f} s", flush=True)


def analyse(found: Mapping[Slot, np.ndarray], new: str, old: str) -> dict[str, Any]:
    """The lead of `new` over `old` on the validation set minus that on the other folds, in points, as the plan says."""
    lead = {
        number: np.stack([found[new, number, seed] - found[old, number, seed] for seed in SEEDS])
        for number in range(FOLDS)
    }
    others = [lead[number] for number in range(FOLDS) if number != WORN]
    means = {number: float(each.mean()) for number, each in lead.items()}
    contrast = means[WORN] - float(np.mean([each.mean() for each in others]))
    # Images: their variance within a fold, of the mean over seeds. Trainings: that between the seeds of a fold.
    images = float(np.mean([each.mean(0).var(ddof=1) / each.shape[1] for each in lead.values()]))
    trainings = float(np.mean([each.mean(1).var(ddof=1) / len(SEEDS) for each in lead.values()]))
    parts = np.array([images, trainings]) * (1 + 1 / (FOLDS - 1))
    degrees = np.array([sum(each.shape[1] - 1 for each in lead.values()), FOLDS * (len(SEEDS) - 1)])
    error = float(np.sqrt(parts.sum()))
    freedom = float(parts.sum() ** 2 / (parts**2 / degrees).sum())
    reach = float(t.ppf(0.975, freedom)) * error
    spread = float(np.std([each.mean() for each in others], ddof=1) * np.sqrt(1 + 1 / (FOLDS - 1)))
    return {
        "lead_by_fold": [100 * means[number] for number in range(FOLDS)],
        "contrast": 100 * contrast,
        "interval": [100 * (contrast - reach), 100 * (contrast + reach)],
        "p": float(2 * t.sf(abs(contrast) / error, freedom)),
        "degrees_of_freedom": freedom,
        "interval_from_folds": [
            100 * (contrast + sign * float(t.ppf(0.975, FOLDS - 2)) * spread) for sign in (-1, 1)
        ],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "analyse"])
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--share", type=int, nargs=2, default=(0, 1), metavar=("I", "N"), help="each N-th job, from I")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    slots = [
        (recipe, number, seed)
        for seed, number in product(SEEDS, range(FOLDS))
        for recipe in list(SETTINGS)[:: -1 if number % 2 else 1]  # so that two shares take equally long
    ]
    files = {slot: options.runs / f"{slot[0].replace(' ', '-')}-f{slot[1]}-s{slot[2]}.npz" for slot in slots}
    if options.what == "train":
        images = imparfait.load_data("mnist").train
        options.runs.mkdir(parents=True, exist_ok=True)
        first, step = options.share
        for slot in slots[first::step]:
            if not files[slot].exists():
                train(*slot, images, files[slot])
        return
    found = {slot: np.load(file)["correct"] for slot, file in files.items()}
    result = {
        "accuracy": {
            recipe: [[100 * float(found[recipe, number, seed].mean()) for seed in SEEDS] for number in range(FOLDS)]
            for recipe in SETTINGS
        },
        "default": analyse(found, "default", "old default"),
        "quick": analyse(found, "quick", "old quick"),
    }
    write_claim(options.out, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
