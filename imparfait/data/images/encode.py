"""Pixels as Pillow's images and as PNG files: the opposite of decoding."""

import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from imparfait.data.images.levels import Levels

Planes = UInt8[np.ndarray, "channels height width"]
"""An image of a data set or a model's input: 1 channel of grey, or red, green and blue."""


def image_of(levels: Levels) -> Image.Image:
    """The pixels of a page, or of a part of one, in 8 bits: grey or RGB."""
    pixels = np.rint(levels * 255).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def image_of_planes(planes: Planes) -> Image.Image:
    """An image of 1 or 3 channels: grey or RGB."""
    return Image.fromarray(planes[0] if len(planes) == 1 else planes.transpose(1, 2, 0))


def png(planes: Planes, compress_level: int = 6) -> bytes:
    """An image of 1 or 3 channels as a PNG file; a level of 1 is fast, 9 makes the smallest files."""
    file = io.BytesIO()
    image_of_planes(planes).save(file, "PNG", compress_level=compress_level)
    return file.getvalue()
