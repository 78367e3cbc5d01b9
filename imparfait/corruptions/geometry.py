"""Geometric corruptions: rotation, shift, scale, shear, perspective, elastic deformation."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from imparfait.core import tensors
from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import Severity, as_column, constants, unchanged_where_zero
from imparfait.corruptions.smooth_noise import keeping_variance

# Parameters at severity 1. The first four extrapolate MNIST-C's five levels to their last.
MAX_ROTATION_RAD = 1.5  # radians, 86 degrees
MAX_SHEAR_RAD = 1.1  # radians
MAX_SHRINKING = 0.62  # share of the size that is lost
MAX_SHIFT = 9 / 28  # share of the side
MAX_TILT_RAD = math.radians(66)
VIEWING_DISTANCE = 3.0  # viewing distance in halves of the shorter side: a page held to read
MAX_DISPLACEMENT = 1.9 / 28  # share of the shorter side, root mean square
ELASTIC_SIGMA = 4 / 28  # Simard, Steinkraus & Platt's sigma of 4 pixels of 28


def geometric(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Rotate, shift and stretch each image at random, as Keras's `ImageDataGenerator` does.

    Severity s rotates by up to 30 s degrees, shifts by up to 20 s % of the side and stretches each axis by up to
    20 s %; pixels from outside repeat the nearest edge. The core suite uses severity 0.5.
    Source: Keras's legacy `apply_affine_transform` (bilinear, `fill_mode="nearest"`); agrees with it.
    """
    height, width = images.shape[-2:]
    at_most = constants([math.radians(30), 0.2 * height, 0.2 * width, 0.2, 0.2], images)
    drawn = 2 * rng.uniform("angle, down, right, tall, wide", 5).to(images.dtype) - 1
    angle, down, right, tall, wide = (drawn * at_most * as_column(severity, images)[:, None]).unbind(1)
    cos, sin = angle.cos(), angle.sin()
    # Source position of each output pixel, from the centre: rotate(shift(stretch(row, column))).
    turn = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
    matrix = turn * torch.stack([1 + tall, 1 + wide], 1)[:, None]
    offset = (turn * torch.stack([down, right], 1)[:, None]).sum(2)
    return unchanged_where_zero(severity, images, resample(images, matrix, offset))


