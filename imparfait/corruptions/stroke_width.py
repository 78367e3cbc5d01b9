"""Corruptions of how broad the strokes are: bright lines on a dark ground."""

import math
from functools import reduce

import torch
import torch.nn.functional as F
from jaxtyping import Float32
from torch import Tensor

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import Severity, as_column, unchanged_where_zero

THIN_MOST = 2 / 28  # of the shorter side, from each edge of a stroke: few are broader than twice that
THIN_PALEST = 0.4  # of the brightness that a stroke keeps that is thinner than that
THICKEN_MOST = 4.6 / 28  # of the shorter side, to each edge of a stroke


def thin(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Write each image with a finer pen: strokes get thinner, and paler where they are thin already.

    Severity s takes `THIN_MOST` s of the shorter side from each edge of a stroke; what is thinner than that is not
    erased but keeps `THIN_PALEST` to the power s of its brightness. Nothing is drawn.
    Source: grey-level erosion, and its residue (the white top-hat) paled. Not in MNIST-C; Morpho-MNIST (Castro et
    al. 2019) thins by 70 % of each digit's own thickness.
    """
    x, amount = images.float(), as_column(severity, images).float()
    radius = amount * THIN_MOST * min(images.shape[-2:])
    finer = 1 - dilated(1 - x, radius)
    lost = x - dilated(finer, radius)
    pale = (THIN_PALEST ** amount.double()).float()[:, None, None, None]
    return unchanged_where_zero(severity, images, torch.maximum(finer, lost * pale).to(images.dtype))


def thicken(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Write each image with a broader pen.

    Severity s adds `THICKEN_MOST` s of the shorter side to each edge of a stroke. Nothing is drawn.
    Source: grey-level dilation. Not in MNIST-C; Morpho-MNIST (Castro et al. 2019) thickens by each digit's own
    thickness.
    """
    radius = as_column(severity, images).float() * THICKEN_MOST * min(images.shape[-2:])
    return unchanged_where_zero(severity, images, dilated(images.float(), radius).to(images.dtype))


def dilated(
    images: Float32[Tensor, "n channels height width"], radius: Float32[Tensor, " n"]
) -> Float32[Tensor, "n channels height width"]:
    """The brightest pixel within `radius` pixels of each; over one pixel more, the others fade to nothing.

    In float32 with products and comparisons only, so every processor gives the same bits.
    """
    height, width = images.shape[-2:]
    most = max(radius.tolist(), default=0.0)
    reach = math.ceil(most)
    padded = F.pad(images, (reach, reach, reach, reach))
    brightest = images
    for far in range(1, reach + 1):
        for near in range(far + 1):
            distance = math.hypot(far, near)
            if distance >= most + 1:
                continue
            # All pixels at this distance in these two steps have one weight: compared first, then weighted once.
            steps = {(a, b) for a in (-far, far) for b in (-near, near)}
            ring = [
                padded[..., reach + down :, reach + right :][..., :height, :width]
                for down, right in steps | {(b, a) for a, b in steps}
            ]
            weight = (radius + (1 - distance)).clamp(0, 1)[:, None, None, None]
            brightest = torch.maximum(brightest, reduce(torch.maximum, ring) * weight)
    return brightest
