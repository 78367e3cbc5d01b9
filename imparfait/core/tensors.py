"""Images in computations, and where they are; a file of its own because prediction does without torch."""

from jaxtyping import Float
from torch import Tensor

Images = Float[Tensor, "n channels height width"]
"""Images with values in 0..1: float32 in training, float64 for published test sets."""


def on_cpu(values: Tensor) -> bool:
    """Whether `values` are on the CPU: there a number may be read back at once, elsewhere that waits for the device.

    Call it as `tensors.on_cpu`: a test runs what is for other devices on the CPU.
    """
    return values.device.type == "cpu"
