"""A fake model that tells dark images from bright ones."""

import numpy as np

from imparfait.data.images.input_format import InputFormat
from imparfait.inference.predictor import Predictor
from imparfait.models.metadata import Threshold

DIGIT = InputFormat(channels=1, height=28, width=28, normalization="digit")
CLASSES = ("dark", "bright", "neither")


def brightness(pixels: np.ndarray) -> np.ndarray:
    """A fake model: the brighter the image, the more probable the second class."""
    mean = pixels.mean((1, 2, 3)) / 255
    return np.stack([1 - mean, mean, 0 * mean], 1).astype(np.float32)


FAKE = Predictor("fake", CLASSES, DIGIT, Threshold(confidence=0.8, error_rate=0.01), brightness)
