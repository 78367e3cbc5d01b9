"""The only training loop there is."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError, lookup
from imparfait.core.hardware import choose_compute, tune_malloc
from imparfait.core.rng import seed_of
from imparfait.data.augmentation import AUGMENTATIONS
from imparfait.data.dataset import LabelledImages
from imparfait.data.ood import draw_outliers
from imparfait.models import build, check_answers
from imparfait.training.optim import SCHEDULES, Average, make_optimizer
from imparfait.training.settings import TrainingSettings

ALTERED_AT_ONCE = 2048  # images: 6 MB of MNIST in float32
OOD_LABEL = -1  # the label of an image that shows none of the classes
MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # what AdamW remembers of a parameter


@dataclass(frozen=True)
class Epoch:
    """One finished pass over the augmentation: what it cost, and how well the network did while it learned."""

    number: int
    loss: float
    accuracy: float
    """Share of the epoch's (corrupted) training images answered correctly at the moment they were shown."""
    images: int
    seconds: float
    """Seconds of training up to here: drawing, altering and learning, not what the caller does in between."""


@dataclass(frozen=True)
class Step:
    """One step of learning; the last one of an epoch brings the epoch."""

    number: int
    of: int
    loss: float
    epoch: Epoch | None = None


@dataclass(frozen=True)
class Progress:
    """How far a training is: plain numbers."""

    step: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    correct: int = 0
    """Of the epoch under way."""
    epochs: tuple[Epoch, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For a checkpoint."""
        return asdict(self)

    @staticmethod
    def from_json(told: Mapping[str, Any]) -> "Progress":
        """The progress that `to_json` told."""
        return Progress(**{**told, "epochs": tuple(Epoch(**epoch) for epoch in told["epochs"])})


@dataclass(frozen=True, eq=False)
class State:
    """All that the next step depends on, beside model, data, settings and machine; nothing random is among it."""

    progress: Progress = field(default_factory=Progress)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)


def train(
    model: nn.Module, data: LabelledImages, settings: TrainingSettings, compute: ComputeConfig | None = None
) -> Iterator[Epoch]:
    """Train `model` in place, yielding after each epoch; to stop, leave the loop.

    At each yield, and when it has ended, the model carries the weights to score or save (with `one_cycle` the average
    of its recent ones).
    Raises UserError when `data` are test images, when the model's answers have the wrong shape, and when the loss
    is no longer a finite number.
    """
    for step in Training(model, data, settings, compute):
        if step.epoch:
            yield step.epoch


class Training:
    """`train`, step by step: for progress bars, for stopping within an epoch, and for going on from a state.

    A training that goes on from `state()` ends with the weights of one that was never stopped, bit for bit, on the
    same machine, thread count and build.
    """

    def __init__(
        self,
        model: nn.Module,
        data: LabelledImages,
        settings: TrainingSettings,
        compute: ComputeConfig | None = None,
        state: State | None = None,
    ):
        if not isinstance(data, LabelledImages) or data.split == "test":
            raise UserError("these are test images; training takes load_data(…).train, or a part of it")
        self.augmentation = lookup("augmentation", settings.augmentation, AUGMENTATIONS)
        few = torch.from_numpy(data.pixels[: settings.batch_size]) / 255
        check_answers(model, few, len(data.classes), settings.model)
        self.model, self.settings, self.classes = model, settings, len(data.classes)
        self.compute = compute or choose_compute(model, few)
        torch.set_num_threads(self.compute.threads)
        tune_malloc()
        model.to(self.compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.pixels, self.labels, self.sources = _shown(data, settings)
        shown = len(self.augmentation.rows(settings.seed, 0, self.sources))
        self.steps_an_epoch = _count_batches(shown, settings.batch_size)
        self.steps = settings.epochs * self.steps_an_epoch
        self.optimizer = make_optimizer(model, settings)
        self.average = Average(model, self.steps) if settings.schedule == "one_cycle" else None
        self.progress = Progress()
        self._own: dict[str, Tensor] | None = None
        """The weights that learn, while the model carries the average."""
        if state:
            self._go_on_from(state)

    def __iter__(self) -> Iterator[Step]:
        started = time.perf_counter()
        if self.progress.step == self.steps:
            self._carry_average()
        while (done := self.progress).step < self.steps:
            epoch, first = divmod(done.step, self.steps_an_epoch)
            rows = self.augmentation.rows(self.settings.seed, epoch, self.sources)
            loss_sum, correct, number = done.loss_sum, done.correct, done.step
            for source, images in self._batches(epoch, rows.tensor_split(self.steps_an_epoch)[first:]):
                loss, hits = self._step(number, source, images)
                number += 1
                loss_sum, correct = loss_sum + loss * len(source), correct + hits
                seconds = self.progress.seconds + time.perf_counter() - started
                if number % self.steps_an_epoch:
                    self.progress = Progress(number, seconds, loss_sum, correct, done.epochs)
                    yield Step(number, self.steps, loss)
                else:
                    shown = len(rows)
                    known = int((self.labels[rows[:, 0]] != OOD_LABEL).sum())
                    finished = Epoch(epoch + 1, loss_sum / shown, correct / known, shown, seconds)
                    self.progress = Progress(number, seconds, epochs=(*done.epochs, finished))
                    self._carry_average()
                    yield Step(number, self.steps, loss, finished)
                    if number < self.steps:  # at the end the caller keeps what it was given
                        self._carry_own()
                started = time.perf_counter()

    def state(self) -> State:
        """Where this training is; its tensors are those at work, to be saved before the next step."""
        tensors = {f"model.{name}": value for name, value in (self._own or self.model.state_dict()).items()}
        if self.average:
            tensors |= {f"average.{name}": value for name, value in self.average.state().items()}
        for name, parameter in self.model.named_parameters():
            for moment, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{moment}.{name}"] = value
        return State(self.progress, tensors)

    def _go_on_from(self, state: State) -> None:
        def part(prefix: str) -> dict[str, Tensor]:
            return {n.removeprefix(prefix): value for n, value in state.tensors.items() if n.startswith(prefix)}

        self.progress = state.progress
        self.model.load_state_dict(part("model."))
        if self.average:
            self.average.go_on_from(part("average."))
        moments = {moment: part(f"optimizer.{moment}.") for moment in MOMENTS}
        for name, parameter in self.model.named_parameters():
            if name in moments["step"]:
                kept = {m: torch.empty_like(parameter).copy_(moments[m][name]) for m in MOMENTS[:2]}
                # Fused AdamW pairs elements by their place in memory and checks nothing.
                assert all(moment.stride() == parameter.stride() for moment in kept.values())
                self.optimizer.state[parameter] = kept | {"step": moments["step"][name].clone()}

    def _batches(self, epoch: int, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Sources and images of each batch. Several are corrupted at once: an augmentation of thirty corruptions has few
        images of each in a batch, and calling PyTorch for each costs more than altering them does.
        """
        together = max(1, ALTERED_AT_ONCE // self.settings.batch_size)
        for start in range(0, len(batches), together):
            group = batches[start : start + together]
            source, share = torch.cat(list(group)).T
            images = self.augmentation.show(
                self.pixels[source] / 255, share, self.settings.seed, epoch, self.sources[source]
            )
            sizes = [len(batch) for batch in group]
            yield from zip(torch.split(source, sizes), torch.split(images, sizes), strict=True)

    def _step(self, number: int, source: Tensor, images: Tensor) -> tuple[float, int]:
        """Learn from one batch: its loss, and how many it answered correctly."""
        settings, compute = self.settings, self.compute
        if not self.model.training:  # setting it is a walk over all layers
            self.model.train()
        rate = SCHEDULES[settings.schedule](number / self.steps, [epoch.loss for epoch in self.progress.epochs])
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate
        with _reseeded(settings.seed, number, compute.device):
            loss, hits = _learn(
                self.model, images, self.labels[source], self.targets(source, images), self.optimizer, compute
            )
        if self.average:
            self.average.update()
        if not math.isfinite(loss):
            raise UserError(
                f"the loss became {loss} in step {number + 1} of {self.steps}; "
                f"write a smaller --learning-rate (it was {settings.learning_rate:g})"
            )
        return loss, hits

    def targets(self, source: Tensor, images: Tensor) -> Tensor:
        """What is expected of each image of a batch, a share a class."""
        return _targets(self.labels[source], self.classes, self.settings.label_smoothing)

    def _carry_average(self) -> None:
        if self.average and not self._own:
            self._own = {name: value.clone() for name, value in self.model.state_dict().items()}
            self.model.load_state_dict(self.average.weights)

    def _carry_own(self) -> None:
        if self._own:
            self.model.load_state_dict(self._own)
            self._own = None


def _learn(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    targets: Tensor,
    optimizer: torch.optim.Optimizer,
    compute: ComputeConfig,
) -> tuple[float, int]:
    images = images.to(compute.device).contiguous(memory_format=torch.channels_last)
    labels, targets = labels.to(compute.device), targets.to(compute.device)
    with torch.autocast(compute.device, torch.bfloat16, enabled=compute.precision == "bfloat16"):
        logits = model(images)
    loss = F.cross_entropy(logits.float(), targets)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.item(), int((logits.argmax(1) == labels).sum())


def _targets(labels: Tensor, classes: int, label_smoothing: float) -> Tensor:
    """Of an image of nothing, all classes alike are expected."""
    smooth = torch.where(labels == OOD_LABEL, 1.0, label_smoothing)[:, None]
    return F.one_hot(labels.clamp(min=0), classes) * (1 - smooth) + smooth / classes


def _shown(data: LabelledImages, settings: TrainingSettings) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels, labels and sources of all that is learned from: `data`, and images of nothing beside them."""
    pixels, labels, sources = data.pixels, data.labels, data.sources
    if settings.ood_fraction:
        more = draw_outliers(data, settings.ood_fraction, settings.seed)
        pixels = np.concatenate([pixels, more])
        labels = np.concatenate([labels, np.full(len(more), OOD_LABEL)])
        sources = np.concatenate([sources, -1 - np.arange(len(more))])  # ids that no image of something has
    return torch.from_numpy(pixels), torch.from_numpy(labels), torch.from_numpy(sources)


def _count_batches(images: int, batch_size: int) -> int:
    """Batches an epoch: all of nearly the same size, so that the last one is never a batch of one."""
    return max(1, round(images / batch_size))


@contextmanager
def _reseeded(seed: int, step: int, device: str) -> Iterator[None]:
    """Torch's generator (dropout, a look's errors) from seed and step; the caller's own state is left alone."""
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed seeds every device there might be, which takes longer; the numbers are the same here.
        seeded = torch.default_generator.manual_seed if device == "cpu" else torch.manual_seed
        seeded(seed_of(seed, "step", step))
        yield


def network_for(settings: TrainingSettings, data: LabelledImages) -> nn.Module:
    """The network that `settings` name, for the channels, image size and classes of `data`."""
    _, channels, height, width = data.pixels.shape
    return build(
        settings.model,
        channels=channels,
        classes=len(data.classes),
        height=height,
        width=width,
        model_args=settings.model_args,
        seed=settings.seed,
    )
