"""The type of images at work: torch tensors."""

from jaxtyping import Float
from torch import Tensor

Images = Float[Tensor, "n channels height width"]
"""Images with values in 0..1: float32 in training, float64 where corrupted images are published."""
