"""Image files brought to the input of a model, and how far two inputs agree."""

import numpy as np

from helpers.photos import a_seven
from imparfait.data.images.input_format import InputFormat, Normalization
from imparfait.data.images.normalize import NormalizedImage, read_normalized


def input_format(
    height: int = 28, width: int = 28, channels: int = 1, normalization: Normalization = "digit"
) -> InputFormat:
    return InputFormat(channels=channels, height=height, width=width, normalization=normalization)


DIGIT = input_format()
SEVEN = a_seven()


def decoded(content: bytes, form: InputFormat = DIGIT) -> NormalizedImage:
    (only,) = read_normalized(content, form)
    return only


def alike(pixels: np.ndarray, expected: np.ndarray = SEVEN) -> float:
    """How far two images agree, moved by a pixel at most: 1 where they are proportional."""
    second = expected.astype(float).ravel()
    moved = [np.roll(pixels[0].astype(float), (down, across), (0, 1)) for down in (-1, 0, 1) for across in (-1, 0, 1)]
    return max(float(each.ravel() @ second / np.sqrt((each**2).sum() * (second @ second) + 1e-9)) for each in moved)
