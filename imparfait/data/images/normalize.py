"""Image normalisation: any decoded page as the pixels a model is trained on and predicts from."""

# A page becomes a model's input in one of four ways, named in config.json and obeyed wherever files are read:
#   none       the pixels as decoded, for files that all have the input's size
#   resize     the whole page, stretched to the input's size
#   letterbox  the whole page, its aspect ratio kept, padded with the median colour of its border
#   digit      the foreground found, cropped and drawn light on dark, framed as MNIST's digits are
# Class folders are read for training by the same function as files for prediction, so both have equal pixels.

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from imparfait.data.images.decode import Page, read_pages
from imparfait.data.images.foreground import MIN_CONTRAST, Box, Foreground, Polarity, find_foreground, lightness
from imparfait.data.images.input_format import (
    FOREGROUND_LEVEL,
    MNIST_SHARE,
    PLACE_TOLERANCE_PIXELS,
    SIZE_TOLERANCE_PIXELS,
    InputFormat,
    border_pixels,
)
from imparfait.data.images.levels import Levels
from imparfait.data.images.limits import Limits
from imparfait.data.images.placement import areas, place, resized

STRETCHED = (0.02, 0.98)  # quantiles of a whole page's lightness that become black and white
INK_LEVEL = 0.5  # of white, from which on a pixel of the border is ink, not the soft edge of some

Planes = Float32[np.ndarray, "channels rows columns"]
"""Levels in a model's input, 0..1."""


@dataclass(frozen=True, eq=False)
class NormalizedImage:
    """An image as a model takes it, and what was done to it."""

    pixels: UInt8[np.ndarray, "channels height width"]
    polarity: Polarity | None
    """How the foreground was drawn; None where none was found or looked for."""
    box: Box
    """What `pixels` show: the foreground's box, or the whole image; in the image's pixels, as a person sees it."""
    scale: float
    """Pixels of the input for one of the image's."""
    unchanged: bool
    """Whether it had the input's form already, but for how it was stored."""
    empty: bool
    """Whether a foreground was looked for and none was found."""
    preprocessing: str
    """What was done, as a sentence."""
    whole: UInt8[np.ndarray, "1 height width"] | None = None
    """The whole page as a second view, for models of two views; None where `pixels` are the file's own."""
    page_size: tuple[int, int] = (0, 0)
    """Height and width of the image that `box` is in."""


def read_normalized(
    source: bytes | str | Path, form: InputFormat, name: str | None = None, limits: Limits | None = None
) -> Iterator[NormalizedImage]:
    """Each page of an image file as a model of this input format takes it. Raises UserError as `read_pages` does."""
    for page in read_pages(source, name, limits):
        yield normalize(page, form)


def normalize(page: Page, form: InputFormat) -> NormalizedImage:
    """A page as a model of this input format takes it: the same pixels in training and in prediction."""
    if form.normalization == "digit":
        return _as_digit(page, form)
    levels = _in_channels(page.pixels, form.channels)
    shape, size = levels.shape[:2], (form.height, form.width)
    if shape == size:
        said = "unchanged" if page.reduced == 1 else f"reduced by {page.reduced}"
        return _normalized(levels.transpose(2, 0, 1), page, said, scale=1 / page.reduced, unchanged=page.reduced == 1)
    came, expected = f"{page.size[1]}×{page.size[0]}", f"{form.width}×{form.height}"
    if form.normalization == "resize":
        planes = np.stack([resized(np.ascontiguousarray(plane), *size) for plane in np.moveaxis(levels, 2, 0)])
        scale = min(form.height / page.size[0], form.width / page.size[1])
        return _normalized(planes, page, f"{came} pixels stretched to {expected}", scale=scale)
    planes, scale, padded = _letterboxed(levels, *size)
    said = f"{came} pixels scaled by {scale / page.reduced:.3g}"
    said += ", padded with the colour of its border" if padded else ""
    said += f" (the model was trained on files of {expected} pixels)" if form.normalization == "none" else ""
    return _normalized(planes, page, said, scale=scale / page.reduced)


