"""How much to alter: one number for all pictures, or one for each."""

import torch
from jaxtyping import Float
from torch import Tensor

from imparfait.tensors import Images

Severity = float | Float[Tensor, " n"]
"""0 is exactly "nothing happened", 1 as far as the information is still there (measured, see ALTERATIONS)."""


def as_column(severity: Severity, images: Images) -> Float[Tensor, " n"]:
    """One severity a picture, in the pictures' precision."""
    return torch.as_tensor(severity, dtype=images.dtype).expand(len(images))


def unchanged_where_zero(severity: Severity, images: Images, altered: Images) -> Images:
    """Severity 0 is the very same picture; resampling at the identity would be off by 3e-6."""
    if isinstance(severity, Tensor):
        return torch.where((severity == 0)[:, None, None, None], images, altered)
    return images if severity == 0 else altered
