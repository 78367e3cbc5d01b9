"""The layouts, channels and sizes in which an external model may take images: as they are, or brought to its own."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.image_fit import Shape
from imparfait.evaluation.external.input_spec import LAYOUTS, SpecHint


class Taken(NamedTuple):
    """A layout, and how images become as large as the model takes them; no shape where they are so already."""

    layout: str
    fit: str = ""
    shape: Shape | None = None


def possible_shapes(declared: DeclaredSpec, data: LabelledImages, hint: SpecHint, of_files: bool) -> list[Taken]:
    """Every way in which these images have the declared shape, or can be brought to it; raises UserError for none."""
    _, channels, height, width = data.pixels.shape
    own = (channels, height, width)
    layouts = [hint.layout] if hint.layout else list(LAYOUTS)
    is_grey = channels == 1 and (declared.shape is None or declared.shape[1:] in ((height * width,), (None,)))
    if not hint.layout and is_grey:
        layouts.remove("flat-chw")  # the same as flat
    if hint.fit and hint.side:
        wanted = (hint.side, hint.side)
        found = [
            Taken(layout, hint.fit, shape)
            for layout in layouts
            for shape in _shapes(layout, declared, (channels, *wanted))
            if shape[1:] == wanted
        ]
        if not found:
            raise _unfitting(declared, own, f"--{hint.fit} to a size that the model takes")
        return found
    as_they_are = [Taken(layout) for layout in layouts if own in _shapes(layout, declared, own)]
    if as_they_are or declared.shape is None:
        return as_they_are or [Taken(layout) for layout in layouts]
    found = [
        Taken(layout, fit, shape)
        for layout in layouts
        for shape in _shapes(layout, declared, own)
        for fit in _fits(own, shape, hint)
    ]
    if hint.layout and not found:
        return [Taken(hint.layout)]
    if not found:
        raise _unfitting(declared, own, "images in a layout and with the channels that the model takes")
    height, width = found[0].shape[1:] if found[0].shape else (0, 0)
    if of_files and all(each.fit for each in found):
        size = f"--size {height}" if height == width else "a model of square images"
        raise _unfitting(declared, own, f"read their files in the model's size: {size}")
    return found


def _shapes(layout: str, declared: DeclaredSpec, own: Shape) -> Iterator[Shape]:
    """The channels, height and width of a layout of the declared shape; what is left open is as of `own` images."""
    channels = own[0]
    if declared.shape is None:
        if layout != "nhw" or channels == 1:
            yield own
        return
    axes = declared.shape[1:]
    if layout.startswith("flat"):
        (length,) = axes if len(axes) == 1 else (0,)
        if length is None or length == math.prod(own):
            yield own
        elif length:
            for each in (1, 3) if layout == "flat" else (3,):
                side = math.isqrt(length // each)
                if side * side * each == length:
                    yield each, side, side
        return
    sides = {"nchw": (0, 1, 2), "nhwc": (2, 0, 1), "nhw": (None, 0, 1)}[layout]
    if len(axes) != 3 - (layout == "nhw"):
        return
    lengths = [1 if index is None else axes[index] for index in sides]
    found = tuple(mine if length is None else length for mine, length in zip(own, lengths, strict=True))
    if found[0] in (1, 3, channels):
        yield found[0], found[1], found[2]


def _fits(own: Shape, shape: Shape, hint: SpecHint) -> list[str]:
    """How images are brought to a size: by resizing, and where they are smaller perhaps by padding."""
    if own[1:] == shape[1:]:
        return [""]
    if hint.fit:
        return [hint.fit]
    return ["pad", "resize"] if own[1] <= shape[1] and own[2] <= shape[2] else ["resize"]


def _unfitting(declared: DeclaredSpec, own: Shape, hint: str) -> UserError:
    channels, height, width = own
    shape = " by ".join("any" if length is None else str(length) for length in (declared.shape or ())[1:])
    return UserError(
        f"these images are {height} by {width} with {counted(channels, 'channel')}",
        expected=f"images of {shape}, as the model takes",
        hint=hint,
    )
