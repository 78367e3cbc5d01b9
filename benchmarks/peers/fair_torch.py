"""PyTorch contestants of peers_fair.py: our recipes, ours without parts, and published networks, in one loop.

A contestant is a network with the batch size, optimizer and learning-rate schedule of its recipe or publication. The
schedule is a function of the share of the budget that is used: nobody's is cut off. What only some have is theirs:
label smoothing, averaged weights and the spatial normaliser are ours, the L1 penalty is Matuzas's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import fair_networks
import numpy as np
import torch
import torch.nn.functional as F
from fair_worker import Clock, Job, batches
from torch import Tensor, nn

from imparfait import RECIPES
from imparfait.core.compute import tune_malloc
from imparfait.core.hardware import bf16_agrees, has_bf16_units
from imparfait.models.petit import SpatialNormalizer
from imparfait.models.registry import build
from imparfait.training.optim import Average, make_optimizer, one_cycle
from imparfait.training.step import smoothed_labels

AVERAGE_FROM = 0.1
"""Share of the budget after which the number of steps is known well enough to choose the average's horizon."""
SCORED_TOGETHER = 500


@dataclass(frozen=True)
class Contestant:
    """A network and how it is trained."""

    network: Callable[[int, int, int], nn.Module]
    """From channels, classes and side in pixels."""
    learning_rate: float
    """Its own, the peak of the schedule; tuning multiplies it."""
    batch: int
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    """With a learning rate of 1."""
    schedule: Callable[[float], float]
    """From the share of the budget to a share of the learning rate."""
    smoothing: float = 0.0
    averaged: bool = False
    penalty: Callable[[nn.Module], Tensor] | None = None
    prepared: Callable[[np.ndarray], np.ndarray] | None = None
    """What is done to each image, in training and prediction, before the network sees it; counted."""


def ours(recipe: str, jitter: bool = True, network: Callable[..., nn.Module] | None = None, **more: Any) -> Contestant:
    """One of our recipes: network, batch size, optimizer, schedule and smoothing; the arm gives the images."""
    settings = RECIPES[recipe].settings

    def of_recipe(channels: int, classes: int, side: int) -> nn.Module:
        model = build(settings.model, channels=channels, classes=classes, model_args=settings.model_args)
        for module in model.modules():
            if isinstance(module, SpatialNormalizer) and not jitter:
                module.jitter = 0.0
        return model

    return Contestant(
        network or of_recipe,
        settings.learning_rate,
        settings.batch_size,
        lambda model: make_optimizer(model, settings),
        one_cycle,
        settings.label_smoothing,
        averaged=True,
        **more,
    )


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=1.0, eps=1e-7, fused=True)  # Keras's epsilon


def momentum(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9, weight_decay=5e-4, nesterov=True, fused=True)


def of_deotte(progress: float) -> float:
    """0.95 to the number of the epoch, of 35."""
    return float(0.95 ** int(35 * min(progress, 1.0)))


def of_matuzas(progress: float) -> float:
    """13 epochs, 3 at a tenth and 4 at a hundredth."""
    return 1.0 if progress < 13 / 20 else 0.1 if progress < 16 / 20 else 0.01


def warm_cosine(progress: float, warm: float = 0.1) -> float:
    """A linear rise over a tenth of the budget, then a cosine to zero."""
    after = (min(progress, 1.0) - warm) / (1 - warm)
    return max(progress, 1e-3) / warm if progress < warm else (1 + float(np.cos(np.pi * after))) / 2


CONTESTANTS: dict[str, Contestant] = {
    "quick": ours("quick"),
    "default": ours("default"),
    "best": ours("best"),
    "default-no-jitter": ours("default", jitter=False),
    "plain": ours("best", network=fair_networks.plain),
    "deskew": ours("best", network=fair_networks.plain, prepared=fair_networks.deskew),
    "deotte": Contestant(fair_networks.deotte, 1e-3, 64, adam, of_deotte),
    "matuzas": Contestant(fair_networks.matuzas, 1e-3, 32, adam, of_matuzas, penalty=fair_networks.lasso),
    "resnet18": Contestant(fair_networks.resnet18, 0.1, 128, momentum, warm_cosine),
}


class Prepared:
    """Applies `function` to images; in a fixed set to each only once."""

    def __init__(self, function: Callable[[np.ndarray], np.ndarray], keep: bool):
        self.function, self.kept = function, {} if keep else None

    def __call__(self, pixels: np.ndarray, rows: np.ndarray) -> np.ndarray:
        if self.kept is None:
            return self.function(pixels)
        new = [index for index, row in enumerate(rows.tolist()) if row not in self.kept]
        if new:
            self.kept |= zip(rows[new].tolist(), self.function(pixels[new]), strict=True)
        return np.stack([self.kept[row] for row in rows.tolist()])


def as_images(pixels: np.ndarray) -> Tensor:
    return (torch.from_numpy(pixels) / 255).contiguous(memory_format=torch.channels_last)


def train(job: Job, clock: Clock) -> tuple[Callable[[np.ndarray], np.ndarray], dict[str, Any]]:
    """Train until the budget is used; a function from images to classes, and what to record."""
    contestant = CONTESTANTS[job["contestant"]]
    tune_malloc()
    torch.set_num_threads(job["threads"])
    torch.manual_seed(job["seed"])
    source = batches(job, contestant.batch)
    first = next(source)
    _, channels, side, _ = first[0].shape
    model = contestant.network(channels, job["classes"], side).to(memory_format=torch.channels_last)
    threads = torch.get_num_threads()  # after the network was built: libraries set it
    bf16 = (has_bf16_units() and bf16_agrees(model, as_images(first[0]))) if job["precision"] == "auto" else False
    bf16 = bf16 or job["precision"] == "bfloat16"
    optimizer = contestant.optimizer(model)
    prepared = Prepared(contestant.prepared, job["arm"] == "fixed") if contestant.prepared else None
    average: Average | None = None
    rate = contestant.learning_rate * job["factor"]
    progress = 0.0

    def step(pixels: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> float:
        images = as_images(prepared(pixels, rows) if prepared else pixels)
        for group in optimizer.param_groups:
            group["lr"] = rate * contestant.schedule(progress)
        targets = smoothed_labels(torch.from_numpy(labels), job["classes"], contestant.smoothing)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = model(images)
        loss = F.cross_entropy(logits.float(), targets)
        if contestant.penalty:
            loss = loss + contestant.penalty(model)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.item()

    model.train()
    clock.begin()
    losses = [step(*first)]
    while (progress := clock.after_step()) < 1:
        losses.append(step(*next(source)))
        if contestant.averaged and not average and progress >= AVERAGE_FROM:
            average = Average(model, round(clock.steps / progress))
        if average:
            average.update()
    assert torch.get_num_threads() == threads
    if average:
        model.load_state_dict(average.weights)
    model.eval()

    def predict(pixels: np.ndarray) -> np.ndarray:
        found = []
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            for start in range(0, len(pixels), SCORED_TOGETHER):
                part = pixels[start : start + SCORED_TOGETHER]
                part = contestant.prepared(part) if contestant.prepared else part
                found.append(model(as_images(part)).argmax(1).numpy())
        return np.concatenate(found)

    return predict, {
        "batch": len(first[1]),
        "learning_rate": rate,
        "threads_inside": threads,
        "precision": "bfloat16" if bf16 else "float32",
        "parameters": sum(each.numel() for each in model.parameters()),
        "last_losses": float(np.mean(losses[-20:])),
        "versions": {"torch": version("torch"), "numpy": version("numpy")},
    }
