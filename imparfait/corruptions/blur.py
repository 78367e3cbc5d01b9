"""Corruptions that smear an image or coarsen it: by optics, by motion, by too few pixels, by JPEG."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64
from torch import Tensor

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import Severity, as_column, pixel, unchanged_where_zero
from imparfait.corruptions.smooth_noise import gaussians

# What severity 1 is; lengths as in lengths.py.
GLASS_SIGMA = 0.95  # pixels, of the smoothing
GLASS_REACH = 1.8 / 0.7  # sigmas, the farthest a pixel looks along each axis; measured on MNIST-C's swaps at sigma 0.7
MOTION_SIGMA = 12.0  # pixels; the trail then reaches across the image
MOTION_REACH = 10 / 3  # sigmas after which the trail ends, in MNIST-C; less than a thousandth of it is beyond
DEFOCUS_MOST = 9.0  # pixels, the radius
PIXELATE_MOST = 4.4  # pixels to a block's side
JPEG_LEAST = 1.0  # quality

# The luminance table of the JPEG standard (ITU T.81, Annex K.1), by frequency downwards and to the right.
LUMINANCE = (
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
    """Look through frosted glass: smooth, let each pixel look a little past its place, smooth again.

    Severity s smooths with a sigma of `GLASS_SIGMA` s pixels and lets each pixel look up to `GLASS_REACH` sigmas off
    along each axis, uniform; beyond the image is its nearest edge.
    Source: MNIST-C (Mu & Gilmer 2019), whose level smooths with a sigma of 0.7 and swaps neighbours twice. Agrees
    in kind: its swaps carry pixels as far (a standard deviation of 1.11 pixels along each axis, interpolation
    counted here), but each whole, and no two to one place.
    """
    n, (height, width), unit = len(images), images.shape[-2:], pixel(images)
    amount = _one_or_each(severity, images)
    rows, columns = (gaussians(amount * GLASS_SIGMA * unit, side)[:, None] for side in (height, width))
    smooth = rows @ images @ columns.mT
    # Four numbers of 16 bits out of each draw: there are two for each pixel.
    bits = rng.bits("where each pixel looks", math.ceil(height * width / 2)).view(torch.int16)
    farthest = GLASS_SIGMA * GLASS_REACH * unit
    off = bits[:, : 2 * height * width].view(n, height, width, 2).to(images.dtype) * (farthest / 2**15)
    place = torch.stack(torch.meshgrid(*(torch.arange(side) for side in (width, height)), indexing="xy"), -1)
    to_grid = torch.tensor([2 / width, 2 / height], dtype=images.dtype)
    grid = (place + 0.5 + off * amount[:, None, None, None]) * to_grid - 1
    seen = F.grid_sample(smooth, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return unchanged_where_zero(severity, images, (rows @ seen @ columns.mT).clamp_(0, 1))


def motion_blur(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Let each image leave a trail, as if the camera had moved.

    Severity s gives a trail to the left that pales like half a Gaussian with a sigma of `MOTION_SIGMA` s pixels, at
    an angle drawn between -45 and 45 degrees; beyond the image is its nearest edge.
    Source: MNIST-C (Mu & Gilmer 2019), whose level has radius 10 and sigma 3; agrees closely, with ImageMagick's
    `-motion-blur`, which takes pixels along the way without interpolation.
    """
    n, channels, height, width = images.shape
    sigma = as_column(severity, images).double() * (MOTION_SIGMA * pixel(images))
    reach = math.floor(max(sigma.tolist(), default=0.0) * MOTION_REACH)  # others of the batch add weights of 0 only
    steps = torch.arange(reach + 1, dtype=torch.float64)
    angle = (rng.uniform("angle of motion").double() - 0.5) * (math.pi / 2)
    down, right = ((steps * way[:, None] - 0.5).ceil().long() for way in (angle.sin(), angle.cos()))
    weights = torch.exp(-(steps**2) / (2 * sigma[:, None].clamp(min=1e-3) ** 2))
    weights = weights * (steps <= sigma[:, None] * MOTION_REACH)
    padded = F.pad(images, (0, reach, reach, reach), mode="replicate").flatten(2)
    # Where each pixel looks, in the padded image's memory: first at itself, then a step further each time.
    stride = width + reach
    look = (torch.arange(height)[:, None] + reach) * stride + torch.arange(width)
    look = look.flatten().repeat(n, 1)[:, None]
    onwards = (down * stride + right).diff(dim=1)[..., None, None]
    trail, total = images.flatten(2).clone(), torch.ones(n, 1, 1, dtype=images.dtype)
    for step in range(1, reach + 1):
        look += onwards[:, step - 1]
        weight = weights[:, step, None, None].to(images.dtype)
        trail += padded.gather(2, look.expand(-1, channels, -1)).mul_(weight)
        total += weight
    return unchanged_where_zero(severity, images, (trail / total).view_as(images))


