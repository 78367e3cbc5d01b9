"""The training loop: `Training`, with every step of it."""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from imparfait.core.compute import ComputeConfig, images_at_once
from imparfait.core.errors import UserError, lookup
from imparfait.core.hardware import choose_compute, torch_threads
from imparfait.corruptions.base import on_device
from imparfait.data.augmentation import AUGMENTATIONS
from imparfait.data.corrupted import conditions_of
from imparfait.data.dataset import LabelledImages
from imparfait.data.ood.outlier_exposure import OOD_LABEL, with_outliers
from imparfait.evaluation.scores import Score, score_conditions
from imparfait.models.classifier import as_classifier
from imparfait.models.registry import build, check_outputs
from imparfait.training.checkpoints import Epoch, Progress, State, load_checkpoint, save_checkpoint
from imparfait.training.device_images import images_at, resident
from imparfait.training.optim import SCHEDULES, Average, make_optimizer
from imparfait.training.recipes import suite_for
from imparfait.training.running_loss import RunningLoss
from imparfait.training.settings import TrainingSettings
from imparfait.training.step import (
    Step,
    TargetFunction,
    class_weights,
    reseeded,
    set_training_mode,
    smoothed_labels,
    update_weights,
)

GROUP_IMAGES = 2048  # images augmented together at most: 6 MB of MNIST in float32
GROUP_VALUES = 1 << 23  # and values in them, 32 MB: 2048 colour images of 32 pixels a side, but 55 of 224
MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # AdamW's state for each parameter
CHECKPOINT_SECONDS = 10.0  # between two checkpoints, at least
CHECKPOINT_SHARE = 50  # and at least so many times the duration of saving one


