"""Corruptions of light: too much of it, too little, uneven, or the wrong way round."""

import math

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import Severity, as_column, unchanged_where_zero
from imparfait.corruptions.smooth_noise import cloud

BRIGHTNESS_MOST = 0.98  # added at severity 1, where white is 1
CONTRAST_MOST = 0.99  # share of the contrast lost at severity 1
FOG_MOST = 3.4  # thickness at severity 1; an image's own white is 1
FOG_DECAY = 1.4  # from one scale of the fog to the next, as MNIST-C's level 5
LIGHT_MOST = 1.0  # share of the light lost where the shadow is darkest, at severity 1


def brightness(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Add the same to every pixel; what is above white is white.

    Severity s adds `BRIGHTNESS_MOST` s. Source: MNIST-C, whose level 5 adds 0.5. It draws nothing.
    """
    return (images + (BRIGHTNESS_MOST * as_column(severity, images))[:, None, None, None]).clamp_(max=1)


def contrast(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Bring every pixel nearer to the image's mean, channel by channel; severity s by `CONTRAST_MOST` s.

    It draws nothing.
    """
    kept = 1 - (CONTRAST_MOST * as_column(severity, images)).clamp(max=1)[:, None, None, None]
    mean = images.mean((2, 3), keepdim=True)
    return unchanged_where_zero(severity, images, ((images - mean) * kept + mean).clamp_(0, 1))


def fog(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Put a random fog before the image, then bring the sum down to the image's own white.

    Severity s makes the fog `FOG_MOST` s thick: of that many times the digit's light where it is densest.
    Source: MNIST-C, whose level 5 is 3 thick; its plasma fractal is a sum of smooth fields here.
    """
    thickness = (FOG_MOST * as_column(severity, images))[:, None, None, None]
    height, width = images.shape[2:]
    density = (0.5 + 0.2 * cloud(rng, "fog", FOG_DECAY, height, width, images.dtype)).clamp_(0, 1)
    white = images.amax((1, 2, 3), keepdim=True)
    foggy = (images + thickness * density) * (white / (white + thickness).clamp(min=1e-6))
    return unchanged_where_zero(severity, images, foggy.clamp_(0, 1))


def uneven_light(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Shade the paper from a random side, with a soft cloud in the shadow, as a hand or a lamp does.

    Light ink on a dark ground is the negative of ink on paper: where a share of the light is lost, the ground
    becomes lighter by it. Severity s takes `LIGHT_MOST` s of the light where the shadow is darkest.
    """
    height, width = images.shape[2:]
    angle = 2 * math.pi * rng.uniform("side").to(images.dtype)[:, None, None, None]
    down = (2 * images.new_tensor(range(height)) / max(height - 1, 1) - 1)[:, None]
    right = 2 * images.new_tensor(range(width)) / max(width - 1, 1) - 1
    slope = (angle.cos() * right + angle.sin() * down) / (angle.cos().abs() + angle.sin().abs())
    soft = cloud(rng, "shadow", 4.0, height, width, images.dtype)  # nearly only its largest scale
    shadow = (0.5 + 0.5 * slope + 0.2 * soft).clamp_(0, 1)
    light = 1 - (LIGHT_MOST * as_column(severity, images))[:, None, None, None] * shadow
    return unchanged_where_zero(severity, images, (1 - light * (1 - images)).clamp_(0, 1))


def invert(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Dark for light and light for dark. It has no degrees: any severity above 0 is all of it. It draws nothing."""
    return unchanged_where_zero(severity, images, 1 - images)
