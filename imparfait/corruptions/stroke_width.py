"""Corruptions of stroke width, for bright strokes on a dark background."""

import math
from functools import reduce

import torch
import torch.nn.functional as F
from jaxtyping import Float32
from torch import Tensor

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import Severity, on_device, on_host, unchanged_where_zero

MAX_THINNING = 2 / 28  # share of the shorter side, removed from each edge; few strokes are wider than twice that
MIN_THIN_BRIGHTNESS = 0.4  # share of brightness kept by strokes thinner than that
MAX_THICKENING = 4.6 / 28  # share of the shorter side, added to each edge of a stroke


def thin(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Thin the strokes, as with a finer pen; strokes that are already thin get fainter.

    Severity s removes `MAX_THINNING` s of the shorter side from each edge of a stroke; thinner strokes are not erased
    but keep `MIN_THIN_BRIGHTNESS` to the power s of their brightness. Uses no randomness.
    Source: grey-level erosion, plus a faint residue (white top-hat). Not in MNIST-C; Morpho-MNIST (Castro et
    al. 2019) thins by 70 % of each digit's own thickness.
    """
    x, amount = images.float(), on_host(severity, images).float()
    radius = amount * MAX_THINNING * min(images.shape[-2:])
    finer = 1 - dilated(1 - x, radius)
    lost = x - dilated(finer, radius)
    pale = on_device((MIN_THIN_BRIGHTNESS ** amount.double()).float(), images)[:, None, None, None]
    return unchanged_where_zero(severity, images, torch.maximum(finer, lost * pale).to(images.dtype))


def thicken(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Thicken the strokes, as with a broader pen.

    Severity s adds `MAX_THICKENING` s of the shorter side to each edge of a stroke. Uses no randomness.
    Source: grey-level dilation. Not in MNIST-C; Morpho-MNIST (Castro et al. 2019) thickens by each digit's own
    thickness.
    """
    radius = on_host(severity, images).float() * MAX_THICKENING * min(images.shape[-2:])
    return unchanged_where_zero(severity, images, dilated(images.float(), radius).to(images.dtype))


def dilated(
    images: Float32[Tensor, "n channels height width"], radius: Float32[Tensor, " n"]
) -> Float32[Tensor, "n channels height width"]:
    """Grey-level dilation by a disc of `radius` pixels (per image, on the CPU) with a soft edge of one pixel.

    In float32 with products and comparisons only, so every processor gives the same bits.
    """
    height, width = images.shape[-2:]
    most = max(radius.tolist(), default=0.0)
    reach, radius = math.ceil(most), on_device(radius, images)
    padded = F.pad(images, (reach, reach, reach, reach))
    brightest = images
    for far in range(1, reach + 1):
        for near in range(far + 1):
            distance = math.hypot(far, near)
            if distance >= most + 1:
                continue
            # All pixels at this distance share one weight: take their maximum first, then weight once.
            steps = {(a, b) for a in (-far, far) for b in (-near, near)}
            ring = [
                padded[..., reach + down :, reach + right :][..., :height, :width]
                for down, right in steps | {(b, a) for a, b in steps}
            ]
            weight = (radius + (1 - distance)).clamp(0, 1)[:, None, None, None]
            brightest = torch.maximum(brightest, reduce(torch.maximum, ring) * weight)
    return brightest
