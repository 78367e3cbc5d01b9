"""Accuracy on corruptions that were not used in training.

python benchmarks/accuracy/unseen_families.py [--seeds 3] [--epochs 4] [--store JOBS] --out results/unseen-families

Claim 1, leave one family out: each corruption family is evaluated on networks trained on all the other families.
Claim 2, MNIST-C's 15 corruptions at their published parameters, evaluated on networks trained without those 15. An
overlap column says how close the corruptions used in training come to each of them.

For comparison the same network and seeds are trained on clean images, on geometric and shrunk ones, and on everything.
All use `duo` with two convolutions a stage, for 20 epochs, without outlier exposure. Each seed trains on five sixths of
MNIST's training images and is evaluated on the remaining sixth, a different one for each seed. The test set stays
sealed. Finished jobs are kept in JOBS, so the same command resumes.
"""

import argparse
import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from imparfait import load_data
from imparfait.core.compute import ComputeConfig
from imparfait.core.hardware import environment, has_bf16_units
from imparfait.core.storage import write_json
from imparfait.corruptions import CORRUPTIONS, Family
from imparfait.evaluation.suite import full_suite
from imparfait.selection.executors import executor_named, run_jobs
from imparfait.selection.jobs import Job, JobResult
from imparfait.training.settings import TrainingSettings

SETTINGS = TrainingSettings(model="duo", model_args={"depth": 2}, augmentation="everything", epochs=20)
COMPARED = {"clean": "clean", "geometric, shrunk": "core", "everything": "everything"}
CLAIM = "unseen"
UNLIKE = "unlike_mnist_c"
MNIST_C = {name: corruption.mnist_c for name, corruption in CORRUPTIONS.items() if corruption.mnist_c is not None}

# Training corruptions of UNLIKE that apply the same operator as one of MNIST-C's, with other parameters or in
# combination. Every other MNIST-C corruption shares at most its family with one used in training.
SAME_OPERATOR = {
    "rotate": "geometric rotates by up to 30°",
    "scale": "geometric stretches, shrunk shrinks",
    "translate": "geometric and shrunk translate",
    "shear": "perspective shears",
    "dotted_line": "ruled_lines draws solid, level lines",
    "stripe": "invert inverts the whole image",
}
OVERLAPS = ("same operator", "same family", "unrelated")


def overlap(name: str) -> str:
    """How close the training corruptions of claim 2 come to this MNIST-C corruption."""
    if name in SAME_OPERATOR:
        return OVERLAPS[0]
    used = {corruption.family for corruption in CORRUPTIONS.values() if corruption.mnist_c is None}
    return OVERLAPS[1] if CORRUPTIONS[name].family in used else OVERLAPS[2]


def conditions_for(augmentation: str) -> tuple[tuple[str, float], ...]:
    """Conditions to evaluate: clean and everything, or clean and the family that was left out."""
    family = augmentation.removeprefix("without_")
    names = [name for name, corruption in CORRUPTIONS.items() if corruption.family == family or family == augmentation]
    return tuple((condition.corruption, condition.severity) for condition in full_suite(names))


class Accuracies:
    """Accuracies by augmentation and condition, in seed order."""

    def __init__(self, results: dict[str, list[JobResult]]):
        self.by_augmentation = {
            augmentation: dict(
                zip(conditions_for(augmentation), np.array([result.correct.mean(1) for result in group]).T, strict=True)
            )
            for augmentation, group in results.items()
        }

    def at(self, augmentation: str, corruption: str, severity: float) -> np.ndarray:
        """At one severity, [seeds]."""
        return np.asarray(self.by_augmentation[augmentation][corruption, severity])

    def over_levels(self, augmentation: str, corruption: str) -> np.ndarray:
        """The mean over the severities of a corruption, [seeds]."""
        return np.asarray(np.mean([self.at(augmentation, corruption, s) for s in CORRUPTIONS[corruption].levels], 0))

    def of_family(self, augmentation: str, family: str) -> np.ndarray:
        """The mean over a family's corruptions, [seeds]."""
        members = [name for name, corruption in CORRUPTIONS.items() if corruption.family == family]
        return np.asarray(np.mean([self.over_levels(augmentation, name) for name in members], 0))

    def of_mnist_c(self, augmentation: str, names: Sequence[str]) -> np.ndarray:
        """The mean over some MNIST-C corruptions at their published parameters, [seeds]."""
        return np.asarray(np.mean([self.at(augmentation, name, MNIST_C[name]) for name in names], 0))


