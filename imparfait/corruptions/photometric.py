"""Photometric corruptions: brightness, contrast, fog, uneven illumination, inversion."""

import math

import torch

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import Severity, as_column, unchanged_where_zero
from imparfait.corruptions.smooth_noise import cloud

MAX_BRIGHTNESS = 0.98  # added at severity 1; white is 1
MAX_CONTRAST_LOSS = 0.99  # share of the contrast lost at severity 1
MAX_FOG = 3.4  # thickness at severity 1, relative to the image's white
FOG_DECAY = 1.4  # amplitude ratio between scales of the fog, as MNIST-C's level 5
MAX_SHADOW = 1.0  # share of the light lost in the darkest shadow at severity 1


def brightness(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Brighten every pixel by the same amount, clipped at white.

    Severity s adds `MAX_BRIGHTNESS` s. Uses no randomness. Source: MNIST-C, level 5 adds 0.5.
    """
    return (images + (MAX_BRIGHTNESS * as_column(severity, images))[:, None, None, None]).clamp_(max=1)


def contrast(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Reduce the contrast: move every pixel towards its channel's mean.

    Severity s removes the share `MAX_CONTRAST_LOSS` s of the contrast. Uses no randomness.
    """
    kept = 1 - (MAX_CONTRAST_LOSS * as_column(severity, images)).clamp(max=1)[:, None, None, None]
    mean = images.mean((2, 3), keepdim=True)
    return unchanged_where_zero(severity, images, ((images - mean) * kept + mean).clamp_(0, 1))


def fog(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Add random fog, then rescale the sum to the image's own white.

    At severity s the densest fog is `MAX_FOG` s times as bright as the image's white.
    Source: MNIST-C, level 5 has 3; its plasma fractal is a sum of smooth fields here.
    """
    thickness = (MAX_FOG * as_column(severity, images))[:, None, None, None]
    height, width = images.shape[2:]
    density = (0.5 + 0.2 * cloud(rng, "fog", FOG_DECAY, height, width, images.dtype)).clamp_(0, 1)
    white = images.amax((1, 2, 3), keepdim=True)
    foggy = (images + thickness * density) * (white / (white + thickness).clamp(min=1e-6))
    return unchanged_where_zero(severity, images, foggy.clamp_(0, 1))


def uneven_light(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Illuminate unevenly: a soft shadow from a random side, as of a hand or a lamp.

    Light strokes on a dark background are the negative of ink on paper: where the paper loses light, the background
    gets lighter. Severity s removes `MAX_SHADOW` s of the light in the darkest shadow.
    """
    height, width = images.shape[2:]
    angle = 2 * math.pi * rng.uniform("side").to(images.dtype)[:, None, None, None]
    down, right = (
        2 * torch.arange(side, dtype=images.dtype, device=images.device) / max(side - 1, 1) - 1
        for side in (height, width)
    )
    slope = (angle.cos() * right + angle.sin() * down[:, None]) / (angle.cos().abs() + angle.sin().abs())
    soft = cloud(rng, "shadow", 4.0, height, width, images.dtype)  # dominated by the largest scale
    shadow = (0.5 + 0.5 * slope + 0.2 * soft).clamp_(0, 1)
    light = 1 - (MAX_SHADOW * as_column(severity, images))[:, None, None, None] * shadow
    return unchanged_where_zero(severity, images, (1 - light * (1 - images)).clamp_(0, 1))


def invert(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Invert light and dark.

    Without degrees: any severity above 0 is the full effect. Uses no randomness.
    """
    return unchanged_where_zero(severity, images, 1 - images)
