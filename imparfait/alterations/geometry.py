"""Alterations of where things are in a picture: turned, moved, stretched, shrunk."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from imparfait.randomness import Draw
from imparfait.tensors import Images

Severity = float | Float[Tensor, " n"]


def geometric(images: Images, severity: Severity, draw: Draw) -> Images:
    """Turn, move and stretch each picture a little, as Keras's `ImageDataGenerator` does.

    Severity s turns by up to 30 s degrees, moves by up to 20 s % of the side and stretches each axis by up to
    20 s %; pixels that turn into view repeat the nearest edge. The protocol's severity is 0.5.
    Source: Keras's legacy `apply_affine_transform` (bilinear, `fill_mode="nearest"`), with which it agrees.
    """
    s = _as_column(severity, images)

    def symmetric(name: str) -> Tensor:
        return (2 * draw.uniform(name).to(images.dtype) - 1) * s

    height, width = images.shape[-2:]
    angle = symmetric("angle") * math.radians(30)
    down, right = symmetric("down") * 0.2 * height, symmetric("right") * 0.2 * width
    tall, wide = 1 + symmetric("tall") * 0.2, 1 + symmetric("wide") * 0.2
    cos, sin = angle.cos(), angle.sin()
    # Where each output pixel looks in the input, from the centre: turn(move(stretch(row, column))).
    turn = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
    matrix = turn * torch.stack([tall, wide], 1)[:, None]
    offset = (turn * torch.stack([down, right], 1)[:, None]).sum(2)
    return _unchanged_where_zero(severity, images, resample(images, matrix, offset))


def shrunk(images: Images, severity: Severity, draw: Draw) -> Images:
    """Put each picture at a random place of a larger empty canvas, then reduce the canvas to the picture's size.

    Severity s makes the canvas 1 + s times the side (whole pixels); the place is a whole pixel, uniform; the
    reduction averages areas, so strokes get thinner and paler. The protocol's severity is 1: half the size.
    Source: `create_imperfect_image` of the founding study.
    """
    s = _as_column(severity, images)
    height, width = images.shape[-2:]
    rows = _reduction(height, s, draw.uniform("row").to(images.dtype))
    columns = _reduction(width, s, draw.uniform("column").to(images.dtype))
    # [n, 1, height, height] @ [n, channels, height, width] @ [n, 1, width, width]: exact, and all matrix products.
    return _unchanged_where_zero(severity, images, rows[:, None] @ images @ columns[:, None].mT)


def resample(images: Images, matrix: Float[Tensor, "n 2 2"], offset: Float[Tensor, "n 2"]) -> Images:
    """Each output pixel p takes the input at `matrix @ p + offset`, bilinear; outside, the nearest edge.

    Pixel positions are (row, column) from the picture's centre, in pixels.
    """
    height, width = images.shape[-2:]
    down = torch.arange(height, dtype=images.dtype)[:, None] - (height - 1) / 2
    right = torch.arange(width, dtype=images.dtype)[None, :] - (width - 1) / 2
    m, o = matrix[..., None, None], offset[..., None, None]
    row = m[:, 0, 0] * down + m[:, 0, 1] * right + o[:, 0]
    column = m[:, 1, 0] * down + m[:, 1, 1] * right + o[:, 1]
    # grid_sample wants (x, y) with the picture's outer edges at -1 and 1.
    grid = torch.stack([column * (2 / width), row * (2 / height)], 3)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _reduction(side: int, severity: Tensor, place: Tensor) -> Float[Tensor, "n side side"]:
    """Matrices that place `side` pixels on a longer canvas and average it back to `side` pixels.

    Entry (i, j) is the share of output pixel i that input pixel j covers.
    """
    canvas = (side * (1 + severity)).round()
    start = (place * (canvas - side + 1)).floor()[:, None, None]
    step = (canvas / side)[:, None, None]
    i = torch.arange(side, dtype=severity.dtype)[None, :, None] * step
    j = torch.arange(side, dtype=severity.dtype)[None, None, :] + start
    overlap = torch.minimum(i + step, j + 1) - torch.maximum(i, j)
    return overlap.clamp_(min=0).div_(step)


def _as_column(severity: Severity, images: Images) -> Float[Tensor, " n"]:
    return torch.as_tensor(severity, dtype=images.dtype).expand(len(images))


def _unchanged_where_zero(severity: Severity, images: Images, altered: Images) -> Images:
    """Severity 0 is the very same picture; resampling at the identity would be off by 3e-6."""
    if isinstance(severity, Tensor):
        return torch.where((severity == 0)[:, None, None, None], images, altered)
    return images if severity == 0 else altered
