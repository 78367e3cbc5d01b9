"""From a page with one sign on it to its ink: light on dark, without what it is written on."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy  # its parts are loaded when first used: ndimage takes a fifth of a second
from jaxtyping import Float32
from PIL import Image

from imparfait.data.images.background import Background, Mask, two_level_background, fitted_background, flat_background, local_background, remove_residual
from imparfait.data.images.levels import Levels
from imparfait.data.images.paper import AREA_SHARES, find_paper
from imparfait.data.images.placement import Edges, stroke_width

Polarity = Literal["light on dark", "dark on light"]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom; right and bottom are the first that are outside."""

COARSE_PIXELS = 400  # pixels of the longer side in which the sign is looked for
FINE_PIXELS = 400  # of the sign's longer side, of which it is then cut out
CLEAR_SIGMAS = 6  # standard deviations of the ground's noise that ink must differ from it, and …
MIN_CONTRAST = 0.03  # … levels
LOW_SHARE = 0.3  # of the ink's strength, from which on a pixel belongs to the sign
SPECK_SHARE = 0.03  # of the sign's own ink: less is dirt, if it does not lie close by
NEAR_SHARE = 0.25  # of the sign's longer side, that another piece of it may lie apart
MARGIN_PIXELS = 3  # coarse pixels that are cut out with a sign
LARGE_PIXELS = 100  # pixels of the shorter side from which on a page may have shadows on it
BLOT_SHARE = 0.3  # of a sign's longer side that its strokes are wide: of MNIST's 1 in 500 more
UNEXPLAINED_SHARE = 0.4  # of the ink's strength
RIVAL_SHARE = 0.7  # of its strength a sign may have that is all on the page, instead of one that reaches out of its sheet
LIGHTNESS_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601
LINE_SHARE = 0.9  # of the page's side that the line of a ruled sheet goes through


@dataclass(frozen=True, eq=False)
class Foreground:
    """A sign cut out of its page."""

    pixels: Float32[np.ndarray, "height width"]
    """0 is ground, 1 is ink; a little more than the sign, and `reduced` of the page's pixels a pixel."""
    edges: Edges
    """Of the sign, in `pixels`, to parts of one."""
    corner: tuple[int, int]
    """Where `pixels` begin in the page's: column and row."""
    box: Box
    """Of the sign, in the page's pixels."""
    reduced: int
    polarity: Polarity
    paper: Box | None
    """The sheet, in the page's pixels, where it does not fill the page."""


