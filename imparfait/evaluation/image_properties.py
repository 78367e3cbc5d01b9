"""Measurable properties of images, such as brightness and sharpness, by which weak slices are found."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float32, Float64

from imparfait.core.compute import ARRAY_VALUES, images_at_once
from imparfait.core.types import Pixels
from imparfait.data.images.levels import LUMA

BATCH_IMAGES = 500
LEAST_DEVIATION = 1e-6  # below it an image is of one colour, and has no sharpness, scale or position

Batch = Float32[np.ndarray, "n channels height width"]
Grey = Float32[np.ndarray, "n height width"]
Values = Float64[np.ndarray, " n"]


def _brightness(images: Batch, grey: Grey) -> Values:
    found: Values = grey.mean((1, 2), dtype=np.float64)
    return found


def _contrast(images: Batch, grey: Grey) -> Values:
    found: Values = grey.std((1, 2), dtype=np.float64)
    return found


def _sharpness(images: Batch, grey: Grey) -> Values:
    """The standard deviation of the Laplacian over that of the image; large for noise too."""
    inner = grey[:, 1:-1, 1:-1]
    neighbours = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    deviation = _contrast(images, grey)
    found: Values = (4 * inner - neighbours).std((1, 2), dtype=np.float64) / np.maximum(deviation, LEAST_DEVIATION)
    return np.where(deviation > LEAST_DEVIATION, found, 0.0)


def _colourfulness(images: Batch, grey: Grey) -> Values:
    """Hasler and Süsstrunk, "Measuring colourfulness in natural images" (2003), of values in 0..1."""
    if images.shape[1] != 3:
        return np.zeros(len(images))
    red, green, blue = (images[:, channel] for channel in range(3))
    opponents = np.stack([red - green, (red + green) / 2 - blue])
    spread, mean = (getattr(opponents, name)((2, 3), dtype=np.float64) for name in ("std", "mean"))
    found: Values = np.hypot(*spread) + 0.3 * np.hypot(*mean)
    return found


def _moments(grey: Grey) -> tuple[Values, Values]:
    """Position and scale of what differs from the border's median, as shares of half the shorter side."""
    border = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], 1)
    weights = np.square(grey - np.median(border, 1)[:, None, None], dtype=np.float64)
    total = weights.sum((1, 2))
    height, width = grey.shape[1:]
    y, x = np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2
    rows, columns = weights.sum(2), weights.sum(1)
    known = np.maximum(total, LEAST_DEVIATION)
    top, left = rows @ y / known, columns @ x / known
    spread = rows @ y**2 / known + columns @ x**2 / known - top**2 - left**2
    side = min(height, width) / 2
    return np.hypot(top, left) / side, np.sqrt(np.maximum(spread, 0)) / side


PROPERTIES: Mapping[str, Callable[[Batch, Grey], Values]] = {
    "brightness": _brightness,
    "contrast": _contrast,
    "sharpness": _sharpness,
    "colourfulness": _colourfulness,
    "eccentricity": lambda images, grey: _moments(grey)[0],
    "scale": lambda images, grey: _moments(grey)[1],
}
"""Each is one number per image, from 0; eccentricity is the distance from the centre of what differs from the border,
scale its root mean square radius, both as shares of half the shorter side."""


def image_property(pixels: Pixels, name: str) -> Values:
    """The property `name` of each image, computed in batches."""
    _, channels, height, width = pixels.shape
    if min(height, width) < 3:
        return np.zeros(len(pixels))
    at_once = images_at_once(pixels.shape[1:], BATCH_IMAGES, ARRAY_VALUES)
    found = [np.zeros(0)]
    for start in range(0, len(pixels), at_once):
        images = pixels[start : start + at_once].astype(np.float32) / 255
        grey = images[:, 0] if channels == 1 else np.einsum("nchw,c->nhw", images, LUMA)
        found.append(PROPERTIES[name](images, grey))
    return np.concatenate(found)
