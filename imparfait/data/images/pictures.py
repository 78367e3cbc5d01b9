"""Any image file a person has, as pixels."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from imparfait.core.errors import UserError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pnm"))
MOST_PIXELS = 50_000_000  # a photograph of 50 megapixels: 150 MB in colour
ORIENTATION = 0x0112  # EXIF's tag
# What Pillow raises for a file that is not what it says.
BROKEN = (
    OSError,
    SyntaxError,
    MemoryError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    EOFError,
    NotImplementedError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)

ImagePixels = UInt8[np.ndarray, "channels height width"]
"""One channel where it has no colour, else red, green and blue."""


def read_picture(path: Path | str) -> ImagePixels:
    """The image in a PNG, JPEG, BMP, GIF, WebP, TIFF or PPM file, of which the first page is taken.

    Turned as its EXIF data say; 16 bits become 8; what is transparent becomes black where the image is light and
    white where it is dark. Raises UserError when the file is not an image, is torn, or has over 50 million pixels.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    return decode(content, str(path))


def decode(content: bytes, name: str) -> ImagePixels:
    """`read_picture` for a file's content; `name` is how an error calls it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata are no reason to refuse an image …
            warnings.simplefilter("error", Image.DecompressionBombWarning)  # … its size is
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise UserError(
                        f"{name}: {image.width}×{image.height} pixels; the most that is read is {MOST_PIXELS:,}"
                    )
                return _pixels(image)
    except UserError:
        raise
    except BROKEN as error:
        reason = "no image in one of the formats " + ", ".join(FORMATS)
        if not isinstance(error, UnidentifiedImageError):
            reason = f"a broken image ({' '.join(str(error).split())[:200] or type(error).__name__})"
        raise UserError(f"{name}: {reason}; its first bytes are {content[:4].hex() or 'missing'}") from error


def _pixels(image: Image.Image) -> ImagePixels:
    if image.mode == "L" and image.format != "JPEG" and not image.info:  # the usual small image, in a tenth of the time
        return np.asarray(image)[None]
    if image.getexif().get(ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("floating-point pixels, expected whole ones of 1 to 16 bits")
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.int64)  # convert("L") would clip 16 bits to white
        return (deep.clip(0, 65535) / 257).round().astype(np.uint8)[None]
    if image.has_transparency_data:
        return _without_colour(_on_ground(np.asarray(image.convert("RGBA"))))
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))[None]
    return _without_colour(np.asarray(image.convert("RGB")))


def _on_ground(pixels: UInt8[np.ndarray, "height width 4"]) -> UInt8[np.ndarray, "height width 3"]:
    """On black where what is seen is light, on white where it is dark: black ink on nothing stays visible."""
    colours, seen = pixels[..., :3].astype(np.float32), pixels[..., 3:].astype(np.float32) / 255
    light = (colours * seen).sum() >= 127.5 * 3 * seen.sum()
    return (colours * seen + (0 if light else 255) * (1 - seen)).round().astype(np.uint8)


def _without_colour(pixels: UInt8[np.ndarray, "height width 3"]) -> ImagePixels:
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    grey = np.array_equal(planes[0], planes[1]) and np.array_equal(planes[0], planes[2])
    return planes[:1] if grey else planes


def to_size(image: ImagePixels, size: int) -> UInt8[np.ndarray, "channels size size"]:
    """The image in a square of `size` pixels, its shape kept: averaged down, or enlarged smoothly.

    Beside an image that is no square the median colour of its border is added.
    """
    height, width = image.shape[1:]
    scale = size / max(height, width)
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    planes = [np.asarray(Image.fromarray(plane).resize((wide, tall), method)) for plane in image]
    border = np.concatenate([image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]], 1)
    square = np.empty((len(image), size, size), np.uint8)
    square[:] = np.median(border, 1)[:, None, None]
    top, left = (size - tall) // 2, (size - wide) // 2
    square[:, top : top + tall, left : left + wide] = planes
    return square
