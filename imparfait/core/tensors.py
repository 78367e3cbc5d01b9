"""The type of images in computations; a file of its own because it imports torch, which prediction does without."""

from jaxtyping import Float
from torch import Tensor

Images = Float[Tensor, "n channels height width"]
"""Images with values in 0..1: float32 in training, float64 for published test sets."""
