"""How well are alterations read that were not seen in training? Two claims, and what they are beside.

python benchmarks/unseen.py [--seeds 3] [--epochs 4] [--store CELLS] [--out results/FOLDER]

Claim 1, leave one family out: each family of the table is scored by networks trained on everything without it.
Claim 2, MNIST-C's 15 at the severity of its published parameters, by networks for which those 15 generators were not
used in training; an overlap table says which of the generators that were used come near them.

Beside both stand the same network and seeds trained on clean pictures, on geometric and shrunk ones, and on
everything: all by the recipe `robust`, without its pictures of nothing. Each seed fits on five sixths of MNIST's
training pictures and is scored on the last sixth, another one each; the test pictures stay sealed. Finished trainings
are kept in CELLS: the same command goes on from there.
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
from imparfait.selection.executors import executor_named, run
from imparfait.selection.jobs import Job, JobResult
from imparfait.training.recipes import RECIPES

BESIDE = {"clean": "clean", "geometric, shrunk": "fresh", "everything": "everything"}
CLAIM = "not seen"
UNLIKE = "unlike_mnist_c"
MNIST_C = {name: known.mnist_c for name, known in CORRUPTIONS.items() if known.mnist_c is not None}

# Generators of UNLIKE that do to pixels what one of MNIST-C's does, with other parameters or beside other things. For
# the others it is at most that one of the same family is used.
SAME_OPERATOR = {
    "rotate": "geometric turns by up to 30°",
    "scale": "geometric stretches, shrunk reduces",
    "translate": "geometric and shrunk move",
    "shear": "perspective slants",
    "dotted_line": "ruled_lines draws whole, level lines",
    "stripe": "invert inverts all of the picture",
}
OVERLAPS = ("same operator", "same family", "unrelated")


def overlap(name: str) -> str:
    """How near the generators used in claim 2 come to this one of MNIST-C's."""
    if name in SAME_OPERATOR:
        return OVERLAPS[0]
    used = {known.family for known in CORRUPTIONS.values() if known.mnist_c is None}
    return OVERLAPS[1] if CORRUPTIONS[name].family in used else OVERLAPS[2]


def parts_of(mixture: str) -> tuple[tuple[str, float], ...]:
    """What networks of this mixture are scored on: of a family that was left out that one only, beside clean."""
    family = mixture.removeprefix("without_")
    names = [name for name, known in CORRUPTIONS.items() if known.family == family or family == mixture]
    return tuple((part.alteration, part.severity) for part in full_suite(names))


class Accuracies:
    """Of each mixture's networks, in the order of their seeds."""

    def __init__(self, outcomes: dict[str, list[JobResult]]):
        self.found = {
            mixture: dict(zip(parts_of(mixture), np.array([o.right.mean(1) for o in each]).T, strict=True))
            for mixture, each in outcomes.items()
        }

    def at(self, mixture: str, alteration: str, severity: float) -> np.ndarray:
        """At one severity, [seeds]."""
        return np.asarray(self.found[mixture][alteration, severity])

    def over_levels(self, mixture: str, alteration: str) -> np.ndarray:
        """The mean over its levels, [seeds]."""
        return np.asarray(np.mean([self.at(mixture, alteration, s) for s in CORRUPTIONS[alteration].levels], 0))

    def of_family(self, mixture: str, family: str) -> np.ndarray:
        """The mean over a family's alterations, [seeds]."""
        members = [name for name, known in CORRUPTIONS.items() if known.family == family]
        return np.asarray(np.mean([self.over_levels(mixture, name) for name in members], 0))

    def of_mnist_c(self, mixture: str, names: Sequence[str]) -> np.ndarray:
        """The mean over some of MNIST-C's, at its parameters, [seeds]."""
        return np.asarray(np.mean([self.at(mixture, name, MNIST_C[name]) for name in names], 0))


def row(name: str, mixtures: dict[str, str], ask: Callable[[str], np.ndarray]) -> dict[str, str]:
    """A line of a table: mean and standard deviation over seeds, in percent."""
    told = {"": name}
    for column, mixture in mixtures.items():
        each = 100 * ask(mixture)
        told[column] = f"{each.mean():.2f} ({each.std(ddof=1):.2f})" if len(each) > 1 else f"{each.mean():.2f}"
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=RECIPES["robust"].settings.epochs)
    parser.add_argument("--store", type=Path, default=Path("runs/cells"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    data, mark = load_data("mnist").everything(), load_data("mnist").everything().fingerprint()
    machine = ComputeConfig(threads=1, precision="bfloat16" if has_bf16_units() else "float32")
    settings = RECIPES["robust"].settings.model_copy(update={"nothing": 0.0, "epochs": options.epochs})
    families = get_args(Family)
    mixtures = [*BESIDE.values(), UNLIKE, *(f"without_{family}" for family in families)]
    cells = {
        (mixture, seed): Job(
            data=mark,
            settings=settings.model_copy(update={"mixture": mixture, "seed": seed}),
            machine=machine,
            partition=seed,
            folds=6,
            fold=0,
            alterations=parts_of(mixture),
        )
        for seed in range(options.seeds)
        for mixture in mixtures
    }
    outcomes = {}
    for cell, outcome in run(list(cells.values()), data, options.store, executor_named()):
        outcomes[cell.key] = outcome
        told = outcome.cause or f"{outcome.mean:.2%}, {outcome.training_seconds:.0f} s"
        print(f"{cell.settings.mixture} {cell.settings.seed}: {told}", flush=True)
    found = Accuracies({m: [outcomes[cells[m, s].key] for s in range(options.seeds)] for m in mixtures})

    first = [
        row(family, {CLAIM: f"without_{family}", **BESIDE}, lambda m, f=family: found.of_family(m, f))
        for family in families
    ]
    second = [
        {**row(name, {CLAIM: UNLIKE, **BESIDE}, lambda m, n=name: found.of_mnist_c(m, [n])), "overlap": overlap(name)}
        for name in MNIST_C
    ]
    groups = {kind: [n for n in MNIST_C if overlap(n) == kind] for kind in OVERLAPS} | {"all 15": [*MNIST_C]}
    means = [
        row(f"{kind} ({len(names)})", {CLAIM: UNLIKE, **BESIDE}, lambda m, n=names: found.of_mnist_c(m, n))
        for kind, names in groups.items()
        if names
    ]
    clean = row("clean", {"unlike MNIST-C": UNLIKE, **BESIDE}, lambda m: found.at(m, "clean", 0.0))
    options.out.mkdir(parents=True, exist_ok=True)
    for name, rows in {"families": first, "mnist_c": second, "mnist_c_means": means, "clean": [clean]}.items():
        with (options.out / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        print(name, *(json.dumps(each) for each in rows), sep="\n")
    each = {f"{m} {a} {s:g}": v.tolist() for m, a_s in found.found.items() for (a, s), v in a_s.items()}
    write_json(options.out / "accuracies.json", each)
    write_json(options.out / "settings.json", settings.model_dump() | {"same operator": SAME_OPERATOR})
    write_json(options.out / "environment.json", environment(machine))


if __name__ == "__main__":
    main()
