"""Fast filters and random fields of the photo suite: Gaussian, line and any kernel; 16-bit random numbers."""

import math
from collections.abc import Iterable
from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int32, Int64
from torch import Tensor

from imparfait.core import tensors
from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import exact, on_device

GAUSSIAN_REACH_SIGMAS = 3.0  # where a Gaussian is cut off: 0.3 % of it is beyond
FFT_MULTIPLE = 16  # pixels: sides of Fourier transforms, which then have small prime factors
LINE_REACH_SIGMAS = 10 / 3  # where a trail is cut off: under 0.1 % of it is beyond


def integers(rng: CounterRng, name: str, *shape: int) -> Int32[Tensor, "n ..."]:
    """Whole numbers, uniform in 0..65535, of shape `[n, *shape]`: four out of each draw of 64 bits."""
    count = torch.Size(shape).numel()
    bits = rng.bits(name, math.ceil(count / 4)).view(torch.int16)[:, :count]
    return bits.to(torch.int32).add_(1 << 15).view(-1, *shape)


def uniform(rng: CounterRng, name: str, *shape: int) -> Float32[Tensor, "n ..."]:
    """Numbers between 0 and 1, of 16 bits."""
    return integers(rng, name, *shape).to(torch.float32).add_(0.5).mul_(2.0**-16)


def normal(rng: CounterRng, name: str, *shape: int) -> Float32[Tensor, "n ..."]:
    """Normally distributed numbers: 65,536 quantiles, so that they reach 4.3 standard deviations."""
    return quantiles(rng.sources.device).index_select(0, integers(rng, name, *shape).view(-1)).view(-1, *shape)


@cache
def quantiles(device: torch.device) -> Float32[Tensor, " 65536"]:
    """The quantiles of the normal distribution at (i + 0.5) / 65536."""
    table: Tensor = torch.special.ndtri((torch.arange(1 << 16, dtype=torch.float64) + 0.5) / (1 << 16))
    return table.to(torch.float32).to(device)


def gaussian_blur(images: Images, sigma: float) -> Images:
    """Each channel smoothed with a Gaussian of `sigma` pixels; outside the image is its nearest edge."""
    reach = min(int(GAUSSIAN_REACH_SIGMAS * sigma + 0.5), min(images.shape[-2:]) - 1)
    if reach == 0:
        return images
    away = torch.arange(-reach, reach + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (away / sigma) ** 2)
    weights = (kernel / kernel.sum()).tolist()
    height, width = images.shape[-2:]
    padded = F.pad(images, (0, 0, reach, reach), mode="replicate")
    down = _weighted([padded[:, :, step : step + height] for step in range(2 * reach + 1)], weights)
    padded = F.pad(down, (reach, reach, 0, 0), mode="replicate")
    return _weighted([padded[..., step : step + width] for step in range(2 * reach + 1)], weights)


def line_blur(images: Images, radius: float, sigma: float, angle: Float[Tensor, " n"]) -> Images:
    """Each image smeared along a line, at its own angle in degrees, as ImageMagick's `-motion-blur` does.

    The trail has the weights of half a Gaussian of `sigma` pixels, up to 2 `radius` pixels. Pixels along the way are
    the nearest ones, without interpolation; outside the image is its nearest edge.
    """
    height, width = images.shape[-2:]
    steps = torch.arange(min(2 * math.ceil(radius), math.floor(sigma * LINE_REACH_SIGMAS)) + 1, dtype=torch.float64)
    kernel = torch.exp(-(steps**2) / (2 * sigma**2))
    weights = (kernel / kernel.sum()).tolist()
    steps = on_device(steps.to(exact(images)), images)
    way = torch.deg2rad(angle.to(steps.dtype))[:, None]
    downs, rights = ((steps * part - 0.5).ceil().long() for part in (way.sin(), way.cos()))
    reach = len(steps)
    padded = F.pad(images, (reach, reach, reach, reach), mode="replicate")
    if not tensors.on_cpu(images):
        along = (crops(padded, reach + y, reach + x, height, width) for y, x in zip(downs.mT, rights.mT, strict=True))
        return _weighted(along, weights)
    blurred = torch.empty_like(images)
    for image, source, down, right in zip(blurred, padded, downs.tolist(), rights.tolist(), strict=True):
        parts = [
            source[:, reach + y : reach + y + height, reach + x : reach + x + width]
            for y, x in zip(down, right, strict=True)
        ]
        torch.mul(parts[0], weights[0], out=image)
        for part, weight in zip(parts[1:], weights[1:], strict=True):
            image.add_(part, alpha=weight)
    return blurred


def convolve(images: Images, kernel: Float32[Tensor, "odd odd"]) -> Images:
    """Each channel filtered with one symmetric kernel, by Fourier transforms; the image is mirrored at its edges."""
    height, width = images.shape[-2:]
    reach = len(kernel) // 2
    padded = F.pad(images, (reach, reach, reach, reach), mode="reflect")
    size = [-(-side // FFT_MULTIPLE) * FFT_MULTIPLE for side in padded.shape[-2:]]
    placed = F.pad(on_device(kernel, images), (0, size[1] - len(kernel), 0, size[0] - len(kernel)))
    factors = torch.fft.rfft2(placed.roll((-reach, -reach), (0, 1)))
    spectrum = torch.fft.rfft2(padded, s=size).mul_(factors)
    filtered: Tensor = torch.fft.irfft2(spectrum, s=size)
    return filtered[..., reach : reach + height, reach : reach + width]


def crops(
    images: Images, tops: Int64[Tensor, " n"], lefts: Int64[Tensor, " n"], height: int, width: int
) -> Float[Tensor, "n channels tall wide"]:
    """A part of each image, from its own corner; the corners are read back on the CPU only, where that is faster."""
    if tensors.on_cpu(images):
        corners = zip(images, tops.tolist(), lefts.tolist(), strict=True)
        return torch.stack([image[:, top : top + height, left : left + width] for image, top, left in corners])
    rows, columns = (
        corner[:, None] + torch.arange(side, device=images.device) for corner, side in ((tops, height), (lefts, width))
    )
    each = torch.arange(len(images), device=images.device)[:, None, None]
    return images[each, :, rows[:, :, None], columns[:, None]].movedim(-1, 1)


def _weighted(parts: Iterable[Tensor], weights: list[float]) -> Tensor:
    first, *others = weights
    rest = iter(parts)
    total = next(rest) * first
    for part, weight in zip(rest, others, strict=True):
        total.add_(part, alpha=weight)
    return total
