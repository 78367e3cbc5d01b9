"""The study's network here and in the study's own Keras code: on the same saved pixels, in turn in one run.

python -m venv ../keras && ../keras/bin/pip install -r benchmarks/keras.txt
python benchmarks/study.py --keras ../keras/bin/python --epochs 10 --out results/2026-11-27-beside-the-study

Four systems learn by turns, an epoch each, every one in a process of its own that lives as long as its seed, with as
many threads: Keras's code; ours by the same recipe in float32 and in bfloat16; and the `default` recipe, which has
another network, shows each image once an epoch, corrupted anew, and always runs its own number of epochs. After each
epoch all are scored on the same validation images (clean, geometric, shrunk); test images are not touched.

Seconds are of training only, Keras's first call included. Between two epochs the accuracy is taken to rise in a line;
what is above 98 % after its first epoch has taken all of that epoch. Memory is the most that a process held, its pixels
included, which Keras's code keeps in float32 and ours in bytes. In `--out`, rows.jsonl has a line for each epoch as
soon as it is measured; the same command again goes on with the first seed that is not complete.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from claims import command
from study_summary import APART, BETTER, CORE_SUITE, EXACT, FAST, tell

from imparfait import RECIPES, ComputeConfig, LabelledImages, core_suite, load_data, split
from imparfait.core.compute import usable_cores
from imparfait.core.hardware import environment, has_bf16_units
from imparfait.core.storage import atomic_write, write_json
from imparfait.data.augmentation import AUGMENTATIONS
from imparfait.data.splits import subsample
from imparfait.evaluation.statistics import bootstrap_interval
from imparfait.training.recipes import recipe_of


@dataclass(frozen=True)
class System:
    """One of those that are compared."""

    build: tuple[str | int, ...]
    """What its process is told to build, before the seed."""
    epochs: int
    shown: int
    """Images an epoch."""


class Process:
    """A system at work, in a process of its own: study_in_keras.py or study_here.py."""

    def __init__(self, python: str, script: str, pixels: Path, threads: int):
        words = [python, str(Path(__file__).with_name(script)), str(pixels), str(threads)]
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process is
        self.child = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        )
        self.versions = self._answer()

    def __call__(self, *command: object) -> dict:
        """What it answers to a command."""
        print(json.dumps(command), file=self.child.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict:
        line = self.child.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise SystemExit(f"{self.child.args[1]} ended with {self.child.wait()}:\n{self.errors.read()[-2000:]}")
        return json.loads(line)

    def memory(self) -> float:
        """The most it held so far, in GiB; not getrusage's, in which a child begins with its parent's memory."""
        told = Path(f"/proc/{self.child.pid}/status").read_text().split("VmHWM:")[1]
        return int(told.split()[0]) / 1024**2

    def end(self) -> None:
        self.child.kill()
        self.child.communicate()
        self.errors.close()


def as_shown(data: LabelledImages) -> LabelledImages:
    """The images that the study's augmentation shows of `data`, corrupted once and kept as uint8."""
    augmentation, sources = AUGMENTATIONS["study"], torch.from_numpy(data.sources)
    rows = augmentation.rows(0, 0, sources)
    shown = [
        augmentation.show(torch.from_numpy(data.pixels[source]) / 255, share, 0, 0, sources[source])
        for source, share in (part.T for part in rows.split(5000))
    ]
    pixels = (torch.cat(shown) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    return replace(data.select(rows[:, 0].numpy()), pixels=pixels, name="the study's augmentation")


def save_pixels(file: Path, images: int | None) -> tuple[np.ndarray, int, int, str]:
    """Save what all learn and are scored on; returns the labels scored, how many are shown and fitted, and a mark."""
    fit, development = split(load_data().train)
    fit = subsample(fit, images)
    shown = as_shown(fit)
    scored = {f"score {part.corruption}": part.data.pixels[:, 0] for part in core_suite(development)}
    ours = {"fit": fit.pixels[:, 0], "fit_y": fit.labels, "fit_sources": fit.sources}
    np.savez(file, shown=shown.pixels[:, 0], shown_y=shown.labels, **ours, **scored)
    return development.labels, len(shown), len(fit), shown.fingerprint()


def start(systems: Mapping[str, System], keras: str, pixels: Path, threads: int, seed: int) -> dict[str, Process]:
    """The processes of a seed, each with its network built."""
    working, numbers = {}, {}
    for name, system in systems.items():
        python, script = (keras, "study_in_keras.py") if name == "keras" else (sys.executable, "study_here.py")
        working[name] = Process(python, script, pixels, threads)
        numbers[name] = working[name]("build", *system.build, seed)["numbers"]
    assert numbers["keras"] == numbers[EXACT], f"not the same network: {numbers}"
    return working


def estimate(systems: Mapping[str, System], working: Mapping[str, Process], scored: int) -> float:
    """Seconds that a seed takes, from a few steps and answers of each."""
    total = 0.0
    for name, system in systems.items():
        few = min(1920, system.shown // 2)
        for _ in range(2):  # the first steps are slower, and so are the first answers
            fitted = working[name]("fit", few)
            before = time.perf_counter()
            working[name]("score", 500)
            scoring = (time.perf_counter() - before) / 500 * scored
        total += system.epochs * (fitted["seconds"] / fitted["images"] * system.shown + scoring)
        print(f"{name}: {fitted['images'] / fitted['seconds']:,.0f} images a second", flush=True)
    return total


def largest_difference(working: Mapping[str, Process], folder: Path) -> float:
    """Between the probabilities of Keras and ours in float32, when Keras's network is given our weights."""
    file = str(folder / "weights.npz")
    ours, theirs = (np.array(working[name]("weights", file)["probabilities"]) for name in (EXACT, "keras"))
    return float(np.abs(ours - theirs).max())


def measured(
    systems: Mapping[str, System], working: Mapping[str, Process], labels: np.ndarray, seed: int, folder: Path
) -> Iterator[dict]:
    """A row for each epoch of each system, by turns.

    Rows of the study's recipe carry how far their mean lies above Keras's, in points, with its paired 95 % interval
    over source images; the last one in float32 how far probabilities are apart when weights are equal.
    """
    seconds = dict.fromkeys(systems, 0.0)
    for epoch in range(1, max(system.epochs for system in systems.values()) + 1):
        right: dict[str, np.ndarray] = {}
        for name, system in systems.items():
            if epoch > system.epochs:
                continue
            taken = working[name]("fit", None)["seconds"]
            seconds[name] += taken
            said = working[name]("score", None)
            right[name] = np.stack([np.array(said[part]) == labels for part in CORE_SUITE])
            row = {"seed": seed, "epoch": epoch, "system": name, "seconds": round(taken, 2)}
            row["seconds_so_far"] = round(seconds[name], 2)
            row["correct"] = dict(zip(CORE_SUITE, right[name].sum(1).tolist(), strict=True))
            row["core_mean"] = round(100 * float(right[name].mean()), 3)
            row["memory_GiB"] = round(working[name].memory(), 3)
            row["load_average"] = round(os.getloadavg()[0], 1)
            if name in (EXACT, FAST):
                ahead = right[name].sum(0) - right["keras"].sum(0)
                row["ahead_of_keras"] = round(100 * float(ahead.mean() / 3), 3)
                row["ahead_interval"] = [round(100 * end, 3) for end in bootstrap_interval(ahead, each=3)]
            if name == EXACT and epoch == system.epochs:  # Keras's network, done learning, may lose its weights
                row[APART] = largest_difference(working, folder)
            yield row


def complete(file: Path, rows_a_seed: int) -> dict[int, list[dict]]:
    """The rows of each seed that is complete; those of one that was under way are dropped."""
    found: dict[int, list[dict]] = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        with contextlib.suppress(ValueError):  # torn by what stopped the run
            row = json.loads(line)
            found.setdefault(row["seed"], []).append(row)
    whole = {seed: rows for seed, rows in found.items() if len(rows) == rows_a_seed}
    atomic_write(file, "".join(json.dumps(row) + "\n" for rows in whole.values() for row in rows).encode())
    return whole


def in_words(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", required=True, help="the Python that has benchmarks/keras.txt")
    parser.add_argument("--network", choices=("cnn", "cnn_gru"), default="cnn")
    parser.add_argument("--epochs", type=int, default=10, help="of the study's recipe")
    parser.add_argument("--images", type=int, help="to learn from: the study's augmentation shows 7/4 as many an epoch")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    threads, fast = usable_cores(), has_bf16_units()
    with tempfile.TemporaryDirectory() as folder:
        pixels = Path(folder) / "pixels.npz"
        labels, shown, fitted, mark = save_pixels(pixels, options.images)
        recipe, better = recipe_of(options.network), RECIPES["default"].settings
        systems = {
            "keras": System((options.network,), options.epochs, shown),
            EXACT: System((recipe, "float32", options.epochs), options.epochs, shown),
            FAST: System((recipe, "bfloat16", options.epochs), options.epochs, shown),
            BETTER: System(("default", "bfloat16" if fast else "float32", better.epochs), better.epochs, fitted),
        }
        if not fast:  # here bfloat16 would be the slower one
            del systems[FAST]
        compute = environment(ComputeConfig(threads=threads))
        conditions = {
            "network": options.network,
            "pictures_an_epoch": {name: system.shown for name, system in systems.items()},
            "epochs": {name: system.epochs for name, system in systems.items()},
            "development_pictures": len(labels),
            "batch_size": {recipe: RECIPES[recipe].settings.batch_size, "default": better.batch_size},
            "threads": threads,
            "processor": compute["processor"],
            "sha256_of_the_pictures": mark,
        }
        options.out.mkdir(parents=True, exist_ok=True)
        scores, log = options.out / "scores.json", options.out / "rows.jsonl"
        if scores.exists() and json.loads(scores.read_text()).get("conditions") != conditions:
            raise SystemExit(f"{scores} is of other conditions; write another --out")
        done = complete(log, sum(system.epochs for system in systems.values()))
        tell(options.out, conditions, systems, done)
        left = [seed for seed in dict.fromkeys(options.seeds) if seed not in done]
        print(f"seeds complete: {sorted(done) or 'none'}; to do: {left or 'none'}", flush=True)

        for seed in left:
            begun = time.perf_counter()
            working = start(systems, options.keras, pixels, threads, seed)
            try:
                if seed == left[0]:
                    setting_up = time.perf_counter() - begun
                    each = setting_up + estimate(systems, working, len(labels))
                    print(f"about {in_words(each)} a seed, {in_words(len(left) * each)} in all", flush=True)
                    for process in working.values():
                        process.end()
                    working = start(systems, options.keras, pixels, threads, seed)  # anew: nothing is warm
                (options.out / "command.txt").write_text(command(options.out, KERAS_PYTHON=options.keras))
                versions = compute | {
                    "precision": "float32 and bfloat16" if fast else "float32",
                    "peer": working["keras"].versions | {"threads": threads, "precision": "float32"},
                }
                write_json(options.out / "environment.json", versions)
                done[seed] = []
                for row in measured(systems, working, labels, seed, Path(folder)):
                    done[seed].append(row)
                    with log.open("a") as file:
                        file.write(json.dumps(row) + "\n")
                    print(json.dumps(row), flush=True)
            finally:
                for process in working.values():
                    process.end()
            tell(options.out, conditions, systems, done)
        print(scores.read_text())


if __name__ == "__main__":
    main()
