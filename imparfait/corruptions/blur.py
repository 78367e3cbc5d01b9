"""Blur and loss of resolution: frosted glass, motion, defocus, pixelation, JPEG."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import (
    Severity,
    as_column,
    constants,
    exact,
    on_device,
    on_host,
    pixel,
    unchanged_where_zero,
)
from imparfait.corruptions.smooth_noise import gaussians

# Parameters at severity 1; lengths in pixels of a 28-pixel side (base.SIDE).
MAX_GLASS_SIGMA_PX = 0.95  # pixels, sigma of the smoothing
GLASS_REACH_SIGMAS = 1.8 / 0.7  # sigmas, largest displacement per axis; measured on MNIST-C's swaps at sigma 0.7
MAX_MOTION_SIGMA_PX = 12.0  # pixels; the trail then reaches across the image
MOTION_REACH_SIGMAS = 10 / 3  # sigmas after which the trail is cut off, as in MNIST-C (under 0.1 % of it is beyond)
MAX_DEFOCUS_PX = 9.0  # pixels, radius
MAX_BLOCK_PX = 4.4  # pixels, side of a block
MIN_JPEG_QUALITY = 1.0  # quality

# The luminance table of the JPEG standard (ITU T.81, Annex K.1), by frequency downwards and to the right.
JPEG_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


def glass_blur(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Blur as frosted glass does: smooth, displace each pixel at random, smooth again.

    Severity s smooths with a sigma of `MAX_GLASS_SIGMA_PX` s and displaces each pixel by up to
    `GLASS_REACH_SIGMAS` sigmas per axis, uniformly; outside the image is its nearest edge.
    Source: MNIST-C (Mu & Gilmer 2019), which smooths with a sigma of 0.7 and swaps neighbours twice. Similar, not
    equal: its swaps carry pixels as far (standard deviation 1.11 pixels per axis), but one to one and without
    interpolation.
    """
    n, (height, width), unit = len(images), images.shape[-2:], pixel(images)
    amount = _one_or_each(severity, images)
    rows, columns = (gaussians(amount * MAX_GLASS_SIGMA_PX * unit, side)[:, None] for side in (height, width))
    smooth = rows @ images @ columns.mT
    # Four numbers of 16 bits out of each draw: there are two for each pixel.
    bits = rng.bits("where each pixel looks", math.ceil(height * width / 2)).view(torch.int16)
    farthest = MAX_GLASS_SIGMA_PX * GLASS_REACH_SIGMAS * unit
    off = bits[:, : 2 * height * width].view(n, height, width, 2).to(images.dtype) * (farthest / 2**15)
    ways = (torch.arange(side, device=images.device) for side in (width, height))
    place = torch.stack(torch.meshgrid(*ways, indexing="xy"), -1)
    to_grid = constants([2 / width, 2 / height], images)
    grid = (place + 0.5 + off * amount[:, None, None, None]) * to_grid - 1
    seen = F.grid_sample(smooth, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return unchanged_where_zero(severity, images, (rows @ seen @ columns.mT).clamp_(0, 1))


def motion_blur(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Blur each image by motion, at a random angle.

    Severity s gives a trail to the left that fades like half a Gaussian of sigma `MAX_MOTION_SIGMA_PX` s, at an
    angle between -45 and 45 degrees; outside the image is its nearest edge.
    Source: MNIST-C (Mu & Gilmer 2019), radius 10 and sigma 3; agrees closely, as does ImageMagick's `-motion-blur`,
    which samples pixels along the way without interpolation.
    """
    n, channels, height, width = images.shape
    sigma = on_host(severity, images).double() * (MAX_MOTION_SIGMA_PX * pixel(images))
    reach = math.floor(
        max(sigma.tolist(), default=0.0) * MOTION_REACH_SIGMAS
    )  # for other images of the batch the extra weights are 0
    steps = torch.arange(reach + 1, dtype=torch.float64)
    weights = torch.exp(-(steps**2) / (2 * sigma[:, None].clamp(min=1e-3) ** 2))
    weights = on_device((weights * (steps <= sigma[:, None] * MOTION_REACH_SIGMAS)).to(images.dtype), images)
    steps = on_device(steps.to(exact(images)), images)
    angle = (rng.uniform("angle of motion").to(steps.dtype) - 0.5) * (math.pi / 2)
    down, right = ((steps * way[:, None] - 0.5).ceil().long() for way in (angle.sin(), angle.cos()))
    padded = F.pad(images, (0, reach, reach, reach), mode="replicate").flatten(2)
    # Source index of each pixel in the padded image: first itself, then one step further each time.
    stride = width + reach
    rows, columns = (torch.arange(side, device=images.device) for side in (height, width))
    look = (rows[:, None] + reach) * stride + columns
    look = look.flatten().repeat(n, 1)[:, None]
    onwards = (down * stride + right).diff(dim=1)[..., None, None]
    trail, total = images.flatten(2).clone(), images.new_ones(n, 1, 1)
    for step in range(1, reach + 1):
        look += onwards[:, step - 1]
        weight = weights[:, step, None, None]
        trail += padded.gather(2, look.expand(-1, channels, -1)).mul_(weight)
        total += weight
    return unchanged_where_zero(severity, images, (trail / total).view_as(images))


def defocus_blur(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Defocus each image: a point becomes a disc.

    Severity s gives discs with a radius from 0.5 up to `MAX_DEFOCUS_PX` pixels and a soft edge of one pixel; the image
    is mirrored at its edges. Uses no randomness.
    Source: ImageNet-C (Hendrycks & Dietterich 2019), level 1 has radius 3; not in MNIST-C.
    """
    height, width = images.shape[-2:]
    radius = 0.5 + _one_or_each(severity, images) * (MAX_DEFOCUS_PX * pixel(images) - 0.5)
    # A fixed length up to severity 1: sums of another length may round differently.
    most = max([1.0, *on_host(severity, images).tolist()])
    reach = math.ceil(MAX_DEFOCUS_PX * pixel(images) * most + 0.5)
    away = torch.arange(reach + 1, dtype=images.dtype, device=images.device)
    kernel = (radius[:, None, None] + 0.5 - torch.hypot(away[:, None], away)).clamp(0, 1)
    # Under the cosine transform (mirrored edges) a symmetric kernel is one factor per frequency.
    (tall, tall_factors), (wide, wide_factors) = (_cosines(side, reach, images) for side in (height, width))
    factors = tall_factors @ kernel @ wide_factors.mT
    factors = (factors / factors[:, :1, :1])[:, None]
    blurred = tall.mT @ (tall @ images @ wide.mT * factors) @ wide
    return unchanged_where_zero(severity, images, blurred.clamp_(0, 1))


def pixelate(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Reduce the resolution: fewer, larger pixels.

    Severity s averages square blocks with sides of 1 up to `MAX_BLOCK_PX` pixels, from the upper left. Blocks need
    not be whole pixels: a pixel on a border belongs to both. Uses no randomness.
    Source: ImageNet-C (Hendrycks & Dietterich 2019), level 5 keeps a quarter of the pixels per side; not in MNIST-C.
    """
    most = max(1.0, MAX_BLOCK_PX * pixel(images))
    block = 1 + _one_or_each(severity, images) * (most - 1)
    rows, columns = (_blocks(block, side)[:, None] for side in images.shape[-2:])
    return unchanged_where_zero(severity, images, (rows @ images @ columns.mT).clamp_(0, 1))


def jpeg(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Compress each image as a low-quality JPEG, channel by channel.

    Severity s is a quality from 100 down to `MIN_JPEG_QUALITY`: the frequencies of each block of 8 x 8 pixels are
    quantised with the standard's luminance table, scaled as libjpeg does. Uses no randomness.
    Source: ITU T.81, libjpeg. ImageNet-C (Hendrycks & Dietterich 2019) has qualities of 25 to 7; not in MNIST-C.
    """
    height, width = images.shape[-2:]
    # Rounding decides here: compute in float64, from whole grey levels and a severity that float32 can hold.
    grey = (images.to(exact(images)) * 255).round() - 128
    quality = (100 - _one_or_each(severity, images).float().to(grey.dtype) * (100 - MIN_JPEG_QUALITY)).clamp(min=1)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)[:, None, None]
    # Halves round up, whatever the last bit of the severity.
    table = (constants(JPEG_LUMINANCE, grey) * scale + (0.5 + 1e-4)).floor().clamp(1, 255)
    (tall, tall_back), (wide, wide_back) = (_block_cosines(side, grey) for side in (height, width))
    quantum = table.repeat(1, len(tall) // 8, len(wide) // 8)[:, None]
    # Exact halves are frequent; the margin rounds them away from 0 on every processor, as libjpeg does.
    frequencies = (tall @ grey @ wide.mT / quantum * (1 + 1e-9)).round() * quantum
    decoded = tall_back @ frequencies @ wide_back.mT
    return unchanged_where_zero(severity, images, ((decoded + 128) / 255).clamp(0, 1).to(images.dtype))


def _one_or_each(severity: Severity, images: Images) -> Float[Tensor, " m"]:
    """One severity for all images, or one each: what all images share is then computed once."""
    return as_column(severity, images if isinstance(severity, Tensor) else images[:1])


def _cosines(side: int, reach: int, images: Images) -> tuple[Float[Tensor, "side side"], Float[Tensor, "side reach"]]:
    """The orthonormal DCT-II, and each frequency's factor for a pair of pixels at each distance."""
    frequency = torch.arange(side, dtype=torch.float64)[:, None] * (math.pi / side)
    transform = torch.cos(frequency * (torch.arange(side) + 0.5)) * math.sqrt(2 / side)
    transform[0] /= math.sqrt(2)
    factors = torch.cos(frequency * torch.arange(reach + 1))
    factors[:, 1:] *= 2
    return on_device(transform.to(images.dtype), images), on_device(factors.to(images.dtype), images)


def _blocks(block: Float[Tensor, " m"], side: int) -> Float[Tensor, "m side side"]:
    """Matrices that average one axis over blocks and spread each average over its block."""
    edge = torch.arange(side, dtype=block.dtype, device=block.device)
    start = edge * block[:, None, None]
    overlap = torch.minimum(edge[:, None] + 1, start + block[:, None, None]) - torch.maximum(edge[:, None], start)
    shares = overlap.clamp_(min=0)  # of pixel (row) in block (column)
    sizes = shares.sum(1, keepdim=True).clamp(min=1e-6)  # the last block may be cut off, later ones are empty
    return shares @ (shares / sizes).mT


def _block_cosines(side: int, images: Images) -> tuple[Float[Tensor, "padded side"], Float[Tensor, "side padded"]]:
    """The DCT of blocks of eight pixels (the last one padded with the edge), and its inverse."""
    padded = 8 * math.ceil(side / 8)
    frequency, place = torch.arange(padded).remainder(8).double(), torch.arange(padded)
    cosines = torch.cos(frequency[:, None] * (place.remainder(8) + 0.5) * (math.pi / 8)) / 2
    cosines[frequency == 0] /= math.sqrt(2)
    cosines = cosines * ((place // 8)[:, None] == place // 8)
    repeated = torch.eye(side, dtype=torch.float64)[place.clamp(max=side - 1)]
    there, back = (on_device(matrix.to(images.dtype), images) for matrix in (cosines @ repeated, cosines))
    return there, back.mT[:side]
