"""Shared part of the peer workers of run.py: training images, clock, and predictions after each epoch.

A worker runs in its peer's environment, so this module needs NumPy only. It never sees the labels it is scored on.
After each epoch it reports predictions for the scored images and is told whether to continue; its clock stops then.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

Predict = Callable[[np.ndarray], np.ndarray]
"""From images, uint8 [n, 28, 28], to classes, integers [n]."""
BATCH = 5000


class Worker:
    """One training: its task, as given by run.py, and its clock."""

    def __init__(self) -> None:
        task = json.loads(sys.argv[1])
        self.own_augmentation: bool = task["train_on"] == "clean"
        """Whether the peer applies its usual augmentation; the images of the mixture are corrupted already."""
        self.recipe: str | None = task["recipe"]
        self.threads: int = task["threads"]
        self.seed: int = task["seed"]
        self.epochs: int | None = task["epochs"]
        """None for the peer's usual number."""
        self.budget: float = task["seconds"]
        """Training seconds, for peers that plan ahead."""
        self.image_folder: str = task["image_folder"]
        """Holds train/<class>/*.png, the same as `x` and `y`, and val/<class>/*.png, a few of them."""
        with np.load(task["pixels"]) as file:
            self.x, self.y, self.sources = file["x"], file["y"], file["sources"]
            self._scored = {name.removeprefix("score "): file[name] for name in file.files if name.startswith("score ")}
        self._packages: list[str] = task["packages"]
        self._out = os.fdopen(task["output"], "w")
        self._elapsed = 0.0
        self._started = 0.0
        self.paused = 0.0
        """Seconds of the last scoring, for peers with their own clock."""
        self.precision = "float32"
        """Training precision; set it where it differs."""
        self.threads_inside: int | None = None
        """Threads that the library says it uses while it trains; set it before `after_epoch`."""

    def begin(self) -> None:
        """Start the clock, after all imports; preparation from here on counts as training."""
        self._send({"versions": {name: version(name) for name in self._packages}})
        self._started = time.perf_counter()

    def seconds(self) -> float:
        """Training seconds so far."""
        return self._elapsed + time.perf_counter() - self._started

    def after_epoch(self, predict: Predict, independent: bool = False) -> bool:
        """Report predictions for the scored images; returns whether to train another epoch.

        `independent`: the next epoch does not build on earlier ones, so its clock starts from zero.
        """
        self._elapsed, stopped = self.seconds(), time.perf_counter()
        predictions = {
            name: np.concatenate(
                [predict(batch) for batch in np.split(images, range(BATCH, len(images), BATCH))]
            ).tolist()
            for name, images in self._scored.items()
        }
        about = {"precision": self.precision, "threads_inside": self.threads_inside}
        self._send({"seconds": self._elapsed, **about, "predictions": predictions})
        go_on = json.loads(sys.stdin.readline() or "false")
        now = time.perf_counter()
        self.paused = now - stopped
        self._elapsed = 0.0 if independent else self._elapsed
        self._started = now
        return go_on

    def _send(self, message: dict) -> None:
        print(json.dumps(message), file=self._out, flush=True)
