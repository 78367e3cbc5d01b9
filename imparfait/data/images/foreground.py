"""Segmentation of one digit or glyph from its page: its foreground, light on dark."""

# On a coarse copy of the page, a sheet of paper is looked for; on it, or on the whole page, a background is estimated
# and what differs clearly from it is foreground. The largest piece and the pieces near it are the glyph. A glyph is
# doubtful if much of the page is neither glyph nor background, or if it is not made of strokes; then the whole page,
# and a background with edges, are tried too. The glyph is cut out of the page at full resolution.

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy  # its parts are loaded when first used: ndimage takes a fifth of a second
from jaxtyping import Float32
from PIL import Image

from imparfait.data.images.background import (
    Background,
    Mask,
    fitted_background,
    flat_background,
    local_background,
    remove_residual,
    two_level_background,
)
from imparfait.data.images.levels import LUMA, Levels
from imparfait.data.images.paper import AREA_SHARES, find_paper
from imparfait.data.images.pieces import LARGE_PIXELS, glyph_mask
from imparfait.data.images.placement import Edges, stroke_width

Polarity = Literal["light on dark", "dark on light"]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom; right and bottom are the first that are outside."""

COARSE_PIXELS = 400  # of the longer side of the copy in which the glyph is looked for
FINE_PIXELS = 400  # of the longer side of the glyph that is cut out
CLEAR_SIGMAS = 6  # of the background's noise, by which foreground differs from it
MIN_CONTRAST = 0.03  # of white, by which it differs at least
LOW_SHARE = 0.3  # of the foreground's contrast, from which on a pixel belongs to it
MARGIN_PIXELS = 3  # of the coarse copy, that are cut out with a glyph
BLOT_SHARE = 0.3  # of a glyph's longer side, that its strokes are wide at most: 1 in 500 of MNIST's are wider
UNEXPLAINED_SHARE = 0.4  # of the foreground's contrast, that the rest of the page has at most
RIVAL_SHARE = 0.7  # of a doubtful glyph's contrast, that a clear one on the whole page needs to replace it


@dataclass(frozen=True, eq=False)
class Foreground:
    """A glyph cut out of its page."""

    pixels: Float32[np.ndarray, "height width"]
    """0 is background, 1 foreground; with a margin. One pixel is `reduced` of the page's pixels wide."""
    edges: Edges
    """Of the glyph, in `pixels`, with subpixel accuracy."""
    corner: tuple[int, int]
    """Column and row of the page at which `pixels` begin."""
    box: Box
    """Of the glyph, in the page's pixels."""
    reduced: int
    polarity: Polarity
    paper: Box | None
    """The sheet of paper, in the page's pixels, where it does not fill the page."""


