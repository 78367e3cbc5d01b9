"""Processes killed at random moments: was each access to the test images on disk before they were used?

python benchmarks/reliability/access_kills.py [--kills 100]

Each command that may use test images runs in a process of its own, which notes in a file of its own when it begins to
score test images and when it has scored them, and is killed at a random moment of the command's usual time. After every
kill the ledger must have a line for each such beginning, except for scores that were kept and are reused.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait.cli.main import main as imparfait
from imparfait.data import test_ledger
from imparfait.evaluation import kept_scores
from imparfait.inference import open_model  # noqa: F401  imported once, before the forks
from imparfait.reports import finished_run, suite_scores

SIDE, TRAIN, TEST = 12, 240, 120
FUNCTION = "def predict(images):\n    return images[:, 0, :3, 0] + images[:, 0, :3, 1]\n"


def bars(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey images with one of three rows bright."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, n)
    images = random.integers(0, 60, (n, SIDE, SIDE), dtype=np.uint8)
    images[np.arange(n), labels] = 255
    return images, labels


def note_uses(notes: Path) -> None:
    """Make this process note when test images are scored."""
    whole = kept_scores.score_on_test

    def noted(score: Callable, *arguments: object) -> object:
        def wrapped(images: object) -> object:
            with notes.open("a") as file:
                file.write("begun\n")
                file.flush()
                os.fsync(file.fileno())
            return score(images)

        return whole(wrapped, *arguments)  # type: ignore[arg-type]

    for module in (kept_scores, suite_scores, finished_run):
        module.score_on_test = noted  # type: ignore[attr-defined]


def run(words: list[str], notes: Path, kill_after: float | None) -> float:
    """Run a command in a process of its own; the seconds that it took, or after which it was killed."""
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        note_uses(notes)
        sys.argv = ["imparfait", *words]
        try:
            imparfait()
        finally:
            os._exit(0)
    if kill_after is None:
        os.waitpid(child, 0)
    else:
        while time.monotonic() - started < kill_after and not os.waitpid(child, os.WNOHANG)[0]:
            time.sleep(0.005)
        try:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        except (ProcessLookupError, ChildProcessError):
            pass  # it had ended
    return time.monotonic() - started


def accesses(out: Path) -> int:
    """How many accesses the ledger records."""
    return len({row[:3] for row in test_ledger.read(test_ledger.ledger_for(out))})


def main() -> None:
    """Kill, count, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    draw, counts = random.Random(0), Counter[str]()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        x_train, y_train = bars(TRAIN, 1)
        x_test, y_test = bars(TEST, 2)
        np.savez(folder / "bars.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
        (folder / "own.py").write_text(FUNCTION, encoding="utf-8")
        data = ["--data", str(folder / "bars.npz")]
        spec = ["--layout", "nchw", "--range", "1", "--foreground", "light", "--outputs", "logits"]
        own = f"{folder / 'own.py'}:predict"
        commands = {
            "train --final": [
                "train",
                *data,
                "--recipe",
                "quick",
                "--epochs",
                "1",
                "--augmentation",
                "clean",
                "--final",
            ],
            "evaluate --split test": ["evaluate", own, *data, *spec, "--suite", "core", "--split", "test"],
            "evaluate --split all": ["evaluate", own, *data, *spec, "--suite", "core", "--split", "all"],
            "gate --split test": [
                "gate",
                own,
                *data,
                *spec,
                "--suite",
                "core",
                "--split",
                "test",
                "--min",
                "clean=0.1",
            ],
        }
        usual = {
            name: run([*words, "--out", str(folder / f"usual{number}")], folder / "usual.txt", None)
            for number, (name, words) in enumerate(commands.items())
        }
        if len((folder / "usual.txt").read_text().splitlines()) < len(commands):
            raise SystemExit("a command did not use the test images; expected all to")
        for number in range(options.kills):
            name = list(commands)[number % len(commands)]
            out, notes = folder / f"out{number}", folder / f"notes{number}.txt"
            words = [*commands[name], "--out", str(out)]
            run(words, notes, draw.uniform(0.2, 1.0) * usual[name])
            lines = accesses(out)
            begun = len(notes.read_text().splitlines()) if notes.exists() else 0
            counts[f"{name}: kills"] += 1
            counts[f"{name}: killed after the test images were in use"] += bool(begun)
            counts["unrecorded"] += max(0, begun - lines)
            run(words, notes, None)  # the same command again
            again = len(notes.read_text().splitlines()) if notes.exists() else 0
            lines = accesses(out)
            counts["unrecorded after the same command again"] += max(0, again - lines)
            counts["second accesses"] += again > 1
    for name, count in counts.items():
        print(f"{count:5}  {name}")
    if options.out:
        write_claim(options.out, {"seconds": usual, "counts": dict(counts)})


if __name__ == "__main__":
    main()
