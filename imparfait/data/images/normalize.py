"""Any image a person has, as what the model was trained on."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from imparfait.data.images.decode import Page, read_pages
from imparfait.data.images.foreground import Box, Foreground, Polarity, find_foreground
from imparfait.data.images.levels import Levels
from imparfait.data.images.limits import Limits
from imparfait.data.images.placement import MNIST_SHARE, areas, place, resized

Framed = Float32[np.ndarray, "rows columns"]
"""Ink in a model's frame, 0..1."""

# A sign that is as large as the training images' (so many of the frame's pixels more or less) and no further from the
# middle is left where it is in an image of the frame's size.
SAME_SIZE, SAME_PLACE = 3.0, 1.5


@dataclass(frozen=True)
class Frame:
    """The images that a model was trained on."""

    height: int
    width: int
    channels: int = 1
    """1: light ink on a dark ground, to which every image is brought; 3: images as they are."""
    share: float = MNIST_SHARE
    """Of the frame's sides, that a sign fills."""


@dataclass(frozen=True, eq=False)
class NormalizedImage:
    """An image as the model takes it, and what was done to it."""

    pixels: UInt8[np.ndarray, "channels height width"]
    polarity: Polarity | None
    """How the ink was drawn; None where nothing was found, and in colour."""
    box: Box
    """What the frame shows: a sign's box, or all of the image; in the image's pixels, as a person sees it."""
    scale: float
    """Pixels of the frame for one of the image's."""
    unchanged: bool
    """Whether it was what the model was trained on, but for how it was stored."""
    said: str
    """What was done, as a sentence."""


def decode(
    source: bytes | str | Path, frame: Frame, name: str | None = None, limits: Limits | None = None
) -> Iterator[NormalizedImage]:
    """Each page of an image file, with one sign on it, as a model with this `frame` takes it.

    Raises UserError as `read_pages` does.
    """
    for page in read_pages(source, name, limits):
        yield decode_page(page, frame)


def decode_page(page: Page, frame: Frame) -> NormalizedImage:
    """A page with one sign on it as a model with this `frame` takes it."""
    if frame.channels != 1:
        return _in_colour(page, frame)
    trained = as_trained(page.pixels, frame)
    if trained is not None:
        plane, polarity = trained
        scale = plane.shape[0] / page.size[0]
        said = "is as the training images are" + ("" if scale == 1 else f", enlarged {round(1 / scale)} times")
        return _decoded(plane[None], page, polarity, _whole(page), scale, True, said)
    ink = find_foreground(page.pixels)
    if ink is None:
        empty = np.zeros((1, frame.height, frame.width), np.float32)
        scale = min(frame.height / page.size[0], frame.width / page.size[1])
        return _decoded(empty, page, None, _whole(page), scale, False, "nothing is drawn on it")
    plane, scale = _where_it_is(ink, page, frame) or place(
        ink.pixels, ink.edges, frame.height, frame.width, frame.share
    )
    left, top, right, bottom = (edge * page.reduced for edge in ink.box)
    box = left, top, min(right, page.size[1]), min(bottom, page.size[0])
    scale /= ink.reduced * page.reduced
    said = f"{ink.polarity}; cut out {box[2] - box[0]}×{box[3] - box[1]} pixels at {box[0]}, {box[1]}"
    if ink.paper:
        said += f" of a sheet {(ink.paper[2] - ink.paper[0]) * page.reduced} wide"
    return _decoded(plane[None], page, ink.polarity, box, scale, False, f"{said}, scaled by {scale:.3g}")


def as_trained(levels: Levels, frame: Frame) -> tuple[Framed, Polarity] | None:
    """An image that is one of the frame's already, but for how it was stored; None where it is not.

    That is: in grey, of the frame's size or each pixel of it repeated, and most of its border black or white.
    """
    height, width, channels = levels.shape
    times = height // frame.height
    if channels != 1 or times < 1 or (height, width) != (times * frame.height, times * frame.width):
        return None
    plane = levels[::times, ::times, 0]
    if times > 1 and not (levels.reshape(frame.height, times, frame.width, times) == plane[:, None, :, None]).all():
        return None
    border = np.concatenate([plane[0], plane[-1], plane[1:-1, 0], plane[1:-1, -1]])
    if 2 * np.count_nonzero(border == 0) > len(border):
        return plane, "light on dark"
    if 2 * np.count_nonzero(border == 1) > len(border):
        return 1 - plane, "dark on light"
    return None


def _where_it_is(ink: Foreground, page: Page, frame: Frame) -> tuple[Framed, float] | None:
    """The ink of an image of the frame's size in which it lies as in the training images: not moved, not scaled."""
    height, width = page.pixels.shape[:2]
    times = height // frame.height
    if ink.reduced > 1 or times < 1 or (height, width) != (times * frame.height, times * frame.width):
        return None
    (left, top, right, bottom), (across, down) = ink.edges, ink.corner
    largest = max((bottom - top) / (frame.share * height), (right - left) / (frame.share * width))
    off = []
    for axis, side, start in ((1, height, down), (0, width, across)):
        mass = ink.pixels.sum(axis)
        off.append(abs(float(mass @ np.arange(len(mass)) / mass.sum()) + start + 0.5 - side / 2 - times / 2) / times)
    if abs(largest - 1) * frame.share * max(frame.height, frame.width) > SAME_SIZE or max(off) > SAME_PLACE:
        return None
    whole = np.zeros((height, width), np.float32)
    whole[down : down + ink.pixels.shape[0], across : across + ink.pixels.shape[1]] = ink.pixels
    plane = areas(height, 0, 1 / times) @ whole @ areas(width, 0, 1 / times).T
    return np.asarray(plane, np.float32), 1 / times


def _in_colour(page: Page, frame: Frame) -> NormalizedImage:
    """A page in a frame with colours: reduced by averaging areas, or enlarged, and its border's colour beside it."""
    levels = page.pixels.repeat(frame.channels // page.pixels.shape[2], 2)
    height, width = levels.shape[:2]
    scale = min(frame.height / height, frame.width / width)
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    border = np.concatenate([levels[0], levels[-1], levels[:, 0], levels[:, -1]])
    framed = np.empty((frame.channels, frame.height, frame.width), np.float32)
    framed[:] = np.median(border, 0)[:, None, None]
    top, left = (frame.height - tall) // 2, (frame.width - wide) // 2
    for plane, into in zip(np.moveaxis(levels, 2, 0), framed, strict=True):
        into[top : top + tall, left : left + wide] = resized(np.ascontiguousarray(plane), tall, wide)
    unchanged = scale == 1 == page.reduced and (tall, wide) == (frame.height, frame.width)
    said = f"{page.size[1]}×{page.size[0]} pixels scaled by {scale / page.reduced:.3g}"
    said += "" if (tall, wide) == (frame.height, frame.width) else ", with its border's colour beside it"
    said = "is as the training images are" if unchanged else said
    return _decoded(framed, page, None, _whole(page), scale / page.reduced, unchanged, said)


def _whole(page: Page) -> Box:
    return 0, 0, page.size[1], page.size[0]


def _decoded(
    levels: Float32[np.ndarray, "channels height width"],
    page: Page,
    polarity: Polarity | None,
    box: Box,
    scale: float,
    unchanged: bool,
    said: str,
) -> NormalizedImage:
    turned = "; turned as its EXIF data say" if page.orientation != 1 else ""
    ground = f"; {page.ground} under what is transparent" if page.ground else ""
    pixels = np.rint(levels * 255).astype(np.uint8)
    return NormalizedImage(pixels, polarity, box, scale, unchanged, said + turned + ground)