class Training:
    """A training, step by step: for progress bars, for stopping within an epoch, and for continuing from a state.

    PyTorch uses `compute.threads` threads during each step, and the caller's number between steps. A training that
    continues from `state()` ends with the weights of one that never stopped, bit for bit, on the same machine.
    """

    def __init__(
        self,
        model: nn.Module,
        data: LabelledImages,
        settings: TrainingSettings,
        compute: ComputeConfig | None = None,
        *,
        validation: LabelledImages | None = None,
        targets: TargetFunction | None = None,
        frozen_statistics: bool = False,
    ):
        check_arguments(data, settings)
        self.augmentation = lookup("augmentation", settings.augmentation, AUGMENTATIONS)
        batch = torch.from_numpy(data.pixels[: settings.batch_size]) / 255
        check_outputs(model, batch, len(data.classes), settings.model)
        self.model, self.settings, self.classes = model, settings, len(data.classes)
        self.compute = compute or choose_compute(model, batch)
        self.targets = targets or self._smoothed_labels
        self.frozen_statistics = frozen_statistics
        model.to(self.compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        pixels, self.labels, self.sources = map(
            torch.from_numpy, with_outliers(data, settings.ood_fraction, settings.seed)
        )
        self.pixels = resident(pixels, self.compute.device)
        self._weights = class_weights(self.labels, self.classes, settings.class_balance).to(self.compute.device)
        self.images_an_epoch = len(self.augmentation.rows(settings.seed, 0, self.sources))
        self.steps_an_epoch = _count_batches(self.images_an_epoch, settings.batch_size)
        self.steps = settings.epochs * self.steps_an_epoch
        self.optimizer = make_optimizer(model, settings)
        self.average = Average(model, self.steps) if settings.schedule == "one_cycle" else None
        self.progress, self._running = Progress(), RunningLoss()
        self._conditions = conditions_of(validation, suite_for(settings)) if validation else []
        self._own_weights: dict[str, Tensor] | None = None
        """Those being trained, while the model has the average."""

    def __iter__(self) -> Iterator[Step]:
        steps = self._steps()
        while True:
            with torch_threads(self.compute.threads):
                step = next(steps, None)
            if step is None:
                return
            yield step

    def _steps(self) -> Iterator[Step]:
        started = time.perf_counter()
        if self.progress.step == self.steps:
            self._use_average()
        while (done := self.progress).step < self.steps:
            epoch, first = divmod(done.step, self.steps_an_epoch)
            rows = self.augmentation.rows(self.settings.seed, epoch, self.sources)
            number = done.step
            self._running = running = RunningLoss(done.loss_sum, done.correct, self.steps_an_epoch, list(done.parts))
            for source, images in self._batches(epoch, rows.tensor_split(self.steps_an_epoch)[first:]):
                running.add(number, len(source), *self._step(number, source, images))
                number += 1
                if running.is_due or number % self.steps_an_epoch == 0:
                    self._read()
                seconds = self.progress.seconds + time.perf_counter() - started
                sums = running.loss_sum, running.correct
                if number % self.steps_an_epoch:
                    self.progress = Progress(number, seconds, *sums, done.epochs, tuple(running.parts))
                    yield Step(number, self.steps, running.latest)
                else:
                    in_distribution = int((self.labels[rows[:, 0]] != OOD_LABEL).sum())
                    self._use_average()
                    means = sums[0] / len(rows), sums[1] / in_distribution
                    finished = Epoch(epoch + 1, *means, len(rows), seconds, self._validate(), running.part_means)
                    self.progress = Progress(number, seconds, epochs=(*done.epochs, finished))
                    yield Step(number, self.steps, running.latest, finished)
                    if number < self.steps:  # at the end the caller keeps the average
                        self._use_own_weights()
                started = time.perf_counter()

    def _read(self) -> bool:
        """Wait for the losses that are still on the device; returns whether there were any."""
        return self._running.read(self.steps, self.settings.learning_rate)

    def state(self) -> State:
        """The state of this training; its tensors change with the next step, so save them before."""
        if self._read():
            running = self._running
            self.progress = replace(self.progress, loss_sum=running.loss_sum, correct=running.correct)
        tensors = {f"model.{name}": value for name, value in (self._own_weights or self.model.state_dict()).items()}
        if self.average:
            tensors |= {f"average.{name}": value for name, value in self.average.state().items()}
        for name, parameter in self.model.named_parameters():
            for moment, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{moment}.{name}"] = value
        return State(self.progress, tensors)

    def restore(self, state: State) -> None:
        """Continue from `state`, of a training with the same model, data, settings and compute."""

        def part(prefix: str) -> dict[str, Tensor]:
            return {n.removeprefix(prefix): value for n, value in state.tensors.items() if n.startswith(prefix)}

        self.progress, self._running = state.progress, RunningLoss()
        self.model.load_state_dict(part("model."))
        if self.average:
            self.average.restore(part("average."))
        moments = {moment: part(f"optimizer.{moment}.") for moment in MOMENTS}
        for name, parameter in self.model.named_parameters():
            if name in moments["step"]:
                averages = {m: torch.empty_like(parameter).copy_(moments[m][name]) for m in MOMENTS[:2]}
                # Fused AdamW pairs elements by their position in memory and checks nothing.
                assert all(moment.stride() == parameter.stride() for moment in averages.values())
                count = moments["step"][name].to(parameter.device, copy=True)
                self.optimizer.state[parameter] = averages | {"step": count}

    def _batches(self, epoch: int, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Source indices and images of each batch.

        Several batches are augmented together: with thirty corruptions a batch has few images of each, and calling
        PyTorch for each costs more than the arithmetic.
        """
        most = images_at_once(self.pixels.shape[1:], GROUP_IMAGES, GROUP_VALUES)
        together = max(1, most // self.settings.batch_size)
        for start in range(0, len(batches), together):
            group = batches[start : start + together]
            source, share = torch.cat(list(group)).T
            images = images_at(self.pixels, source, self.compute.device)
            images = self.augmentation.apply(images, share, self.settings.seed, epoch, self.sources[source])
            sizes = [len(batch) for batch in group]
            yield from zip(torch.split(source, sizes), torch.split(images, sizes), strict=True)

    def _step(self, number: int, source: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """Update the weights with one batch; returns its loss and the number of correct predictions."""
        settings, compute, labels = self.settings, self.compute, on_device(self.labels[source], images)
        if self.frozen_statistics or not self.model.training:  # setting it visits all layers
            set_training_mode(self.model, self.frozen_statistics)
        rate = SCHEDULES[settings.schedule](number / self.steps, [epoch.loss for epoch in self.progress.epochs])
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate
        with reseeded(settings.seed, number, compute.device):
            targets = self.targets(labels, images)
            if settings.class_balance:
                targets = targets * torch.where(labels == OOD_LABEL, 1.0, self._weights[labels.clamp(min=0)])[:, None]
            loss_and_hits = update_weights(self.model, images, labels, targets, self.optimizer, compute)
        if self.average:
            self.average.update()
        return loss_and_hits

    def _smoothed_labels(self, labels: Tensor, images: Tensor) -> Tensor:
        return smoothed_labels(labels, self.classes, self.settings.label_smoothing)

    def _validate(self) -> tuple[Score, ...]:
        """Scores of the weights that the model has now."""
        results = score_conditions(as_classifier(self.model, self.compute), self._conditions)
        return tuple(result.score for result in results.conditions)

    def _use_average(self) -> None:
        """Give the model the average of its recent weights, and keep its own aside."""
        if self.average and not self._own_weights:
            self._own_weights = {name: value.clone() for name, value in self.model.state_dict().items()}
            self.model.load_state_dict(self.average.weights)

    def _use_own_weights(self) -> None:
        """Undo `_use_average`."""
        if self._own_weights:
            self.model.load_state_dict(self._own_weights)
            self._own_weights = None


def resume(training: Training, folder: Path, identity: str) -> list[Path]:
    """Continue from the newest intact checkpoint in `folder`, if any; returns the corrupted ones that were skipped.

    `identity` is the hash of all that decides the weights. Raises UserError as `load_checkpoint` does.
    """
    state, corrupted = load_checkpoint(folder, identity)
    if state:
        training.restore(state)
    return corrupted


def checkpointed(training: Training, folder: Path, identity: str) -> Generator[Step, None, None]:
    """The steps of `training`, saved to `folder` at times, after the last step, and when the caller leaves the loop.

    Close the iterator (`contextlib.closing`) for the last of these to happen at once.
    """
    saved, pause = time.monotonic(), CHECKPOINT_SECONDS
    for step in training:
        due = step.number == step.total or time.monotonic() - saved > pause
        if due:
            start = time.monotonic()
            save_checkpoint(folder, training.state(), identity)
            saved = time.monotonic()
            pause = max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * (saved - start))
        try:
            yield step
        except GeneratorExit:
            if not due:
                save_checkpoint(folder, training.state(), identity)
            raise


def _count_batches(images: int, batch_size: int) -> int:
    """Batches per epoch: of nearly equal sizes, so that there is never a batch of one image."""
    return max(1, round(images / batch_size))


def network_for(settings: TrainingSettings, data: LabelledImages) -> nn.Module:
    """The network of these `settings`, for the channels, image size and classes of `data`."""
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


def check_arguments(data: object, settings: object) -> None:
    """Raise UserError for what is no training images or no settings."""
    if not isinstance(data, LabelledImages):
        said = repr(data) if isinstance(data, str) else type(data).__name__
        raise UserError(f"training was given {said}", expected="LabelledImages", hint="write load_data('mnist').train")
    if data.split == "test":
        raise UserError("training was given test images", expected="load_data(…).train, or a part of it")
    if not isinstance(settings, TrainingSettings):
        said = repr(settings) if isinstance(settings, str) else type(settings).__name__
        hint = "write RECIPES['quick'].settings, or TrainingSettings(…)"
        raise UserError(f"training was given {said} as settings", expected="TrainingSettings", hint=hint)
