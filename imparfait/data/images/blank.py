"""When a classifier gives no answer: it is not sure enough, or there is nothing in the image."""

import numpy as np
from jaxtyping import Bool, Float

FloatImages = Float[np.ndarray, "n channels height width"]

ONE_GREY_RANGE = 1.5 / 255  # between the lightest and the darkest pixel: one grey, rounded this way or that
TWO_GREYS_RANGE = 2.5 / 255  # between them where a few pixels were rounded another way; also of a digit of the least contrast
SENSOR_NOISE = 12 / 255  # standard deviation of a sensor's noise, at most
PEAK_SIGMAS = 10  # its largest deviation, in standard deviations: below 8 even of noise cut at black, above 10 of a dot
MAX_NEIGHBOUR_CORRELATION = 0.6  # correlations with the next pixel in four directions, summed: near 0 of noise, 1 of the thinnest line


def accepts(images: FloatImages, confidence: Float[np.ndarray, " n"], threshold: float) -> Bool[np.ndarray, " n"]:
    """Which images (0..1) get an answer: those sure enough that are not blank, for a blank one is always refused."""
    return np.asarray((confidence >= threshold) & ~is_blank(images))


def is_blank(images: FloatImages) -> Bool[np.ndarray, " n"]:
    """Which images (0..1) hold one grey and at most a sensor's noise; a faint stroke is more than that."""
    centred = images - images.mean((1, 2, 3), keepdims=True)
    variance = (centred**2).mean((1, 2, 3))
    peak = np.abs(centred).max((1, 2, 3))
    beside = (
        _together(centred[..., 1:], centred[..., :-1])
        + _together(centred[..., 1:, :], centred[..., :-1, :])
        + _together(centred[..., 1:, 1:], centred[..., :-1, :-1])
        + _together(centred[..., 1:, :-1], centred[..., :-1, 1:])
    )
    reach = np.ptp(images, axis=(1, 2, 3))
    no_dot = (peak < PEAK_SIGMAS * variance**0.5) | (reach < TWO_GREYS_RANGE)
    noise = (variance < SENSOR_NOISE**2) & no_dot & (beside < MAX_NEIGHBOUR_CORRELATION * variance)
    return np.asarray(noise | (reach < ONE_GREY_RANGE))


def _together(first: FloatImages, second: FloatImages) -> Float[np.ndarray, " n"]:
    return np.asarray((first * second).mean((1, 2, 3)))
