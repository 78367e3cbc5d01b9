"""Share of a training step spent on each kind of operation, by PyTorch's profiler.

python benchmarks/speed/profile_step.py default quick --out results/speedrun/step-profile

Profiles 150 steps of each recipe at its own precision and thread count, after 40 warm-up steps. The profiler itself
costs time, reported as `slowdown`. Operations inside augmentation, the spatial normaliser or the optimizer count there;
all others are grouped by name. `python` is the time outside any operation.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

import imparfait
from imparfait.core.compute import ComputeConfig
from imparfait.models.petit import SpatialNormalizer
from imparfait.training.loop import Training, network_for
from imparfait.training.recipes import RECIPES
from imparfait.training.step import Step

WARM_UP_STEPS, STEPS = 40, 150
BY_CALLER = {
    "augmentation": "augmentation",
    "spatial normalizer": "spatial normalizer",
    "Optimizer.step": "optimizer",
}
BY_NAME = {
    "convolutions": ("conv",),
    "batch normalisation": ("batch_norm",),
    "ReLU": ("relu", "threshold"),
    "pooling": ("pool", "amax", "aten::mean", "aten::div", "aten::eq"),
    "precision and layout copies": ("copy_", "_to_copy", "clone", "contiguous"),
    "head and loss": ("addmm", "linear", "aten::mm", "softmax", "nll", "cross_entropy"),
}


def group_of(event: FunctionEvent) -> str:
    """The group that an operation counts towards."""
    caller: FunctionEvent | None = event
    while caller is not None:
        for start, name in BY_CALLER.items():
            if caller.name.startswith(start):
                return name
        caller = caller.cpu_parent
    return next((group for group, parts in BY_NAME.items() if any(part in event.name for part in parts)), "other")


def mark_regions(training: Training) -> None:
    """Label augmentation and the spatial normaliser for the profiler."""
    apply, augmentation = training.augmentation.apply, training.augmentation

    def labelled_apply(*arguments: Any) -> torch.Tensor:
        with record_function("augmentation"):
            return apply(*arguments)

    training.augmentation = SimpleNamespace(rows=augmentation.rows, apply=labelled_apply)  # type: ignore[assignment]
    for module in training.model.modules():
        if isinstance(module, SpatialNormalizer):
            forward = module.forward

            def labelled_forward(images: torch.Tensor, forward: Any = forward) -> torch.Tensor:
                with record_function("spatial normalizer"):
                    return forward(images)

            module.forward = labelled_forward  # type: ignore[method-assign]


def seconds(steps: Iterator[Step]) -> float:
    """Seconds of the next steps."""
    started = time.perf_counter()
    for _ in islice(steps, STEPS):
        pass
    return time.perf_counter() - started


def shares(recipe: str) -> dict[str, Any]:
    """Percent of a recipe's step time by kind of operation."""
    train, _ = imparfait.split(imparfait.load_data("mnist").train)
    settings = RECIPES[recipe].settings
    training = Training(network_for(settings, train), train, settings)
    steps = iter(training)
    for _ in islice(steps, WARM_UP_STEPS):
        pass
    unprofiled = seconds(steps)
    mark_regions(training)
    for _ in islice(steps, WARM_UP_STEPS):
        pass
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        profiled = seconds(steps)
    groups: dict[str, float] = {}
    for event in profiler.events():
        group = group_of(event)
        groups[group] = groups.get(group, 0.0) + event.self_cpu_time_total / 1e6
    groups["python"] = profiled - sum(groups.values())
    return {
        "recipe": recipe,
        "precision": training.compute.precision,
        "threads": training.compute.threads,
        "milliseconds_per_step": round(1000 * unprofiled / STEPS, 2),
        "slowdown": round(profiled / unprofiled, 2),
        "percent": {
            name: round(100 * each / profiled, 1) for name, each in sorted(groups.items(), key=lambda group: -group[1])
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+", choices=RECIPES)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    results = [shares(recipe) for recipe in options.recipes]
    for result in results:
        print(result)
    if options.out:
        write_claim(
            options.out, results, ComputeConfig(threads=results[0]["threads"], precision=results[0]["precision"])
        )


if __name__ == "__main__":
    main()
