"""Blur of the photo suite: defocus, frosted glass, motion, zoom."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, Int64
from torch import Tensor

from imparfait.core import tensors
from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import constants
from imparfait.corruptions.photo.filters import convolve, gaussian_blur, integers, line_blur
from imparfait.corruptions.photo.levels import Curve, by_level

DEFOCUS_RADIUS = Curve(0, (3, 4, 6, 8, 10), (0.5, 1, 1.5, 2.5, 3), (0.3, 0.4, 0.5, 1, 1.5), is_length=True)
DEFOCUS_ALIAS = Curve(0.1, (0.1, 0.5, 0.5, 0.5, 0.5), (0.6, 0.1, 0.1, 0.01, 0.1), (0.4, 0.5, 0.6, 0.2, 0.1))
GLASS_SIGMA = Curve(0, (0.7, 0.9, 1, 1.1, 1.5), (0.1, 0.5, 0.6, 0.7, 0.9), (0.05, 0.25, 0.4, 0.25, 0.4), is_length=True)
GLASS_REACH = Curve(1, (1, 2, 2, 3, 4), (1, 1, 1, 2, 2), (1, 1, 1, 1, 1), is_length=True)
GLASS_ROUNDS = Curve(0, (2, 1, 3, 2, 2), (1, 1, 2, 1, 2), (1, 1, 1, 2, 2))
MOTION_RADIUS = Curve(10, (10, 15, 15, 15, 20), (10, 10, 10, 10, 12), (6, 6, 6, 8, 9), is_length=True)
MOTION_SIGMA = Curve(0, (3, 5, 8, 12, 15), (1, 1.5, 2, 2.5, 3), (1, 1.5, 2, 2, 2.5), is_length=True)
MIN_ALIAS_SIGMA = 0.15  # pixels: a Gaussian below leaves whole pixels as they are
ZOOM = Curve(0, (0.11, 0.15, 0.20, 0.24, 0.30), (0.05, 0.10, 0.15, 0.20, 0.25))  # largest factor, less 1
ZOOM_IDENTITY = Curve(1, (2 / 13, 2 / 17, 2 / 12, 2 / 14, 2 / 12), (2 / 7, 2 / 12, 2 / 17, 2 / 22, 2 / 27))  # its share
PLACES_AT_ONCE = 1 << 16  # pixels whose sources are found together: half a megabyte, which stays in the cache
ZOOM_DOUBLINGS = 3  # of the number of zoomed copies: 8


@by_level
def defocus_blur(images: Images, level: float, rng: CounterRng) -> Images:
    """Defocus each image: a point becomes a disc.

    Radius at levels 1 to 5, at 224 pixels: 3, 4, 6, 8, 10 pixels. Uses no randomness. Source: ImageNet-C.
    """
    return convolve(images, disc(DEFOCUS_RADIUS.at(level, images), DEFOCUS_ALIAS.at(level, images)))


@by_level
def glass_blur(images: Images, level: float, rng: CounterRng) -> Images:
    """Blur as frosted glass does: smooth, replace each pixel by a random neighbour, smooth again.

    Sigma, farthest neighbour and rounds at levels 1 to 5, at 224 pixels: (0.7, 1, 2), (0.9, 2, 1), (1, 2, 3),
    (1.1, 3, 2), (1.5, 4, 2). Source: ImageNet-C, whose swaps are copies: in each round pixels are replaced one after
    the other from the lower right, so a copy may be copied on.
    """
    sigma = GLASS_SIGMA.at(level, images)
    smooth = gaussian_blur(images, sigma)
    channels, height, width = images.shape[1:]
    reach, rounds = round(GLASS_REACH.at(level, images)), max(1, round(GLASS_ROUNDS.at(level, images)))
    drawn = [integers(rng, f"glass {number}", height, width) for number in range(rounds)]
    places = (sources_on_cpu if tensors.on_cpu(images) else sources)(drawn, reach)
    scattered = smooth.flatten(2).gather(2, places[:, None].expand(-1, channels, -1)).view_as(images)
    return gaussian_blur(scattered, sigma)


@by_level
def motion_blur(images: Images, level: float, rng: CounterRng) -> Images:
    """Blur each image by motion, at a random angle between -45 and 45 degrees.

    Sigma of the trail at levels 1 to 5, at 224 pixels: 3, 5, 8, 12, 15 pixels. Source: ImageNet-C.
    """
    angle = 90 * rng.uniform("angle of motion of photographs") - 45
    return line_blur(images, MOTION_RADIUS.at(level, images), MOTION_SIGMA.at(level, images), angle)


@by_level
def zoom_blur(images: Images, level: float, rng: CounterRng) -> Images:
    """Blur each image as zooming during the exposure does: the mean of copies zoomed further and further.

    Largest zoom at levels 1 to 5, at 224 pixels: 1.11, 1.15, 1.20, 1.24, 1.30. Uses no randomness. Source: ImageNet-C,
    which averages 11 to 16 copies at even steps; here 8 at even ratios.
    """
    step = (1 + ZOOM.at(level, images)) ** (1 / (2**ZOOM_DOUBLINGS - 1))
    blurred = images
    for doubling in range(ZOOM_DOUBLINGS):
        blurred = torch.add(blurred, zoomed(blurred, step ** (2**doubling))).mul_(0.5)
    once = 2**-ZOOM_DOUBLINGS
    alone = max(0.0, (ZOOM_IDENTITY.at(level, images) - once) / (1 - once))  # the original counts more than once
    return blurred.mul_(1 - alone).add_(images, alpha=alone)


def disc(radius: float, alias_sigma: float) -> Float32[Tensor, "odd odd"]:
    """The kernel of a defocused point: a disc of whole pixels with softened edges, as ImageNet-C's."""
    soft = 0 if alias_sigma < MIN_ALIAS_SIGMA else 1 if radius <= 8 else 2  # pixels
    reach = math.floor(radius) + soft
    away = torch.arange(-reach, reach + 1, dtype=torch.float64)
    kernel = ((away[:, None] ** 2 + away**2) <= radius**2).double()
    taps = torch.exp(-0.5 * (torch.arange(-soft, soft + 1, dtype=torch.float64) / alias_sigma) ** 2)
    taps = (taps / taps.sum()).view(1, 1, 1, -1)
    kernel = F.conv2d(F.conv2d(kernel[None, None], taps, padding=(0, soft)), taps.mT, padding=(soft, 0))[0, 0]
    return (kernel / kernel.sum()).to(torch.float32)


