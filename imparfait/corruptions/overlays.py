"""Overlays: lines, dirt and occluding objects."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import SIDE, Severity, as_column, constants, pixel, unchanged_where_zero
from imparfait.corruptions.smooth_noise import gaussians, keeping_variance

# Parameters at severity 1; lengths in pixels of a 28-pixel side (base.SIDE).
MAX_DOTTED_LINES = 12.0  # lines; more were not tried
MAX_ZIGZAGS = 10.0  # lines
LINE_FALLOFF_PX = 2.3  # pixels; the opacity of a line is 1 + log(1 - distance / FALL), as in MNIST-C
FIRST_SPATTER_THRESHOLD, LAST_SPATTER_THRESHOLD = (
    0.5,
    -1.0,
)  # threshold of the spots, in standard deviations above the field's mean
MUD_GREY = 63 / 255  # grey level of the spots, as in MNIST-C
MAX_OCCLUSION_PX = 12.0  # pixels, side of the square
MAX_CLUTTER_PX = 11.0  # pixels that neighbouring strokes reach in
HALF_STROKE_PX = 1.8  # pixels, half the width of a neighbouring stroke
MAX_RULED_WIDTH_PX = 5.0  # pixels, width of a line


def stripe(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Invert the left and the right quarter.

    Without degrees: any severity above 0 is the full effect. Uses no randomness. Source: MNIST-C.
    """
    quarter = round(images.shape[-1] / 4)
    striped = images.clone()
    for edge in (striped[..., :quarter], striped[..., images.shape[-1] - quarter :]):
        edge.neg_().add_(1)
    return unchanged_where_zero(severity, images, striped)