def defocus_blur(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Put each image out of focus: a point becomes a disc.

    Severity s gives discs with a radius from 0.5 up to `DEFOCUS_MOST` pixels,
    whose edge is one pixel soft; the image is mirrored at its edges. Nothing is drawn.
    Source: ImageNet-C (Hendrycks & Dietterich 2019), whose level 1 has radius 3; not among the 15 of MNIST-C.
    """
    height, width = images.shape[-2:]
    amount = _one_or_each(severity, images)
    radius = 0.5 + amount * (DEFOCUS_MOST * pixel(images) - 0.5)
    # A fixed length up to severity 1: sums of another length may round otherwise.
    reach = math.ceil(DEFOCUS_MOST * pixel(images) * max([1.0, *amount.tolist()]) + 0.5)
    away = torch.arange(reach + 1, dtype=images.dtype)
    kernel = (radius[:, None, None] + 0.5 - torch.hypot(away[:, None], away)).clamp(0, 1)
    # In the cosine transform, which mirrors, a kernel that is symmetric along both axes is one factor a frequency.
    (tall, tall_factors), (wide, wide_factors) = (_cosines(side, reach, images) for side in (height, width))
    factors = tall_factors @ kernel @ wide_factors.mT
    factors = (factors / factors[:, :1, :1])[:, None]
    blurred = tall.mT @ (tall @ images @ wide.mT * factors) @ wide
    return unchanged_where_zero(severity, images, blurred.clamp_(0, 1))


def pixelate(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Take each image with fewer, larger pixels.

    Severity s makes square blocks of 1 up to `PIXELATE_MOST` pixels a side, from
    the upper left; each has the mean of its area. Blocks need not be whole pixels: a pixel on a border is part of
    both. Nothing is drawn.
    Source: ImageNet-C (Hendrycks & Dietterich 2019), whose level 5 has a quarter of the pixels a side; not among
    the 15 of MNIST-C.
    """
    most = max(1.0, PIXELATE_MOST * pixel(images))
    block = 1 + _one_or_each(severity, images) * (most - 1)
    rows, columns = (_blocks(block, side)[:, None] for side in images.shape[-2:])
    return unchanged_where_zero(severity, images, (rows @ images @ columns.mT).clamp_(0, 1))


def jpeg(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Store each image as a JPEG of low quality, each channel as a grey image.

    Severity s is a quality from 100 down to `JPEG_LEAST`: the frequencies of each block of 8 x 8 pixels are rounded
    to the standard's table for brightness, scaled as libjpeg does. Nothing is drawn.
    Source: ITU T.81, libjpeg. ImageNet-C (Hendrycks & Dietterich 2019) has qualities of 25 to 7; not among the 15
    of MNIST-C.
    """
    height, width = images.shape[-2:]
    # Comparisons decide here: in float64, from whole greys as a file has them, from a severity that float32 has too.
    grey = (images.double() * 255).round() - 128
    quality = (100 - _one_or_each(severity, images).float().double() * (100 - JPEG_LEAST)).clamp(min=1)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)[:, None, None]
    # Halves go up, whichever side of them the severity's last bit puts them on.
    table = (torch.tensor(LUMINANCE, dtype=torch.float64) * scale + (0.5 + 1e-4)).floor().clamp(1, 255)
    (tall, tall_back), (wide, wide_back) = (_block_cosines(side) for side in (height, width))
    quantum = table.repeat(1, len(tall) // 8, len(wide) // 8)[:, None]
    # Exact halves are frequent; the margin takes them away from 0 on every processor, as libjpeg does.
    frequencies = (tall @ grey @ wide.mT / quantum * (1 + 1e-9)).round() * quantum
    decoded = tall_back @ frequencies @ wide_back.mT
    return unchanged_where_zero(severity, images, ((decoded + 128) / 255).clamp(0, 1).to(images.dtype))


def _one_or_each(severity: Severity, images: Images) -> Float[Tensor, " m"]:
    """One severity for all, or one an image: what is the same for all images is then made once."""
    return as_column(severity, images if isinstance(severity, Tensor) else images[:1])


def _cosines(side: int, reach: int, images: Images) -> tuple[Float[Tensor, "side side"], Float[Tensor, "side reach"]]:
    """The orthonormal cosine transform (DCT-II), and each frequency's factor for a pair of pixels at a distance."""
    frequency = torch.arange(side, dtype=torch.float64)[:, None] * (math.pi / side)
    transform = torch.cos(frequency * (torch.arange(side) + 0.5)) * math.sqrt(2 / side)
    transform[0] /= math.sqrt(2)
    factors = torch.cos(frequency * torch.arange(reach + 1))
    factors[:, 1:] *= 2
    return transform.to(images.dtype), factors.to(images.dtype)


def _blocks(block: Float[Tensor, " m"], side: int) -> Float[Tensor, "m side side"]:
    """Matrices that average one axis over blocks and spread each average over its block again."""
    edge = torch.arange(side, dtype=block.dtype)
    start = edge * block[:, None, None]
    overlap = torch.minimum(edge[:, None] + 1, start + block[:, None, None]) - torch.maximum(edge[:, None], start)
    shares = overlap.clamp_(min=0)  # of pixel (row) in block (column)
    sizes = shares.sum(1, keepdim=True).clamp(min=1e-6)  # the last block may be cut off, later ones are empty
    return shares @ (shares / sizes).mT


def _block_cosines(side: int) -> tuple[Float64[Tensor, "padded side"], Float64[Tensor, "side padded"]]:
    """The cosine transform of blocks of eight, the last one filled up with the edge, and the way back."""
    padded = 8 * math.ceil(side / 8)
    frequency, place = torch.arange(padded).remainder(8).double(), torch.arange(padded)
    cosines = torch.cos(frequency[:, None] * (place.remainder(8) + 0.5) * (math.pi / 8)) / 2
    cosines[frequency == 0] /= math.sqrt(2)
    cosines = cosines * ((place // 8)[:, None] == place // 8)
    repeated = torch.eye(side, dtype=torch.float64)[place.clamp(max=side - 1)]
    return cosines @ repeated, cosines.mT[:side]
