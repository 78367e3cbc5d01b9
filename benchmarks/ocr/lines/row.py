"""Digits placed along a line, from wide spacing to overlapping, and which neighbours touch."""

from dataclasses import dataclass

import numpy as np
from ocr.lines.pen import Ink
from scipy import ndimage

INK = 0.35  # coverage from which on a pixel is ink of a digit
MAX_OVERLAP = 0.2  # of the narrower digit's width, of two boxes
EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True, eq=False)
class Row:
    """Digits on one layer."""

    ink: Ink
    """Coverage of all digits, [height, width], with a border of one pixel."""
    places: tuple[tuple[int, int], ...]
    """Left and top of each digit on the layer."""
    touching: tuple[bool, ...]
    """For each pair of neighbours, whether their ink meets."""


def placed(digits: list[Ink], lefts: list[int], tops: list[int]) -> Row:
    """The digits on a layer just large enough."""
    left, top = min(lefts) - 1, min(tops) - 1
    right = max(x + ink.shape[1] for x, ink in zip(lefts, digits, strict=True)) + 1
    bottom = max(y + ink.shape[0] for y, ink in zip(tops, digits, strict=True)) + 1
    layer = np.zeros((bottom - top, right - left))
    places = tuple((x - left, y - top) for x, y in zip(lefts, tops, strict=True))
    for ink, (x, y) in zip(digits, places, strict=True):
        part = layer[y : y + ink.shape[0], x : x + ink.shape[1]]
        np.maximum(part, ink, out=part)
    pairs = zip(range(len(digits) - 1), range(1, len(digits)), strict=True)
    return Row(layer, places, tuple(meets(digits[a], places[a], digits[b], places[b]) for a, b in pairs))


def meets(one: Ink, place: tuple[int, int], other: Ink, other_place: tuple[int, int]) -> bool:
    """Whether a pixel of ink of one digit is one of the other's or its neighbour, diagonals included."""
    left, top = (min(pair) - 1 for pair in zip(place, other_place, strict=True))
    right, bottom = (
        max(place[axis] + one.shape[1 - axis], other_place[axis] + other.shape[1 - axis]) + 1 for axis in (0, 1)
    )
    masks = np.zeros((2, bottom - top, right - left), bool)
    for mask, ink, (x, y) in zip(masks, (one, other), (place, other_place), strict=True):
        mask[y - top : y - top + ink.shape[0], x - left : x - left + ink.shape[1]] = ink >= INK
    return bool((ndimage.binary_dilation(masks[0], EIGHT) & masks[1]).any())


def touching_left(digits: tuple[Ink, Ink], place: tuple[int, int], top: int, deeper: float) -> int:
    """Where the second digit begins so that its ink meets the first's, and `deeper` of its width further left.

    The boxes overlap by at most MAX_OVERLAP; where that is too little for the ink to meet, the digits do not touch.
    """
    one, other = digits
    limit = place[0] + one.shape[1] - max(1, int(MAX_OVERLAP * min(one.shape[1], other.shape[1])))
    for left in range(place[0] + one.shape[1] + 1, limit - 1, -1):
        if meets(one, place, other, (left, top)):
            return max(limit, left - round(deeper * other.shape[1]))
    return limit