def find_foreground(levels: Levels) -> Foreground | None:
    """The sign on a page; None where nothing is drawn on it.

    A sheet is told from what it lies on; uneven light is taken away; of a colour that part counts in which it differs
    most from its ground; specks and lines through the page are left out.
    """
    factor = -(-max(levels.shape[:2]) // COARSE_PIXELS)
    coarse = reduced(levels, factor)
    plain = flat_background(coarse)
    # A page of one colour with so little on it shows no sheet.
    bare = plain is not None and np.count_nonzero(plain.beside) < AREA_SHARES[0] * plain.beside.size
    sheet = None if bare else find_paper(lightness(coarse))
    found = _sign(coarse, sheet, whole=False) if sheet is not None else None
    if found is None or found.doubtful:
        # What looks like a sheet may be where the light falls.
        other = _sign(coarse, np.ones(coarse.shape[:2], bool), whole=True, smooth=plain)
        if sheet is None or found is None or (other and _is_better(other, found, sheet)):
            sheet, found = None, other
    if found is None:
        return None
    return found.cut(levels, factor, None if sheet is None else _scaled(box_of(sheet), factor, levels.shape))


@dataclass(frozen=True, eq=False)
class _Sign:
    """Where the sign is on a coarse page."""

    mask: Mask
    ground: Background
    strength: float
    darker: bool
    doubtful: bool
    """Whether there may be a better one: much of the page is neither sign nor ground, it touches two of the page's
    sides or the sheet's edge, or it is not made of strokes."""

    def cut(self, levels: Levels, factor: int, paper: Box | None) -> Foreground:
        """The sign out of a page `factor` times as fine, averaged to at most about FINE pixels."""
        height, width = self.mask.shape
        left, top, right, bottom = box_of(self.mask)
        across, down = (
            slice(max(0, first - MARGIN_PIXELS), min(side, last + MARGIN_PIXELS))
            for first, last, side in ((left, right, width), (top, bottom, height))
        )
        step = next(step for step in range(1, factor + 1) if max(right - left, bottom - top) * factor <= FINE_PIXELS * step)
        part = levels[down.start * factor : down.stop * factor, across.start * factor : across.stop * factor]
        fine = reduced(part, step)
        near = np.asarray(scipy.ndimage.binary_dilation(self.mask[down, across], np.ones((3, 3), bool)), np.float32)
        coarse = reduced(part, factor) @ self.ground.direction - self.ground.beside[down, across]
        ground, near = (
            enlarged(plane, fine.shape[:2], (part.shape[0] / factor, part.shape[1] / factor))
            for plane in (coarse, near)
        )
        beside = (fine @ self.ground.direction - ground) * (near > 0.25)
        low = min(3 * self.ground.noise, self.strength / 3)  # under which it may be noise
        ink = np.asarray(np.clip((beside - low) / (self.strength - low), 0, 1), np.float32)
        edges = edges_of(ink)
        box = (
            across.start * factor + round(edges[0] * step),
            down.start * factor + round(edges[1] * step),
            min(levels.shape[1], across.start * factor + round(edges[2] * step)),
            min(levels.shape[0], down.start * factor + round(edges[3] * step)),
        )
        corner = across.start * factor, down.start * factor
        return Foreground(ink, edges, corner, box, step, "dark on light" if self.darker else "light on dark", paper)


def _is_better(other: _Sign, found: _Sign, sheet: Mask) -> bool:
    """Whether what was found on the whole page is more likely the sign than what was found on the sheet."""
    is_sheet = 2 * np.count_nonzero(other.mask & sheet) > np.count_nonzero(sheet)
    return not other.doubtful and not is_sheet and other.strength > RIVAL_SHARE * found.strength


def _sign(levels: Levels, valid: Mask, whole: bool, smooth: Background | None = None) -> _Sign | None:
    """The sign in the valid part of a page, or in the whole of it, which it then may fill; `smooth` if it is known."""
    smooth = smooth or fitted_background(levels, valid)
    found = _on(levels, valid, smooth)
    if found is None and whole and (plain := two_level_background(levels, smooth.noise)):
        found = _on(levels, valid, plain)
    large = min(levels.shape[:2]) >= LARGE_PIXELS
    if large and (found is None or found.doubtful):
        other = _on(levels, valid, local_background(levels, valid))
        found = other if other and (found is None or not other.doubtful) else found
    return found


def _on(levels: Levels, valid: Mask, ground: Background) -> _Sign | None:
    """The sign on a ground, if anything on it is as clear as ink."""
    longer, noise = max(levels.shape[:2]), ground.noise
    strength = strength_of(ground.beside[valid], noise)
    if strength < max(CLEAR_SIGMAS * noise, MIN_CONTRAST):
        return None
    ink = valid & (ground.beside > max(3 * noise, LOW_SHARE * strength))
    if not ground.exact:
        around = np.asarray(scipy.ndimage.binary_dilation(ink, iterations=1 + longer // 100)) | ~valid
        ground = remove_residual(ground, around, max(3, longer // 8) | 1)
        strength = strength_of(ground.beside[valid], noise)
        if strength < max(CLEAR_SIGMAS * noise, MIN_CONTRAST):
            return None
        ink = valid & (ground.beside > max(3 * noise, LOW_SHARE * strength))
    beside = ground.beside
    mask = _pieces(ink, beside)
    if mask is None:
        return None
    inked = beside[mask]
    strength = float(np.median(inked[inked >= inked.max() / 2]))
    near = np.asarray(scipy.ndimage.binary_dilation(mask, iterations=1 + longer // 100))
    rest = np.abs(beside[valid & ~near])
    unexplained = bool(rest.size) and float(np.quantile(rest, 0.97)) > UNEXPLAINED_SHARE * strength
    left, top, right, bottom = box_of(mask)
    touched = (left == 0) + (top == 0) + (right == mask.shape[1]) + (bottom == mask.shape[0])
    blot = stroke_width(mask) > BLOT_SHARE * max(right - left, bottom - top)
    light = ground.direction @ LIGHTNESS_WEIGHTS if len(ground.direction) == 3 else ground.direction[0]
    return _Sign(
        mask, ground, strength, bool(light < 0), unexplained or touched > 1 or bool((near & ~valid).any()) or blot
    )


def strength_of(beside: Float32[np.ndarray, " n"], noise: float) -> float:
    """How far clear ink lies from the ground: more than nine tenths of all that does."""
    inked = beside[beside > max(4 * noise, MIN_CONTRAST, float(beside.max(initial=0)) / 4)]
    return float(np.quantile(inked, 0.9)) if inked.size else 0.0


def _pieces(ink: Mask, beside: Float32[np.ndarray, "height width"]) -> Mask | None:
    """Of all that may be ink the largest piece, and what lies near it and is not too small."""
    labels, count = scipy.ndimage.label(ink, np.ones((3, 3)))
    if not count:
        return None
    masses = np.asarray(scipy.ndimage.sum_labels(beside, labels, np.arange(1, count + 1)))
    boxes = scipy.ndimage.find_objects(labels)
    height, width = ink.shape
    for place, (rows, columns) in enumerate(boxes):
        tall, wide = rows.stop - rows.start, columns.stop - columns.start
        through = (wide > LINE_SHARE * width and tall < wide / 8) or (tall > LINE_SHARE * height and wide < tall / 8)
        on_edge = rows.start == 0 or columns.start == 0 or rows.stop == height or columns.stop == width
        if count > 1 and on_edge:
            masses[place] *= 0 if through else 0.2  # more probably something that reaches in
    first = int(masses.argmax())
    rows, columns = boxes[first]
    reach = NEAR_SHARE * max(rows.stop - rows.start, columns.stop - columns.start)
    kept = {first + 1}
    for place, (down, across) in enumerate(boxes):
        apart = max(
            down.start - rows.stop, rows.start - down.stop, across.start - columns.stop, columns.start - across.stop, 0
        )
        if masses[place] >= SPECK_SHARE * masses[first] and apart <= reach:
            kept.add(place + 1)
    return np.isin(labels, list(kept))


def edges_of(ink: Float32[np.ndarray, "height width"]) -> Edges:
    """Where the sign begins and ends: a pixel half as dark as ink, beside a dark one, is half covered."""
    ends = []
    for axis in (0, 1):
        covered = ink.max(axis)
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
    """The first `exact` rows and columns of a plane, smoothly brought to `shape`."""
    if plane.shape == shape:
        return plane
    image = Image.fromarray(np.ascontiguousarray(plane))
    return np.asarray(image.resize(shape[::-1], Image.Resampling.BILINEAR, box=(0, 0, exact[1], exact[0])))


def lightness(levels: Levels) -> Float32[np.ndarray, "height width"]:
    """A page's lightness (ITU-R 601), 0..1."""
    return levels[..., 0] if levels.shape[2] == 1 else np.asarray(levels @ LIGHTNESS_WEIGHTS, np.float32)


def reduced(levels: Levels, factor: int) -> Float32[np.ndarray, "rows columns channels"]:
    """A page averaged over squares of `factor` pixels; those at its right and lower edge may be smaller."""
    if factor == 1:
        return levels
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(plane)).reduce(factor)) for plane in np.moveaxis(levels, 2, 0)
    ]
    return np.stack(planes, 2)


def box_of(mask: Mask) -> Box:
    """The least box around a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _scaled(box: Box, factor: int, shape: tuple[int, ...]) -> Box:
    left, top, right, bottom = (factor * edge for edge in box)
    return left, top, min(right, shape[1]), min(bottom, shape[0])
