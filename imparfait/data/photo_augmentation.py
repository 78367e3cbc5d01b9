"""Augmentation of photographs: small changes of place, colour, focus and noise, several on every image."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import Severity, as_column

# Largest changes at severity 1, each drawn uniformly in both directions (results/LOG.md, photo).
MAX_ROTATION_RAD = math.radians(12)
MAX_SHEAR = 0.15
MAX_SCALE = math.log(1.25)  # of the logarithm of the size
MAX_ASPECT = math.log(1.15)  # likewise of width by height
MAX_SHIFT = 0.1  # share of the side
MAX_CONTRAST = MAX_GAMMA = 0.4  # of the logarithm
MAX_CHANNEL_GAIN = 0.16  # of the logarithm, channel by channel: the light's colour
MAX_BRIGHTNESS = 0.24  # white is 1
MAX_NOISE = 0.05  # standard deviation
# Shares of the images at severity 1.
BLURRED, NEGATIVE, SWAPPED = 0.25, 0.5, 0.5
DARKEST = 1e-3  # before a power is taken, whose slope at 0 is infinite


def photo(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Vary each image as photographs of one thing vary: place, size, light, colour, focus and noise.

    Half of the images become negatives and half get their colour channels in another order, so that neither light on
    dark nor a colour decides. Severity s scales the ranges and the shares; pixels from outside repeat the nearest edge.
    """
    level = as_column(severity, images)
    moved = _moved(images, level, rng)
    coloured = _relit(_channels_swapped(moved, level, rng), level, rng)
    soft = F.avg_pool2d(F.pad(coloured, (1, 1, 1, 1), mode="replicate"), 3, 1)
    result = torch.where(_some(BLURRED, "blurred", level, rng), soft, coloured)
    result = torch.where(_some(NEGATIVE, "negative", level, rng), 1 - result, result)
    spread = (MAX_NOISE * level * rng.uniform("strength of the noise").to(images.dtype))[:, None, None, None]
    result = result + spread * rng.normal("noise", *images.shape[1:], dtype=images.dtype)
    return torch.where((level == 0)[:, None, None, None], images, result.clamp(0, 1))


def mirrored_photo(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Half of the images mirrored, then `photo`: for classes that a mirror does not change."""
    mirrored = (rng.uniform("mirrored") < 0.5)[:, None, None, None] & (as_column(severity, images) > 0)[
        :, None, None, None
    ]
    return photo(torch.where(mirrored, images.flip(3), images), severity, rng)


def _moved(images: Images, level: Float[Tensor, " n"], rng: CounterRng) -> Images:
    """Rotated, sheared, scaled, stretched and shifted, in one resampling."""
    drawn = (2 * rng.uniform("angle, shear, scale, aspect, right, down", 6).to(images.dtype) - 1) * level[:, None]
    angle, slant, scale, aspect, right, down = drawn.unbind(1)
    angle, slant = angle * MAX_ROTATION_RAD, slant * MAX_SHEAR
    wide, tall = (scale * MAX_SCALE + aspect * MAX_ASPECT).exp(), (scale * MAX_SCALE - aspect * MAX_ASPECT).exp()
    cos, sin = angle.cos(), angle.sin()
    first = torch.stack([cos * wide, slant - sin * tall, 2 * MAX_SHIFT * right], 1)
    second = torch.stack([sin * wide, cos * tall, 2 * MAX_SHIFT * down], 1)
    grid = F.affine_grid(torch.stack([first, second], 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _channels_swapped(images: Images, level: Float[Tensor, " n"], rng: CounterRng) -> Images:
    """Some of the images with their channels in a random order."""
    channels = images.shape[1]
    if channels == 1:
        return images
    order = rng.uniform("order of the channels", channels).argsort(1)
    order = torch.where(_some(SWAPPED, "swapped", level, rng)[:, :, 0, 0], order, torch.arange(channels))
    return images.gather(1, order[:, :, None, None].expand_as(images))


def _relit(images: Images, level: Float[Tensor, " n"], rng: CounterRng) -> Images:
    """With another gamma, contrast, colour of the light and brightness."""
    channels = images.shape[1]
    drawn = 2 * rng.uniform("gamma, contrast, brightness, gains", 3 + channels).to(images.dtype) - 1
    drawn = (drawn * level[:, None])[:, :, None, None]
    gamma, contrast, brightness, gains = drawn[:, :1], drawn[:, 1:2], drawn[:, 2:3], drawn[:, 3:]
    curved = images.clamp(min=DARKEST) ** (gamma * MAX_GAMMA).exp()
    mean = images.mean((1, 2, 3), keepdim=True)
    steeper = (curved - mean) * (contrast * MAX_CONTRAST).exp() + mean
    return steeper * (gains * MAX_CHANNEL_GAIN).exp() + brightness * MAX_BRIGHTNESS


def _some(share: float, name: str, level: Float[Tensor, " n"], rng: CounterRng) -> Bool[Tensor, "n 1 1 1"]:
    """A mask of a share of the images."""
    return (rng.uniform(name) < share * level)[:, None, None, None]
