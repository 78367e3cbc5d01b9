"""Train a peer library or one of our recipes on the same images, scored by the same code: one training per call.

python -m venv ../timm && ../timm/bin/pip install -r benchmarks/peers/timm.txt
python benchmarks/peers/run.py --peer timm --python ../timm/bin/python --train-on clean --minutes 10 \\
    --out results/peers-training
python benchmarks/peers/run.py --peer imparfait --recipe default --train-on mixture --minutes 10 \\
    --out results/peers-training
python benchmarks/peers/figure.py results/peers-training --table

Each peer is trained by benchmarks/peers/with_<peer>.py, whose first lines describe its settings. It runs in its own
environment (benchmarks/peers/<peer>.txt, with its licence) and is no dependency of the package.

All train on the same 50,000 training images. `clean`: with the peer's usual augmentation. `mixture`: on the 87,500
images (clean, geometric and shrunk) of the study's augmentation, saved once. Nobody augments them further, but the
spatial normaliser of our recipes still jitters in training; peers_fair.py has an arm without that. After each epoch
the peer predicts the core suite of the 10,000 validation images. It never gets their labels; nobody gets test images.
`clean` is not equal for all: our recipes augment with the corruptions they are scored on, which is its purpose.

Only training time counts: not imports or scoring, but everything prepared before the first step. The epoch that passes
--minutes is the last. Each peer uses its default precision: bfloat16 for ours where the processor supports it, float32
for the others. Memory is the peak of its processes, added up. The same command skips a complete training and restarts
an incomplete one.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from study import mixture_of

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import command_line

from imparfait import RECIPES, ComputeConfig, core_suite, load_data, split
from imparfait.core.compute import usable_cores
from imparfait.core.hardware import environment
from imparfait.core.storage import atomic_directory, atomic_write, write_json
from imparfait.data.splits import subsample

WORKERS = Path(__file__).parent
PEERS = ("imparfait", "ultralytics", "timm", "pytorch", "scikit-learn", "keras")
CORE_SUITE = ("clean", "geometric", "shrunk")
VAL_IMAGES = 10  # training images per class, for peers that insist on a validation folder


def requirements(peer: str) -> tuple[str, list[str]]:
    """The peer's licence, and the packages whose versions are recorded."""
    first, *lines = (WORKERS / f"{peer}.txt").read_text().splitlines()
    packages = [line.split("==")[0] for line in lines if not line.startswith("#")]
    return re.split("[,;]", first.removeprefix("# licence: "))[0], packages


def save_images(folder: Path, train_on: str, images: int | None) -> Path:
    """Return the folder of training and scored images, and create it if necessary.

    pixels.npz holds x, y, sources and the scored core suite, labels.npy the scored labels, fingerprint.txt a hash of x
    and y. train/<class>/*.png is x again, val/<class>/*.png a few of its images.
    """
    saved = folder / (train_on if images is None else f"{train_on}-{images}")
    if saved.exists():
        return saved
    train, validation = split(load_data().train)
    train, validation = subsample(train, images), validation.select(np.arange(len(validation))[:images])
    train = mixture_of(train) if train_on == "mixture" else train
    with atomic_directory(saved) as new:
        scored = {f"score {each.corruption}": each.data.pixels[:, 0] for each in core_suite(validation)}
        np.savez(new / "pixels.npz", x=train.pixels[:, 0], y=train.labels, sources=train.sources, **scored)
        np.save(new / "labels.npy", validation.labels)
        (new / "fingerprint.txt").write_text(train.fingerprint())
        for label in range(10):
            rows = np.flatnonzero(train.labels == label)
            for part, subset in (("train", rows), ("val", rows[:VAL_IMAGES])):
                (new / part / str(label)).mkdir(parents=True)
                for row in subset:
                    Image.fromarray(train.pixels[row, 0]).save(new / part / str(label) / f"{row:06}.png")
    return saved


class Training:
    """A worker process that trains a peer."""

    def __init__(self, python: str, peer: str, task: dict[str, object]):
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process is
        read_end, write_end = os.pipe()  # not stdout: libraries print there
        self.child = subprocess.Popen(
            [python, str(WORKERS / f"with_{peer.replace('-', '_')}.py"), json.dumps(task | {"output": write_end})],
            stdin=subprocess.PIPE,
            stdout=self.log,
            stderr=self.log,
            text=True,
            pass_fds=[write_end],
            env=os.environ | {"OMP_NUM_THREADS": str(task["threads"])},
        )
        os.close(write_end)
        self.output = os.fdopen(read_end)

    def __iter__(self) -> Iterator[dict]:
        """Its messages; raises SystemExit with the end of its log if it fails."""
        yield from map(json.loads, self.output)
        if self.child.wait():
            self.log.seek(0)
            raise SystemExit(f"{self.child.args[1]} ended with {self.child.returncode}:\n{self.log.read()[-3000:]}")

    def reply(self, go_on: bool) -> None:
        print(json.dumps(go_on), file=self.child.stdin, flush=True)

    def memory(self) -> float:
        """Peak memory of the worker and its child processes in GiB; shared pages count for each."""
        total, left = 0, [self.child.pid]
        while left:
            process = Path(f"/proc/{left.pop()}")
            with contextlib.suppress(OSError, IndexError):  # it has just exited
                total += int((process / "status").read_text().split("VmHWM:")[1].split()[0])
                left += map(int, (process / f"task/{process.name}/children").read_text().split())
        return total / 1024**2

    def end(self) -> None:
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.output.close()
        self.log.close()


