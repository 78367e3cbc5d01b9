"""Gaussian smoothing and smooth random fields, the material of fog, spots and shadows."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images


def cloud(
    rng: CounterRng, name: str, decay: float, height: int, width: int, dtype: torch.dtype
) -> Float[Tensor, "n 1 height width"]:
    """Multi-scale random fields of mean 0 and standard deviation about 1, from the image's scale to the pixel's.

    Each halving of the scale divides the amplitude by `decay`.
    """
    total = torch.zeros(len(rng.sources), 1, height, width, dtype=dtype, device=rng.sources.device)
    cells, amplitude, variance = 2, 1.0, 0.0
    while cells < 2 * max(height, width):
        corners = rng.uniform(f"{name} of {cells}", 1, min(cells, height), min(cells, width)).to(dtype)
        field = F.interpolate(2 * corners - 1, (height, width), mode="bilinear", align_corners=True)
        total.add_(field, alpha=amplitude)
        # A uniform number in -1..1 has variance 1/3; halfway between corners, 4/9 of it is left on average.
        variance += amplitude**2 / 3 * (4 / 9 if cells < max(height, width) else 1)
        cells, amplitude = 2 * cells, amplitude / decay
    return total.div_(variance**0.5)


def gaussians(sigma: Float[Tensor, " m"], side: int) -> Float[Tensor, "m side side"]:
    """Matrices that smooth one axis with a Gaussian, normalised within the image."""
    away = torch.arange(side, dtype=sigma.dtype, device=sigma.device)
    sigma = sigma[:, None].clamp(min=0.05)  # pixels: no smoothing
    # Cut off at four sigmas, as scikit-image does; denormal numbers would make products ten times slower.
    weights = torch.exp(-(away**2) / (2 * sigma**2)) * (away <= 4 * sigma)
    # Row i is a window of ..., w2, w1, w0, w1, w2, ... with w0 at position i.
    matrices = torch.cat([weights.flip(1), weights[:, 1:]], 1).unfold(1, side, 1).flip(1)
    return matrices / matrices.sum(2, keepdim=True)


def keeping_variance(side: int, sigma: float, images: Images) -> Float[Tensor, "side side"]:
    """A Gaussian smoothing matrix whose rows have unit norm: smoothed white noise keeps its variance."""
    place = torch.arange(side, dtype=images.dtype, device=images.device)
    weights = torch.exp(-((place[:, None] - place) ** 2) / (2 * sigma**2))
    return weights / weights.square().sum(1, keepdim=True).sqrt()
