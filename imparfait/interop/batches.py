"""Images as other tools hand them over: `[channels, height, width]`, uint8 or floating point, with ids of any kind."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from imparfait.core.errors import UserError
from imparfait.core.types import Pixels
from imparfait.data.images.decode import page_of
from imparfait.data.images.input_format import InputFormat
from imparfait.data.images.normalize import normalize

SingleImage = UInt8[np.ndarray, "1 _ _ _"]
"""A batch of one, of any size."""


def as_image(image: Any) -> SingleImage:
    """An image of another tool as a batch of one; raises UserError for other shapes and other values."""
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[0] not in (1, 3):
        raise UserError(f"an image of shape {array.shape}", expected="[channels, height, width] of 1 or 3 channels")
    if array.dtype == np.uint8:
        return np.asarray(array[None])
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.asarray(np.rint(array[None] * 255), np.uint8)
    raise UserError(
        f"an image of {array.dtype}, {low:g} to {high:g}", expected="uint8, 0 to 255, or floating point, 0 to 1"
    )


def same_size(images: Sequence[SingleImage]) -> Pixels:
    """Images as one array; raises UserError where their sizes differ."""
    if len(shapes := {image.shape[1:] for image in images}) > 1:
        sizes = ", ".join("×".join(map(str, shape)) for shape in sorted(shapes)[:3])
        raise UserError(f"images of several sizes (channels×height×width), {sizes}", expected="all of one size")
    return np.concatenate(images)


def as_inputs(images: Sequence[Any], form: InputFormat | None) -> tuple[Pixels, Int64[np.ndarray, " views"]]:
    """Images in the form that a model takes, and the number of the image that each of them shows.

    Those of its size are taken as they are, as all are where the form is not known. Others are brought to it as files
    are, where the model takes two views with a second view at the end.
    """
    firsts: list[SingleImage] = []
    seconds: list[SingleImage] = []
    owners = list(range(len(images)))
    for number, each in enumerate(images):
        image = as_image(each)
        if form is None or image.shape[1:] == (form.channels, form.height, form.width):
            firsts.append(image)
            continue
        brought = normalize(page_of(np.moveaxis(image[0], 0, 2)), form)
        firsts.append(brought.pixels[None])
        if form.two_views and brought.whole is not None:
            seconds.append(brought.whole[None])
            owners.append(number)
    return same_size([*firsts, *seconds]), np.array(owners)


def source_of(metadata: Mapping[str, Any]) -> int:
    """The source id of an image: its id where that is a whole number of 64 bits, else a hash of it."""
    identity = metadata["id"]
    if isinstance(identity, int | np.integer) and -(1 << 63) <= identity < 1 << 63:
        return int(identity)
    return int.from_bytes(hashlib.blake2b(str(identity).encode(), digest_size=8).digest(), "little", signed=True)


def corrupted(images: Sequence[Any], sources: Sequence[int], name: str, severity: float, seed: int) -> list[np.ndarray]:
    """The images corrupted with the pixels of `evaluate`, each as an array of the kind it came in."""
    from imparfait.corruptions import corruption_named
    from imparfait.data.corrupted import corrupt_pixels

    found: list[np.ndarray] = [np.empty(0)] * len(images)
    pixels = [as_image(image) for image in images]
    function = corruption_named(name)
    for shape in {image.shape for image in pixels}:  # images of one size together
        rows = [row for row, image in enumerate(pixels) if image.shape == shape]
        together = np.concatenate([pixels[row] for row in rows])
        ids = np.array([sources[row] for row in rows], np.int64)
        for row, image in zip(rows, corrupt_pixels(together, ids, name, function, float(severity), seed), strict=True):
            given = np.asarray(images[row]).dtype
            found[row] = image if given == np.uint8 else (image / 255).astype(given)
    return found
