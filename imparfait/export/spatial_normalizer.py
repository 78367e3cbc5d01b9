"""The looks of our networks said with Keras's operations, on images `[n, height, width, channels]`."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import layers, ops

from imparfait.models.duo import QUARTER_GREY, ContrastNormalizer
from imparfait.models.petit import SpatialNormalizer

LAST = "channels_last"


def looked(look: SpatialNormalizer, images: Any, ink_in: Callable[[Any], Any]) -> Any:
    """As `SpatialNormalizer`: each image moved, scaled and sheared so that its foreground is centred and upright."""
    frame = look.frame
    height, width = images.shape[1:3]
    if (reduce := min(height, width) // (2 * frame)) > 1:
        return looked(look, layers.AveragePooling2D(reduce, data_format=LAST)(images), ink_in)
    ink = ink_in(images)
    ink = ink / ops.maximum(ops.sum(ink, (1, 2), keepdims=True), 1e-6)
    down, right = _from_centre(height), _from_centre(width)

    rows, columns = ops.sum(ink, 2), ops.sum(ink, 1)
    row, column = _sum(rows * down), _sum(columns * right)  # n, 1, as all that follows
    tall = _sum(rows * down**2) - ops.square(row)
    wide = _sum(columns * right**2) - ops.square(column)
    both = _sum(ops.sum(ink * right, 2) * down) - row * column
    slant = ops.clip(both / ops.maximum(tall, 1e-3), -1, 1)
    step = ops.maximum(ops.sqrt(ops.maximum(ops.maximum(tall, wide), 0)) * (4 / frame), 0.2)
    place = step * _from_centre(frame)  # n, frame
    x = ops.expand_dims(column + place, 1) + ops.expand_dims(slant * place, 2)  # n, frame, frame
    return _sampled(images, row + place, x, clamped=look.beyond == "border")


def ink_of(images: Any) -> Any:
    """As `SpatialNormalizer.ink`: `[n, height, width]`."""
    return ops.mean(images, 3)


def contrast_of(images: Any) -> Any:
    """As `ContrastNormalizer.ink`: `[n, height, width]`."""
    around, rim = ContrastNormalizer.AROUND, ContrastNormalizer.AROUND // 2
    grey = ops.mean(images, 3, keepdims=True)
    wider = edged(edged(grey, 1, rim, rim), 2, rim, rim)
    mean = layers.AveragePooling2D(around, 1, data_format=LAST)(wider)
    return ops.squeeze(ops.square(grey - mean), 3)


def standardised(images: Any) -> Any:
    """As Duo's `standardised`: each image with mean 0 and standard deviation 1."""
    centred = images - ops.mean(images, (1, 2, 3), keepdims=True)
    return centred / (ops.sqrt(ops.mean(ops.square(centred), (1, 2, 3), keepdims=True)) + QUARTER_GREY)


def edged(images: Any, axis: int, before: int, after: int) -> Any:
    """`images` with their first row (`axis` 1) or column (2) repeated before them, and the last one after them."""
    first, last = (images[:, :1], images[:, -1:]) if axis == 1 else (images[:, :, :1], images[:, :, -1:])
    parts = [first] * before + [images] + [last] * after
    return ops.concatenate(parts, axis) if len(parts) > 1 else images


def _sampled(images: Any, down: Any, right: Any, clamped: bool) -> Any:
    """Bilinear samples at `down` `[n, rows]` and `right` `[n, rows, columns]`, in pixels from the image's centre.

    Each is a mean of its neighbours, weighted by 1 less their distance: two matrix products, as Keras has no sampling.
    Rows do not depend on columns here, so they are sampled first. Beyond the image is nothing, or its rim.
    """
    height, width, channels = images.shape[1:]
    rows = down.shape[1]
    by_row = ops.matmul(_hats(down, height, clamped), ops.reshape(images, (-1, height, width * channels)))
    by_row = ops.reshape(by_row, (-1, rows, width, channels))
    return ops.matmul(_hats(right, width, clamped), by_row)


def _hats(places: Any, side: int, clamped: bool) -> Any:
    """How much each of `side` pixels counts at each place: one more axis than `places`."""
    rim = (side - 1) / 2
    near = ops.clip(places, -rim, rim) if clamped else places
    return ops.relu(1 - ops.abs(ops.expand_dims(near, -1) - _from_centre(side)))


def _sum(x: Any) -> Any:
    return ops.sum(x, 1, keepdims=True)


def _from_centre(side: int) -> np.ndarray:
    """The places of `side` pixels in a row, measured from their centre."""
    return np.arange(side, dtype=np.float32) - np.float32((side - 1) / 2)
