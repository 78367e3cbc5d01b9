"""What people would pick instead, trained on the same images and scored by one scorer: one training a call.

python -m venv ../timm && ../timm/bin/pip install -r benchmarks/peers/timm.txt
python benchmarks/peers.py --peer timm --python ../timm/bin/python --split clean --minutes 10 --out results/<date>-peers
python benchmarks/peers.py --peer imparfait --recipe default --split augmentation --minutes 10 --out results/<date>-peers
python benchmarks/peers_figure.py results/<date>-peers --table

Each peer is trained by benchmarks/peers/with_<peer>.py in an environment of its own (benchmarks/peers/<peer>.txt, with
its licence) and is no dependency; how, its first lines say. It learns from the 50,000 images that are for fitting:
`clean`, and then corrupted as is usual for it, or the pixels that the study's `augmentation` shows of them (87,500: clean,
geometric, shrunk), the same for all, saved once, and corrupted no further. After each epoch it says what it takes the
10,000 validation images for, clean, geometric and shrunk; their labels it never gets, and test images nobody.
`clean` is not the same for all: our recipes alter images as they are scored, which is what the package is for.

Seconds are of training: neither imports nor scoring, but all that is prepared before the first step. The epoch that
passes --minutes is the last. Each learns in the precision that it does by default: ours in bfloat16 where the processor
has units for it, the others in float32. Memory is the most that its processes held, added up. What is complete is not
run again by the same command; what is not begins anew.
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
from claims import command
from PIL import Image
from study import as_shown

from imparfait import RECIPES, ComputeConfig, core_suite, load_data, split
from imparfait.core.compute import usable_cores
from imparfait.core.hardware import environment
from imparfait.core.storage import atomic_directory, atomic_write, write_json
from imparfait.data.splits import subsample

WORKERS = Path(__file__).with_name("peers")
PEERS = ("imparfait", "ultralytics", "timm", "pytorch", "scikit-learn", "keras")
CORE_SUITE = ("clean", "geometric", "shrunk")
VALIDATED = 10  # images a class, of those learned from, for who insists on validation images


def requirements(peer: str) -> tuple[str, list[str]]:
    """Its licence, and the packages whose versions are told."""
    first, *lines = (WORKERS / f"{peer}.txt").read_text().splitlines()
    packages = [line.split("==")[0] for line in lines if not line.startswith("#")]
    return re.split("[,;]", first.removeprefix("# licence: "))[0], packages


def saved_pixels(folder: Path, on: str, images: int | None) -> Path:
    """Where everything is that is learned from and scored on, made if it is not there: a folder.

    pixels.npz: x, y, sources and each of the three. labels.npy: of the scored ones. mark.txt: a hash of x and y.
    train/<class>/*.png: x once more, and val/<class>/*.png, a few of them.
    """
    place = folder / (on if images is None else f"{on}-{images}")
    if place.exists():
        return place
    fit, development = split(load_data().train)
    fit, development = subsample(fit, images), development.select(np.arange(len(development))[:images])
    shown = as_shown(fit) if on == "augmentation" else fit
    with atomic_directory(place) as new:
        scored = {f"score {part.corruption}": part.data.pixels[:, 0] for part in core_suite(development)}
        np.savez(new / "pixels.npz", x=shown.pixels[:, 0], y=shown.labels, sources=shown.sources, **scored)
        np.save(new / "labels.npy", development.labels)
        (new / "mark.txt").write_text(shown.fingerprint())
        for label in range(10):
            rows = np.flatnonzero(shown.labels == label)
            for part, few in (("train", rows), ("val", rows[:VALIDATED])):
                (new / part / str(label)).mkdir(parents=True)
                for row in few:
                    Image.fromarray(shown.pixels[row, 0]).save(new / part / str(label) / f"{row:06}.png")
    return place


class Training:
    """A worker at work."""

    def __init__(self, python: str, peer: str, told: dict[str, object]):
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process is
        said, saying = os.pipe()  # not its output: libraries print what they like
        self.child = subprocess.Popen(
            [python, str(WORKERS / f"with_{peer.replace('-', '_')}.py"), json.dumps(told | {"answers": saying})],
            stdin=subprocess.PIPE,
            stdout=self.log,
            stderr=self.log,
            text=True,
            pass_fds=[saying],
            env=os.environ | {"OMP_NUM_THREADS": str(told["threads"])},
        )
        os.close(saying)
        self.said = os.fdopen(said)

    def __iter__(self) -> Iterator[dict]:
        """What it says, line by line; raises SystemExit with the end of its log when it fails."""
        yield from map(json.loads, self.said)
        if self.child.wait():
            self.log.seek(0)
            raise SystemExit(f"{self.child.args[1]} ended with {self.child.returncode}:\n{self.log.read()[-3000:]}")

    def answer(self, go_on: bool) -> None:
        print(json.dumps(go_on), file=self.child.stdin, flush=True)

    def memory(self) -> float:
        """The most that it and the processes it has now held, in GiB; what several share is counted for each."""
        total, left = 0, [self.child.pid]
        while left:
            process = Path(f"/proc/{left.pop()}")
            with contextlib.suppress(OSError, IndexError):  # it has just ended
                total += int((process / "status").read_text().split("VmHWM:")[1].split()[0])
                left += map(int, (process / f"task/{process.name}/children").read_text().split())
        return total / 1024**2

    def end(self) -> None:
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.said.close()
        self.log.close()


def measured(training: Training, labels: np.ndarray, seconds: float, out: Path) -> Iterator[dict]:
    """A row for each epoch, until one ends after so many seconds; in `out` the newest right answers, and versions."""
    for epoch, line in enumerate(training):
        if epoch == 0:
            compute = environment(ComputeConfig(threads=usable_cores()))
            same = {key: compute[key] for key in ("system", "processor", "instructions", "threads", "commit")}
            write_json(out / "environment.json", same | {"peer": line["versions"]})
            continue
        right = {part: np.array(line["said"][part]) == labels for part in CORE_SUITE}
        row = {"epoch": epoch, "seconds": round(line["seconds"], 2)}
        row["right"] = {part: int(each.sum()) for part, each in right.items()}
        row["core_mean"] = round(100 * sum(row["right"].values()) / (3 * len(labels)), 3)
        row["precision"] = line["precision"]
        row["memory_GiB"] = round(training.memory(), 3)
        row["load_average"] = round(os.getloadavg()[0], 1)
        np.savez(out / "right.npz", **{part: np.packbits(each) for part, each in right.items()})
        yield row
        training.answer(line["seconds"] < seconds)
        if line["seconds"] >= seconds:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True, choices=PEERS)
    parser.add_argument("--recipe", choices=RECIPES, help="of imparfait")
    parser.add_argument("--python", default=sys.executable, help="the Python that has benchmarks/peers/<peer>.txt")
    parser.add_argument("--split", required=True, choices=("clean", "augmentation"))
    parser.add_argument("--minutes", type=float, required=True, help="of training; the epoch that passes is the last")
    parser.add_argument("--epochs", type=int, help="instead of as many as is usual for it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, help="to learn from and to score, to try it out")
    parser.add_argument("--pixels", type=Path, default=Path("runs/peers"), help="where images are kept")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if (options.peer == "imparfait") != (options.recipe is not None):
        parser.error("--recipe goes with --peer imparfait")

    licence, packages = requirements(options.peer)
    name = f"{options.peer} {options.recipe}" if options.recipe else options.peer
    out = options.out / f"{name}-{options.on}-s{options.seed}".replace(" ", "-")
    if (out / "scores.json").exists():
        print(f"{out} is complete:\n{(out / 'scores.json').read_text()}")
        return
    place = saved_pixels(options.pixels, options.on, options.images)
    labels = np.load(place / "labels.npy")
    threads = usable_cores()
    told = {"on": options.on, "recipe": options.recipe, "seed": options.seed, "epochs": options.epochs}
    told |= {"seconds": 60 * options.minutes, "threads": threads, "packages": packages}
    told |= {"pixels": str(place / "pixels.npz"), "images": str(place)}
    out.mkdir(parents=True, exist_ok=True)
    (out / "rows.jsonl").unlink(missing_ok=True)
    (out / "command.txt").write_text(command(options.out, PYTHON=options.python))

    training = Training(options.python, options.peer, told)
    rows = []
    try:
        for row in measured(training, labels, 60 * options.minutes, out):
            rows.append(row)
            with (out / "rows.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)
    finally:
        training.end()
    if not rows:
        raise SystemExit(f"{name} ended without an epoch")
    scores = {"peer": name, "on": options.on, "seed": options.seed, "licence": licence, "threads": threads}
    scores |= {"sha256_of_the_pictures": (place / "mark.txt").read_text(), "minutes": options.minutes}
    scores |= {"development_pictures": len(labels), "epochs": len(rows)}
    scores |= {key: rows[-1][key] for key in ("seconds", "right", "core_mean", "precision")}
    scores["peak_memory_GiB"] = max(row["memory_GiB"] for row in rows)
    atomic_write(out / "scores.json", (json.dumps(scores, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