def _as_digit(page: Page, form: InputFormat) -> NormalizedImage:
    trained = framed_already(page.pixels, form)
    if trained is not None:
        plane, polarity = trained
        scale = plane.shape[0] / page.size[0]
        said = "unchanged" if polarity == "light on dark" else "inverted"
        said += "" if scale == 1 else f", reduced by {round(1 / scale)}"
        return _normalized(plane[None], page, said, polarity=polarity, scale=scale, unchanged=True)
    foreground = find_foreground(page.pixels)
    if foreground is None:
        blank = np.zeros((1, form.height, form.width), np.float32)
        scale = min(form.height / page.size[0], form.width / page.size[1])
        return _normalized(blank, page, "no foreground found", scale=scale, empty=True)
    plane, scale = _where_it_is(foreground, page, form) or place(
        foreground.pixels, foreground.edges, form.height, form.width
    )
    left, top, right, bottom = (edge * page.reduced for edge in foreground.box)
    box = left, top, min(right, page.size[1]), min(bottom, page.size[0])
    scale /= foreground.reduced * page.reduced
    said = f"{foreground.polarity}; cropped to {box[2] - box[0]}×{box[3] - box[1]} pixels at {box[0]}, {box[1]}"
    if foreground.paper:
        said += f" of a sheet {(foreground.paper[2] - foreground.paper[0]) * page.reduced} wide"
    said += f", scaled by {scale:.3g}"
    normalized = _normalized(plane[None], page, said, polarity=foreground.polarity, box=box, scale=scale)
    return replace(normalized, whole=whole_page(page, form)) if form.two_views else normalized


def whole_page(page: Page, form: InputFormat) -> UInt8[np.ndarray, "1 height width"]:
    """The whole page in grey, letterboxed, its contrast stretched: another view of a digit that fills its page.

    Nothing is cut out and the polarity stays: a frame, a neighbour's edge or the ground is in it too.
    """
    grey = _in_channels(page.pixels, 1)
    low, high = np.quantile(grey, STRETCHED)
    stretched = np.clip((grey - low) / max(float(high - low), MIN_CONTRAST), 0, 1).astype(np.float32)
    planes, _, _ = _letterboxed(stretched, form.height, form.width)
    return np.asarray(np.rint(planes * 255), np.uint8)


def framed_already(levels: Levels, form: InputFormat) -> tuple[Float32[np.ndarray, "rows columns"], Polarity] | None:
    """A grey image that has the form of `digit` already, but for how it was stored; None where it has not.

    That is: of the input's size or each pixel of it repeated, most of its border black or white. A digit that reaches
    the border and is larger than MNIST's is framed again.
    """
    height, width, channels = levels.shape
    times = height // form.height
    if channels != 1 or times < 1 or (height, width) != (times * form.height, times * form.width):
        return None
    plane = levels[::times, ::times, 0]
    if times > 1 and not (levels.reshape(form.height, times, form.width, times) == plane[:, None, :, None]).all():
        return None
    border = border_pixels(plane[None])[0]
    if 2 * np.count_nonzero(border == 0) > len(border):
        return (plane, "light on dark") if border.max() < INK_LEVEL or not _is_too_large(plane) else None
    if 2 * np.count_nonzero(border == 1) > len(border):
        return (1 - plane, "dark on light") if border.min() > 1 - INK_LEVEL or not _is_too_large(1 - plane) else None
    return None


def _is_too_large(plane: Float32[np.ndarray, "rows columns"]) -> bool:
    """Whether what is light is larger than MNIST's digits are."""
    rows, columns = (np.flatnonzero(plane.max(axis) > FOREGROUND_LEVEL) for axis in (1, 0))
    longest = max((rows[-1] - rows[0] + 1) / plane.shape[0], (columns[-1] - columns[0] + 1) / plane.shape[1])
    return bool((longest - MNIST_SHARE) * max(plane.shape) > SIZE_TOLERANCE_PIXELS)


