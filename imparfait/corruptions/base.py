"""What is known of a corruption beside its function."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images

Severity = float | Float[Tensor, " n"]
"""0 is exactly "nothing happened", 1 as far as the information is still there (measured, see ALTERATIONS)."""

CorruptionFunction = Callable[[Images, Severity, CounterRng], Images]
Family = Literal["geometry", "pen", "noise", "blur", "light", "strokes", "edges"]
LEVELS = (0.2, 0.4, 0.6, 0.8, 1.0)
ONCE = (1.0,)


@dataclass(frozen=True)
class Corruption:
    """A corruption of the table; called like its function."""

    alter: CorruptionFunction
    family: Family | None
    """None for one that is not of the table."""
    mnist_c: float | None = None
    """The severity at which MNIST-C's published parameters lie, where the corruption is one of its 15."""
    in_kind: bool = False
    """Whether it agrees with MNIST-C's only in kind: reports then write its name with "-like"."""
    protocol: float | None = None
    """The severity of the core suite."""
    levels: tuple[float, ...] = LEVELS
    """The severities the suite scores; one that has no degrees has one level."""

    @property
    def summary(self) -> str:
        """What it does, its family, and where MNIST-C's and the protocol's parameters lie, in one line."""
        does = (self.alter.__doc__ or "yours").strip().splitlines()[0].rstrip(".:")
        told: list[str] = [self.family or "yours"]
        if self.mnist_c is not None:
            told.append(f"MNIST-C's {'in kind ' if self.in_kind else ''}at {self.mnist_c:.2g}")
        if self.protocol is not None:
            told.append(f"the protocol's at {self.protocol:g}")
        return f"{does} ({', '.join(told)})"

    def __call__(self, images: Images, severity: Severity, rng: CounterRng) -> Images:
        """The corrupted images."""
        return self.alter(images, severity, rng)


def as_column(severity: Severity, images: Images) -> Float[Tensor, " n"]:
    """One severity an image, in the images' precision."""
    return torch.as_tensor(severity, dtype=images.dtype).expand(len(images))


def unchanged_where_zero(severity: Severity, images: Images, corrupted: Images) -> Images:
    """Severity 0 is the very same image; resampling at the identity would be off by 3e-6."""
    if isinstance(severity, Tensor):
        return torch.where((severity == 0)[:, None, None, None], images, corrupted)
    return images if severity == 0 else corrupted


SIDE = 28
"""Lengths are given in pixels of an image with this (shorter) side, MNIST's; in others they are in proportion."""


def pixel(images: Images) -> float:
    """How many of these images' pixels make one of an image with side `SIDE`."""
    return min(images.shape[-2:]) / SIDE
