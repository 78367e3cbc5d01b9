"""Corruptions as transforms of single images or batches, for the data pipelines of other libraries."""

import hashlib
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from imparfait.core.errors import UserError
from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions import PHOTO, Corruption, corruption_named
from imparfait.corruptions.base import check_images

AnyImage = TypeVar("AnyImage")
"""A tensor, an array or a PIL image."""


@dataclass
class Corrupt:
    """Corrupts images of whatever kind: a transform as in torchvision, albumentations or kornia.

    `name` is one of PHOTO_CORRUPTIONS without "photo.", or with suite="digits" one of CORRUPTIONS. `severity`, 0..1, is
    a number or a range (low, high) from which one is drawn for each image; for photographs level n is n / 5. It takes

    - tensors `[channels, height, width]` or `[n, channels, height, width]`, uint8 or floating point in 0..1,
    - arrays `[height, width, channels]`, `[height, width]` or `[n, height, width, channels]`, the same,
    - PIL images of mode L or RGB,

    and returns the same kind. The random numbers are a function of `seed` and of the pixels: an image always gets the
    same corruption, whatever the batch or the worker. Another `seed` gives another one: count epochs in it.
    Raises UserError for an unknown name, a severity outside 0..1, or anything else than such images.
    """

    name: str
    severity: float | tuple[float, float] = (0.0, 1.0)
    suite: str = "photo"
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self._range
        if not 0 <= low <= high <= 1:
            raise UserError(f"severity {self.severity}", expected="a number in 0..1, or a range (low, high) in it")
        if self.suite not in ("photo", "digits"):
            raise UserError(f"suite {self.suite!r}", expected="photo or digits")
        _ = self.corruption

    @property
    def corruption(self) -> Corruption:
        """The registry's entry."""
        return corruption_named(self.full_name)

    @property
    def full_name(self) -> str:
        """The name in the registry, such as photo.fog."""
        return self.name if self.suite == "digits" else f"{PHOTO}{self.name.removeprefix(PHOTO)}"

    def __call__(self, image: AnyImage) -> AnyImage:
        """The corrupted image, or batch of images, of the kind that was given."""
        corrupted: AnyImage = self._corrupted(image)
        return corrupted

    def _corrupted(self, image: Any) -> Any:
        if isinstance(image, Tensor):
            return self._tensor(image)
        if isinstance(image, Image.Image):
            if image.mode not in ("L", "RGB"):
                raise UserError(f"a PIL image of mode {image.mode}", expected="L or RGB", hint="use image.convert")
            return Image.fromarray(self._array(np.asarray(image)))
        if isinstance(image, np.ndarray):
            return self._array(image)
        raise UserError(f"a {type(image).__name__}", expected="a tensor, an array or a PIL image")

    def _array(self, array: np.ndarray) -> np.ndarray:
        if array.ndim not in (2, 3, 4):
            raise UserError(f"an array of shape {array.shape}", expected="[height, width, channels], or a batch of it")
        pixels = torch.from_numpy(np.array(array))
        last = pixels if array.ndim > 2 else pixels[..., None]
        corrupted = self._tensor(last.movedim(-1, -3)).movedim(-3, -1).contiguous().numpy()
        return np.asarray(corrupted.reshape(array.shape))

    def _tensor(self, tensor: Tensor) -> Tensor:
        if tensor.ndim not in (3, 4) or tensor.shape[-3] not in (1, 3):
            raise UserError(
                f"images of shape {tuple(tensor.shape)}",
                expected="[channels, height, width], 1 or 3 channels, or a batch",
            )
        batch = tensor if tensor.ndim == 4 else tensor[None]
        if tensor.dtype == torch.uint8:
            corrupted = self._images(batch.to(torch.float32) / 255).mul(255).round_().to(torch.uint8)
        else:
            corrupted = self._images(batch)
        return corrupted if tensor.ndim == 4 else corrupted[0]

    def _images(self, images: Tensor) -> Images:
        check_images(images)
        rng = CounterRng(self.seed, f"transform {self.full_name}", 0, _sources(images))
        low, high = self._range
        severity = low if low == high else low + (high - low) * rng.uniform("severity").double()
        return self.corruption(images, severity, rng.to(images.device))

    @property
    def _range(self) -> tuple[float, float]:
        return self.severity if isinstance(self.severity, tuple) else (self.severity, self.severity)


def _sources(images: Images) -> Tensor:
    """An id of each image, on the CPU: a hash of its pixels, in 8 bits so that any kind of image has the same."""
    grey_levels = images.mul(255).round().to(torch.uint8).cpu().numpy()
    hashes = [hashlib.blake2b(np.ascontiguousarray(each).data, digest_size=8).digest() for each in grey_levels]
    return torch.tensor([int.from_bytes(each, "little", signed=True) for each in hashes], dtype=torch.int64)