def row(name: str, augmentations: dict[str, str], accuracy: Callable[[str], np.ndarray]) -> dict[str, str]:
    """A table row: mean and standard deviation over seeds, in percent."""
    cells = {"": name}
    for column, augmentation in augmentations.items():
        percent = 100 * accuracy(augmentation)
        spread = f" ({percent.std(ddof=1):.2f})" if len(percent) > 1 else ""
        cells[column] = f"{percent.mean():.2f}{spread}"
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=SETTINGS.epochs)
    parser.add_argument("--store", type=Path, default=Path("runs/jobs"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    data = load_data("mnist").train_and_val()
    compute = ComputeConfig(threads=1, precision="bfloat16" if has_bf16_units() else "float32")
    settings = SETTINGS.model_copy(update={"epochs": options.epochs})
    families = get_args(Family)
    augmentations = [*COMPARED.values(), UNLIKE, *(f"without_{family}" for family in families)]
    jobs = {
        (augmentation, seed): Job(
            data=data.fingerprint(),
            settings=settings.model_copy(update={"augmentation": augmentation, "seed": seed}),
            compute=compute,
            partition=seed,
            folds=6,
            fold=0,
            corruptions=conditions_for(augmentation),
        )
        for seed in range(options.seeds)
        for augmentation in augmentations
    }
    results = {}
    for job, result in run_jobs(list(jobs.values()), data, executor_named(), options.store):
        results[job.key] = result
        outcome = result.cause or f"{result.mean:.2%}, {result.training_seconds:.0f} s"
        print(f"{job.settings.augmentation} {job.settings.seed}: {outcome}", flush=True)
    accuracies = Accuracies({a: [results[jobs[a, s].key] for s in range(options.seeds)] for a in augmentations})

    by_family = [
        row(family, {CLAIM: f"without_{family}", **COMPARED}, lambda a, f=family: accuracies.of_family(a, f))
        for family in families
    ]
    by_mnist_c = [
        {
            **row(name, {CLAIM: UNLIKE, **COMPARED}, lambda a, n=name: accuracies.of_mnist_c(a, [n])),
            "overlap": overlap(name),
        }
        for name in MNIST_C
    ]
    groups = {kind: [n for n in MNIST_C if overlap(n) == kind] for kind in OVERLAPS} | {"all 15": [*MNIST_C]}
    means = [
        row(f"{kind} ({len(names)})", {CLAIM: UNLIKE, **COMPARED}, lambda a, n=names: accuracies.of_mnist_c(a, n))
        for kind, names in groups.items()
        if names
    ]
    clean = row("clean", {"unlike MNIST-C": UNLIKE, **COMPARED}, lambda a: accuracies.at(a, "clean", 0.0))
    options.out.mkdir(parents=True, exist_ok=True)
    for name, rows in {"families": by_family, "mnist_c": by_mnist_c, "mnist_c_means": means, "clean": [clean]}.items():
        with (options.out / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        print(name, *(json.dumps(each) for each in rows), sep="\n")
    by_condition = {
        f"{augmentation} {corruption} {severity:g}": values.tolist()
        for augmentation, conditions in accuracies.by_augmentation.items()
        for (corruption, severity), values in conditions.items()
    }
    write_json(options.out / "accuracies.json", by_condition)
    write_json(options.out / "settings.json", settings.model_dump() | {"same operator": SAME_OPERATOR})
    write_json(options.out / "environment.json", environment(compute))


if __name__ == "__main__":
    main()
