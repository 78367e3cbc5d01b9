"""One training step: targets, loss and update of the weights."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imparfait.core.compute import ComputeConfig
from imparfait.core.rng import seed_of
from imparfait.data.ood.outlier_exposure import OOD_LABEL
from imparfait.training.checkpoints import Epoch

TargetFunction = Callable[[Tensor, Tensor], Tensor]
"""From labels `[n]` and images of a batch to the expected probabilities `[n, classes]`."""


@dataclass(frozen=True)
class Step:
    """One update of the weights; the last one of an epoch carries the epoch."""

    number: int
    total: int
    loss: float
    """On another device than the CPU that of an earlier step: it is read every few steps."""
    epoch: Epoch | None = None


def set_training_mode(model: nn.Module, frozen_statistics: bool) -> None:
    """Training mode for all layers, but with `frozen_statistics` not for batch normalisations.

    These then use the statistics they have, as in prediction: those of a few small batches would be worse.
    """
    model.train()
    for module in model.modules() if frozen_statistics else ():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm):
            module.eval()


def update_weights(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    targets: Tensor,
    optimizer: torch.optim.Optimizer,
    compute: ComputeConfig,
) -> tuple[Tensor, Tensor]:
    """Take one step of the optimizer; returns the loss and the number of correct predictions, still on the device."""
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast(compute.device, torch.bfloat16, enabled=compute.precision == "bfloat16"):
        logits = model(images)
    loss = F.cross_entropy(logits.float(), targets)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach(), (logits.argmax(1) == labels).sum()


def smoothed_labels(labels: Tensor, classes: int, label_smoothing: float) -> Tensor:
    """One-hot labels, smoothed; for an out-of-distribution image all classes are equally probable."""
    smooth = torch.where(labels == OOD_LABEL, 1.0, label_smoothing)[:, None]
    return F.one_hot(labels.clamp(min=0), classes) * (1 - smooth) + smooth / classes


def class_weights(labels: Tensor, classes: int, balance: float) -> Tensor:
    """The weight of each class in the loss: the power -`balance` of its share; the mean over all images is 1."""
    counts = torch.bincount(labels[labels != OOD_LABEL], minlength=classes).double()
    weights = counts.clamp(min=1) ** -balance
    return (weights / ((weights * counts).sum() / counts.sum().clamp(min=1))).float()


@contextmanager
def reseeded(seed: int, step: int, device: str) -> Iterator[None]:
    """Seed PyTorch's generator (dropout, jitter) from seed and step for the block; the caller's state is kept."""
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed seeds all devices, which takes longer; the numbers are the same on the CPU.
        seeded = torch.default_generator.manual_seed if device == "cpu" else torch.manual_seed
        seeded(seed_of(seed, "step", step))
        yield
