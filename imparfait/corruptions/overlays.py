"""Corruptions by what does not belong to the thing: lines, dirt, something in front of it."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import SIDE, Severity, as_column, pixel, unchanged_where_zero
from imparfait.corruptions.smooth_noise import gaussians, keeping_variance

# What severity 1 is; lengths as in lengths.py.
DOTTED_MOST = 12.0  # lines at severity 1; more was not tried
ZIGZAG_MOST = 10.0
FALL = 2.3  # a line's ink is 1 + log(1 - distance / FALL), as MNIST-C's
SPATTER_LEAST, SPATTER_MOST = 0.5, -1.0  # where spots begin, in standard deviations of the liquid's mean
MUD = 63 / 255  # its grey in MNIST-C
OCCLUSION_MOST = 12.0  # side of what is in front, at severity 1
CLUTTER_MOST = 11.0  # how far neighbours reach in, at severity 1; further in, less of them is seen again
HALF_STROKE = 1.8  # of a neighbour, where its ink ends
RULED_MOST = 5.0  # a line's width at severity 1


def stripe(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Invert the left and the right quarter. It has no degrees: any severity above 0 is all of it.

    Source: MNIST-C. It draws nothing.
    """
    quarter = round(images.shape[-1] / 4)
    striped = images.clone()
    for edge in (striped[..., :quarter], striped[..., images.shape[-1] - quarter :]):
        edge.neg_().add_(1)
    return unchanged_where_zero(severity, images, striped)


