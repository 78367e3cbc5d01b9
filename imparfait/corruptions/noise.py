"""Pixel noise: photon, impulse and Gaussian noise."""

import torch
from torch import Tensor

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import Severity, as_column, unchanged_where_zero

MIN_PHOTONS = 0.7  # photons of a white pixel at severity 1
MAX_IMPULSES = 0.40  # share of the pixels at severity 1
MAX_GAUSSIAN_SIGMA = 0.52  # standard deviation at severity 1; white is 1
MAX_SUMMED_MEAN = 20.0  # photons; up to here Poisson quantiles are summed, above approximated


def shot_noise(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Add photon (shot) noise: none in black pixels, most in white ones.

    At severity s a white pixel gets `MIN_PHOTONS` / s² photons on average, Poisson distributed, so the relative error
    grows like s. Source: MNIST-C, level 5 has 3 photons.
    """
    photons = MIN_PHOTONS / as_column(severity, images).double().clamp(min=1e-3) ** 2
    chance = rng.uniform("photons", *images.shape[1:]).double()
    lit = images > 0  # dark pixels stay dark: on digits that is four in five
    white = photons[:, None, None, None].expand_as(images)[lit]
    counted = _poisson(images[lit].double() * white, chance[lit]) / white
    corrupted = images.clone()
    corrupted[lit] = counted.clamp(max=1).to(images.dtype)
    return unchanged_where_zero(severity, images, corrupted)


def impulse_noise(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Add salt-and-pepper noise: random pixels become black or white, half each.

    Severity s changes the share `MAX_IMPULSES` s of the pixels. Source: MNIST-C, level 4 changes 17 %.
    """
    chance = rng.uniform("struck pixels", 1, *images.shape[2:])
    colour = (chance * 2**24).to(torch.int64).remainder(2).to(images.dtype)  # the number's last bit
    struck = chance.to(images.dtype) < (MAX_IMPULSES * as_column(severity, images))[:, None, None, None]
    return torch.where(struck, colour, images)


def gaussian_noise(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Add Gaussian noise to every pixel.

    Severity s has a standard deviation of `MAX_GAUSSIAN_SIGMA` s; white is 1.
    """
    normal = rng.normal("noise", *images.shape[1:], dtype=images.dtype)
    spread = (MAX_GAUSSIAN_SIGMA * as_column(severity, images))[:, None, None, None]
    return unchanged_where_zero(severity, images, normal.mul_(spread).add_(images).clamp_(0, 1))


def _poisson(mean: Tensor, chance: Tensor) -> Tensor:
    """Quantiles of the Poisson distribution: of mean `mean`, at probability `chance`."""
    counts = torch.empty_like(mean)
    few = mean <= MAX_SUMMED_MEAN
    rare, below = mean[few], chance[few]
    term = torch.exp(-rare)
    total, count = term.clone(), torch.zeros_like(rare)
    for k in range(1, 60):  # at a mean of 20, counts above 59 have a probability of 1e-12
        count += total <= below
        term = term * rare / k
        total += term
    counts[few] = count
    normal = torch.special.ndtri(chance[~few].clamp(min=2.0**-25))
    many = mean[~few]  # Cornish-Fisher expansion to second order: off by less than a photon
    counts[~few] = (many + many.sqrt() * normal + (normal**2 - 1) / 6).round().clamp(min=0)
    return counts
