"""One training of peers_fair.py, in a process of its own: reads a job, prints what was predicted as JSON.

Arguments: a job file, and a file to write. Only NumPy is needed here: fair_torch.py trains with PyTorch, fair_keras.py
with Keras. The labels of the scored images stay with the caller.

What counts is alike for all: the seconds between the end of the third step and the end of the step that passes the
budget. They contain batches, conversions and deskewing; not imports, reading images, building the network, compiling it
in the first steps, or scoring. Every step takes its images from `batches`.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

WARM_UP_STEPS = 3
"""Not counted: the first compiles a graph or chooses kernels, and a framework's is slower than another's."""
KERAS = ("keras-cnn",)
CONDITIONS = "condition "
Job = dict[str, Any]
Batches = Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Images, uint8 [n, channels, height, width], their labels, and their rows in the fixed set."""


class Clock:
    """Training seconds, and the share of the budget that is used; asked after each step, by every contestant."""

    def __init__(self, budget: float, step_seconds: float | None = None):
        """With `step_seconds` each step counts as so many seconds, so that a trial can be repeated exactly."""
        self.budget, self.step_seconds = budget, step_seconds
        self.steps, self.seconds, self.warm_up_seconds = 0, 0.0, 0.0
        self._first = self._started = time.perf_counter()

    def begin(self) -> None:
        """Called where the first step begins, for the record of the warm-up."""
        self._first = time.perf_counter()

    def after_step(self) -> float:
        """The share of the budget that is used; 1 or more where training ends."""
        self.steps += 1
        if self.steps <= WARM_UP_STEPS:
            self._started = time.perf_counter()
            self.warm_up_seconds = self._started - self._first
            return 0.0
        counted = self.steps - WARM_UP_STEPS
        self.seconds = time.perf_counter() - self._started if self.step_seconds is None else counted * self.step_seconds
        return self.seconds / self.budget


def batches(job: Job, size: int) -> Batches:
    """Endless batches of the job's arm: the stream in its order, or the fixed set, shuffled in each pass.

    All contestants of a seed get the same images in the same order, each in batches of its own size.
    """
    if job["arm"] == "fixed":
        with np.load(job["fixed"]) as file:
            pixels, labels = file["pixels"], file["labels"]
        size = min(size, len(labels))
        number = 0
        while True:
            order = np.random.default_rng([job["seed"], number]).permutation(len(labels))
            for start in range(0, len(order) - size + 1, size):
                rows = order[start : start + size]
                yield pixels[rows], labels[rows], rows
            number += 1
    epochs = [(np.load(f"{path}-pixels.npy"), np.load(f"{path}-labels.npy")) for path in job["stream"]]
    size = min(size, len(epochs[0][1]))
    while True:
        for pixels, labels in epochs:
            for start in range(0, len(labels) - size + 1, size):
                rows = slice(start, start + size)
                yield pixels[rows], labels[rows], np.arange(start, start + size)


def scored(job: Job) -> dict[str, np.ndarray]:
    """The images to predict, by condition."""
    with np.load(job["scored"]) as file:
        return {name.removeprefix(CONDITIONS): file[name] for name in file.files if name.startswith(CONDITIONS)}


def run(job: Job) -> dict[str, Any]:
    """Train and predict; what is to be kept of it."""
    train: Callable[[Job, Clock], tuple[Callable[[np.ndarray], np.ndarray], dict[str, Any]]]
    if job["contestant"] in KERAS:
        from fair_keras import train
    else:
        from fair_torch import train
    before = os.getloadavg()[0]
    clock = Clock(job["budget"], job.get("step_seconds"))
    predict, about = train(job, clock)
    started = time.perf_counter()
    images = scored(job)
    predictions = {name: predict(each).tolist() for name, each in images.items()}
    return {
        "predictions": predictions,
        "seconds": round(clock.seconds, 3),
        "warm_up_seconds": round(clock.warm_up_seconds, 3),
        "warm_up_steps": WARM_UP_STEPS,
        "scoring_seconds": round(time.perf_counter() - started, 3),
        "steps": clock.steps,
        "images_seen": clock.steps * about["batch"],
        "load_average": [round(before, 1), round(os.getloadavg()[0], 1)],
        **about,
    }


def main() -> None:
    job, out = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2])
    out.write_text(json.dumps(run(job)), encoding="utf-8")


if __name__ == "__main__":
    main()
