"""Corruptions of single pixels: light that comes in grains, sensors that err."""

import torch
from torch import Tensor

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import Severity, as_column, unchanged_where_zero

PHOTONS = 0.7  # of a fully lit pixel at severity 1
IMPULSE_MOST = 0.40  # share of the pixels at severity 1
GAUSSIAN_MOST = 0.52  # standard deviation at severity 1, where white is 1
FEW = 20.0  # photons up to which the Poisson distribution is summed; above, its quantiles are a formula


def shot_noise(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Count each pixel's photons: where it is dark there is no noise, where it is light there is most.

    At severity s a white pixel gets `PHOTONS` / s² photons on average, Poisson distributed, so the relative error
    grows like s. Source: MNIST-C, whose level 5 has 3 photons.
    """
    photons = PHOTONS / as_column(severity, images).double().clamp(min=1e-3) ** 2
    chance = rng.uniform("photons", *images.shape[1:]).double()
    lit = images > 0  # dark pixels stay dark: on digits that is four in five
    white = photons[:, None, None, None].expand_as(images)[lit]
    counted = _poisson(images[lit].double() * white, chance[lit]) / white
    corrupted = images.clone()
    corrupted[lit] = counted.clamp(max=1).to(images.dtype)
    return unchanged_where_zero(severity, images, corrupted)


def impulse_noise(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Turn a random share of the pixels fully black or fully white, half to each.

    Severity s changes `IMPULSE_MOST` s of them. Source: MNIST-C (salt and pepper), whose level 4 changes 17 %.
    """
    chance = rng.uniform("struck pixels", 1, *images.shape[2:])
    colour = (chance * 2**24).to(torch.int64).remainder(2).to(images.dtype)  # the number's last bit
    struck = chance.to(images.dtype) < (IMPULSE_MOST * as_column(severity, images))[:, None, None, None]
    return torch.where(struck, colour, images)


def gaussian_noise(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Add normally distributed noise to every pixel, of standard deviation `GAUSSIAN_MOST` s where white is 1."""
    normal = rng.normal("noise", *images.shape[1:], dtype=images.dtype)
    spread = (GAUSSIAN_MOST * as_column(severity, images))[:, None, None, None]
    return unchanged_where_zero(severity, images, normal.mul_(spread).add_(images).clamp_(0, 1))


def _poisson(mean: Tensor, chance: Tensor) -> Tensor:
    """The numbers below which a Poisson distribution of this mean has its share `chance`."""
    counts = torch.empty_like(mean)
    few = mean <= FEW
    rare, below = mean[few], chance[few]
    term = torch.exp(-rare)
    total, count = term.clone(), torch.zeros_like(rare)
    for k in range(1, 60):  # at a mean of 20, more than 59 come once in 10^12
        count += total <= below
        term = term * rare / k
        total += term
    counts[few] = count
    normal = torch.special.ndtri(chance[~few].clamp(min=2.0**-25))
    many = mean[~few]  # Cornish and Fisher's expansion to its second term: off by less than a photon
    counts[~few] = (many + many.sqrt() * normal + (normal**2 - 1) / 6).round().clamp(min=0)
    return counts
