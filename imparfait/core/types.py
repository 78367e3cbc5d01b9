"""Array types at the borders of the program: numpy, with their shapes."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, UInt8

Pixels = UInt8[np.ndarray, "n channels height width"]
"""Stored images, 0..255."""

Labels = Int64[np.ndarray, " n"]
Sources = Int64[np.ndarray, " n"]
"""Ids of the original images; corrupted copies keep the id of their original."""

Groups = Int64[np.ndarray, " n"]
"""Ids of what images have in common, such as a person or a part; the same id in all splits of a data set."""

Logits = Float32[np.ndarray, "n classes"]
Probabilities = Float32[np.ndarray, "n classes"]

PROBABILITY_TOLERANCE = 1e-3  # by which a model's probabilities may leave 0..1 before they are refused


def are_probabilities(values: np.ndarray) -> bool:
    """Whether all values are in 0..1, up to rounding; NaN and infinity are not."""
    return bool(((values >= -PROBABILITY_TOLERANCE) & (values <= 1 + PROBABILITY_TOLERANCE)).all())


Classifier = Callable[[Float32[np.ndarray, "n channels height width"]], Logits]
"""Any function from float32 images in 0..1 to logits, in whatever library."""

Watch = Callable[[Iterable[Any], int], Iterable[Any]]
"""Iterates over `total` items and may show progress: `watch(items, total)`."""
