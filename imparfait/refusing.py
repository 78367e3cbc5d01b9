"""When a classifier gives no answer: it is not sure enough, or there is nothing in the picture."""

import numpy as np
from jaxtyping import Bool, Float

Pictures = Float[np.ndarray, "n channels height width"]

ONE_GREY = 2.5 / 255  # between the lightest and the darkest pixel: one grey, rounded this way or that
FAINT = 12 / 255  # standard deviation of a sensor's noise, at most
RELATED = 0.25  # correlation of neighbouring pixels: of noise it is near 0, of any drawn stroke above 0.5


def accepts(images: Pictures, confidence: Float[np.ndarray, " n"], threshold: float) -> Bool[np.ndarray, " n"]:
    """Which pictures (0..1) get an answer: those sure enough that are not blank, for a blank one is always refused."""
    return np.asarray((confidence >= threshold) & ~is_blank(images))


def is_blank(images: Pictures) -> Bool[np.ndarray, " n"]:
    """Which pictures (0..1) hold one grey and at most a sensor's noise; a faint stroke is more than that."""
    centred = images - images.mean((1, 2, 3), keepdims=True)
    variance = (centred**2).mean((1, 2, 3))
    beside = (centred[..., 1:] * centred[..., :-1]).mean((1, 2, 3))
    noise = (variance < FAINT**2) & (beside < RELATED * variance)
    return np.asarray(noise | (np.ptp(images, axis=(1, 2, 3)) < ONE_GREY))
