"""Noise of the photo suite: Gaussian, shot, impulse and camera noise."""

from functools import cache

import torch
from jaxtyping import UInt8
from torch import Tensor

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.photo.filters import integers, normal, quantiles
from imparfait.corruptions.photo.levels import Curve, by_level

GAUSSIAN = Curve(0, (0.08, 0.12, 0.18, 0.26, 0.38), (0.04, 0.08, 0.12, 0.15, 0.18), (0.04, 0.06, 0.08, 0.09, 0.10))
SHOT = Curve(  # 1 / photons of a white pixel: the variance of its noise
    0,
    (1 / 60, 1 / 25, 1 / 12, 1 / 5, 1 / 3),
    (1 / 250, 1 / 100, 1 / 50, 1 / 30, 1 / 15),
    (1 / 500, 1 / 250, 1 / 100, 1 / 75, 1 / 50),
)
IMPULSES = Curve(0, (0.03, 0.06, 0.09, 0.17, 0.27), (0.01, 0.02, 0.05, 0.08, 0.14), (0.01, 0.02, 0.03, 0.05, 0.07))
CAMERA = Curve(0, (1 / 300, 1 / 120, 1 / 50, 1 / 22, 1 / 10))  # 1 / photons of a white pixel
CAMERA_READ_SIGMA = 1.5  # photons: standard deviation of the noise that is there without light
CHROMA_SHARE = 0.5  # of the noise's variance, in grains of 2 x 2 pixels for each channel, as demosaicking leaves it
MAX_TABLE_MEAN = 60.0  # photons; above, Poisson numbers are approximated
MEANS, CHANCES = 512, 4096  # rows and columns of the table of Poisson quantiles


@by_level
def gaussian_noise(images: Images, level: float, rng: CounterRng) -> Images:
    """Add Gaussian noise to every pixel and channel.

    Standard deviation at levels 1 to 5, at 224 pixels: 0.08, 0.12, 0.18, 0.26, 0.38; white is 1.
    Source: ImageNet-C.
    """
    return normal(rng, "gaussian noise of photographs", *images.shape[1:]).mul_(GAUSSIAN.at(level, images)).add_(images)


@by_level
def shot_noise(images: Images, level: float, rng: CounterRng) -> Images:
    """Add photon (shot) noise: none in black, most in white.

    Photons of a white pixel at levels 1 to 5, at 224 pixels: 60, 25, 12, 5, 3; between levels their inverse is linear.
    Source: ImageNet-C. Quantiles of the Poisson distribution are from a table in steps of 3 % of a standard deviation.
    """
    photons = 1 / SHOT.at(level, images)
    chance = integers(rng, "photons of photographs", *images.shape[1:])
    return _poisson(images * photons, chance, photons).mul_(1 / photons)


@by_level
def impulse_noise(images: Images, level: float, rng: CounterRng) -> Images:
    """Add salt-and-pepper noise: random values become 0 or 1, half each, in each channel by itself.

    Share at levels 1 to 5, at 224 pixels: 0.03, 0.06, 0.09, 0.17, 0.27. Source: ImageNet-C.
    """
    chance = integers(rng, "impulses of photographs", *images.shape[1:])
    struck = chance < round(IMPULSES.at(level, images) * (1 << 16))
    return torch.where(struck, (chance & 1).to(images.dtype), images)


@by_level
def camera_noise(images: Images, level: float, rng: CounterRng) -> Images:
    """Add the noise of a camera at high sensitivity: Poisson-Gaussian, half of it in coarse grains of colour.

    Photons of a white pixel at levels 1 to 5: 300, 120, 50, 22, 10, and 1.5 photons of read noise. Half of the variance
    is grey noise of single pixels, half is noise of 2 x 2 pixels in each channel by itself, as demosaicking leaves it.
    Not in ImageNet-C. Source: the noise model of Foi et al. (2008); the levels are this package's.
    """
    channels, height, width = images.shape[1:]
    inverse = CAMERA.at(level, images)
    fine = normal(rng, "grey grain", 1, height, width)
    coarse = normal(rng, "coloured grain", channels, -(-height // 2), -(-width // 2))
    coarse = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)[..., :height, :width]
    noise = torch.add(fine * (1 - CHROMA_SHARE) ** 0.5, coarse, alpha=CHROMA_SHARE**0.5)
    spread = (images * inverse).add_((CAMERA_READ_SIGMA * inverse) ** 2).sqrt_()
    return noise.mul_(spread).add_(images)


def _poisson(mean: Tensor, chance: Tensor, most: float) -> Tensor:
    """Poisson numbers of each mean (photons, at most `most`), the quantile at `chance` (0..65535)."""
    few = mean.clamp(max=MAX_TABLE_MEAN) if most > MAX_TABLE_MEAN else mean
    row = (few * ((MEANS - 1) ** 2 / MAX_TABLE_MEAN)).sqrt_().add_(0.5).to(torch.int32)
    place = row.mul_(CHANCES).add_(chance >> 4).view(-1)
    counts = _poisson_table(mean.device).view(-1).index_select(0, place).to(torch.float32).view_as(mean)
    if most > MAX_TABLE_MEAN:
        z = quantiles(mean.device)[chance]  # Cornish-Fisher expansion to second order: off by less than a photon
        many = (mean + mean.sqrt() * z + (z * z - 1) / 6).round_().clamp_(min=0)
        counts = torch.where(mean > MAX_TABLE_MEAN, many, counts)
    return counts


@cache
def _poisson_table(device: torch.device) -> UInt8[Tensor, "512 4096"]:
    """Poisson quantiles: a row for each mean, evenly spaced in its square root up to 60; a column for each chance."""
    means = (torch.arange(MEANS, dtype=torch.float64) / (MEANS - 1)) ** 2 * MAX_TABLE_MEAN
    counts = torch.arange(0, 128, dtype=torch.float64)
    logarithm = torch.xlogy(counts, means[:, None]) - means[:, None] - torch.lgamma(counts + 1)
    chances = (torch.arange(CHANCES, dtype=torch.float64) + 0.5) / CHANCES
    table = torch.searchsorted(logarithm.exp().cumsum(1), chances.expand(MEANS, -1).contiguous())
    return table.to(torch.uint8).to(device)
