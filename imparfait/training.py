"""The only training loop there is."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from imparfait.datasets.labelled import LabelledImages
from imparfait.datasets.mixtures import MIXTURES
from imparfait.errors import UserError, lookup
from imparfait.machine import choose_machine
from imparfait.randomness import seed_of
from imparfait.settings import Machine, TrainingSettings

WARM_UP = 0.25  # share of the steps in which the step size rises; then it falls to zero
HORIZON = 0.02  # the weight average looks back over this share of the steps, in a run of 10 s as in one of 10 min


@dataclass(frozen=True)
class Epoch:
    """One finished pass over the mixture: what it cost, and how well the network did while it learned."""

    number: int
    loss: float
    accuracy: float
    """Share of the epoch's (altered) training pictures answered correctly at the moment they were shown."""
    pictures: int
    seconds: float
    """Seconds of training up to here: drawing, altering and learning, not what the caller does in between."""


@dataclass(frozen=True)
class Step:
    """One step of learning; the last one of an epoch brings the epoch."""

    number: int
    of: int
    loss: float
    epoch: Epoch | None = None


def train(
    model: nn.Module, data: LabelledImages, settings: TrainingSettings, machine: Machine | None = None
) -> Iterator[Epoch]:
    """Train `model` in place, yielding after each epoch; to stop, leave the loop.

    At each yield the model carries the average of its recent weights: score it, save it, or go on.
    Raises UserError when `data` are test pictures, and when the loss is no longer a finite number.
    """
    for step in steps(model, data, settings, machine):
        if step.epoch:
            yield step.epoch


def steps(
    model: nn.Module, data: LabelledImages, settings: TrainingSettings, machine: Machine | None = None
) -> Iterator[Step]:
    """`train`, yielding after each step: for progress bars, and for stopping within an epoch."""
    if not isinstance(data, LabelledImages) or data.split == "test":
        raise UserError("these are test pictures; training takes load_data(…).train, or a part of it")
    mixture = lookup("mixture", settings.mixture, MIXTURES)
    machine = machine or choose_machine(model, torch.from_numpy(data.pixels[: settings.batch_size]) / 255)
    torch.set_num_threads(machine.threads)
    model.to(machine.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    pixels, labels, sources = (torch.from_numpy(array) for array in (data.pixels, data.labels, data.sources))
    optimiser = _optimiser(model, settings)
    an_epoch = _count_batches(len(mixture.rows(settings.seed, 0, sources)), settings.batch_size)
    total = settings.epochs * an_epoch
    decay = 1 - 1 / max(1.0, HORIZON * total)
    moving = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    average = AveragedModel(model, multi_avg_fn=moving, use_buffers=True)
    number, seconds, started = 0, 0.0, time.perf_counter()

    for epoch in range(settings.epochs):
        rows = mixture.rows(settings.seed, epoch, sources)
        loss_sum, right = 0.0, 0
        for source, share in (batch.T for batch in rows.tensor_split(an_epoch)):
            images = mixture.show(pixels[source] / 255, share, settings.seed, epoch, sources[source])
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * one_cycle(number / total)
            with _reseeded(settings.seed, number):
                loss, hits = _learn(model, images, labels[source], optimiser, settings.label_smoothing, machine)
            average.update_parameters(model)
            number += 1
            if not math.isfinite(loss):
                raise UserError(
                    f"the loss became {loss} in step {number} of {total}; "
                    f"write a smaller --learning-rate (it was {settings.learning_rate:g})"
                )
            loss_sum, right = loss_sum + loss * len(source), right + hits
            seconds += time.perf_counter() - started
            if number % an_epoch:
                yield Step(number, total, loss)
            else:
                with _weights_of(average, model):
                    shown = len(rows)
                    yield Step(number, total, loss, Epoch(epoch + 1, loss_sum / shown, right / shown, shown, seconds))
            started = time.perf_counter()


def one_cycle(progress: float) -> float:
    """The step size at `progress` (0..1) of the run, as a share of its peak: up in a line, down in a line."""
    return min((progress + 1e-3) / WARM_UP, (1 - progress) / (1 - WARM_UP), 1.0)


def _learn(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    optimiser: torch.optim.Optimizer,
    label_smoothing: float,
    machine: Machine,
) -> tuple[float, int]:
    """One step on one batch: its loss, and how many it answered correctly."""
    images = images.to(machine.device).contiguous(memory_format=torch.channels_last)
    labels = labels.to(machine.device)
    with torch.autocast(machine.device, torch.bfloat16, enabled=machine.precision == "bfloat16"):
        logits = model(images)
    loss = F.cross_entropy(logits.float(), labels, label_smoothing=label_smoothing)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return loss.item(), int((logits.argmax(1) == labels).sum())


def _optimiser(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """AdamW that pulls weights to zero, but not biases and norms (everything with one dimension)."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.99), fused=True)


def _count_batches(pictures: int, batch_size: int) -> int:
    """Batches an epoch: all of nearly the same size, so that the last one is never a batch of one."""
    return max(1, round(pictures / batch_size))


@contextmanager
def _reseeded(seed: int, step: int) -> Iterator[None]:
    """Torch's generator (dropout) as a function of seed and step; the caller's own state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "step", step))
        yield


@contextmanager
def _weights_of(average: AveragedModel, model: nn.Module) -> Iterator[None]:
    """Let `model` carry the averaged weights; when the loop goes on, it gets its own back and learns on."""
    own = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(average.module.state_dict())
    yield
    model.load_state_dict(own)
    model.train()
