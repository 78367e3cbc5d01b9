"""The pixels of a decoded image, in whatever mode, as levels between 0 and 1."""

import numpy as np
from jaxtyping import Float32, Shaped, UInt8
from PIL import Image

Levels = Float32[np.ndarray, "height width channels"]
"""0 is black, 1 is white; one channel where there is no colour, else red, green and blue."""

FADE_LEVELS = 8  # levels of 255 by which what is seen is lighter or darker at its edge
CHECKED_ROWS = 97  # about as many rows and columns are looked at before all of them are


def levels_of(image: Image.Image, kept: int) -> tuple[Levels, int, str | None]:
    """A loaded image's levels, the whole factor it was reduced by to have `kept` pixels, and alpha's ground.

    16 bits are scaled, not clipped; CMYK becomes RGB; what is transparent becomes white where what is seen is dark
    and black where it is light. Raises ValueError for numbers that are no levels.
    """
    factor = reduction(image.width * image.height, kept)
    if image.mode == "F" or image.mode.startswith("I"):
        return _deep(np.asarray(image), factor), factor, None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        least, most = image.getchannel("A").getextrema()
        if least != 255 and most != 0:  # where all is transparent, alpha means nothing
            levels, ground = _on_ground(image, factor)
            return levels, factor, ground
    return _plain(image, factor), factor, None


def reduction(pixels: int, kept: int) -> int:
    """The least whole factor that brings so many pixels to about `kept`."""
    return max(1, int(np.ceil((pixels / kept) ** 0.5)))


def _plain(image: Image.Image, factor: int) -> Levels:
    image = image.convert("L" if image.mode in ("1", "L") else "RGB")  # of LAB it raises ValueError
    pixels = np.asarray(image.reduce(factor) if factor > 1 else image)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    elif is_grey(pixels):
        pixels = pixels[..., :1]
    # OodSet but 0 and 1 in 8 bits is a mask, in which 1 is white.
    white = 1 if pixels.shape[2] == 1 and pixels.max(initial=0) == 1 else 255
    return np.asarray(np.divide(pixels, np.float32(white), dtype=np.float32))


def _deep(pixels: Shaped[np.ndarray, "rows columns"], factor: int) -> Levels:
    """Levels of 16 or 32 bits or fractions: of 0..1, 8 and 16 bits the least range that holds them."""
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ValueError("pixels that are no numbers")
    least, most = pixels.min(initial=0), pixels.max(initial=0)
    if least < 0:
        raise ValueError(f"levels down to {least}; expected none below 0")
    if pixels.dtype.kind == "f":
        white = next((top for top in (1, 255, 65535) if most <= top), float(most))
    elif 255 < most <= 65535 and not (pixels & 255).any():
        white = 255 << 8  # 8 bits, shifted
    else:
        white = 65535 if pixels.dtype.itemsize == 2 or 255 < most <= 65535 else max(255, int(most))
    levels = np.divide(pixels, np.float32(white), dtype=np.float32)
    return (levels if factor == 1 else np.asarray(Image.fromarray(levels).reduce(factor)))[..., None]


def _on_ground(image: Image.Image, factor: int) -> tuple[Levels, str]:
    """On white where what is seen is dark, or fades to white at its edge, else on black: ink on nothing is seen."""
    if factor > 1:
        pixels = np.asarray(image.convert("RGBa").reduce(factor), np.float32)
        lit, seen = pixels[..., :3], pixels[..., 3:] / np.float32(255)
    else:
        pixels = np.asarray(image, np.float32)
        seen = pixels[..., 3:] / np.float32(255)
        lit = pixels[..., :3] * seen
    white = _needs_white(lit.mean(2), seen[..., 0])
    levels = np.rint(lit + np.float32(255 if white else 0) * (1 - seen))
    return (levels[..., :1] if is_grey(levels) else levels) / np.float32(255), "white" if white else "black"


def _needs_white(lit: Float32[np.ndarray, "height width"], seen: Float32[np.ndarray, "height width"]) -> bool:
    there = np.pad(seen > 0, 1)
    inner = there[:-2, 1:-1] & there[2:, 1:-1] & there[1:-1, :-2] & there[1:-1, 2:]
    total, inside = seen.sum(dtype=np.float64), seen[inner].sum(dtype=np.float64)
    mean = float(lit.sum(dtype=np.float64) / total)
    if 0 < inside < total:
        middle = float(lit[inner].sum(dtype=np.float64) / inside)
        edge = float((lit.sum(dtype=np.float64) - lit[inner].sum(dtype=np.float64)) / (total - inside))
        if abs(edge - middle) > FADE_LEVELS:
            return edge > middle
    return mean < 127.5


def is_grey(pixels: UInt8[np.ndarray, "height width 3"] | Levels) -> bool:
    """Whether all channels of each pixel are equal."""
    few = pixels[:: len(pixels) // CHECKED_ROWS + 1, :: pixels.shape[1] // CHECKED_ROWS + 1]
    return all(bool((some[..., :1] == some[..., 1:]).all()) for some in (few, pixels))
