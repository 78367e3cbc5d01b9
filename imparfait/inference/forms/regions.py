"""Regions of a page: from fractions to pixels, whether one is empty, whether strokes cross its edge."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32
from scipy import ndimage

from imparfait.data.images.decode import Page
from imparfait.data.images.foreground import Box, lightness
from imparfait.inference.forms.fields_file import FormField

# Digits that stick out of their region are read whole. With 0.28 the frame that is printed around a region is read as a
# 1 beside the number; with 0.08 to 0.17 it is not. Tried on one drawn form.
MARGIN_SHARE = 0.15  # around a region, of its shorter side
MIN_MARGIN_PIXELS = 2
EMPTY_CONTRAST = 0.04  # of an empty region against its smoothed background; a faint pencil has 0.1
EMPTY_SIGMAS = 4.0  # the same in standard deviations of its noise
MAX_EMPTY_CONTRAST = 0.2  # from here on, it is something even in strong noise
NORMAL_MAD = 1.4826  # standard deviation of a normal distribution, in medians of the absolute deviation
STROKE_SHARE = 0.5  # of the darkest contrast in a region, from which on a pixel belongs to a stroke
LINE_SHARE = 0.97  # of a region's height or width that a line across it covers
LINE_BLUR_PIXELS = 2  # beside a line, which may slope by as much
MIN_CROSSING_PIXELS = 2  # on an edge
BESIDE_SHARE = 0.3  # of a region's height: how far beyond its edges strokes are searched
BESIDE_HEIGHTS = 0.75  # of a digit: as close are the digits of one number
MIN_BESIDE_PIXELS = 6

Mask = Bool[np.ndarray, "height width"]
Light = Float32[np.ndarray, "height width"]


@dataclass(frozen=True)
class Region:
    """A field's part of the decoded page, in pixels of `Page.pixels`; right and bottom are outside."""

    box: Box
    outer: Box
    """With the margin around it, where the page has one."""

    def page(self, page: Page) -> Page:
        """The part of `page` with its margin, as a page of its own."""
        left, top, right, bottom = self.outer
        size = (bottom - top) * page.reduced, (right - left) * page.reduced
        return replace(page, pixels=page.pixels[top:bottom, left:right], size=size)

    def on_page(self, box: Box, page: Page) -> Box:
        """A box in the file's pixels from the corner of the outer region, from the page's corner."""
        left, top = (edge * page.reduced for edge in self.outer[:2])
        return box[0] + left, box[1] + top, box[2] + left, box[3] + top

    def holds(self, box: Box) -> bool:
        """Whether the middle of a box is in the region."""
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        left, top, right, bottom = self.box
        return left <= x < right and top <= y < bottom

    def is_crossed_by(self, box: Box) -> bool:
        """Whether the middle of a box is outside, or the box crosses two opposite edges, as a printed frame does."""
        left, top, right, bottom = self.box
        across = box[0] < left and box[2] > right
        down = box[1] < top and box[3] > bottom
        return not self.holds(box) or across or down

    def in_file(self, page: Page) -> Box:
        """The region in the file's pixels."""
        height, width = page.size
        left, top, right, bottom = (edge * page.reduced for edge in self.box)
        return left, top, min(right, width), min(bottom, height)


def region_of(field: FormField, height: int, width: int) -> Region:
    """The pixels of a field on a page of this size: all that its fractions touch, at least one."""
    left, right = _pixels(field.left, field.width, width)
    top, bottom = _pixels(field.top, field.height, height)
    margin = max(MIN_MARGIN_PIXELS, round(MARGIN_SHARE * min(right - left, bottom - top)))
    outer = max(0, left - margin), max(0, top - margin), min(width, right + margin), min(height, bottom + margin)
    return Region((left, top, right, bottom), outer)


def _pixels(start: float, extent: float, side: int) -> tuple[int, int]:
    first = min(int(start * side), side - 1)
    return first, max(first + 1, min(side, int(np.ceil((start + extent) * side - 1e-6))))


