"""The study's network in its own Keras code and here: the same saved images, taking turns in one run.

python -m venv ../keras && ../keras/bin/pip install -r benchmarks/peers/keras.txt
python benchmarks/peers/study.py --keras ../keras/bin/python --epochs 10 --out results/study-vs-keras

Four systems take turns, one epoch each: the Keras code; ours by the same recipe, in float32 and in bfloat16; and the
`default` recipe, with another network, fresh augmentation each epoch and its own number of epochs. Each runs in its own
process per seed, with the same number of threads. After each epoch all are evaluated on the core suite of the
validation set. The test set is not used.

Only training time counts, Keras's first call included. Accuracy is interpolated linearly between epochs; a system above
98 % after its first epoch took the whole epoch. Memory is the peak of the process, images included, which the Keras
code keeps in float32 and ours in bytes. rows.jsonl gets a line as soon as an epoch is measured. The same command
resumes with the first incomplete seed.
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
from study_summary import BETTER, CORE_SUITE, DIFFERENCE, EXACT, FAST, report

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import command_line

from imparfait import RECIPES, ComputeConfig, LabelledImages, core_suite, load_data, split
from imparfait.core.compute import usable_cores
from imparfait.core.hardware import environment, has_bf16_units
from imparfait.core.storage import atomic_write, write_json
from imparfait.data.augmentation import AUGMENTATIONS
from imparfait.data.splits import subsample
from imparfait.evaluation.intervals import difference_interval
from imparfait.training.recipes import recipe_of


@dataclass(frozen=True)
class System:
    """One of the systems compared."""

    build: tuple[str | int, ...]
    """Arguments of its build command, before the seed."""
    epochs: int
    epoch_images: int
    """Images per epoch."""


class Process:
    """The process of a system: study_in_keras.py or study_here.py."""

    def __init__(self, python: str, script: str, pixels: Path, threads: int):
        command = [python, str(Path(__file__).with_name(script)), str(pixels), str(threads)]
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process is
        self.child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        )
        self.versions = self._reply()

    def __call__(self, *command: object) -> dict:
        """Send a command and return the reply."""
        print(json.dumps(command), file=self.child.stdin, flush=True)
        return self._reply()

    def _reply(self) -> dict:
        line = self.child.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise SystemExit(f"{self.child.args[1]} ended with {self.child.wait()}:\n{self.errors.read()[-2000:]}")
        return json.loads(line)

    def memory(self) -> float:
        """Peak memory in GiB; getrusage would start from the parent's memory."""
        peak = Path(f"/proc/{self.child.pid}/status").read_text().split("VmHWM:")[1]
        return int(peak.split()[0]) / 1024**2

    def end(self) -> None:
        self.child.kill()
        self.child.communicate()
        self.errors.close()


