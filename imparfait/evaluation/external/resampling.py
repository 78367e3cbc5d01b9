"""The ways in which programs bring a photograph to a network's size: the frame that is kept, and the resize kernel."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32

from imparfait.data.images.levels import Levels
from imparfait.evaluation.external.image_fit import in_channels

Planes = Float32[np.ndarray, "channels rows columns"]
"""Levels, 0..1."""
Kept = Float32[np.ndarray, "channels kept_rows kept_columns"]
"""The same, of a part of them or in another size."""

EIGHT_SEVENTHS = 8 / 7  # 256 to 224: the side before the middle is cropped, of most ImageNet networks


def _interpolated(mode: str, smoothed: bool) -> Callable[[Planes, int, int], Kept]:
    def resize(planes: Planes, height: int, width: int) -> Kept:
        images = torch.from_numpy(np.ascontiguousarray(planes))[None]
        corners = {} if mode in ("nearest", "area") else {"align_corners": False, "antialias": smoothed}
        return np.asarray(F.interpolate(images, (height, width), mode=mode, **corners)[0].clamp(0, 1).numpy())

    return resize


KERNELS: dict[str, Callable[[Planes, int, int], Kept]] = {
    "bilinear, smoothed": _interpolated("bilinear", True),  # Pillow, torchvision with antialias
    "bilinear": _interpolated("bilinear", False),  # OpenCV, TensorFlow
    "bicubic, smoothed": _interpolated("bicubic", True),
    "nearest": _interpolated("nearest", False),  # OpenCV's, on phones and microcontrollers
    "area": _interpolated("area", False),
}
"""Resize kernels by name; those that are smoothed average what they reduce."""


def _middle(planes: Planes) -> Kept:
    _, height, width = planes.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return planes[:, top : top + side, left : left + side]


def _padded(planes: Planes) -> Kept:
    _, height, width = planes.shape
    side = max(height, width)
    square = np.zeros((len(planes), side, side), np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    square[:, top : top + height, left : left + width] = planes
    return square


def _smaller_middle(planes: Planes) -> Kept:
    square = _middle(planes)
    margin = round(square.shape[1] * (1 - 1 / EIGHT_SEVENTHS) / 2)
    return square[:, margin : square.shape[1] - margin, margin : square.shape[2] - margin]


FRAMES: dict[str, Callable[[Planes], Kept]] = {
    "stretched": lambda planes: planes,
    "middle cropped": _middle,
    "7/8 of the middle cropped": _smaller_middle,
    "padded with black": _padded,
}
"""What is kept of a page before it is resized, by name."""


def bring_to(levels: Levels, frame: str, kernel: str, channels: int, height: int, width: int) -> Planes:
    """A page as `channels` planes of a network's size; frame and kernel are names of FRAMES and KERNELS."""
    planes = np.ascontiguousarray(levels.transpose(2, 0, 1))
    if len(planes) != channels:
        planes = in_channels(planes[None], channels)[0]
    return KERNELS[kernel](FRAMES[frame](planes), height, width)