def dotted_line(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Draw dotted lines from the left edge to the right.

    Severity s draws `DOTTED_MOST` s of them; the last one is as pale as the fraction that is left. Source: MNIST-C,
    which draws one.
    """
    down, right = _places(images)
    ends = rng.uniform("ends of dotted lines", _most_lines(severity, DOTTED_MOST), 2).to(images.dtype) * (SIDE - 1)
    start, end = ends[..., :1, None], ends[..., 1:, None]  # n, lines, 1, 1
    inked = (right / 2).floor().remainder(2) == 1  # two pixels without, two with ink
    distance = (down - start - (end - start) * (right / (SIDE - 1))).abs()
    return _with_lines(images, severity, DOTTED_MOST, torch.where(inked, distance, FALL))


def zigzag(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Draw zigzags across: waves 8 pixels long and 2 high.

    Severity s draws `ZIGZAG_MOST` s of them; the last one is as pale as the fraction that is left. Source: MNIST-C,
    which draws one; its corners differ a little.
    """
    down, right = _places(images)
    drawn = rng.uniform("start, rise of zigzags", _most_lines(severity, ZIGZAG_MOST), 2).to(images.dtype)
    start, rise = drawn[..., :1, None] * (SIDE - 1), drawn[..., 1:, None] * 10 - 5
    length = (rise**2 + 23**2).sqrt()
    cos, sin = 23 / length, rise / length
    along = (right - 2) * cos + (down - start) * sin
    across = (down - start) * cos - (right - 2) * sin
    wave = 2 - ((along + 2).remainder(8) - 4).abs()  # from 0 up to 2, down to -2
    inside = (along >= 0) & (along <= length)
    # As for its straight pieces of slope 1, the distance is the vertical one.
    return _with_lines(images, severity, ZIGZAG_MOST, torch.where(inside, (across + wave).abs(), FALL))


def ruled_lines(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Rule the paper: parallel lines nearly along the rows, on every other image also down the columns.

    Severity s makes them `RULED_MOST` s wide; a line narrower than a pixel is pale. Their
    distance is 6 to 11 of these, their grey 0.4 to 1.
    """
    down, right = _places(images)
    drawn = rng.uniform("tilt, distance, place, grey, squared", 5).to(images.dtype)
    tilt, apart, place, grey, squared = drawn[:, :, None, None, None].unbind(1)
    tilt, apart = 0.2 * tilt - 0.1, 6 + 5 * apart
    wide = (RULED_MOST * as_column(severity, images))[:, None, None, None]

    def ruled(across: Tensor) -> Tensor:
        distance = ((across + place * apart).remainder(apart) - apart / 2).abs()
        return torch.minimum((wide / 2 + 0.5 - distance).clamp(min=0), wide.clamp(max=1))

    lines = torch.maximum(ruled(down + tilt * right), ruled(right - tilt * down) * (squared < 0.5))
    return unchanged_where_zero(severity, images, torch.maximum(images, grey * lines))


def spatter(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Splash mud on the image: grey spots with soft edges.

    A smooth random field is a liquid; where it stands higher than a threshold, there is mud. At severity s the
    threshold lies `SPATTER_LEAST` + s (`SPATTER_MOST` - `SPATTER_LEAST`) standard deviations above its mean.
    Source: MNIST-C, whose level 4 has it at the mean.
    """
    height, width = images.shape[2:]
    unit = pixel(images)
    normal = rng.normal("liquid", 1, height, width, dtype=images.dtype)
    down, right = (keeping_variance(side, unit, images.dtype).expand(1, 1, -1, -1) for side in (height, width))
    liquid = down @ normal @ right.mT
    level = SPATTER_LEAST + (SPATTER_MOST - SPATTER_LEAST) * as_column(severity, images)
    soft = torch.tensor([1.5 * unit], dtype=images.dtype)
    down, right = (gaussians(soft, side)[:, None] for side in (height, width))
    mud = down @ (liquid > level[:, None, None, None]).to(images.dtype) @ right.mT
    mud = torch.where(mud < 0.8, 0, mud)
    return unchanged_where_zero(severity, images, images * (1 - mud) + MUD * mud)


def occlusion(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Put a square of one grey in front of the image, at a random place.

    At severity s its side is `OCCLUSION_MOST` s.
    """
    down, right = _places(images)
    drawn = rng.uniform("row, column, grey of the square", 3).to(images.dtype)
    row, column, grey = drawn[:, :, None, None, None].unbind(1)
    half = (OCCLUSION_MOST / 2 * as_column(severity, images))[:, None, None, None]
    away = torch.maximum((down - row * (SIDE - 1)).abs(), (right - column * (SIDE - 1)).abs())
    covered = (half + 0.5 - away).clamp(0, 1)  # a pixel on its edge is covered in part
    return unchanged_where_zero(severity, images, images * (1 - covered) + grey * covered)


def clutter(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Let pieces of neighbouring digits reach in over each edge: rounds and bars, as digits are made of.

    At severity s they reach in by half to all of `CLUTTER_MOST` s. They are drawn, not taken
    from other images, so that nothing depends on what else is in the batch.
    """
    down, right = _places(images)
    drawn = rng.uniform("reach, place, tall, wide, bar, slant", 4, 6).to(images.dtype)
    reach, place, tall, wide, bar, slant = drawn[:, :, None, None, :].unbind(-1)  # n, edges, 1, 1
    reach = CLUTTER_MOST * as_column(severity, images)[:, None, None, None] * (0.5 + 0.5 * reach) - HALF_STROKE
    down, right = down.expand(-1, len(right)), right.expand(len(down), -1)
    inward = torch.stack([right, SIDE - 1 - right, down, SIDE - 1 - down])
    along = torch.stack([down, down, right, right])
    tall, wide = 5 + 5 * tall, 4 + 4 * wide
    x, y = inward - reach + wide + 0.5, along - (4 + 20 * place)
    ring = ((x / wide) ** 2 + (y / tall) ** 2).sqrt().sub(1).abs() * torch.minimum(tall, wide)
    slant = slant - 0.5
    line = torch.maximum((x - wide + slant * y + slant.abs() * tall).abs(), y.abs() - tall)
    strokes = (HALF_STROKE - torch.where(bar < 0.4, line, ring)).clamp(0, 1)
    return unchanged_where_zero(severity, images, torch.maximum(images, strokes.amax(1, keepdim=True)))


def _places(images: Images) -> tuple[Float[Tensor, "height 1"], Float[Tensor, " width"]]:
    """The rows and the columns side; the middle is at 13.5."""
    height, width = images.shape[2:]
    down, right = ((torch.arange(side, dtype=images.dtype) + 0.5) * (SIDE / side) - 0.5 for side in (height, width))
    return down[:, None], right


def _most_lines(severity: Severity, most: float) -> int:
    """How many lines are drawn at most; more than are expected would cost time and change nothing."""
    return max(1, math.ceil(most * float(torch.as_tensor(severity).max())))


def _with_lines(
    images: Images, severity: Severity, most: float, distance: Float[Tensor, "n lines height width"]
) -> Images:
    """The images with up to `most` lines, by each pixel's distance from each."""
    lines = torch.arange(distance.shape[1], dtype=images.dtype)
    there = (most * as_column(severity, images)[:, None] - lines).clamp(0, 1)
    ink = (1 + torch.log1p(-distance.clamp(max=FALL - 1e-9) / FALL)).clamp_(min=0) * there[..., None, None]
    return unchanged_where_zero(severity, images, (images + ink.sum(1, keepdim=True)).clamp_(max=1))
