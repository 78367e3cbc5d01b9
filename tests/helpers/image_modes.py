"""Images of a 7 in every mode and format that people have."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from helpers.photos import a_seven, page

GREY = np.arange(0, 240, 2, dtype=np.uint8).reshape(10, 12)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], 2)


def grey_of(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels)


def fading(pixels: np.ndarray) -> Image.Image:
    """A light shape that fades to white at its edge, on nothing."""
    shape = Image.fromarray(np.uint8(255) - pixels // 4)
    return Image.merge(
        "RGBA", [shape, shape, shape, Image.fromarray(np.where(pixels > 40, pixels, 0).astype(np.uint8))]
    )


FILES: dict[str, Callable[[np.ndarray], tuple[Image.Image, str]]] = {
    "1": lambda pixels: (Image.fromarray(pixels > 100), ".png"),
    "L": lambda pixels: (Image.fromarray(pixels), ".png"),
    "LA": lambda pixels: (Image.fromarray(pixels).convert("LA"), ".png"),
    "P": lambda pixels: (Image.fromarray(pixels).convert("P"), ".gif"),
    "RGB": lambda pixels: (Image.fromarray(np.stack([pixels, pixels // 2, 255 - pixels], 2)), ".png"),
    "JPEG": lambda pixels: (Image.fromarray(pixels).convert("RGB"), ".jpg"),
    "RGBA": lambda pixels: (fading(pixels), ".png"),
    "CMYK": lambda pixels: (Image.fromarray(pixels).convert("RGB").convert("CMYK"), ".tif"),
    "I;16": lambda pixels: (Image.fromarray(pixels.astype(np.uint16) * 257 + 3), ".png"),
    "I, 8 bits": lambda pixels: (Image.fromarray(pixels.astype(np.int32)), ".tif"),
    "I, 32 bits": lambda pixels: (Image.fromarray(pixels.astype(np.int32) * 1_000_003), ".tif"),
    "F, 0..1": lambda pixels: (Image.fromarray(pixels.astype(np.float32) / 255), ".tif"),
    "F, 0..255": lambda pixels: (Image.fromarray(pixels.astype(np.float32)), ".tif"),
    "PPM": lambda pixels: (Image.fromarray(pixels), ".pgm"),
    "BMP": lambda pixels: (Image.fromarray(pixels).convert("RGB"), ".bmp"),
    "WebP": lambda pixels: (Image.fromarray(pixels).convert("RGB"), ".webp"),
}
"""One image in every mode and format that people have."""


def drawn(height: int, width: int, dark: bool, number: int) -> np.ndarray:
    """A 7 somewhere on a plain ground, dark on light or light on dark; no two are equal."""
    side = min(height, width) * 9 // 10
    ink, ground = ((20,) * 3, (235 - number,) * 3) if dark else ((250 - number,) * 3, (12,) * 3)
    at = number % (height - side + 1), number * 3 % (width - side + 1)
    return page(a_seven(), height, width, ink, ground, at=at, side=side)[..., 0].astype(np.uint8)


def write(path: Path, pixels: np.ndarray, mode: str, orientation: int = 1) -> None:
    image, suffix = FILES[mode](pixels)
    more: dict[str, object] = {}
    if orientation != 1:
        more["exif"] = Image.Exif()
        more["exif"][0x0112] = orientation  # type: ignore[index]
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path.with_suffix(suffix), **more)
