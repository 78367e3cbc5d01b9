"""Alterations of where things are in a picture: turned, moved, stretched, shrunk."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from imparfait.alterations.severity import Severity, as_column, unchanged_where_zero
from imparfait.randomness import Draw
from imparfait.tensors import Images


def geometric(images: Images, severity: Severity, draw: Draw) -> Images:
    """Turn, move and stretch each picture a little, as Keras's `ImageDataGenerator` does.

    Severity s turns by up to 30 s degrees, moves by up to 20 s % of the side and stretches each axis by up to
    20 s %; pixels that turn into view repeat the nearest edge. The protocol's severity is 0.5.
    Source: Keras's legacy `apply_affine_transform` (bilinear, `fill_mode="nearest"`), with which it agrees.
    """
    height, width = images.shape[-2:]
    at_most = torch.tensor([math.radians(30), 0.2 * height, 0.2 * width, 0.2, 0.2], dtype=images.dtype)
    drawn = 2 * draw.uniform("angle, down, right, tall, wide", 5).to(images.dtype) - 1
    angle, down, right, tall, wide = (drawn * at_most * as_column(severity, images)[:, None]).unbind(1)
    cos, sin = angle.cos(), angle.sin()
    # Where each output pixel looks in the input, from the centre: turn(move(stretch(row, column))).
    turn = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
    matrix = turn * torch.stack([1 + tall, 1 + wide], 1)[:, None]
    offset = (turn * torch.stack([down, right], 1)[:, None]).sum(2)
    return unchanged_where_zero(severity, images, resample(images, matrix, offset))


def shrunk(images: Images, severity: Severity, draw: Draw) -> Images:
    """Put each picture at a random place of a larger empty canvas, then reduce the canvas to the picture's size.

    Severity s makes the canvas 1 + s times the side (whole pixels); the place is a whole pixel, uniform; the
    reduction averages areas, so strokes get thinner and paler. The protocol's severity is 1: half the size.
    Source: `create_imperfect_image` of the founding study.
    """
    height, width = images.shape[-2:]
    s, places = as_column(severity, images), draw.uniform("row, column", 2).to(images.dtype)
    rows, columns = _reduction(height, s, places[:, 0]), _reduction(width, s, places[:, 1])
    # [n, 1, height, height] @ [n, channels, height, width] @ [n, 1, width, width]: exact, and all matrix products.
    return unchanged_where_zero(severity, images, rows[:, None] @ images @ columns[:, None].mT)


def resample(images: Images, matrix: Float[Tensor, "n 2 2"], offset: Float[Tensor, "n 2"]) -> Images:
    """Each output pixel p takes the input at `matrix @ p + offset`, bilinear; outside, the nearest edge.

    Pixel positions are (row, column) from the picture's centre, in pixels.
    """
    n, (height, width) = len(images), images.shape[-2:]
    down = torch.arange(height, dtype=images.dtype) - (height - 1) / 2
    right = torch.arange(width, dtype=images.dtype) - (width - 1) / 2
    # grid_sample wants (x, y), with the picture's outer edges at -1 and 1.
    scale = torch.tensor([2 / width, 2 / height], dtype=images.dtype)[:, None]
    m, o = matrix.flip(1) * scale, offset.flip(1) * scale[:, 0]
    # The grid in two planes: one addition of a column and a row for each, nothing interleaved.
    grid = torch.empty(n, 2, height, width, dtype=images.dtype)
    torch.add((m[..., :1] * down + o[..., None])[..., None], (m[..., 1:] * right)[..., None, :], out=grid)
    grid = grid.permute(0, 2, 3, 1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _reduction(side: int, severity: Tensor, place: Tensor) -> Float[Tensor, "n side side"]:
    """Matrices that place `side` pixels on a longer canvas and average it back to `side` pixels.

    Entry (i, j) is the share of output pixel i that input pixel j covers.
    """
    canvas = (side * (1 + severity)).round()
    start = (place * (canvas - side + 1)).floor()
    # Few (canvas, start) are different: their matrices are made once and looked up.
    pairs, which = torch.unique(canvas.long() * (4 * side) + start.long(), return_inverse=True)
    canvas, start = (pairs // (4 * side)).to(severity.dtype), (pairs % (4 * side)).to(severity.dtype)
    step = (canvas / side)[:, None, None]
    i = torch.arange(side, dtype=severity.dtype)[None, :, None] * step
    j = torch.arange(side, dtype=severity.dtype)[None, None, :] + start[:, None, None]
    overlap = torch.minimum(i + step, j + 1) - torch.maximum(i, j)
    matrices: Tensor = overlap.clamp_(min=0) / step
    return matrices.index_select(0, which)