def rotate(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Rotate each image about its centre, clockwise or counter-clockwise.

    Severity s rotates by exactly `MAX_ROTATION_RAD` s; pixels from outside are background (0).
    Source: MNIST-C (Mu & Gilmer 2019), which rotates by 0.4 rad; agrees closely.
    """
    angle = _random_sign("turned left or right", images, rng) * as_column(severity, images) * MAX_ROTATION_RAD
    cos, sin = angle.cos(), angle.sin()
    matrix = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
    return unchanged_where_zero(severity, images, resample(images, matrix, outside="zeros"))


def shear(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Shear each image horizontally about its centre, to the left or to the right.

    Severity s slants vertical lines by the angle `MAX_SHEAR_RAD` s and stretches the image by 1 / cos of it: rows keep
    their width and slanted lines their length. Pixels from outside are background (0).
    Source: MNIST-C (Mu & Gilmer 2019), which shears by 0.4 rad; agrees closely. It used scikit-image before 0.19,
    whose shear is an angle; later versions slant by its tangent and do not stretch.
    """
    angle = _random_sign("slanted left or right", images, rng) * as_column(severity, images) * MAX_SHEAR_RAD
    cos, sin = angle.cos(), angle.sin()
    matrix = torch.stack([cos, torch.zeros_like(cos), -sin, torch.ones_like(cos)], 1).view(-1, 2, 2)
    return unchanged_where_zero(severity, images, resample(images, matrix, outside="zeros"))


def scale(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Shrink each image about its centre, without smoothing it first.

    Severity s removes `MAX_SHRINKING` s of height and width; pixels from outside are background (0). Uses no
    randomness.
    Source: MNIST-C (Mu & Gilmer 2019), which leaves 0.7 of the size; agrees closely.
    """
    left = (1 - as_column(severity, images) * MAX_SHRINKING).clamp(min=0.05)[:, None]  # past 2, still a dot
    down, right = (_from_centre(side, images) / left + (side - 1) / 2 for side in images.shape[-2:])
    return unchanged_where_zero(severity, images, _resample_axes(images, down, right))


def translate(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Shift each image up or down, and left or right.

    Severity s shifts by exactly `MAX_SHIFT` s of the height and of the width; pixels from outside are
    background (0).
    Source: MNIST-C (Mu & Gilmer 2019), which shifts by 3 of 28 pixels along each axis; agrees closely.
    """
    way = _random_sign("moved up or down, left or right", images, rng, 2)
    moved = (way * as_column(severity, images)[:, None] * MAX_SHIFT).unbind(1)
    down, right = (
        _pixels(side, images) + by[:, None] * side for side, by in zip(images.shape[-2:], moved, strict=True)
    )
    return unchanged_where_zero(severity, images, _resample_axes(images, down, right))


def perspective(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """View each image in perspective: its plane is tilted about a line through its centre.

    Severity s tilts by exactly `MAX_TILT_RAD` s in a random direction, seen from 1.5 times the shorter side away:
    the far half gets smaller, the near half larger. Pixels from outside are background (0).
    Source: the pinhole camera. Not in MNIST-C.
    """
    half = min(images.shape[-2:]) / 2
    towards = rng.uniform("direction of the tilt").to(images.dtype) * (2 * math.pi)
    tilt = (as_column(severity, images) * MAX_TILT_RAD).clamp(max=1.5)  # edge-on, at pi / 2, nothing is seen
    cos, sin = towards.cos(), towards.sin()
    # The ray through (along, across) meets the plane at (along / cos, across) / (1 - along tan / distance) of the tilt.
    turn = torch.stack([cos, sin], 1)
    longer = (1 / tilt.cos() - 1)[:, None, None] * turn[:, :, None] * turn[:, None]
    horizon = -turn * (tilt.tan() / (VIEWING_DISTANCE * half))[:, None]
    matrix = torch.eye(2, dtype=images.dtype, device=images.device) + longer
    return unchanged_where_zero(severity, images, resample(images, matrix, horizon=horizon, outside="zeros"))


def elastic(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Deform each image elastically: a smooth random displacement of every pixel.

    Severity s displaces by `MAX_DISPLACEMENT` s of the shorter side (root mean square per axis); the displacement field
    is noise smoothed with a sigma of 4/28 of that side. Pixels from outside are background (0).
    Source: Simard, Steinkraus & Platt 2003, whose sigma 4 and alpha 34 give 1.4 of 28 pixels.
    """
    height, width = images.shape[-2:]
    shorter = min(height, width)
    # Each 64-bit draw gives four 16-bit numbers; two per pixel are needed.
    bits = rng.bits("field of noise, down and right", math.ceil(height * width / 2)).view(torch.int16)
    noise = bits[:, : 2 * height * width].view(-1, 2, height, width).to(images.dtype) / 2**15
    tall, wide = (keeping_variance(side, ELASTIC_SIGMA * shorter, images) for side in (height, width))
    # Uniform noise in -1..1 has variance 1/3; the smoothing matrices preserve it, at the edges too.
    most = MAX_DISPLACEMENT * shorter * math.sqrt(3) * as_column(severity, images)
    field = tall @ noise @ wide.mT * most[:, None, None, None]
    return unchanged_where_zero(severity, images, resample(images, field=field, outside="zeros"))


def shrunk(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Shrink each image and place it at random: on a larger empty canvas, which is then reduced to the image's size.

    Severity s makes the canvas 1 + s times the side (whole pixels); the position is a whole pixel, uniform; the
    reduction averages areas, so strokes get thinner and paler. The core suite uses severity 1: half the size.
    Source: `create_imperfect_image` of the founding study.
    """
    height, width = images.shape[-2:]
    s, places = as_column(severity, images), rng.uniform("row, column", 2).to(images.dtype)
    rows, columns = _reduction(height, s, places[:, 0]), _reduction(width, s, places[:, 1])
    # [n, 1, height, height] @ [n, channels, height, width] @ [n, 1, width, width]: exact, and all matrix products.
    return unchanged_where_zero(severity, images, rows[:, None] @ images @ columns[:, None].mT)


def resample(
    images: Images,
    matrix: Float[Tensor, "n 2 2"] | None = None,
    offset: Float[Tensor, "n 2"] | None = None,
    *,
    horizon: Float[Tensor, "n 2"] | None = None,
    field: Float[Tensor, "n 2 height width"] | None = None,
    outside: Literal["border", "zeros"] = "border",
) -> Images:
    """Sample the input at `(matrix @ p + offset) / (1 + horizon . p) + field[p]` for each output pixel p, bilinearly.

    Positions are (row, column) in pixels from the image's centre. Outside the image: the nearest edge, or zeros.
    """
    n, (height, width) = len(images), images.shape[-2:]
    down, right = _from_centre(height, images), _from_centre(width, images)
    # grid_sample takes (x, y), with the image's outer edges at -1 and 1.
    scale = constants([2 / width, 2 / height], images)[:, None]
    same = constants([[1, 0], [0, 1]], images).expand(n, 2, 2)
    m = (same if matrix is None else matrix).flip(1) * scale
    o = torch.zeros_like(scale.mT) if offset is None else offset.flip(1) * scale[:, 0]
    # The grid as two planes, each a column plus a row: faster than interleaved coordinates.
    grid = images.new_empty(n, 2, height, width)
    torch.add((m[..., :1] * down + o[..., None])[..., None], (m[..., 1:] * right)[..., None, :], out=grid)
    if horizon is not None:
        # Points behind the viewer are clamped to far outside the image.
        grid /= (1 + horizon[:, :1, None] * down[:, None] + horizon[:, 1:, None] * right).clamp_(min=0.05)[:, None]
    if field is not None:
        grid += field.flip(1) * scale[..., None]
    grid = grid.permute(0, 2, 3, 1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=outside, align_corners=False)


def _resample_axes(images: Images, down: Float[Tensor, "n height"], right: Float[Tensor, "n width"]) -> Images:
    """Sample row `down[i]` of the input for output row i, columns likewise; bilinear, zeros outside."""
    rows, columns = (
        (1 - (place[..., None] - _pixels(side, images)).abs_()).clamp_(min=0)
        for place, side in zip((down, right), images.shape[-2:], strict=True)
    )
    return rows[:, None] @ images @ columns[:, None].mT


def _from_centre(side: int, images: Images) -> Float[Tensor, " side"]:
    return _pixels(side, images) - (side - 1) / 2


def _pixels(side: int, images: Images) -> Float[Tensor, " side"]:
    return torch.arange(side, dtype=images.dtype, device=images.device)


def _random_sign(name: str, images: Images, rng: CounterRng, *shape: int) -> Float[Tensor, "n ..."]:
    """-1 or 1 with equal probability."""
    return (rng.uniform(name, *shape) < 0.5).to(images.dtype) * 2 - 1


def _reduction(side: int, severity: Tensor, place: Tensor) -> Float[Tensor, "n side side"]:
    """Matrices that place `side` pixels on a longer canvas and area-average it back to `side` pixels.

    Entry (i, j) is the share of output pixel i covered by input pixel j.
    """
    canvas = (side * (1 + severity)).round()
    start = (place * (canvas - side + 1)).floor()
    if not tensors.on_cpu(canvas):  # which would have to tell how many pairs there are
        return _overlaps(side, canvas, start)
    # Few (canvas, start) pairs are distinct: compute each matrix once.
    pairs, which = torch.unique(canvas.long() * (4 * side) + start.long(), return_inverse=True)
    canvas, start = (pairs // (4 * side)).to(severity.dtype), (pairs % (4 * side)).to(severity.dtype)
    return _overlaps(side, canvas, start).index_select(0, which)


def _overlaps(side: int, canvas: Float[Tensor, " m"], start: Float[Tensor, " m"]) -> Float[Tensor, "m side side"]:
    step = (canvas / side)[:, None, None]
    pixels = torch.arange(side, dtype=canvas.dtype, device=canvas.device)
    i, j = pixels[None, :, None] * step, pixels[None, None, :] + start[:, None, None]
    overlap = torch.minimum(i + step, j + 1) - torch.maximum(i, j)
    matrices: Tensor = overlap.clamp_(min=0) / step
    return matrices