def mixture_of(data: LabelledImages) -> LabelledImages:
    """The images of one epoch of the study's augmentation, corrupted once and kept as uint8."""
    augmentation, sources = AUGMENTATIONS["study"], torch.from_numpy(data.sources)
    rows = augmentation.rows(0, 0, sources)
    batches = [
        augmentation.apply(torch.from_numpy(data.pixels[source]) / 255, share, 0, 0, sources[source])
        for source, share in (batch.T for batch in rows.split(5000))
    ]
    pixels = (torch.cat(batches) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    return replace(data.select(rows[:, 0].numpy()), pixels=pixels, name="the study's augmentation")


def save_images(file: Path, images: int | None) -> tuple[np.ndarray, int, int, str]:
    """Save training and scored images; returns the labels scored, both training set sizes and a fingerprint."""
    train, validation = split(load_data().train)
    train = subsample(train, images)
    mixture = mixture_of(train)
    scored = {f"score {each.corruption}": each.data.pixels[:, 0] for each in core_suite(validation)}
    clean = {"clean_x": train.pixels[:, 0], "clean_y": train.labels, "clean_sources": train.sources}
    np.savez(file, mixture_x=mixture.pixels[:, 0], mixture_y=mixture.labels, **clean, **scored)
    return validation.labels, len(mixture), len(train), mixture.fingerprint()


def start(systems: Mapping[str, System], keras: str, pixels: Path, threads: int, seed: int) -> dict[str, Process]:
    """Start the processes of a seed and build their networks."""
    processes, parameters = {}, {}
    for name, system in systems.items():
        python, script = (keras, "study_in_keras.py") if name == "keras" else (sys.executable, "study_here.py")
        processes[name] = Process(python, script, pixels, threads)
        parameters[name] = processes[name]("build", *system.build, seed)["parameters"]
    assert parameters["keras"] == parameters[EXACT], f"not the same network: {parameters}"
    return processes


def estimate(systems: Mapping[str, System], processes: Mapping[str, Process], scored: int) -> float:
    """Estimated seconds per seed, from a few steps and predictions of each system."""
    total = 0.0
    for name, system in systems.items():
        count = min(1920, system.epoch_images // 2)
        for _ in range(2):  # the first steps and predictions are slower
            trained = processes[name]("train", count)
            before = time.perf_counter()
            processes[name]("score", 500)
            scoring = (time.perf_counter() - before) / 500 * scored
        total += system.epochs * (trained["seconds"] / trained["images"] * system.epoch_images + scoring)
        print(f"{name}: {trained['images'] / trained['seconds']:,.0f} images/s", flush=True)
    return total


def largest_difference(processes: Mapping[str, Process], folder: Path) -> float:
    """Largest difference of probabilities between Keras and ours in float32, with equal weights."""
    file = str(folder / "weights.npz")
    ours, theirs = (np.array(processes[name]("weights", file)["probabilities"]) for name in (EXACT, "keras"))
    return float(np.abs(ours - theirs).max())


def measure(
    systems: Mapping[str, System], processes: Mapping[str, Process], labels: np.ndarray, seed: int, folder: Path
) -> Iterator[dict]:
    """Yield a row for each epoch of each system, taking turns.

    Rows of the study's recipe contain the lead of their core mean over Keras's in points, with a paired 95 % interval
    over source images. The last float32 row contains the largest difference of probabilities with equal weights.
    """
    seconds = dict.fromkeys(systems, 0.0)
    for epoch in range(1, max(system.epochs for system in systems.values()) + 1):
        correct: dict[str, np.ndarray] = {}
        for name, system in systems.items():
            if epoch > system.epochs:
                continue
            elapsed = processes[name]("train", None)["seconds"]
            seconds[name] += elapsed
            predictions = processes[name]("score", None)
            correct[name] = np.stack([np.array(predictions[each]) == labels for each in CORE_SUITE])
            row = {"seed": seed, "epoch": epoch, "system": name, "seconds": round(elapsed, 2)}
            row["seconds_so_far"] = round(seconds[name], 2)
            row["correct"] = dict(zip(CORE_SUITE, correct[name].sum(1).tolist(), strict=True))
            row["core_mean"] = round(100 * float(correct[name].mean()), 3)
            row["memory_GiB"] = round(processes[name].memory(), 3)
            row["load_average"] = round(os.getloadavg()[0], 1)
            if name in (EXACT, FAST):
                lead = correct[name].sum(0) - correct["keras"].sum(0)
                row["lead_over_keras"] = round(100 * float(lead.mean() / 3), 3)
                row["lead_interval"] = [round(100 * end, 3) for end in difference_interval(lead / 3)]
            if name == EXACT and epoch == system.epochs:  # Keras's network is trained; its weights may be replaced
                row[DIFFERENCE] = largest_difference(processes, folder)
            yield row


def complete_seeds(file: Path, rows_per_seed: int) -> dict[int, list[dict]]:
    """Rows of complete seeds; those of an incomplete seed are dropped from the file."""
    by_seed: dict[int, list[dict]] = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        with contextlib.suppress(ValueError):  # torn when the run was stopped
            row = json.loads(line)
            by_seed.setdefault(row["seed"], []).append(row)
    complete = {seed: rows for seed, rows in by_seed.items() if len(rows) == rows_per_seed}
    atomic_write(file, "".join(json.dumps(row) + "\n" for rows in complete.values() for row in rows).encode())
    return complete


def duration(seconds: float) -> str:
    """Hours and minutes."""
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", required=True, help="the Python that has benchmarks/peers/keras.txt")
    parser.add_argument("--network", choices=("cnn", "cnn_gru"), default="cnn")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of the study's recipe [default: 10]")
    parser.add_argument(
        "--images", type=int, help="training images; the study's augmentation makes 7/4 as many per epoch"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    threads, fast = usable_cores(), has_bf16_units()
    with tempfile.TemporaryDirectory() as folder:
        pixels = Path(folder) / "pixels.npz"
        labels, mixture_size, clean_size, digest = save_images(pixels, options.images)
        recipe, better = recipe_of(options.network), RECIPES["default"].settings
        systems = {
            "keras": System((options.network,), options.epochs, mixture_size),
            EXACT: System((recipe, "float32", options.epochs), options.epochs, mixture_size),
            FAST: System((recipe, "bfloat16", options.epochs), options.epochs, mixture_size),
            BETTER: System(("default", "bfloat16" if fast else "float32", better.epochs), better.epochs, clean_size),
        }
        if not fast:  # bfloat16 would be slower
            del systems[FAST]
        machine = environment(ComputeConfig(threads=threads))
        conditions = {
            "network": options.network,
            "images_per_epoch": {name: system.epoch_images for name, system in systems.items()},
            "epochs": {name: system.epochs for name, system in systems.items()},
            "validation_images": len(labels),
            "batch_size": {recipe: RECIPES[recipe].settings.batch_size, "default": better.batch_size},
            "threads": threads,
            "processor": machine["processor"],
            "sha256_of_images": digest,
        }
        options.out.mkdir(parents=True, exist_ok=True)
        scores, log = options.out / "scores.json", options.out / "rows.jsonl"
        if scores.exists() and json.loads(scores.read_text()).get("conditions") != conditions:
            raise SystemExit(f"{scores} has other conditions; choose another --out")
        done = complete_seeds(log, sum(system.epochs for system in systems.values()))
        report(options.out, conditions, systems, done)
        remaining = [seed for seed in dict.fromkeys(options.seeds) if seed not in done]
        print(f"seeds complete: {sorted(done) or 'none'}; to do: {remaining or 'none'}", flush=True)

        for seed in remaining:
            started = time.perf_counter()
            processes = start(systems, options.keras, pixels, threads, seed)
            try:
                if seed == remaining[0]:
                    set_up = time.perf_counter() - started
                    each = set_up + estimate(systems, processes, len(labels))
                    print(f"about {duration(each)} per seed, {duration(len(remaining) * each)} in all", flush=True)
                    for process in processes.values():
                        process.end()
                    processes = start(systems, options.keras, pixels, threads, seed)  # restart, so that nothing is warm
                (options.out / "command.txt").write_text(command_line(options.out, KERAS_PYTHON=options.keras))
                versions = machine | {
                    "precision": "float32 and bfloat16" if fast else "float32",
                    "peer": processes["keras"].versions | {"threads": threads, "precision": "float32"},
                }
                write_json(options.out / "environment.json", versions)
                done[seed] = []
                for row in measure(systems, processes, labels, seed, Path(folder)):
                    done[seed].append(row)
                    with log.open("a") as file:
                        file.write(json.dumps(row) + "\n")
                    print(json.dumps(row), flush=True)
            finally:
                for process in processes.values():
                    process.end()
            report(options.out, conditions, systems, done)
        print(scores.read_text())


if __name__ == "__main__":
    main()
