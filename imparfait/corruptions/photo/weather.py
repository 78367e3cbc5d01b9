"""Weather of the photo suite: snow, frost, fog."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import constants
from imparfait.corruptions.photo.filters import line_blur, normal, uniform
from imparfait.corruptions.photo.levels import Curve, by_level

LUMA = (0.299, 0.587, 0.114)  # of red, green, blue in grey, as in OpenCV (ITU-R BT.601)

FOG = Curve(0, (1.5, 2, 2.5, 2.5, 3), (0.4, 0.7, 1, 1.5, 2), (0.2, 0.5, 0.75, 1, 1.5))
FOG_DECAY = Curve(2, (2, 2, 1.7, 1.5, 1.4), (3, 3, 2.5, 2, 1.75), (3, 3, 2.5, 2, 1.75))
FROST_KEPT = Curve(1, (1, 0.8, 0.7, 0.65, 0.6), (1, 0.9, 0.8, 0.75, 0.7), (1, 1, 0.9, 0.85, 0.75))
FROST = Curve(0, (0.4, 0.6, 0.7, 0.7, 0.75), (0.3, 0.4, 0.45, 0.5, 0.55), (0.2, 0.3, 0.4, 0.4, 0.45))
# Fitted to ImageNet-C's photographs of frost: colour relative to grey, mean grey levels, contrast within 224 pixels.
FROST_TINT = (0.89, 1.02, 1.08)
FROST_MEANS = (0.42, 0.72)
FROST_CONTRAST = 0.3
FROST_SCALES = ((4, 0.17), (12, 0.5), (30, 0.5), (100, 0.6))  # points of the random field a side, and their share
FROST_PATTERN_MEAN = 0.68
SNOW_MEAN = Curve(0.1, (0.1, 0.2, 0.55, 0.55, 0.55), (0.1, 0.1, 0.15, 0.25, 0.3))
SNOW_SPREAD = Curve(0, (0.3, 0.3, 0.3, 0.3, 0.3), (0.2, 0.2, 0.3, 0.3, 0.3))
SNOW_SIZE = Curve(3, (3, 2, 4, 4.5, 2.5), (1, 1, 1.75, 2.25, 1.25), is_length=True)
SNOW_THRESHOLD = Curve(0.5, (0.5, 0.5, 0.9, 0.85, 0.85), (0.6, 0.5, 0.55, 0.6, 0.65))
SNOW_RADIUS = Curve(10, (10, 12, 12, 12, 12), (8, 10, 10, 12, 14), is_length=True)
SNOW_TRAIL = Curve(4, (4, 4, 8, 8, 12), (3, 4, 4, 6, 12), is_length=True)
SNOW_KEPT = Curve(1, (0.8, 0.7, 0.7, 0.65, 0.55), (0.8, 0.8, 0.7, 0.65, 0.6), (0.95, 0.9, 0.9, 0.85, 0.8))


@by_level
def fog(images: Images, level: float, rng: CounterRng) -> Images:
    """Add random fog, then rescale the sum to the image's own white.

    Thickness and decay at levels 1 to 5, at 224 pixels: (1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4).
    Source: ImageNet-C, with the same diamond-square fractal.
    """
    thickness = FOG.at(level, images)
    height, width = images.shape[-2:]
    white = images.amax((1, 2, 3), keepdim=True)
    density = plasma(rng, 1 << (max(height, width) - 1).bit_length(), FOG_DECAY.at(level, images))
    foggy = torch.add(images, density[:, None, :height, :width], alpha=thickness)
    return foggy.mul_(white / (white + thickness))


@by_level
def frost(images: Images, level: float, rng: CounterRng) -> Images:
    """Cover each image with frost: bright, bluish veins of ice.

    Share of the image that is kept and of frost that is added, at levels 1 to 5, at 224 pixels: (1, 0.4), (0.8, 0.6),
    (0.7, 0.7), (0.65, 0.7), (0.6, 0.75). Source: ImageNet-C, which adds one of five photographs of frost; here the
    frost is a random field with their mean and contrast, so it agrees in kind only.
    """
    ice = _ice(rng, *images.shape[-2:])
    tint = constants(FROST_TINT if images.shape[1] == 3 else (1.0,), images)[:, None, None]
    added = ice * (tint * FROST.at(level, images))
    return added.add_(images, alpha=FROST_KEPT.at(level, images))


@by_level
def snow(images: Images, level: float, rng: CounterRng) -> Images:
    """Whiten each image and let snow fall on it: bright flakes, smeared at a random angle.

    At levels 1 to 5, at 224 pixels, flakes are noise enlarged 3, 2, 4, 4.5 and 2.5 times, above a threshold of 0.5,
    0.5, 0.9, 0.85 and 0.85; their trails have a sigma of 4, 4, 8, 8 and 12 pixels. Source: ImageNet-C.
    """
    height, width = images.shape[-2:]
    size, kept = max(1.0, SNOW_SIZE.at(level, images)), SNOW_KEPT.at(level, images)
    flakes = normal(rng, "flakes", 1, math.ceil(height / size), math.ceil(width / size))
    flakes = flakes.mul_(SNOW_SPREAD.at(level, images)).add_(SNOW_MEAN.at(level, images))
    flakes = F.interpolate(flakes, (height, width), mode="bilinear", align_corners=True)
    flakes = flakes.mul_(flakes >= SNOW_THRESHOLD.at(level, images)).clamp_(max=1)
    angle = 90 * rng.uniform("angle of the snow") - 135
    flakes = line_blur(flakes, SNOW_RADIUS.at(level, images), SNOW_TRAIL.at(level, images), angle)
    flakes = flakes + flakes.flip(2, 3)
    white = torch.maximum(images, grey(images).mul_(1.5).add_(0.5))
    return torch.add(images * kept, white, alpha=1 - kept).add_(flakes)


def grey(images: Images) -> Float[Tensor, "n 1 height width"]:
    """The luma of each pixel."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    red, green, blue = images[:, :1], images[:, 1:2], images[:, 2:]
    return torch.add(red * LUMA[0], green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def plasma(rng: CounterRng, side: int, decay: float) -> Float32[Tensor, "n side side"]:
    """A diamond-square fractal in 0..1 for each image; `side` is a power of two.

    Each halving of the step divides the amplitude by `decay` squared, as in ImageNet-C's generator.
    """
    n = len(rng.sources)
    noise = uniform(rng, "plasma", side * side).mul_(2).sub_(1)
    field = noise.new_zeros(n, side, side)
    used, step, wibble = 0, side, 100.0

    def mean(total: Tensor) -> Tensor:
        part = noise[:, used : used + total[0].numel()].view(total.shape)
        return torch.add(total * 0.25, part, alpha=wibble**2)

    while step >= 2:
        half, count = step // 2, (side // step) ** 2
        corners, middles = field[:, ::step, ::step], field[:, half::step, half::step]
        pairs = corners + corners.roll(-1, 1)
        middles.copy_(mean(pairs + pairs.roll(-1, 2)))
        used += count
        beside = middles + middles.roll(1, 1) + corners + corners.roll(-1, 2)
        above = middles + middles.roll(1, 2) + pairs
        field[:, ::step, half::step] = mean(beside)
        used += count
        field[:, half::step, ::step] = mean(above)
        used += count
        step, wibble = half, wibble / decay
    low, high = field.amin((1, 2), keepdim=True), field.amax((1, 2), keepdim=True)
    return field.sub_(low).div_(high - low)


def _ice(rng: CounterRng, height: int, width: int) -> Float32[Tensor, "n 1 height width"]:
    """A field like frost on a window: ridges at several scales, in patches."""
    total = torch.zeros(len(rng.sources), 1, height, width, device=rng.sources.device)
    longest = max(height, width)
    for number, (cells, share) in enumerate(FROST_SCALES):
        corners = tuple(min(side, max(2, round(cells * side / longest))) for side in (height, width))
        noise = normal(rng, f"ice {number}", 1, *corners)
        field = F.interpolate(noise, (height, width), mode="bilinear", align_corners=True)
        total.add_(field.abs_().mul_(-2.2).exp_() if number else field, alpha=share)
    low, high = FROST_MEANS
    mean = low + (high - low) * uniform(rng, "how white the ice is", 1, 1, 1)
    return total.sub_(FROST_PATTERN_MEAN).mul_(FROST_CONTRAST).add_(mean).clamp_(0, 1)
