"""The only decoder: image files as pages of levels."""

# Bytes are checked before Pillow sees them (limits.py), decoded with every warning and error turned into one sentence,
# brought to levels 0..1 (levels.py) and turned upright. Nothing else in the package opens an image file.

import io
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from PIL import Image, ImageOps, UnidentifiedImageError

from imparfait.core.errors import UserError
from imparfait.data.images.levels import PLAIN_MODES, Levels, is_grey, levels_of, reduction
from imparfait.data.images.limits import (
    THUMBNAIL,
    LimitError,
    Limits,
    TooLargeError,
    check_rows,
    check_scans,
    check_structure,
    count_pages,
    format_of,
)

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pnm"))
ORIENTATION = 0x0112  # EXIF's tag
LAST_AXES = (1, 3, 4)  # channels of an array that has them last
# What Pillow raises for broken files.
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

# By EXIF orientation: whether the stored image is transposed, then the steps along its rows and columns.
TURNS_BY_ORIENTATION = {
    2: (False, 1, -1), 3: (False, -1, -1), 4: (False, -1, 1),
    5: (True, 1, 1), 6: (True, 1, -1), 7: (True, -1, -1), 8: (True, -1, 1),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Page:
    """A page as a person sees it, and how it was stored."""

    pixels: Levels
    size: tuple[int, int]
    """Height and width of the upright page in the file's pixels; `pixels` has `reduced` times fewer on each side."""
    reduced: int
    number: int
    """From 1."""
    pages: int
    format: str
    mode: str
    """Pillow's name of the pixel format."""
    orientation: int
    """EXIF orientation, 1 to 8; `pixels` are upright."""
    backdrop: str | None
    """The colour put behind transparent pixels."""
    name: str = "the image"
    """Of its file, with its number where there are several pages."""


def read_pages(source: bytes | str | Path, name: str | None = None, limits: Limits | None = None) -> Iterator[Page]:
    """The pages of a PNG, JPEG, BMP, GIF, WebP, TIFF or PPM file, one after the other; errors call the file `name`.

    Only TIFF has several: of an animation the first image is read, and thumbnails are left out. Memory: the file, one
    page as stored, and `limits.kept` pixels of it. Raises UserError when the file is no image, is truncated, or
    exceeds the limits.
    """
    limits = limits or Limits()
    content = source if isinstance(source, bytes) else read_content(source, limits)
    name = name or ("the image" if isinstance(source, bytes) else str(source))
    if len(content) > limits.bytes:
        raise UserError(f"{name}: has {len(content):,} bytes; expected at most {limits.bytes:,}")
    kind = format_of(content, name)
    pages = 1
    if kind == "TIFF":
        with _in_one_sentence(name, content):
            pages = count_pages(content, limits)
    for number in range(1, pages + 1):
        where = name if pages == 1 else f"{name}, page {number}"
        with _in_one_sentence(where, content):
            check_structure(content, kind)
            page = _page(content, kind, number, pages, limits, where)
        if page:
            yield page


def page_of(image: Image.Image | np.ndarray) -> Page:
    """A page of an image in memory: Pillow's, or an array.

    Arrays are [height, width], [height, width, channels] or [channels, height, width] with 1 or 3 channels, or 4 last,
    of which the fourth is alpha. They are uint8, boolean, or floats in 0..1. Raises UserError for others.
    """
    if isinstance(image, Image.Image):
        with _in_one_sentence("the image", b""):
            image = ImageOps.exif_transpose(image)
            levels, factor, backdrop = levels_of(image, Limits().kept)
        return Page(levels, (image.height, image.width), factor, 1, 1, "Pillow", image.mode, 1, backdrop)
    last = image.ndim == 3 and image.shape[2] in LAST_AXES
    planes = np.moveaxis(image, 2, 0) if last else image[None] if image.ndim == 2 else image
    if planes.ndim != 3 or len(planes) not in (LAST_AXES if last else (1, 3)) or not planes.size:
        raise UserError(
            f"an array of shape {image.shape}",
            expected="[height, width], [height, width, 3] or [1 or 3, height, width]",
            hint="for several images, give a list of them" if image.ndim > 2 else "",
        )
    if planes.dtype in (np.uint8, bool):
        levels = planes / np.float32(1 if planes.dtype == bool else 255)
    elif planes.dtype.kind == "f" and planes.min() >= 0 and planes.max() <= 1:
        levels = planes
    else:
        raise UserError(
            f"an array of {image.dtype}{_range(planes)}",
            expected="uint8, or floats in 0..1",
            hint="write image.astype('uint8')" if planes.dtype.kind in "iuf" and _are_bytes(planes) else "",
        )
    levels = np.ascontiguousarray(np.moveaxis(levels, 0, 2), np.float32)
    if levels.shape[2] == 4:
        return page_of(Image.fromarray(np.asarray(np.rint(levels * 255), np.uint8), "RGBA"))
    levels = levels[..., :1] if is_grey(levels) else levels
    return Page(levels, levels.shape[:2], 1, 1, 1, "array", str(image.dtype), 1, None)


def _are_bytes(values: np.ndarray) -> bool:
    """Whether all are in 0..255."""
    return bool(((values >= 0) & (values <= 255)).all())


def _range(values: np.ndarray) -> str:
    """The range of numbers that were refused, in words; empty for values that are no numbers."""
    if values.dtype.kind not in "iuf":
        return ""
    if not np.isfinite(values).all():
        return " with NaN or infinity"
    return f" in {values.min():g}..{values.max():g}"


def _page(content: bytes, kind: str, number: int, pages: int, limits: Limits, name: str) -> Page | None:
    with Image.open(io.BytesIO(content), formats=(kind,)) as image:
        if number > 1:
            image.seek(number - 1)
            if getattr(image, "tag_v2", {}).get(THUMBNAIL, 0) & 5:  # a thumbnail or a mask
                return None
        width, height = image.size
        if width * height > limits.pixels:
            raise TooLargeError(f"{width}×{height} pixels; expected at most {limits.pixels:,}")
        if max(width, height) > limits.side:
            raise TooLargeError(f"{width}×{height} pixels; expected a side of at most {limits.side:,}")
        mode, drafted = image.mode, 1
        if kind == "JPEG":
            check_scans(content, width * height, limits.scanned)
            factor = reduction(width * height, limits.kept)
            if factor > 1 and image.draft(None, (width // factor, height // factor)):
                drafted = round(width / image.width)
        orientation = _orientation(image)
        image.load()
        # Once: copying is most of a small image. Of a large one a copy is not needed.
        whole = image.mode in PLAIN_MODES and reduction(image.width * image.height, limits.kept) == 1
        stored = np.asarray(image) if whole else None
        if kind == "PNG" and not (_last_row(image) if stored is None else stored[-1]).any():
            check_rows(content)
        pixels, factor, backdrop = levels_of(image, limits.kept, stored)
        if kind != "TIFF":  # Pillow turns TIFF itself
            pixels = _upright(pixels, orientation)
            if orientation >= 5:
                height, width = width, height
        else:
            width, height = image.size
        return Page(pixels, (height, width), factor * drafted, number, pages, kind, mode, orientation, backdrop, name)


def _last_row(image: Image.Image) -> np.ndarray:
    return np.asarray(image.crop((0, image.height - 1, image.width, image.height)))


def _upright(pixels: Levels, orientation: int) -> Float32[np.ndarray, "rows columns channels"]:
    if orientation not in TURNS_BY_ORIENTATION:
        return pixels
    transposed, rows, columns = TURNS_BY_ORIENTATION[orientation]
    return np.ascontiguousarray((pixels.transpose(1, 0, 2) if transposed else pixels)[::rows, ::columns])


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1 (as stored) where the file has none or it cannot be read."""
    if not image.info and image.format != "TIFF":
        return 1
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except BROKEN:  # broken metadata are no reason to refuse an image
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


@contextmanager
def _in_one_sentence(name: str, content: bytes) -> Iterator[None]:
    """Turn any error in decoding into a UserError of one sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata; sizes are checked before
            yield
    except UserError:
        raise
    except LimitError as error:
        raise UserError(f"{name}: {error}") from error
    except MemoryError as error:
        raise UserError(f"{name}: needs more memory than there is", hint="give a smaller image") from error
    except (*BROKEN, AssertionError) as error:  # Pillow raises it for colours without a palette
        reason = "".join(letter if letter.isprintable() else " " for letter in str(error))[:200]
        if isinstance(error, UnidentifiedImageError):  # its message is an address in memory
            reason = "its header makes no sense"
        if isinstance(error, AssertionError):
            reason = "its parts do not fit together"
        raise UserError(
            f"{name}: a broken image ({reason or type(error).__name__})", hint="save or copy it again"
        ) from error


def read_content(path: str | Path, limits: Limits) -> bytes:
    """The bytes of a regular file; raises UserError where it cannot be read or is too large."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # opening a pipe would wait for ever
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}", expected="an image file") from error
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{path}: is no regular file", expected="an image file")
        if status.st_size > limits.bytes:
            raise UserError(f"{path}: has {status.st_size:,} bytes", expected=f"at most {limits.bytes:,}")
        content = os.read(handle, min(status.st_size, limits.bytes) + 1)  # as many are allocated
        if len(content) == status.st_size:
            return content
        with os.fdopen(handle, "rb", closefd=False) as file:  # it grows, or its file system gives it in parts
            return content + file.read(limits.bytes + 1 - len(content))
    finally:
        os.close(handle)
