"""A perfect classifier of bars, as an external model of any input specification."""

from collections.abc import Callable

import numpy as np

from helpers.bars import draw_bars
from imparfait.evaluation.external.input_spec import FOREGROUNDS, VALUE_RANGES, InputSpec

SIDE = 16
DATA = draw_bars(400, SIDE)
IMAGES = DATA.pixels.astype(np.float32) / 255


def scores(images: np.ndarray) -> np.ndarray:
    """Logits of a perfect classifier of bars, for images like ours: a foreground of 0.55 to 1 on a background of 0."""
    foreground = ((images > 0.55) & (images < 1.01)).any(1) & (np.abs(images.min()) < 0.01)
    flat, steep = foreground.mean(2).max(1) > 0.7, foreground.mean(1).max(1) > 0.7
    return np.stack([flat & ~steep, ~flat & steep, flat & steep], 1).astype(np.float32) * 5


def external_model(spec: InputSpec, channels: int = 1) -> Callable[[np.ndarray], np.ndarray]:
    """A model whose input and output are as `spec` says."""
    shift, factor = VALUE_RANGES[spec.value_range]

    def model(batch: np.ndarray) -> np.ndarray:
        in_nchw = {
            "nchw": lambda: batch,
            "nhwc": lambda: batch.transpose(0, 3, 1, 2),
            "nhw": lambda: batch[:, None],
            "flat": lambda: batch.reshape(-1, SIDE, SIDE, channels).transpose(0, 3, 1, 2),
            "flat-chw": lambda: batch.reshape(-1, channels, SIDE, SIDE),
        }[spec.layout]()
        images = in_nchw / factor + shift
        logits = scores(FOREGROUNDS[spec.foreground](images))
        powers = np.exp(logits)
        return {
            "logits": lambda: logits,
            "probabilities": lambda: powers / powers.sum(1, keepdims=True),
            "sigmoid": lambda: 1 / (1 + np.exp(2.5 - logits)),
            "labels": lambda: logits.argmax(1),
        }[spec.outputs]()

    return model
