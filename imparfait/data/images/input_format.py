"""The input format of a model, and whether an array of images has MNIST's framing."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, UInt8
from pydantic import BaseModel, PositiveInt, model_validator

Normalization = Literal["none", "resize", "letterbox", "digit"]
MNIST_SHARE = 20 / 28  # MNIST's digits fit in 20 of 28 pixels, their centre of mass in the middle (LeCun 1998)
# A foreground as large as MNIST's digits, and as near to the middle, stays where it is in an image of the input's size.
SIZE_TOLERANCE_PIXELS = 3.0  # of the longer side, in the input's pixels
PLACE_TOLERANCE_PIXELS = 1.5  # of the centre of mass, in the input's pixels
FOREGROUND_LEVEL = 0.1  # of white, from which on a pixel of an array counts as foreground
MNIST_LIKE_SHARE = 0.95  # of an array's images that must be framed as MNIST's digits are; of MNIST 99.9 %
MNIST_LIKE_CHECKED = 2000  # images of an array that are looked at


class InputFormat(BaseModel, frozen=True, extra="forbid"):
    """The images a model takes, and how files are brought to that form."""

    channels: PositiveInt
    """1 is grey, 3 is colour."""
    height: PositiveInt
    width: PositiveInt
    range: tuple[Literal[0], Literal[1]] = (0, 1)
    normalization: Normalization
    """`digit` is always light on a ground of 0; the others leave black and white as they are in the file."""
    two_views: bool = False
    """Whether a file that `digit` had to change is predicted twice, cut out and as the whole page, and the two pooled.
    Only for models that were trained on both views."""

    @model_validator(mode="after")
    def _digits_are_grey(self) -> "InputFormat":
        if self.normalization == "digit" and self.channels != 1:
            raise ValueError(f"normalization 'digit' with {self.channels} channels; expected 1")
        if self.two_views and self.normalization != "digit":
            raise ValueError(f"two_views with normalization {self.normalization!r}; expected 'digit'")
        return self


def is_like_mnist(pixels: UInt8[np.ndarray, "n channels height width"]) -> bool:
    """Whether an array's images are framed as `digit` frames: grey, a ground of 0, one centred foreground of 5/7."""
    few = pixels[:: len(pixels) // MNIST_LIKE_CHECKED + 1]
    if few.shape[1] != 1 or min(few.shape[2:]) < 8:
        return False
    planes = few[:, 0]
    return bool((has_dark_border(planes) & _framed_as_mnist(planes)).mean() >= MNIST_LIKE_SHARE)


def has_dark_border(planes: UInt8[np.ndarray, "n height width"]) -> Bool[np.ndarray, " n"]:
    """Which grey images have a border that is mostly 0."""
    border = border_pixels(planes)
    return np.asarray(2 * np.count_nonzero(border == 0, 1) > border.shape[1])


def _framed_as_mnist(planes: UInt8[np.ndarray, "n height width"]) -> Bool[np.ndarray, " n"]:
    """Which images have a foreground as large as MNIST's digits, its centre of mass in the middle."""
    masses = np.maximum(planes.sum((1, 2), dtype=np.int64), 1)
    largest, off = np.zeros(len(planes)), np.zeros(len(planes))
    for axis, side in ((2, planes.shape[1]), (1, planes.shape[2])):
        covered = planes.max(axis) > 255 * FOREGROUND_LEVEL
        extent = side - covered.argmax(1) - covered[:, ::-1].argmax(1)
        largest = np.maximum(largest, np.where(covered.any(1), extent, 0) / (MNIST_SHARE * side))
        centre = planes.sum(axis, dtype=np.int64) @ np.arange(side) / masses
        off = np.maximum(off, np.abs(centre - side / 2))  # MNIST's middle is half a pixel right of and below ours
    tolerance = SIZE_TOLERANCE_PIXELS / (MNIST_SHARE * max(planes.shape[1:]))
    return np.asarray((np.abs(largest - 1) <= tolerance) & (off <= PLACE_TOLERANCE_PIXELS))


def border_pixels(planes: np.ndarray) -> np.ndarray:
    """The outermost pixels of each plane, each once."""
    edges = (planes[:, 0], planes[:, -1], planes[:, 1:-1, 0], planes[:, 1:-1, -1])
    return np.concatenate(edges, 1)