def is_empty(light: Light) -> bool:
    """Whether nothing is drawn but straight lines across the whole region, such as a printed frame.

    A dot, a dotted line and the edge of a shadow are something.
    """
    window = max(9, min(light.shape) // 2)
    background = ndimage.uniform_filter(light, window, mode="nearest")
    smooth = ndimage.uniform_filter(light, 3, mode="nearest")  # noise is a third, a stroke as dark as before
    # Neighbours differ by noise nearly everywhere, even around strokes.
    steps = np.abs(np.diff(light, axis=1)) if light.shape[1] > 1 else np.zeros(1)
    noise = NORMAL_MAD * float(np.median(steps)) / 2**0.5
    threshold = min(max(EMPTY_CONTRAST, EMPTY_SIGMAS * noise), MAX_EMPTY_CONTRAST)
    strokes = np.abs(smooth - background) > threshold
    if not strokes.any():
        return True
    # The smoothed background is darker around a line: there, only what differs from the paper itself is a stroke.
    from_paper = np.abs(smooth - np.median(light)) > threshold
    return not (strokes & from_paper & ~lines_across(from_paper)).any()


def crosses_edge(page: Page, region: Region, digits: Iterable[Box]) -> bool:
    """Whether strokes cross the region's edge that belong to none of `digits`, boxes in pixels of `Page.pixels`.

    Edges of the page have nothing beyond them, and straight lines across the whole region are a printed frame.
    """
    left, top, right, bottom = region.box
    strokes = _strokes(lightness(page.pixels[top:bottom, left:right]))
    strokes &= ~_around(digits, region.box)
    return _reach_edge(strokes, page, region.box)


def cuts_digits(page: Page, region: Region, digits: Iterable[Box]) -> bool:
    """Whether strokes of one of `digits` go on beyond the region's margin, where nothing was read."""
    left, top, right, bottom = region.outer
    strokes = _strokes(lightness(page.pixels[top:bottom, left:right]))
    strokes &= _around(digits, region.outer)
    return _reach_edge(strokes, page, region.outer)


def _around(digits: Iterable[Box], outer: Box) -> Mask:
    """The pixels of a box that are in boxes of digits, with a pixel of blur around these."""
    left, top, right, bottom = outer
    found = np.zeros((bottom - top, right - left), bool)
    for x0, y0, x1, y1 in digits:
        found[max(0, y0 - 2 - top) : max(0, y1 + 2 - top), max(0, x0 - 2 - left) : max(0, x1 + 2 - left)] = True
    return found


def _reach_edge(strokes: Mask, page: Page, box: Box) -> bool:
    """Whether strokes in a box reach an edge of it that is none of the page."""
    left, top, right, bottom = box
    height, width = page.pixels.shape[:2]
    edges = (
        (strokes[0], top > 0),
        (strokes[-1], bottom < height),
        (strokes[:, 0], left > 0),
        (strokes[:, -1], right < width),
    )
    return any(inside and int(edge.sum()) >= MIN_CROSSING_PIXELS for edge, inside in edges)


def adjoins_edge(page: Page, region: Region, digits: Sequence[Box]) -> bool:
    """Whether strokes go on beyond the left or right edge, close to the first or last of `digits` and as high.

    A digit that was written wholly outside would be lost otherwise.
    """
    left, top, right, bottom = region.box
    near = round(BESIDE_SHARE * (bottom - top))
    start, end = max(0, left - near), min(page.pixels.shape[1], right + near)
    strokes = _strokes(lightness(page.pixels[top:bottom, start:end]))
    first, last = min(digits), max(digits, key=lambda box: box[2])
    height = max(y1 - y0 for _, y0, _, y1 in digits)
    for (x0, y0, x1, y1), outside in ((first, range(start, left)), (last, range(right, end))):
        rows = slice(max(0, y0 - top), max(0, y1 - top))
        columns = [x for x in outside if x0 - BESIDE_HEIGHTS * height < x < x1 + BESIDE_HEIGHTS * height]
        columns = [x for x in columns if not any(box[0] - 2 <= x < box[2] + 2 for box in digits)]
        if int(strokes[rows][:, [x - start for x in columns]].sum()) >= MIN_BESIDE_PIXELS:
            return True
    return False


def _strokes(light: Light) -> Mask:
    """The pixels of strokes, without straight lines across."""
    contrast = np.abs(light - np.median(light))
    strokes = contrast > max(2 * EMPTY_CONTRAST, STROKE_SHARE * float(np.quantile(contrast, 0.999)))
    return np.asarray(strokes & ~lines_across(strokes))


def lines_across(strokes: Mask) -> Mask:
    """Where straight lines, such as a frame's, run from one edge of a region to the opposite one, with their blur."""
    lines, span = np.zeros_like(strokes), 2 * LINE_BLUR_PIXELS + 1
    for axis in (0, 1):
        # A line that slopes a little leaves its column (or row), not the columns beside it.
        wide = ndimage.binary_dilation(strokes, np.ones((1, span) if axis == 0 else (span, 1), bool))
        covered = wide.mean(axis) >= LINE_SHARE
        lines |= np.expand_dims(covered, axis)
    return np.asarray(ndimage.binary_dilation(lines, np.ones((span, span), bool)))