def find_foreground(levels: Levels) -> Foreground | None:
    """The glyph on a page; None where nothing is drawn on it.

    A sheet of paper is separated from its surroundings and uneven light is removed. Colour counts along the direction
    in which it differs most from the background. Specks, and lines through the page, are left out.
    """
    factor = -(-max(levels.shape[:2]) // COARSE_PIXELS)
    coarse = reduced(levels, factor)
    plain = flat_background(coarse)
    # A page of one colour with so little on it shows no sheet of paper.
    bare = plain is not None and np.count_nonzero(plain.contrast) < AREA_SHARES[0] * plain.contrast.size
    sheet = None if bare else find_paper(lightness(coarse))
    glyph = _find_glyph(coarse, sheet, whole=False) if sheet is not None else None
    if glyph is None or glyph.doubtful:
        # What looks like a sheet may be a patch of light.
        other = _find_glyph(coarse, np.ones(coarse.shape[:2], bool), whole=True, smooth=plain)
        if sheet is None or glyph is None or (other and _is_better(other, glyph, sheet)):
            sheet, glyph = None, other
    if glyph is None:
        return None
    return glyph.cut(levels, factor, None if sheet is None else _scaled(box_of(sheet), factor, levels.shape))


@dataclass(frozen=True, eq=False)
class _Glyph:
    """A glyph on the coarse copy of a page."""

    mask: Mask
    background: Background
    strength: float
    darker: bool
    doubtful: bool
    """Whether there may be a better one: much of the page is neither glyph nor background, or the glyph touches two
    sides of the page or the paper's edge, or it is not made of strokes."""

    def cut(self, levels: Levels, factor: int, paper: Box | None) -> Foreground:
        """The glyph out of a page `factor` times as fine, averaged to at most about FINE_PIXELS."""
        height, width = self.mask.shape
        left, top, right, bottom = box_of(self.mask)
        across, down = (
            slice(max(0, first - MARGIN_PIXELS), min(side, last + MARGIN_PIXELS))
            for first, last, side in ((left, right, width), (top, bottom, height))
        )
        step = next(
            step for step in range(1, factor + 1) if max(right - left, bottom - top) * factor <= FINE_PIXELS * step
        )
        part = levels[down.start * factor : down.stop * factor, across.start * factor : across.stop * factor]
        fine = reduced(part, step)
        near = np.asarray(scipy.ndimage.binary_dilation(self.mask[down, across], np.ones((3, 3), bool)), np.float32)
        coarse = reduced(part, factor) @ self.background.direction - self.background.contrast[down, across]
        background, near = (
            enlarged(plane, fine.shape[:2], (part.shape[0] / factor, part.shape[1] / factor))
            for plane in (coarse, near)
        )
        contrast = (fine @ self.background.direction - background) * (near > 0.25)
        low = min(3 * self.background.noise, self.strength / 3)  # below that it may be noise
        foreground = np.asarray(np.clip((contrast - low) / (self.strength - low), 0, 1), np.float32)
        edges = edges_of(foreground)
        box = (
            across.start * factor + round(edges[0] * step),
            down.start * factor + round(edges[1] * step),
            min(levels.shape[1], across.start * factor + round(edges[2] * step)),
            min(levels.shape[0], down.start * factor + round(edges[3] * step)),
        )
        corner = across.start * factor, down.start * factor
        return Foreground(
            foreground, edges, corner, box, step, "dark on light" if self.darker else "light on dark", paper
        )


def _is_better(other: _Glyph, glyph: _Glyph, sheet: Mask) -> bool:
    """Whether the glyph on the whole page is more likely right than the one on the sheet."""
    is_sheet = 2 * np.count_nonzero(other.mask & sheet) > np.count_nonzero(sheet)
    return not other.doubtful and not is_sheet and other.strength > RIVAL_SHARE * glyph.strength


def _find_glyph(levels: Levels, valid: Mask, whole: bool, smooth: Background | None = None) -> _Glyph | None:
    """The glyph in the valid part of a page, or in the whole of it, which it then may fill; `smooth` if it is known."""
    smooth = smooth or fitted_background(levels, valid)
    glyph = _glyph_on(levels, valid, smooth)
    if glyph is None and whole and (plain := two_level_background(levels, smooth.noise)):
        glyph = _glyph_on(levels, valid, plain)
    large = min(levels.shape[:2]) >= LARGE_PIXELS
    if large and (glyph is None or glyph.doubtful):
        other = _glyph_on(levels, valid, local_background(levels, valid))
        glyph = other if other and (glyph is None or not other.doubtful) else glyph
    return glyph


def _glyph_on(levels: Levels, valid: Mask, background: Background) -> _Glyph | None:
    """The glyph on a background, if anything has enough contrast."""
    longer, noise = max(levels.shape[:2]), background.noise
    strength = strength_of(background.contrast[valid], noise)
    if strength < max(CLEAR_SIGMAS * noise, MIN_CONTRAST):
        return None
    foreground = valid & (background.contrast > max(3 * noise, LOW_SHARE * strength))
    if not background.exact:
        around = np.asarray(scipy.ndimage.binary_dilation(foreground, iterations=1 + longer // 100)) | ~valid
        background = remove_residual(background, around, max(3, longer // 8) | 1)
        strength = strength_of(background.contrast[valid], noise)
        if strength < max(CLEAR_SIGMAS * noise, MIN_CONTRAST):
            return None
        foreground = valid & (background.contrast > max(3 * noise, LOW_SHARE * strength))
    contrast = background.contrast
    mask = glyph_mask(foreground, contrast)
    if mask is None:
        return None
    marked = contrast[mask]
    strength = float(np.median(marked[marked >= marked.max() / 2]))
    near = np.asarray(scipy.ndimage.binary_dilation(mask, iterations=1 + longer // 100))
    rest = np.abs(contrast[valid & ~near])
    unexplained = bool(rest.size) and float(np.quantile(rest, 0.97)) > UNEXPLAINED_SHARE * strength
    left, top, right, bottom = box_of(mask)
    touched = (left == 0) + (top == 0) + (right == mask.shape[1]) + (bottom == mask.shape[0])
    blot = stroke_width(mask) > BLOT_SHARE * max(right - left, bottom - top)
    light = background.direction @ LUMA if len(background.direction) == 3 else background.direction[0]
    return _Glyph(
        mask, background, strength, bool(light < 0), unexplained or touched > 1 or bool((near & ~valid).any()) or blot
    )


def strength_of(contrast: Float32[np.ndarray, " n"], noise: float) -> float:
    """The contrast of clear foreground: the 90 % quantile of all that has contrast."""
    marked = contrast[contrast > max(4 * noise, MIN_CONTRAST, float(contrast.max(initial=0)) / 4)]
    return float(np.quantile(marked, 0.9)) if marked.size else 0.0


def edges_of(foreground: Float32[np.ndarray, "height width"]) -> Edges:
    """The glyph's edges with subpixel accuracy: a half-dark pixel next to a dark one is half covered."""
    ends = []
    for axis in (0, 1):
        covered = foreground.max(axis)
        dark = np.flatnonzero(covered > min(0.5, float(covered.max()) / 2))
        first, last = int(dark[0]), int(dark[-1])
        before = float(covered[first - 1]) if first else 0.0
        after = float(covered[last + 1]) if last + 1 < len(covered) else 0.0
        ends.append((first - before, last + 1 + after))
    (left, right), (top, bottom) = ends
    return left, top, right, bottom


def enlarged(
    plane: Float32[np.ndarray, "height width"], shape: tuple[int, int], exact: tuple[float, float]
) -> Float32[np.ndarray, "higher wider"]:
    """The first `exact` rows and columns of a plane, smoothly enlarged to `shape`."""
    if plane.shape == shape:
        return plane
    image = Image.fromarray(np.ascontiguousarray(plane))
    return np.asarray(image.resize(shape[::-1], Image.Resampling.BILINEAR, box=(0, 0, exact[1], exact[0])))


def lightness(levels: Levels) -> Float32[np.ndarray, "height width"]:
    """A page's lightness (ITU-R 601), 0..1."""
    return levels[..., 0] if levels.shape[2] == 1 else np.asarray(levels @ LUMA, np.float32)


def reduced(levels: Levels, factor: int) -> Float32[np.ndarray, "rows columns channels"]:
    """A page averaged over squares of `factor` pixels; at its right and lower edge they may be smaller."""
    if factor == 1:
        return levels
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(plane)).reduce(factor)) for plane in np.moveaxis(levels, 2, 0)
    ]
    return np.stack(planes, 2)


def box_of(mask: Mask) -> Box:
    """The smallest box around a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _scaled(box: Box, factor: int, shape: tuple[int, ...]) -> Box:
    left, top, right, bottom = (factor * edge for edge in box)
    return left, top, min(right, shape[1]), min(bottom, shape[0])
