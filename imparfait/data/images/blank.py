"""Blank images, and which predictions are accepted: confident ones of images that are not blank."""

import numpy as np
from jaxtyping import Bool, Float

FloatImages = Float[np.ndarray, "n channels height width"]

ONE_GREY_RANGE = 1.5 / 255  # between the lightest and the darkest pixel of one grey, rounded either way
TWO_GREYS_RANGE = 2.5 / 255  # of one grey with a few pixels rounded differently; also of a digit of the least contrast
SENSOR_NOISE = 12 / 255  # largest standard deviation of a sensor's noise
PEAK_SIGMAS = 10  # largest deviation of noise in standard deviations: below 8 even if cut at black; of a dot above 10
MAX_NEIGHBOUR_CORRELATION = 0.6  # of noise, summed over four directions: noise has nearly 0, the thinnest line 1


def accepts(images: FloatImages, confidence: Float[np.ndarray, " n"], threshold: float) -> Bool[np.ndarray, " n"]:
    """Which predictions are accepted: those of at least this confidence, of images (0..1) that are not blank."""
    return np.asarray((confidence >= threshold) & ~is_blank(images))


def is_blank(images: FloatImages) -> Bool[np.ndarray, " n"]:
    """Which images (0..1) are one grey with at most a sensor's noise; a faint stroke is more than that."""
    centred = images - images.mean((1, 2, 3), keepdims=True)
    variance = (centred**2).mean((1, 2, 3))
    peak = np.abs(centred).max((1, 2, 3))
    neighbours = (
        _covariance(centred[..., 1:], centred[..., :-1])
        + _covariance(centred[..., 1:, :], centred[..., :-1, :])
        + _covariance(centred[..., 1:, 1:], centred[..., :-1, :-1])
        + _covariance(centred[..., 1:, :-1], centred[..., :-1, 1:])
    )
    extent = np.ptp(images, axis=(1, 2, 3))
    is_no_dot = (peak < PEAK_SIGMAS * variance**0.5) | (extent < TWO_GREYS_RANGE)
    noise = (variance < SENSOR_NOISE**2) & is_no_dot & (neighbours < MAX_NEIGHBOUR_CORRELATION * variance)
    return np.asarray(noise | (extent < ONE_GREY_RANGE))


def _covariance(first: FloatImages, second: FloatImages) -> Float[np.ndarray, " n"]:
    return np.asarray((first * second).mean((1, 2, 3)))