def measure(training: Training, labels: np.ndarray, seconds: float, out: Path) -> Iterator[dict]:
    """Yield a row per epoch until the time is used up; keep the latest correct predictions and versions in `out`."""
    for epoch, line in enumerate(training):
        if epoch == 0:
            machine = environment(ComputeConfig(threads=usable_cores()))
            shared = {key: machine[key] for key in ("system", "processor", "instructions", "threads", "commit")}
            write_json(out / "environment.json", shared | {"peer": line["versions"]})
            continue
        correct = {name: np.array(line["predictions"][name]) == labels for name in CORE_SUITE}
        row = {"epoch": epoch, "seconds": round(line["seconds"], 2)}
        row["correct"] = {name: int(each.sum()) for name, each in correct.items()}
        row["core_mean"] = round(100 * sum(row["correct"].values()) / (3 * len(labels)), 3)
        row |= {key: line[key] for key in ("precision", "threads_inside")}
        row["memory_GiB"] = round(training.memory(), 3)
        row["load_average"] = round(os.getloadavg()[0], 1)
        np.savez(out / "correct.npz", **{name: np.packbits(each) for name, each in correct.items()})
        yield row
        training.reply(line["seconds"] < seconds)
        if line["seconds"] >= seconds:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True, choices=PEERS)
    parser.add_argument("--recipe", choices=RECIPES, help="our recipe, with --peer imparfait")
    parser.add_argument("--python", default=sys.executable, help="the Python that has benchmarks/peers/<peer>.txt")
    parser.add_argument("--train-on", required=True, choices=("clean", "mixture"), help="training images")
    parser.add_argument(
        "--minutes", type=float, required=True, help="training time; the epoch that passes it is the last"
    )
    parser.add_argument("--epochs", type=int, help="number of epochs [default: the peer's usual]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, help="number of training and scored images, for a trial")
    parser.add_argument(
        "--pixels", type=Path, default=Path("runs/peers"), help="folder of the saved images [default: runs/peers]"
    )
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if (options.peer == "imparfait") != (options.recipe is not None):
        parser.error("--recipe goes with --peer imparfait")

    licence, packages = requirements(options.peer)
    name = f"{options.peer} {options.recipe}" if options.recipe else options.peer
    out = options.out / f"{name}-{options.train_on}-s{options.seed}".replace(" ", "-")
    if (out / "scores.json").exists():
        print(f"{out} is complete:\n{(out / 'scores.json').read_text()}")
        return
    saved = save_images(options.pixels, options.train_on, options.images)
    labels = np.load(saved / "labels.npy")
    threads = usable_cores()
    task = {"train_on": options.train_on, "recipe": options.recipe, "seed": options.seed, "epochs": options.epochs}
    task |= {"seconds": 60 * options.minutes, "threads": threads, "packages": packages}
    task |= {"pixels": str(saved / "pixels.npz"), "image_folder": str(saved)}
    out.mkdir(parents=True, exist_ok=True)
    (out / "rows.jsonl").unlink(missing_ok=True)
    (out / "command.txt").write_text(command_line(options.out, PYTHON=options.python))

    training = Training(options.python, options.peer, task)
    rows = []
    try:
        for row in measure(training, labels, 60 * options.minutes, out):
            rows.append(row)
            with (out / "rows.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)
    finally:
        training.end()
    if not rows:
        raise SystemExit(f"{name} finished no epoch")
    scores = {"peer": name, "train_on": options.train_on, "seed": options.seed, "licence": licence, "threads": threads}
    scores |= {"sha256_of_images": (saved / "fingerprint.txt").read_text(), "minutes": options.minutes}
    scores |= {"validation_images": len(labels), "epochs": len(rows)}
    scores |= {key: rows[-1][key] for key in ("seconds", "correct", "core_mean", "precision", "threads_inside")}
    scores["peak_memory_GiB"] = max(row["memory_GiB"] for row in rows)
    atomic_write(out / "scores.json", (json.dumps(scores, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
