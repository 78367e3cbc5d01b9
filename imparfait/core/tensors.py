"""The type of pictures at work: torch tensors."""

from jaxtyping import Float
from torch import Tensor

Images = Float[Tensor, "n channels height width"]
"""Pictures with values in 0..1: float32 in training, float64 where altered pictures are published."""
