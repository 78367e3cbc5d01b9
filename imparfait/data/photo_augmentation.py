"""Augmentation of photographs: small changes of place, colour, focus and noise, several on every image."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from imparfait.core import tensors
from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import CorruptionFunction, Severity, as_column

# Largest changes at severity 1, each drawn uniformly in both directions (results/LOG.md, photo).
MAX_ROTATION_RAD = math.radians(12)
MAX_SHEAR = 0.15
MAX_SCALE = math.log(1.4)  # of the logarithm of the size
MAX_ASPECT = math.log(1.3)  # likewise of width by height
MAX_SHIFT = 0.1  # share of the side
MAX_CONTRAST = MAX_GAMMA = 0.4  # of the logarithm
MAX_CHANNEL_GAIN = 0.16  # of the logarithm, channel by channel: the light's colour
MAX_BRIGHTNESS = 0.24  # white is 1
MAX_NOISE = 0.05  # standard deviation
MILD = 0.4  # severity of the mild augmentation (results/LOG.md)
BLURRED, NOISY = 0.25, 0.5  # shares of the images at severity 1
RECOLOURED = 0.5  # share of negatives, and of images with swapped channels
DARKEST = 1e-3  # before a power is taken, whose slope at 0 is infinite


def photo(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Vary each image as photographs of one thing vary: place, size, light, colour, focus and noise.

    Severity s scales the ranges and the shares; pixels from outside repeat the nearest edge.
    """
    level = as_column(severity, images)
    lit = _relit(_resampled(images, _drawn(images, level, rng)), level, rng)
    soft = F.avg_pool2d(F.pad(lit, (1, 1, 1, 1), mode="replicate"), 3, 1)
    blurred = (rng.uniform("blurred") < BLURRED * level)[:, None, None, None]
    result = torch.where(blurred, soft, lit)
    noisy = rng.uniform("noisy") < NOISY * level
    spread = MAX_NOISE * level * rng.uniform("strength of the noise").to(images.dtype) * noisy
    # Elsewhere all images: to know which are noisy, the CPU would wait for the device.
    rows = noisy.nonzero()[:, 0] if tensors.on_cpu(images) else slice(None)
    result[rows] += spread[rows, None, None, None] * rng.at(rows).normal("noise", *images.shape[1:], dtype=images.dtype)
    result = result.clamp(0, 1)
    return torch.where((level == 0)[:, None, None, None], images, result)


def mirrored(images: Images, rng: CounterRng) -> Images:
    """Half of the images mirrored: for classes that a mirror does not change."""
    return torch.where((rng.uniform("mirrored") < 0.5)[:, None, None, None], images.flip(3), images)


def recoloured(images: Images, rng: CounterRng) -> Images:
    """Half as negatives, and half with their colour channels in a random order.

    For classes that neither light on dark nor a colour tells.
    """
    channels = images.shape[1]
    order = rng.uniform("order of the channels", channels).argsort(1)
    order = torch.where(
        (rng.uniform("swapped") < RECOLOURED)[:, None], order, torch.arange(channels, device=images.device)
    )
    swapped = images.gather(1, order[:, :, None, None].expand_as(images)) if channels > 1 else images
    return torch.where((rng.uniform("negative") < RECOLOURED)[:, None, None, None], 1 - swapped, swapped)


def mild_photo(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """As `photo`, with `MILD` of its ranges and shares."""
    return photo(images, MILD * severity, rng)


def shifted_photo(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Only shifted, by up to `MAX_SHIFT` of the side: the usual random crop of a padded image."""
    level = as_column(severity, images)
    drawn = _drawn(images, level, rng)
    return _resampled(images, torch.cat([torch.zeros_like(drawn[:, :4]), drawn[:, 4:]], 1))


STRENGTHS: dict[str, CorruptionFunction] = {"photo": photo, "mild_photo": mild_photo, "shifted_photo": shifted_photo}
"""From the strongest to the weakest."""
SUMMARIES = {
    "photo": "changes of place, size, light, colour, focus and noise",
    "mild_photo": "mild changes of place, size, light, colour, focus and noise",
    "shifted_photo": "shifts by up to a tenth of the side",
}


def photo_augmentation(strength: str = "photo", *, mirrored: bool = False, recoloured: bool = False) -> str:
    """The name of this strength of augmentation with these changes."""
    return "mirrored_" * mirrored + "recoloured_" * recoloured + strength


def photo_summary(name: str) -> str:
    """What the augmentation of this name does, in words."""
    strength = next(each for each in reversed(STRENGTHS) if name.endswith(each))
    changes = "; half mirrored" * ("mirrored" in name)
    changes += "; half negatives, half with swapped colours" * ("recoloured" in name)
    return f"{SUMMARIES[strength]}, drawn anew every epoch{changes}"


def _after(strength: CorruptionFunction, *changes: Callable[[Images, CounterRng], Images]) -> CorruptionFunction:
    def vary(images: Images, severity: Severity, rng: CounterRng) -> Images:
        for change in changes:
            images = change(images, rng)
        return strength(images, severity, rng)

    return vary


PHOTO_AUGMENTATIONS: dict[str, CorruptionFunction] = {
    photo_augmentation(name, mirrored=bool(mirrors), recoloured=bool(recolours)): _after(vary, *mirrors, *recolours)
    for name, vary in STRENGTHS.items()
    for recolours in ((), (recoloured,))
    for mirrors in ((), (mirrored,))
}
"""Each strength, without and with images that are mirrored, recoloured, or first mirrored and then recoloured."""


def _drawn(images: Images, level: Float[Tensor, " n"], rng: CounterRng) -> Float[Tensor, "n 6"]:
    """Angle, shear, scale, aspect, and shift to the right and down, as shares of the largest change."""
    return (2 * rng.uniform("angle, shear, scale, aspect, right, down", 6).to(images.dtype) - 1) * level[:, None]


def _resampled(images: Images, drawn: Float[Tensor, "n 6"]) -> Images:
    """Rotated, sheared, scaled, stretched and shifted, in one resampling."""
    angle, slant, scale, aspect, right, down = drawn.unbind(1)
    angle, slant = angle * MAX_ROTATION_RAD, slant * MAX_SHEAR
    wide, tall = (scale * MAX_SCALE + aspect * MAX_ASPECT).exp(), (scale * MAX_SCALE - aspect * MAX_ASPECT).exp()
    cos, sin = angle.cos(), angle.sin()
    first = torch.stack([cos * wide, slant - sin * tall, 2 * MAX_SHIFT * right], 1)
    second = torch.stack([sin * wide, cos * tall, 2 * MAX_SHIFT * down], 1)
    grid = F.affine_grid(torch.stack([first, second], 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


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
