"""Pixel noise: photon, impulse and Gaussian noise."""

import torch
from torch import Tensor

from imparfait.core import tensors
from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import Severity, as_column, exact, on_device, on_host, unchanged_where_zero

MIN_PHOTONS = 0.7  # photons of a white pixel at severity 1
MAX_IMPULSES = 0.40  # share of the pixels at severity 1
MAX_GAUSSIAN_SIGMA = 0.52  # standard deviation at severity 1; white is 1
MAX_SUMMED_MEAN = 20.0  # photons; up to here Poisson quantiles are summed, above approximated


def shot_noise(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Add photon (shot) noise: none in black pixels, most in white ones.

    At severity s a white pixel gets `MIN_PHOTONS` / s² photons on average, Poisson distributed, so the relative error
    grows like s. Source: MNIST-C, level 5 has 3 photons.
    """
    photons = MIN_PHOTONS / on_host(severity, images).double().clamp(min=1e-3) ** 2
    white = on_device(photons.to(exact(images)), images)[:, None, None, None].expand_as(images)
    chance = rng.uniform("photons", *images.shape[1:]).to(white.dtype)
    counted = _counted_where_lit if tensors.on_cpu(images) else _counted_everywhere
    return unchanged_where_zero(severity, images, counted(images, white, chance))


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


def _counted_where_lit(images: Images, white: Tensor, chance: Tensor) -> Images:
    """The share of `white` photons that each pixel catches; dark ones stay dark: on digits that is four in five."""
    lit = images > 0
    mean, below = images[lit].to(white.dtype) * white[lit], chance[lit]
    few = mean <= MAX_SUMMED_MEAN
    counts = torch.empty_like(mean)
    counts[few] = _summed(mean[few], below[few])
    counts[~few] = _approximated(mean[~few], below[~few])
    caught = images.clone()
    caught[lit] = (counts / white[lit]).clamp(max=1).to(images.dtype)
    return caught


def _counted_everywhere(images: Images, white: Tensor, chance: Tensor) -> Images:
    """The same without counting the lit pixels, for which the CPU would wait for another device."""
    mean = images.to(white.dtype) * white
    few = mean <= MAX_SUMMED_MEAN
    counts = torch.where(few, _summed(mean.clamp(max=MAX_SUMMED_MEAN), chance), _approximated(mean, chance))
    return torch.where(images > 0, (counts / white).clamp(max=1).to(images.dtype), images)


def _summed(mean: Tensor, chance: Tensor) -> Tensor:
    """Quantiles of the Poisson distribution: of mean `mean`, at probability `chance`."""
    term = torch.exp(-mean)
    total, count = term.clone(), torch.zeros_like(mean)
    for k in range(1, 60):  # at a mean of 20, counts above 59 have a probability of 1e-12
        count += total <= chance
        term = term * mean / k
        total += term
    return count


def _approximated(mean: Tensor, chance: Tensor) -> Tensor:
    """Likewise by a Cornish-Fisher expansion to second order: off by less than a photon."""
    normal = torch.special.ndtri(chance.clamp(min=2.0**-25))
    counts: Tensor = (mean + mean.sqrt() * normal + (normal**2 - 1) / 6).round().clamp(min=0)
    return counts