def dotted_line(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Draw dotted lines from the left edge to the right.

    Severity s draws `MAX_DOTTED_LINES` s of them; a fractional last line is drawn with that opacity. Source: MNIST-C,
    which draws one.
    """
    down, right = _positions(images)
    ends = rng.uniform("ends of dotted lines", _line_count(severity, MAX_DOTTED_LINES), 2).to(images.dtype) * (SIDE - 1)
    start, end = ends[..., :1, None], ends[..., 1:, None]  # n, lines, 1, 1
    inked = (right / 2).floor().remainder(2) == 1  # two pixels blank, two drawn
    distance = (down - start - (end - start) * (right / (SIDE - 1))).abs()
    return _with_lines(images, severity, MAX_DOTTED_LINES, torch.where(inked, distance, LINE_FALLOFF_PX))


def zigzag(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Draw zigzag lines across: waves 8 pixels long and 2 high.

    Severity s draws `MAX_ZIGZAGS` s of them; a fractional last line is drawn with that opacity. Source: MNIST-C,
    which draws one; its corners differ slightly.
    """
    down, right = _positions(images)
    drawn = rng.uniform("start, rise of zigzags", _line_count(severity, MAX_ZIGZAGS), 2).to(images.dtype)
    start, rise = drawn[..., :1, None] * (SIDE - 1), drawn[..., 1:, None] * 10 - 5
    length = (rise**2 + 23**2).sqrt()
    cos, sin = 23 / length, rise / length
    along = (right - 2) * cos + (down - start) * sin
    across = (down - start) * cos - (right - 2) * sin
    wave = 2 - ((along + 2).remainder(8) - 4).abs()  # from 0 up to 2, down to -2
    inside = (along >= 0) & (along <= length)
    # The distance is measured vertically, as MNIST-C does for segments of slope 1.
    return _with_lines(images, severity, MAX_ZIGZAGS, torch.where(inside, (across + wave).abs(), LINE_FALLOFF_PX))


def ruled_lines(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Draw ruled paper: parallel, nearly horizontal lines; on half of the images vertical ones too.

    Severity s makes the lines `MAX_RULED_WIDTH_PX` s pixels wide; a line narrower than a pixel is fainter. They are
    6 to 11 pixels apart, with a grey level of 0.4 to 1.
    """
    down, right = _positions(images)
    drawn = rng.uniform("tilt, distance, place, grey, squared", 5).to(images.dtype)
    tilt, apart, place, grey, squared = drawn[:, :, None, None, None].unbind(1)
    tilt, apart = 0.2 * tilt - 0.1, 6 + 5 * apart
    wide = (MAX_RULED_WIDTH_PX * as_column(severity, images))[:, None, None, None]

    def ruled(across: Tensor) -> Tensor:
        distance = ((across + place * apart).remainder(apart) - apart / 2).abs()
        return torch.minimum((wide / 2 + 0.5 - distance).clamp(min=0), wide.clamp(max=1))

    lines = torch.maximum(ruled(down + tilt * right), ruled(right - tilt * down) * (squared < 0.5))
    return unchanged_where_zero(severity, images, torch.maximum(images, grey * lines))


def spatter(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Spatter the image with mud: grey spots with soft edges.

    Spots are where a smooth random field exceeds a threshold, in standard deviations above its mean: from
    `FIRST_SPATTER_THRESHOLD` at severity 0 linearly to `LAST_SPATTER_THRESHOLD` at 1.
    Source: MNIST-C, level 4: threshold at the mean.
    """
    height, width = images.shape[2:]
    unit = pixel(images)
    normal = rng.normal("liquid", 1, height, width, dtype=images.dtype)
    down, right = (keeping_variance(side, unit, images).expand(1, 1, -1, -1) for side in (height, width))
    liquid = down @ normal @ right.mT
    level = FIRST_SPATTER_THRESHOLD + (LAST_SPATTER_THRESHOLD - FIRST_SPATTER_THRESHOLD) * as_column(severity, images)
    soft = constants([1.5 * unit], images)
    down, right = (gaussians(soft, side)[:, None] for side in (height, width))
    mud = down @ (liquid > level[:, None, None, None]).to(images.dtype) @ right.mT
    mud = torch.where(mud < 0.8, 0, mud)
    return unchanged_where_zero(severity, images, images * (1 - mud) + MUD_GREY * mud)


def occlusion(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Cover part of the image with a square of one grey level, at a random position.

    At severity s its side is `MAX_OCCLUSION_PX` s pixels.
    """
    down, right = _positions(images)
    drawn = rng.uniform("row, column, grey of the square", 3).to(images.dtype)
    row, column, grey = drawn[:, :, None, None, None].unbind(1)
    half = (MAX_OCCLUSION_PX / 2 * as_column(severity, images))[:, None, None, None]
    away = torch.maximum((down - row * (SIDE - 1)).abs(), (right - column * (SIDE - 1)).abs())
    covered = (half + 0.5 - away).clamp(0, 1)  # a pixel on the edge is covered in part
    return unchanged_where_zero(severity, images, images * (1 - covered) + grey * covered)


def clutter(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Add strokes of neighbouring digits that reach in over each edge: arcs and bars.

    At severity s they reach in by half to all of `MAX_CLUTTER_PX` s pixels. They are synthetic, so that an image does
    not depend on the rest of the batch.
    """
    down, right = _positions(images)
    drawn = rng.uniform("reach, place, tall, wide, bar, slant", 4, 6).to(images.dtype)
    reach, place, tall, wide, bar, slant = drawn[:, :, None, None, :].unbind(-1)  # n, edges, 1, 1
    reach = MAX_CLUTTER_PX * as_column(severity, images)[:, None, None, None] * (0.5 + 0.5 * reach) - HALF_STROKE_PX
    down, right = down.expand(-1, len(right)), right.expand(len(down), -1)
    inward = torch.stack([right, SIDE - 1 - right, down, SIDE - 1 - down])
    along = torch.stack([down, down, right, right])
    tall, wide = 5 + 5 * tall, 4 + 4 * wide
    x, y = inward - reach + wide + 0.5, along - (4 + 20 * place)
    ring = ((x / wide) ** 2 + (y / tall) ** 2).sqrt().sub(1).abs() * torch.minimum(tall, wide)
    slant = slant - 0.5
    line = torch.maximum((x - wide + slant * y + slant.abs() * tall).abs(), y.abs() - tall)
    strokes = (HALF_STROKE_PX - torch.where(bar < 0.4, line, ring)).clamp(0, 1)
    return unchanged_where_zero(severity, images, torch.maximum(images, strokes.amax(1, keepdim=True)))


def _positions(images: Images) -> tuple[Float[Tensor, "height 1"], Float[Tensor, " width"]]:
    """Row and column positions in units of a 28-pixel side; the centre is at 13.5."""
    height, width = images.shape[2:]
    down, right = (
        (torch.arange(side, dtype=images.dtype, device=images.device) + 0.5) * (SIDE / side) - 0.5
        for side in (height, width)
    )
    return down[:, None], right


def _line_count(severity: Severity, most: float) -> int:
    """The largest number of lines any image of the batch needs."""
    severities = torch.as_tensor(severity)
    return max(1, math.ceil(most * float(severities.max()))) if severities.numel() else 1


def _with_lines(
    images: Images, severity: Severity, most: float, distance: Float[Tensor, "n lines height width"]
) -> Images:
    """Draw up to `most` lines, given each pixel's distance from each line."""
    lines = torch.arange(distance.shape[1], dtype=images.dtype, device=images.device)
    opacity = (most * as_column(severity, images)[:, None] - lines).clamp(0, 1)
    ink = (1 + torch.log1p(-distance.clamp(max=LINE_FALLOFF_PX - 1e-9) / LINE_FALLOFF_PX)).clamp_(min=0) * opacity[
        ..., None, None
    ]
    return unchanged_where_zero(severity, images, (images + ink.sum(1, keepdim=True)).clamp_(max=1))