def zoomed(images: Images, factor: float) -> Images:
    """Each image enlarged about its centre by one factor, bilinearly; its size stays."""
    n, channels, height, width = images.shape
    grid = F.affine_grid(constants([[[1 / factor, 0, 0], [0, 1 / factor, 0]]], images), [1, 1, height, width], False)
    # As channels of one image they share the positions, which are computed once.
    return F.grid_sample(images.reshape(1, n * channels, height, width), grid, align_corners=False).view_as(images)


def sources(drawn: list[Tensor], reach: int) -> Int64[Tensor, "n places"]:
    """Which pixel each pixel is in the end, on the device of `drawn`: the random bits of each round."""
    _, height, width = drawn[0].shape
    place = torch.arange(height * width, device=drawn[0].device)
    row, column = place // width, place % width
    inside = (row > reach) & (row <= height - reach) & (column > reach) & (column <= width - reach)
    composed = place.expand(len(drawn[0]), -1)
    for bits in drawn:
        down, right = ((byte * 2 * reach >> 8) - reach for byte in (bits.flatten(1) >> 8, bits.flatten(1) & 255))
        offset = (down * width + right) * inside
        target = place + offset
        # The last link of each chain of replaced pixels: each pass doubles how far is looked, up to all of the image.
        last = torch.where((offset > 0) & inside[target], target, place)
        for _ in range((height * width).bit_length()):
            last = last.gather(1, last)
        composed = composed.gather(1, target.gather(1, last))
    return composed


def sources_on_cpu(drawn: list[Tensor], reach: int) -> Int64[Tensor, "n places"]:
    """As `sources`, with NumPy: only chains that go on are followed, in parts that stay in the cache."""
    n, height, width = drawn[0].shape
    source = np.empty((n, height * width), np.int64)
    few = max(1, PLACES_AT_ONCE // (height * width))
    for start in range(0, n, few):
        part = source[start : start + few]
        composed = np.arange(part.size)
        for bits in drawn:
            composed = composed[_neighbours(bits[start : start + few], reach)]
        part[...] = composed.reshape(part.shape) % (height * width)
    return torch.from_numpy(source)


def _neighbours(bits: Tensor, reach: int) -> Int64[np.ndarray, " places"]:
    """The source of each pixel after one round: a random neighbour up to `reach` pixels away, itself near the edges."""
    n, height, width = bits.shape
    steps = (np.arange(256) * 2 * reach >> 8) - reach  # -reach to reach - 1, for each value of a byte
    offsets = (steps[:, None] * width + steps).reshape(-1)
    row, column = np.ogrid[:height, :width]
    inside = (row > reach) & (row <= height - reach) & (column > reach) & (column <= width - reach)
    inside = np.tile(inside.reshape(-1), n)
    offset = offsets.take(bits.numpy().reshape(-1))
    offset *= inside
    place = np.arange(n * height * width)
    target = place + offset
    # Pixels are replaced one after the other from the last: a source further on was replaced before, so follow it on.
    follows = (offset > 0) & inside.take(target)
    final, active = target.copy(), np.flatnonzero(follows)
    while len(active):
        at = final.take(active)
        final[active] = target.take(at)
        active = active[follows.take(at)]
    return final
