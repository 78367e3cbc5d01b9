"""Decoded pixels of any mode as levels between 0 and 1."""

import numpy as np
from jaxtyping import Float32, Shaped, UInt8
from PIL import Image

Levels = Float32[np.ndarray, "height width channels"]
"""0 is black, 1 is white; one channel where there is no colour, else red, green and blue."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue in grey: ITU-R BT.601
FADE_LEVELS = 8  # of 255, by which a visible shape is lighter or darker at its edge
PLAIN_MODES = frozenset(("L", "RGB"))
"""Pillow's modes whose values are levels of grey or of red, green and blue, of 255."""
BAND_PIXELS = 1 << 20  # of a large image that are converted at once
CHECKED_ROWS = 97  # and columns: a sample that usually shows at once that an image has colour


def levels_of(image: Image.Image, kept: int, stored: np.ndarray | None = None) -> tuple[Levels, int, str | None]:
    """The levels of a loaded image, the whole factor by which it was reduced to `kept` pixels, and alpha's backdrop.

    16 bits are scaled, not clipped. CMYK becomes RGB. Transparent pixels become white behind a dark shape and black
    behind a light one. `stored` are the pixels of an image in one of PLAIN_MODES. Raises ValueError for numbers that
    are no levels.
    """
    factor = reduction(image.width * image.height, kept)
    if image.mode == "F" or image.mode.startswith("I"):
        return _deep(np.asarray(image), factor), factor, None
    if image.has_transparency_data:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        lowest, highest = image.getchannel("A").getextrema()
        if lowest != 255 and highest != 0:  # where all is transparent, alpha means nothing
            levels, backdrop = _without_alpha(image, factor)
            return levels, factor, backdrop
    return _plain(image, factor, stored), factor, None


def reduction(pixels: int, kept: int) -> int:
    """The least whole factor that reduces so many pixels to about `kept`."""
    return max(1, int(np.ceil((pixels / kept) ** 0.5)))


def _plain(image: Image.Image, factor: int, stored: np.ndarray | None) -> Levels:
    if factor > 1 or stored is None:
        stored = _reduced(image, "L" if image.mode in ("1", "L") else "RGB", factor)  # of LAB it raises ValueError
    pixels = stored
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    elif is_grey(pixels):
        pixels = pixels[..., :1]
    # An image of nothing but 0 and 1 in 8 bits is a mask: 1 is white.
    white = 1 if pixels.shape[2] == 1 and pixels.max(initial=0) == 1 else 255
    return np.asarray(np.divide(pixels, np.float32(white), dtype=np.float32))


def _reduced(image: Image.Image, mode: str, factor: int) -> UInt8[np.ndarray, "..."]:
    """The pixels in another mode, reduced by averaging; in bands, so that no large copy is made."""
    if factor == 1:
        return np.asarray(image if image.mode == mode else image.convert(mode))
    rows = max(1, BAND_PIXELS // (image.width * factor)) * factor
    bands = (image.crop((0, top, image.width, min(top + rows, image.height))) for top in range(0, image.height, rows))
    return np.concatenate([np.asarray(band.convert(mode).reduce(factor)) for band in bands])


def _deep(pixels: Shaped[np.ndarray, "rows columns"], factor: int) -> Levels:
    """Levels of 16 or 32 bits or floats; white is the least of 1, 8 bits and 16 bits that holds them."""
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ValueError("pixels that are NaN or infinite")
    lowest, highest = pixels.min(initial=0), pixels.max(initial=0)
    if lowest < 0:
        raise ValueError(f"levels down to {lowest}; expected none below 0")
    if pixels.dtype.kind == "f":
        white = next((top for top in (1, 255, 65535) if highest <= top), float(highest))
    elif 255 < highest <= 65535 and not (pixels & 255).any():
        white = 255 << 8  # 8 bits, shifted
    else:
        white = 65535 if pixels.dtype.itemsize == 2 or 255 < highest <= 65535 else max(255, int(highest))
    levels = np.divide(pixels, np.float32(white), dtype=np.float32)
    return (levels if factor == 1 else np.asarray(Image.fromarray(levels).reduce(factor)))[..., None]


def _without_alpha(image: Image.Image, factor: int) -> tuple[Levels, str]:
    """On white if the shape is dark or fades to white at its edge, else on black: it stays visible."""
    if factor > 1:
        pixels = _reduced(image, "RGBa", factor).astype(np.float32)
        shade, alpha = pixels[..., :3], pixels[..., 3:] / np.float32(255)
    else:
        pixels = np.asarray(image, np.float32)
        alpha = pixels[..., 3:] / np.float32(255)
        shade = pixels[..., :3] * alpha
    white = _needs_white(shade.mean(2), alpha[..., 0])
    levels = np.rint(shade + np.float32(255 if white else 0) * (1 - alpha))
    return (levels[..., :1] if is_grey(levels) else levels) / np.float32(255), "white" if white else "black"


def _needs_white(shade: Float32[np.ndarray, "height width"], alpha: Float32[np.ndarray, "height width"]) -> bool:
    visible = np.pad(alpha > 0, 1)
    inner = visible[:-2, 1:-1] & visible[2:, 1:-1] & visible[1:-1, :-2] & visible[1:-1, 2:]
    total, inside = alpha.sum(dtype=np.float64), alpha[inner].sum(dtype=np.float64)
    mean = float(shade.sum(dtype=np.float64) / total)
    if 0 < inside < total:
        middle = float(shade[inner].sum(dtype=np.float64) / inside)
        edge = float((shade.sum(dtype=np.float64) - shade[inner].sum(dtype=np.float64)) / (total - inside))
        if abs(edge - middle) > FADE_LEVELS:
            return edge > middle
    return mean < 127.5


def is_grey(pixels: UInt8[np.ndarray, "height width 3"] | Levels) -> bool:
    """Whether all channels of each pixel are equal."""
    sampled = pixels[:: len(pixels) // CHECKED_ROWS + 1, :: pixels.shape[1] // CHECKED_ROWS + 1]
    return all(bool((part[..., :1] == part[..., 1:]).all()) for part in (sampled, pixels))
