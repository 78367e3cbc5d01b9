"""Smooth random fields: what clouds, spots and uneven light are made of."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from imparfait.randomness import Draw


def cloud(draw: Draw, decay: float, height: int, width: int, dtype: torch.dtype) -> Float[Tensor, "n 1 height width"]:
    """Random fields of mean 0 and standard deviation about 1, rough at every scale from the picture's to the pixel's.

    From one scale to the next of half the size, the amplitude is divided by `decay`.
    """
    total = torch.zeros(len(draw.sources), 1, height, width, dtype=dtype)
    cells, amplitude, variance = 2, 1.0, 0.0
    while cells < 2 * max(height, width):
        corners = draw.uniform(f"cloud of {cells}", 1, min(cells, height), min(cells, width)).to(dtype)
        field = F.interpolate(2 * corners - 1, (height, width), mode="bilinear", align_corners=True)
        total.add_(field, alpha=amplitude)
        # A uniform number in -1..1 has variance 1/3; halfway between corners, 4/9 of it is left on average.
        variance += amplitude**2 / 3 * (4 / 9 if cells < max(height, width) else 1)
        cells, amplitude = 2 * cells, amplitude / decay
    return total.div_(variance**0.5)


def smoothed(fields: Float[Tensor, "n 1 height width"], sigma: float) -> Float[Tensor, "n 1 height width"]:
    """Gaussian smoothing, of standard deviation `sigma` in pixels; the fields are mirrored at their edges."""
    n, _, height, width = fields.shape
    down, across = (_smoothing(side, sigma, fields.dtype).expand(n, 1, side, side) for side in (height, width))
    return down @ fields @ across.mT


def _smoothing(side: int, sigma: float, dtype: torch.dtype) -> Float[Tensor, "side side"]:
    """The matrix that smooths a column of `side` pixels; what falls beyond an end is mirrored back."""
    reach = int(4 * sigma + 0.5)
    places = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (places.double() / sigma) ** 2)
    landing = (torch.arange(side)[:, None] + places) % (2 * side)
    landing = torch.minimum(landing, 2 * side - 1 - landing)
    matrix = torch.zeros(side, side, dtype=torch.float64)
    matrix.scatter_add_(1, landing, (weights / weights.sum()).expand(side, -1).contiguous())
    return matrix.to(dtype)
