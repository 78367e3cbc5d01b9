"""The registry entry of a corruption: its function, family and severities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from imparfait.core.errors import UserError
from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images

Severity = float | Float[Tensor, " n"]
"""0 leaves the image exactly as it is; at 1 the information is still there (measured: a network trained on this
corruption alone reaches 97 %). One number for all images, or one per image."""

CorruptionFunction = Callable[[Images, Severity, CounterRng], Images]
Family = Literal["geometry", "pen", "noise", "blur", "light", "strokes", "edges"]
PhotoFamily = Literal["noise", "blur", "weather", "light", "digital", "geometry"]
"""The first, second, third and fifth are ImageNet-C's."""
SEVERITY_LEVELS = (0.2, 0.4, 0.6, 0.8, 1.0)
SINGLE_LEVEL = (1.0,)  # of a corruption without degrees


@dataclass(frozen=True)
class Corruption:
    """An entry of CORRUPTIONS or of PHOTO_CORRUPTIONS; callable like its function."""

    function: CorruptionFunction
    family: Family | PhotoFamily | None
    """None for a function of the user's."""
    mnist_c: float | None = None
    """The severity that equals MNIST-C's published parameters, for its 15 corruptions."""
    in_kind: bool = False
    """Whether it only resembles the published corruption of that name; reports then append "(similar)"."""
    protocol: float | None = None
    """The severity in the core suite, for the two corruptions that belong to it."""
    levels: tuple[float, ...] = SEVERITY_LEVELS
    """The severities that a suite evaluates; a single one for a corruption without degrees."""
    imagenet_c: bool = False
    """Whether it is one of ImageNet-C's 15, at its published levels: level n is severity n / 5."""
    only_colour: bool = False
    """Whether it changes nothing in grey images."""

    @property
    def summary(self) -> str:
        """One line: what it does, its family, and where it stands in MNIST-C, ImageNet-C and the core suite."""
        effect = (self.function.__doc__ or "yours").strip().splitlines()[0].rstrip(".:")
        notes: list[str] = [self.family or "yours"]
        if self.mnist_c is not None:
            notes.append(f"MNIST-C{'-like' if self.in_kind else ''} at {self.mnist_c:.2g}")
        if self.imagenet_c:
            notes.append(f"ImageNet-C{'-like' if self.in_kind else ''}")
        if self.protocol is not None:
            notes.append(f"core suite at {self.protocol:g}")
        return f"{effect} ({', '.join(notes)})"

    def __call__(self, images: Tensor, severity: Severity, rng: CounterRng) -> Images:
        """Apply the corruption; raises UserError for images that are not floating point."""
        check_images(images)
        return self.function(images, severity, rng)


def check_images(images: Tensor) -> None:
    """Raises UserError for images that are not floating point: as 0..255 they would become white."""
    if not images.is_floating_point():
        raise UserError(
            f"images of type {str(images.dtype).removeprefix('torch.')}",
            expected="floating point, 0..1",
            hint="divide by 255, or use imparfait.transforms.Corrupt, which takes both",
        )


def as_column(severity: Severity, images: Images) -> Float[Tensor, " n"]:
    """One severity per image, in the images' precision and on their device."""
    return on_device(on_host(severity, images), images)


def on_host(severity: Severity, images: Images) -> Float[Tensor, " n"]:
    """As `as_column`, on the CPU: a size that follows from severities is known without asking another device."""
    check_images(images)
    return torch.as_tensor(severity, dtype=images.dtype, device="cpu").expand(len(images))


def on_device(constant: Tensor, like: Tensor) -> Tensor:
    """A small tensor on the device of `like`; the CPU does not wait until it is there."""
    return constant.to(like.device, non_blocking=True)


def constants(values: Any, like: Tensor) -> Float[Tensor, ...]:
    """Numbers in the precision and on the device of `like`."""
    return on_device(torch.tensor(values, dtype=like.dtype), like)


def exact(like: Tensor) -> torch.dtype:
    """The precision for comparisons that decide: float64, but float32 on mps, which has no other."""
    return torch.float32 if like.device.type == "mps" else torch.float64


def unchanged_where_zero(severity: Severity, images: Images, corrupted: Images) -> Images:
    """`corrupted`, but exactly the original where severity is 0: resampling at the identity is off by 3e-6."""
    if isinstance(severity, Tensor):
        return torch.where(on_device(severity == 0, images)[:, None, None, None], images, corrupted)
    return images if severity == 0 else corrupted


SIDE = 28
"""Lengths in pixels are given for an image with this (shorter) side, MNIST's; for other sizes they scale with it."""


def pixel(images: Images) -> float:
    """Pixels of these images per pixel of an image with side `SIDE`."""
    return min(images.shape[-2:]) / SIDE
