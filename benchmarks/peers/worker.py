"""What the workers of peers.py share: the pixels they learn from, and what they answer after each epoch.

A worker runs in the environment of what it trains, so this needs NumPy alone. It never sees the labels it is scored by:
after an epoch it says what it takes each of the scored images for, and is told whether to go on. Its clock stands
still meanwhile.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

Prediction = Callable[[np.ndarray], np.ndarray]
"""From images, uint8 [n, 28, 28], to classes, integers [n]; asked for some thousands at a time."""
AT_ONCE = 5000


class Worker:
    """One training: what peers.py asks for, and its clock."""

    def __init__(self) -> None:
        told = json.loads(sys.argv[1])
        self.own_alterations: bool = told["on"] == "clean"
        """Whether images are corrupted as is usual for this peer; those of the study's augmentation are corrupted already."""
        self.recipe: str | None = told["recipe"]
        self.threads: int = told["threads"]
        self.seed: int = told["seed"]
        self.epochs: int | None = told["epochs"]
        """None: as many as is usual for this peer."""
        self.budget: float = told["seconds"]
        """Seconds of training, for those who plan by it."""
        self.images: str = told["images"]
        """A folder: train/<class>/*.png, the same as `x` and `y`; val/<class>/*.png, a few of them."""
        with np.load(told["pixels"]) as file:
            self.x, self.y, self.sources = file["x"], file["y"], file["sources"]
            self._scored = {name.removeprefix("score "): file[name] for name in file.files if name.startswith("score ")}
        self._packages: list[str] = told["packages"]
        self._out = os.fdopen(told["answers"], "w")
        self._taken = 0.0
        self._since = 0.0
        self.paused = 0.0
        """Seconds that the last scoring took, for those who have a clock of their own."""
        self.precision = "float32"
        """That it learns in; to be set where it is another."""

    def begin(self) -> None:
        """Imports are done and training begins: what it prepares from now on counts."""
        self._say({"versions": {name: version(name) for name in self._packages}})
        self._since = time.perf_counter()

    def seconds(self) -> float:
        """Of training, so far."""
        return self._taken + time.perf_counter() - self._since

    def after_epoch(self, answer: Prediction, alone: bool = False) -> bool:
        """Say what `answer` takes the scored images for; whether another epoch is expected.

        `alone`: what was learned before has no part in this one, so that its seconds count from now on anew.
        """
        self._taken, stopped = self.seconds(), time.perf_counter()
        said = {
            name: np.concatenate([answer(part) for part in np.split(images, range(AT_ONCE, len(images), AT_ONCE))])
            for name, images in self._scored.items()
        }
        told = {name: each.tolist() for name, each in said.items()}
        self._say({"seconds": self._taken, "precision": self.precision, "said": told})
        go_on = json.loads(sys.stdin.readline() or "false")
        now = time.perf_counter()
        self.paused = now - stopped
        self._taken = 0.0 if alone else self._taken
        self._since = now
        return go_on

    def _say(self, what: dict) -> None:
        print(json.dumps(what), file=self._out, flush=True)
