"""Images as networks of photographs are trained on them: the shorter side brought to a length, the middle cropped."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from imparfait.core.errors import UserError
from imparfait.data.images.levels import Levels


class CentreCrop(NamedTuple):
    """What is done to every image before anything else, as torchvision's Resize and CenterCrop; None leaves a step out.

    Resizing is bilinear and smooths what it reduces, as Pillow does.
    """

    resize: int | None = None
    """The length of the shorter side, in pixels."""
    crop: int | None = None
    """The side of the square that is kept, in pixels."""

    def of(self, levels: Levels) -> Float32[np.ndarray, "kept_height kept_width channels"]:
        """The part of an image that is kept; raises UserError for one that is smaller than the crop."""
        height, width = levels.shape[:2]
        if self.resize:
            shorter = min(height, width)
            height, width = (self.resize * side // shorter for side in (height, width))
            down, across = linear_weights(levels.shape[0], height), linear_weights(levels.shape[1], width)
            levels = np.einsum("ah,hwc,bw->abc", down, levels, across, optimize=True).clip(0, 1).astype(np.float32)
        if self.crop:
            if min(height, width) < self.crop:
                raise UserError(f"{height}×{width} pixels", expected=f"at least {self.crop} on each side, for --crop")
            top, left = round((height - self.crop) / 2), round((width - self.crop) / 2)
            levels = levels[top : top + self.crop, left : left + self.crop]
        return np.ascontiguousarray(levels)

    def __str__(self) -> str:
        steps = (f"shorter side to {self.resize}" if self.resize else "", f"middle {self.crop}" if self.crop else "")
        return ", ".join(filter(None, steps))


def linear_weights(length: int, to: int) -> Float32[np.ndarray, "to length"]:
    """The share of each of `length` pixels in each of `to`: a triangle as wide as a pixel of the smaller side."""
    scale = length / to
    centres = (np.arange(to) + 0.5) * scale
    distances = np.abs(np.arange(length) + 0.5 - centres[:, None]) / max(scale, 1.0)
    weights = np.maximum(1 - distances, 0)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)