def _where_it_is(foreground: Foreground, page: Page, form: InputFormat) -> tuple[np.ndarray, float] | None:
    """The foreground of an image of the input's size that is framed as MNIST's digits: not moved, not scaled."""
    height, width = page.pixels.shape[:2]
    times = height // form.height
    if foreground.reduced > 1 or times < 1 or (height, width) != (times * form.height, times * form.width):
        return None
    (left, top, right, bottom), (across, down) = foreground.edges, foreground.corner
    largest = max((bottom - top) / (MNIST_SHARE * height), (right - left) / (MNIST_SHARE * width))
    off = []
    for axis, side, start in ((1, height, down), (0, width, across)):
        mass = foreground.pixels.sum(axis)
        off.append(abs(float(mass @ np.arange(len(mass)) / mass.sum()) + start + 0.5 - side / 2 - times / 2) / times)
    too_large = abs(largest - 1) * MNIST_SHARE * max(form.height, form.width) > SIZE_TOLERANCE_PIXELS
    if too_large or max(off) > PLACE_TOLERANCE_PIXELS:
        return None
    whole = np.zeros((height, width), np.float32)
    whole[down : down + foreground.pixels.shape[0], across : across + foreground.pixels.shape[1]] = foreground.pixels
    plane = areas(height, 0, 1 / times) @ whole @ areas(width, 0, 1 / times).T
    return np.asarray(plane, np.float32), 1 / times


def _letterboxed(levels: Levels, height: int, width: int) -> tuple[Planes, float, bool]:
    """The whole page in the middle: reduced by averaging areas, or enlarged smoothly; its scale; whether it was padded.

    Each channel is computed by itself, so a grey page has the same pixels in one channel and in three.
    """
    scale = min(height / levels.shape[0], width / levels.shape[1])
    tall, wide = max(1, round(levels.shape[0] * scale)), max(1, round(levels.shape[1] * scale))
    planes = np.moveaxis(levels, 2, 0)
    framed = np.empty((len(planes), height, width), np.float32)
    framed[:] = np.median(border_pixels(planes), 1)[:, None, None]
    top, left = (height - tall) // 2, (width - wide) // 2
    for plane, into in zip(planes, framed, strict=True):
        into[top : top + tall, left : left + wide] = resized(np.ascontiguousarray(plane), tall, wide)
    return framed, scale, (tall, wide) != (height, width)


def _in_channels(levels: Levels, channels: int) -> Float32[np.ndarray, "height width expected"]:
    """A page in so many channels: its lightness (ITU-R 601) in one, grey repeated in three."""
    if levels.shape[2] == channels:
        return levels
    return lightness(levels)[..., None] if channels == 1 else levels.repeat(channels // levels.shape[2], 2)


def _stored(page: Page, channels: int) -> str:
    """How the values of the file became levels of the model's channels, where that is more than a copy."""
    parts = []
    if page.mode.startswith("I;16") or (page.mode == "I" and page.format == "PNG"):
        parts.append("16 bits to 8")
    elif page.mode in ("I", "F"):
        parts.append("its range to 8 bits")
    elif page.mode in ("RGBA", "LA", "PA", "RGBa", "La") and page.backdrop is None:
        parts.append("without its alpha channel")
    elif page.mode in ("CMYK", "YCbCr", "LAB", "HSV") and page.format != "JPEG":
        parts.append(f"{page.mode} to RGB")
    elif page.mode == "CMYK":
        parts.append("CMYK to RGB")
    if channels < page.pixels.shape[2]:
        parts.append("colour to grey")
    return ", ".join(parts)


def _normalized(
    planes: Planes,
    page: Page,
    said: str,
    *,
    scale: float,
    polarity: Polarity | None = None,
    box: Box | None = None,
    unchanged: bool = False,
    empty: bool = False,
) -> NormalizedImage:
    stored = _stored(page, len(planes))
    if stored:
        said = stored if said == "unchanged" else f"{said}; {stored}"
    turned = "; turned by its EXIF orientation" if page.orientation != 1 else ""
    backdrop = f"; {page.backdrop} behind transparent pixels" if page.backdrop else ""
    pixels = np.rint(planes * 255).astype(np.uint8)
    whole = (0, 0, page.size[1], page.size[0])
    said += turned + backdrop
    return NormalizedImage(pixels, polarity, box or whole, scale, unchanged, empty, said, page_size=page.size)
