"""Distributions of strings of digits."""

import numpy as np

from imparfait.inference.ocr.distribution import Segmentation, StringDistribution

DIGITS = tuple("0123456789")


def reading(*positions: dict[str, float]) -> StringDistribution:
    """A distribution from one segmentation: the probabilities of some digits at each position."""
    rows = np.array([[position.get(digit, 0.0) for digit in DIGITS] for position in positions])
    rows[:, 0] += 1e-9
    return StringDistribution.from_segmentations(DIGITS, [Segmentation(1.0, rows)])
