"""Loss and correct predictions of an unfinished epoch, read from the device every few steps."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from imparfait.core import tensors
from imparfait.core.errors import UserError

PARTS = 20  # of an epoch, each with its own mean loss
READ_STEPS = 16  # between two readings, for which the CPU waits for another device; not measured


@dataclass
class RunningLoss:
    """Sums over the steps that were read; those of later steps stay on the device."""

    loss_sum: float = 0.0
    """Over images, as is `correct`."""
    correct: int = 0
    steps_an_epoch: int = 1
    parts: list[tuple[float, int]] = field(default_factory=list)
    """The sum of losses and the number of images of each part of the epoch."""
    latest: float = math.nan
    """The loss of the last step that was read."""
    _unread: list[tuple[int, int, Tensor, Tensor]] = field(default_factory=list)

    def add(self, step: int, images: int, loss: Tensor, correct: Tensor) -> None:
        """Take a step's mean loss and its number of correct predictions, without waiting for them."""
        self._unread.append((step, images, loss, correct))

    @property
    def is_due(self) -> bool:
        """Whether to read now: each step on the CPU, elsewhere the first one and then every `READ_STEPS`."""
        return math.isnan(self.latest) or len(self._unread) >= READ_STEPS or tensors.on_cpu(self._unread[-1][2])

    def read(self, steps: int, learning_rate: float) -> bool:
        """Read what is unread; returns whether anything was.

        Raises UserError for the first step whose loss is not finite; it names the number of `steps` in all and
        `learning_rate`.
        """
        if not self._unread:
            return False
        unread, self._unread = self._unread, []
        losses = torch.stack([loss for _, _, loss, _ in unread]).tolist()
        hits = torch.stack([correct for *_, correct in unread]).tolist()
        for (step, images, *_), loss, correct in zip(unread, losses, hits, strict=True):
            if not math.isfinite(loss):
                raise UserError(
                    f"the loss became {loss} in step {step + 1} of {steps}",
                    hint=f"write a smaller --learning-rate (it was {learning_rate:g})",
                )
            self._add_to_part(step, loss * images, images)
            self.loss_sum, self.correct, self.latest = self.loss_sum + loss * images, self.correct + correct, loss
        return True

    def _add_to_part(self, step: int, loss_sum: float, images: int) -> None:
        part = step % self.steps_an_epoch * min(PARTS, self.steps_an_epoch) // self.steps_an_epoch
        if part == len(self.parts):
            self.parts.append((0.0, 0))
        if part < len(self.parts):
            before, seen = self.parts[part]
            self.parts[part] = before + loss_sum, seen + images

    @property
    def part_means(self) -> tuple[float, ...]:
        """The mean loss of each part of the epoch so far."""
        return tuple(loss_sum / images for loss_sum, images in self.parts)
