"""Digital processing of the photo suite: pixelation, JPEG, WebP, another resize kernel."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import on_device
from imparfait.corruptions.photo.levels import Curve, by_level

PIXELS = Curve(1, (0.6, 0.5, 0.4, 0.3, 0.25), (0.9, 0.8, 0.7, 0.6, 0.5), (0.95, 0.9, 0.85, 0.75, 0.65))
JPEG_QUALITY = Curve(100, (25, 18, 15, 10, 7), (65, 58, 50, 40, 25), (80, 65, 58, 50, 40))
WEBP_QUALITY = Curve(100, (40, 25, 15, 7, 1), (70, 60, 50, 35, 20), (80, 65, 55, 45, 30))
RESIZED = Curve(1, (0.8, 0.65, 0.45, 0.35, 0.25), (0.9, 0.8, 0.7, 0.6, 0.5), (0.95, 0.9, 0.85, 0.75, 0.65))


@by_level
def pixelate(images: Images, level: float, rng: CounterRng) -> Images:
    """Reduce the resolution: fewer, larger pixels.

    Share of the side in pixels at levels 1 to 5, at 224 pixels: 0.6, 0.5, 0.4, 0.3, 0.25. Uses no randomness. Source:
    ImageNet-C; like it with Pillow's BOX filter.
    """
    share = PIXELS.at(level, images)
    height, width = images.shape[-2:]
    fewer = max(1, int(width * share)), max(1, int(height * share))
    box = Image.Resampling.BOX
    return _processed(images, lambda image: image.resize(fewer, box).resize((width, height), box))


@by_level
def jpeg_compression(images: Images, level: float, rng: CounterRng) -> Images:
    """Compress each image as a low-quality JPEG file.

    Quality at levels 1 to 5, at 224 pixels: 25, 18, 15, 10, 7. Uses no randomness. Source: ImageNet-C; like it with
    Pillow, libjpeg and colour at half resolution.
    """
    return _recoded(images, "JPEG", quality=round(JPEG_QUALITY.at(level, images)))


@by_level
def webp(images: Images, level: float, rng: CounterRng) -> Images:
    """Compress each image as a low-quality WebP file.

    Quality at levels 1 to 5, at 224 pixels: 40, 25, 15, 7, 1; libwebp's fastest method. Uses no randomness. Not in
    ImageNet-C; the levels are this package's.
    """
    return _recoded(images, "WEBP", quality=round(WEBP_QUALITY.at(level, images)), method=0)


@by_level
def resize_kernel(images: Images, level: float, rng: CounterRng) -> Images:
    """Resize each image as a careless pipeline does: smaller by nearest neighbour, which aliases, then back bilinearly.

    Share of the side at levels 1 to 5, at 224 pixels: 0.8, 0.65, 0.45, 0.35, 0.25. Uses no randomness. Not in
    ImageNet-C; the levels are this package's.
    """
    share = RESIZED.at(level, images)
    height, width = images.shape[-2:]
    rows, columns = (_nearest(max(1, round(side * share)), side, images) for side in (height, width))
    fewer = images.index_select(2, rows).index_select(3, columns)
    return F.interpolate(fewer, (height, width), mode="bilinear", align_corners=False)


def _nearest(side: int, source: int, images: Images) -> Tensor:
    """The nearest of `source` pixels for each of `side`."""
    return on_device(((torch.arange(side, dtype=torch.float64) + 0.5) * (source / side)).long(), images)


def _recoded(images: Images, file_format: str, **options: Any) -> Images:
    """Each image written as a file of this format, and read again."""

    def recoded(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, file_format, **options)
        return Image.open(file)

    return _processed(images, recoded)


def _processed(images: Images, process: Callable[[Image.Image], Image.Image]) -> Images:
    """Each image, rounded to 8 bits, processed with Pillow.

    So images on another device go through the CPU: those of `pixelate`, `jpeg_compression` and `webp`.
    """
    levels = torch.add(images.new_tensor(0.5), images, alpha=255).to(torch.uint8)
    pixels = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    is_grey = images.shape[1] == 1
    processed = np.empty_like(pixels)
    for image, target in zip(pixels, processed, strict=True):
        result = process(Image.fromarray(image[..., 0] if is_grey else image))
        target[...] = np.asarray(result.convert("L" if is_grey else "RGB")).reshape(target.shape)
    return (
        torch.from_numpy(processed)
        .to(images.device)
        .permute(0, 3, 1, 2)
        .to(images.dtype, memory_format=torch.contiguous_format)
        .mul_(1 / 255)
    )
