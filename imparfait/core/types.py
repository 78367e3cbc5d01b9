"""The types of images, labels and answers at the borders of the program: numpy, with their shapes."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Int64, UInt8

Pixels = UInt8[np.ndarray, "n channels height width"]
"""Images at rest: 0 is background, 255 is ink."""

Labels = Int64[np.ndarray, " n"]
Sources = Int64[np.ndarray, " n"]
"""Which original each image comes from; corrupted copies keep their original's id."""

Logits = Float32[np.ndarray, "n classes"]
Probabilities = Float32[np.ndarray, "n classes"]

Classifier = Callable[[Float32[np.ndarray, "n channels height width"]], Logits]
"""Takes images in 0..1 and returns logits; what is inside, and in which library, is its own affair."""
