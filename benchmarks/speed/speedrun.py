"""How few seconds of training reach a goal: the mean over seeds on validation images, as airbench does it.

python benchmarks/speedrun.py --seeds 20 --out results/<date>-speedrun            # all goals, on an idle machine
python benchmarks/speedrun.py "98 % of the three" --seeds 5

A goal is reached when the mean over all seeds is; no seed is left out. Seconds are of training on all cores, drawing
and altering included, in a process that has trained a few steps before; what comes once (loading MNIST, those first
steps) is told beside it. Work is counted in multiply-adds, and set against the largest matrix product that this
machine was seen to do in the same minute. The recipe of a goal was chosen
on the same validation images, with other seeds.
"""

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from claims import leave
from torch.utils.flop_counter import FlopCounterMode

import imparfait
from imparfait.core.compute import ComputeConfig
from imparfait.core.hardware import choose_compute
from imparfait.data.dataset import LabelledImages
from imparfait.training.loop import Training
from imparfait.training.recipes import RECIPES

FIRST_SEED = 1000  # settings were chosen with seeds below


@dataclass(frozen=True)
class Goal:
    """What is to be reached, by which settings; the best so far by fewer seconds takes the place of the last."""

    of: str
    """"mean", or the corruption."""
    percent: float
    settings: dict[str, Any]
    images: int | None = None
    """Learned from, where fewer than all are enough."""


SMALL = {"model_args": {"filters": 16}, "epochs": 1}
GOALS: dict[str, Goal] = {
    "98 % of the three": Goal("mean", 98.0, SMALL | {"batch_size": 64}, images=16_000),
    "99 % of clean images": Goal("clean", 99.0, SMALL | {"augmentation": "clean"}, images=42_000),
    "99.5 % of the three": Goal("mean", 99.5, RECIPES["default"].settings.model_dump()),
}


def matrix_peak(threads: int, side: int = 2048) -> float:
    """Multiply-adds a second of the best of some products of bfloat16 matrices."""
    torch.set_num_threads(threads)
    left = torch.randn(side, side, dtype=torch.bfloat16)
    seconds = []
    for _ in range(12):
        started = time.perf_counter()
        torch.mm(left, left)
        seconds.append(time.perf_counter() - started)
    return float(side**3 / min(seconds))


def multiply_adds(model: torch.nn.Module, fit: LabelledImages) -> float:
    """Of one step of learning, an image: forward and backward."""
    images, labels = torch.from_numpy(fit.pixels[:64]) / 255, torch.from_numpy(fit.labels[:64])
    with FlopCounterMode(display=False) as counter:
        torch.nn.functional.cross_entropy(model(images), labels).backward()
    return counter.get_total_flops() / 2 / len(images)


def train_once(goal: Goal, fit: LabelledImages, seed: int, compute: ComputeConfig, steps: int | None = None) -> Any:
    """A trained network, and the seconds that took."""
    settings = RECIPES["quick"].settings.model_copy(update=goal.settings | {"seed": seed})
    torch.manual_seed(seed)
    few = fit.select(slice(0, goal.images)) if goal.images else fit
    started = time.perf_counter()
    model = imparfait.build(
        settings.model, channels=fit.channels, classes=len(fit.classes), model_args=settings.model_args, seed=seed
    )
    for step in Training(model, few, settings, compute):
        if step.number == steps:
            break
    return model, settings, len(few), time.perf_counter() - started


def run(name: str, goal: Goal, seeds: int, compute: ComputeConfig) -> dict[str, Any]:
    """All seeds of a goal."""
    started = time.perf_counter()
    fit, validation = imparfait.split(imparfait.load_data("mnist").train)
    loading = time.perf_counter() - started
    three = imparfait.core_suite(validation)
    warm_up = train_once(goal, fit, 0, compute, steps=10)[3]
    rows = []
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        model, settings, shown, seconds = train_once(goal, fit, seed, compute)
        scores = imparfait.evaluate(imparfait.as_classifier(model, compute), three)
        each = {score.corruption: 100 * score.accuracy for score in scores.each} | {"mean": 100 * scores.mean}
        rows.append({"seed": seed, "seconds": round(seconds, 3), **{k: round(v, 3) for k, v in each.items()}})
        print(name, rows[-1], flush=True)
    reached = [float(row[goal.of]) for row in rows]
    seconds = statistics.median(float(row["seconds"]) for row in rows)
    work, peak = multiply_adds(model, fit), matrix_peak(compute.threads)
    images = settings.epochs * shown
    return {
        "goal": name,
        "percent": goal.percent,
        "reached": round(statistics.mean(reached), 3),
        "standard_deviation": round(statistics.stdev(reached), 3) if seeds > 1 else None,
        "is_reached": statistics.mean(reached) >= goal.percent,
        "seconds_median": seconds,
        "seconds_least_and_most": [min(r["seconds"] for r in rows), max(r["seconds"] for r in rows)],
        "images": images,
        "pictures_a_second": round(images / seconds),
        "numbers": sum(parameter.numel() for parameter in model.parameters()),
        "multiply_adds_a_picture": round(work),
        "share_of_matrix_peak": round(work * images / seconds / peak, 3),
        "matrix_peak_teraflops": round(2 * peak / 1e12, 3),
        "once": {"loading_seconds": round(loading, 2), "first_steps_seconds": round(warm_up, 2)},
        "settings": settings.model_dump(exclude={"seed"}),
        "seeds": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("goals", nargs="*", choices=[*GOALS, []])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    fit, _ = imparfait.split(imparfait.load_data("mnist").train)
    network = imparfait.build("petit", channels=fit.channels, classes=len(fit.classes))
    compute = choose_compute(network, torch.from_numpy(fit.pixels[:64]) / 255)
    found = [run(name, GOALS[name], options.seeds, compute) for name in options.goals or GOALS]
    for told in found:
        print(json.dumps({k: v for k, v in told.items() if k != "seeds"}, indent=2))
    if options.out:
        leave(options.out, found, compute)


if __name__ == "__main__":
    main()
