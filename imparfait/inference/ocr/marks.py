"""Marks of a number that are no digits: a comma, point or dash between its digits, a minus sign before them."""

# Most are smaller than the glyphs that the detector knows. They are found as pieces of ink of their own between the
# boxes of digits: lines of the paper and strokes of digits reach beyond.

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy import ndimage

Grey = Float32[np.ndarray, "height width"]
Box = Float[np.ndarray, "4"]
Boxes = Float[np.ndarray, "n 4"]

MAX_MARKS = 2  # between the digits of a number; more are the ticks of a comb
MIN_CONTRAST = 0.05  # of white, between ink and ground
INK_TAIL = 0.03  # share of the pixels around two digits that is ink at least
# All others in heights of the digits:
ABOVE, BELOW = 0.15, 0.35  # how far around the digits a mark may be
MIN_LONG, MIN_THIN, MAX_TALL = 0.08, 0.03, 0.6  # sides of a mark
SIGN_GAP = 0.4  # from a sign to its number
SIGN_REACH = 1.2  # before a number; with a second piece of ink there, a dash joins two numbers
MAX_SIGN_OFF = 0.25  # of a sign from the middle of the digits


def is_marked(grey: Grey, boxes: Boxes) -> bool:
    """Whether a number has a mark that is no digit, given the boxes of its digits from left to right."""
    marks = sum(
        any(_is_mark(each, left, right) for each in _pieces(grey, left, right)) for left, right in pairwise(boxes)
    )
    return 0 < marks <= MAX_MARKS or _has_sign(grey, boxes[0])


def has_wall(grey: Grey, left: Box, right: Box) -> bool:
    """Whether a line from above to below is between two digits."""
    (first, _), ink = _ink(grey, left, right)
    start, end = (round(edge) - first for edge in (left[2], right[0]))
    return bool(ink[:, max(0, start) : max(0, end)].all(0).any()) if ink.size else False


def _has_sign(grey: Grey, digit: Box) -> bool:
    left, top, _, bottom = digit
    height = bottom - top
    start = np.array([left - SIGN_REACH * height, top, left - SIGN_REACH * height, bottom])
    pieces = _pieces(grey, start, digit)
    before = [each for each in pieces if (each[0] + each[2]) / 2 < left]
    if len(before) != 1 or not _is_mark(before[0], start, digit):
        return False
    wide, tall = before[0][2:] - before[0][:2]
    near = left - before[0][2] < SIGN_GAP * height
    return bool(near and wide > tall and abs((before[0][1] + before[0][3] - top - bottom) / 2) < MAX_SIGN_OFF * height)


def _is_mark(piece: Box, left: Box, right: Box) -> bool:
    """Whether a piece of ink is between two digits and as large as a mark."""
    height = max(left[3] - left[1], right[3] - right[1])
    thin, long = np.sort(piece[2:] - piece[:2])
    fits = piece[3] - piece[1] < MAX_TALL * height and long > MIN_LONG * height and thin > MIN_THIN * height
    return bool(fits and left[2] < (piece[0] + piece[2]) / 2 < right[0])


def _pieces(grey: Grey, left: Box, right: Box) -> Boxes:
    """Boxes of the pieces of ink around two digits that do not reach above or below."""
    corner, ink = _ink(grey, left, right)
    pieces = ndimage.find_objects(ndimage.label(ink, np.ones((3, 3)))[0]) if ink.size else []
    found = [
        (across.start, down.start, across.stop, down.stop)
        for down, across in pieces
        if down.start > 0 and down.stop < len(ink)
    ]
    return np.asarray(np.array(found, float).reshape(-1, 4) + np.array([*corner, *corner]))


def _ink(grey: Grey, left: Box, right: Box) -> tuple[tuple[int, int], Bool[np.ndarray, "rows columns"]]:
    """Where there is ink around two digits, and the (column, row) at which this part of the page begins."""
    height = max(left[3] - left[1], right[3] - right[1])
    first, last = round(max(0, left[0])), round(max(0, right[2])) + 1
    top = round(max(0, min(left[1], right[1]) - ABOVE * height))
    bottom = round(max(0, left[3], right[3]) + BELOW * height) + 1
    crop = grey[top:bottom, first:last]
    if not crop.size:
        return (first, top), np.zeros((0, 0), bool)
    contrast = crop - np.median(crop)
    darkest, lightest = np.quantile(contrast, [INK_TAIL, 1 - INK_TAIL])
    strength, sign = max((-darkest, -1), (lightest, 1))
    return (first, top), np.asarray(sign * contrast > max(MIN_CONTRAST, strength) / 2)
