"""What a step of a recipe spends its time on, by PyTorch's profiler.

python benchmarks/where_time_goes.py default quick --out results/<date>-where-time-goes

Of each recipe 150 steps in the precision and with the threads that it learns with, after 40 others; the profiler itself
costs some time, told as `slower`. Operations count where they are asked for: those of a corruption or of the look as
such, whatever they are; of the others by their names. `between` is what is in no operation: Python, and calling.
"""

import argparse
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from claims import leave
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

import imparfait
from imparfait.core.compute import ComputeConfig
from imparfait.models.petit import SpatialNormalizer
from imparfait.training.loop import Step, Training, network_for
from imparfait.training.recipes import RECIPES

FIRST, MEASURED = 40, 150
BY_PLACE = {"altering": "altering", "look": "look", "Optimizer.step": "optimizer"}
BY_NAME = {
    "convolutions": ("conv",),
    "normalising": ("batch_norm",),
    "relu": ("relu", "threshold"),
    "pooling": ("pool", "amax", "aten::mean", "aten::div", "aten::eq"),
    "copies between precisions and layouts": ("copy_", "_to_copy", "clone", "contiguous"),
    "head and loss": ("addmm", "linear", "aten::mm", "softmax", "nll", "cross_entropy"),
}


def place_of(event: FunctionEvent) -> str:
    """What an operation belongs to."""
    above: FunctionEvent | None = event
    while above is not None:
        for start, name in BY_PLACE.items():
            if above.name.startswith(start):
                return name
        above = above.cpu_parent
    return next((group for group, parts in BY_NAME.items() if any(part in event.name for part in parts)), "other")


def marked(training: Training) -> None:
    """Let the profiler know where images are corrupted, and where the look is."""
    show, augmentation = training.augmentation.show, training.augmentation

    def altering(*given: Any) -> torch.Tensor:
        with record_function("altering"):
            return show(*given)

    training.augmentation = SimpleNamespace(rows=augmentation.rows, show=altering)  # type: ignore[assignment]
    for module in training.model.modules():
        if isinstance(module, SpatialNormalizer):
            forward = module.forward

            def look(images: torch.Tensor, forward: Any = forward) -> torch.Tensor:
                with record_function("look"):
                    return forward(images)

            module.forward = look  # type: ignore[method-assign]


def seconds(steps: Iterator[Step]) -> float:
    started = time.perf_counter()
    for _ in islice(steps, MEASURED):
        pass
    return time.perf_counter() - started


def shares(recipe: str) -> dict[str, Any]:
    """Of a recipe's steps, what each kind of operation takes, in percent of all the time."""
    fit, _ = imparfait.split(imparfait.load_data("mnist").train)
    settings = RECIPES[recipe].settings
    training = Training(network_for(settings, fit), fit, settings)
    steps = iter(training)
    for _ in islice(steps, FIRST):
        pass
    alone = seconds(steps)
    marked(training)
    for _ in islice(steps, FIRST):
        pass
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        taken = seconds(steps)
    found: dict[str, float] = {}
    for event in profiler.events():
        group = place_of(event)
        found[group] = found.get(group, 0.0) + event.self_cpu_time_total / 1e6
    found["between"] = taken - sum(found.values())
    return {
        "recipe": recipe,
        "precision": training.compute.precision,
        "threads": training.compute.threads,
        "milliseconds_a_step": round(1000 * alone / MEASURED, 2),
        "slower": round(taken / alone, 2),
        "percent": {
            name: round(100 * each / taken, 1) for name, each in sorted(found.items(), key=lambda kind: -kind[1])
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+", choices=RECIPES)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = [shares(recipe) for recipe in options.recipes]
    for told in found:
        print(told)
    if options.out:
        leave(options.out, found, ComputeConfig(threads=found[0]["threads"], precision=found[0]["precision"]))


if __name__ == "__main__":
    main()
