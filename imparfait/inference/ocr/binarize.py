"""Binarisation of a page: background and ruled lines subtracted, the foreground separated from the rest."""

# 1. The paper is found on a small copy, where a bright sheet lies on something else; the rest is left out.
# 2. A smooth background is fitted to the paper and subtracted; what is left is the contrast towards the foreground.
#    With shadows wider than strokes, the background is estimated locally instead.
# 3. Ruled lines are found in both directions and removed (line_removal).
# 4. Pixels whose contrast exceeds the noise and a share of the foreground's strength are foreground.

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from PIL import Image, ImageDraw
from scipy import ndimage

from imparfait.data.images.background import Background, fitted_background, local_background, remove_residual
from imparfait.data.images.foreground import (
    CLEAR_SIGMAS,
    LOW_SHARE,
    MIN_CONTRAST,
    enlarged,
    lightness,
    reduced,
    strength_of,
)
from imparfait.data.images.levels import Levels
from imparfait.data.images.paper import AREA_SHARES, MIN_HULL_SHARE, convex_hull, find_paper, polygon_area
from imparfait.data.images.paper import EDGE_SHARE as PAPER_EDGE_SHARE
from imparfait.data.images.placement import Plane
from imparfait.inference.ocr.line_removal import find_ruled_lines, remove_ruled_lines

BACKGROUND_SIDE_PIXELS = 800  # longer side of the copy on which the background is fitted
PAPER_SIDE_PIXELS = 400  # longer side of the copy on which the paper is found
RULED_LINE_SHARE = 0.03  # of the page's longer side; ruled lines are thinner
STROKE_SHARE = 0.06  # of the page's longer side; strokes are thinner, shadows wider
MIN_SHADOW_SHARE = 0.02  # of the page, wider than a stroke: from here on there are shadows
GROWTH_WINDOW_PIXELS = 7  # around a pixel of the small copy, in which it is compared with the paper found so far
MIN_GROWTH_LIGHTNESS = 0.88  # of that paper's lightness: a pixel as light belongs to the paper too
MAX_SHADOW_RATIO = 1.9  # of lightness between a sheet and its surroundings, which may be the same sheet in shadow …
MAX_COLOUR_DIFFERENCE = 0.03  # … if no share of red, green or blue differs more
EDGE_PIXELS = 3  # width of the rim where the page or the paper ends
MAX_SHADOW_GAIN = 4.0  # of contrast in the darkest places, where noise grows with it
MAX_UNSMOOTHED_NOISE = 0.04  # of the foreground's strength; with more noise the page is smoothed before the threshold

Mask = Bool[np.ndarray, "height width"]


@dataclass(frozen=True, eq=False)
class BinarizedPage:
    """The foreground of a page, or of the paper that lies on it."""

    contrast: Plane
    """How far each pixel lies from the background, towards the foreground; 0 outside the paper."""
    foreground: Mask
    """Foreground pixels, those of specks too."""
    strength: float
    """The contrast of clear foreground."""
    noise: float
    """Standard deviation of the contrast on the background."""
    corner: tuple[int, int]
    """Where the planes begin on the page: column and row."""
    ruled: Mask
    """Where ruled lines were removed, and what may be left of them."""
    edge: Mask
    """The rim of the page or the paper, EDGE_PIXELS wide."""
    line_thickness: float
    """Of the thickest ruled line, in pixels; 0 without ruled lines."""
    horizontal_slopes: tuple[float, ...]
    """Of the ruled lines across the page, rows a column."""
    vertical_slopes: tuple[float, ...]
    """Of the ruled lines down the page, columns a row."""


def binarize(levels: Levels, grow_paper: bool = False) -> BinarizedPage | None:
    """The foreground of a page, or of the paper on it; None where there is none.

    With `grow_paper` the paper extends as far as its lightness changes only gradually.
    """
    factor = -(-max(levels.shape[:2]) // PAPER_SIDE_PIXELS)
    coarse = reduced(levels, factor)
    light = lightness(coarse)
    # Without ruled lines, between two of which there would be a sheet.
    thickest = max(3, round(RULED_LINE_SHARE * max(light.shape)))
    paper = find_paper(ndimage.grey_opening(ndimage.grey_closing(light, thickest), thickest))
    corner = (0, 0)
    valid = np.ones(levels.shape[:2], bool)
    if paper is not None and not _is_surrounded_by_shadow(coarse, paper):
        if grow_paper:
            paper = _grown(light, paper)
        image = Image.fromarray(paper.astype(np.uint8))
        valid = np.asarray(image.resize((paper.shape[1] * factor, paper.shape[0] * factor), Image.Resampling.NEAREST))
        valid = valid[: levels.shape[0], : levels.shape[1]] > 0
        rows, columns = np.flatnonzero(valid.any(1)), np.flatnonzero(valid.any(0))
        down, across = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        levels, valid, corner = levels[down, across], valid[down, across], (int(columns[0]), int(rows[0]))
    return _binarize_region(levels, valid, corner)


def _grown(light: Plane, paper: Mask) -> Mask:
    """The paper with everything around it that is nearly as light; `paper` itself where the result is no sheet."""
    grown = paper
    for _ in range(max(light.shape)):
        share = ndimage.uniform_filter(grown.astype(np.float32), GROWTH_WINDOW_PIXELS)
        mean = ndimage.uniform_filter(light * grown, GROWTH_WINDOW_PIXELS) / np.maximum(share, 1e-6)
        added = ~grown & (share > 0) & (light > MIN_GROWTH_LIGHTNESS * mean)
        if not added.any():
            break
        grown = grown | added
    grown = np.asarray(ndimage.binary_fill_holes(grown))
    corners = convex_hull(grown)
    if grown.mean() > AREA_SHARES[1] or grown.sum() < MIN_HULL_SHARE * polygon_area(corners):
        return paper
    drawing = Image.new("1", paper.shape[::-1])
    ImageDraw.Draw(drawing).polygon([(x - 0.5, y - 0.5) for x, y in corners], fill=1)
    edge = max(2, round(PAPER_EDGE_SHARE * max(light.shape)))
    return np.asarray(ndimage.binary_erosion(np.asarray(drawing), iterations=edge, border_value=1))


def _is_surrounded_by_shadow(coarse: Levels, paper: Mask) -> bool:
    """Whether the surroundings may be the same sheet in shadow: of the same colour, and not much darker."""
    outside = np.asarray(ndimage.distance_transform_cdt(~paper))
    inside = np.asarray(ndimage.distance_transform_cdt(paper))
    edge = max(coarse.shape[:2]) // 20
    within, beyond = (
        np.median(coarse[(distance > 0) & (distance <= 2 * edge)], 0)
        for distance in (inside, np.where(outside > edge // 2, outside, 0))
    )
    if not within.all() or not beyond.all():
        return False
    ratio, colour = float(within.mean() / beyond.mean()), within / within.sum() - beyond / beyond.sum()
    return 1 / MAX_SHADOW_RATIO < ratio < MAX_SHADOW_RATIO and float(np.abs(colour).max()) < MAX_COLOUR_DIFFERENCE


def _binarize_region(levels: Levels, valid: Mask, corner: tuple[int, int]) -> BinarizedPage | None:
    contrast = _subtract_background(levels, valid)
    if contrast is None:
        return None
    noise = max(1.4826 * float(np.median(np.abs(contrast[valid][::7]))), 1 / 510)
    slopes: list[tuple[float, ...]] = []
    thickness = 0.0
    ruled = np.zeros(contrast.shape, bool)
    for transposed in (False, True):
        plane = contrast.T if transposed else contrast
        lines = find_ruled_lines(plane, noise, strength_of(contrast[valid], noise))
        if lines:
            free = np.array(valid.T if transposed else valid)
            for line in lines:
                rows = np.rint(line.rows).astype(int)
                for offset in range(-int(line.thickness) - 1, int(line.thickness) + 2):
                    free[(rows + offset).clip(0, len(free) - 1), np.arange(len(rows))] = False
            strength = strength_of(plane[free], noise) or float(plane.max())
            plane, mask = remove_ruled_lines(plane, lines, strength, max(3 * noise, LOW_SHARE * strength))
            contrast = np.ascontiguousarray(plane.T) if transposed else plane
            ruled |= mask.T if transposed else mask
        slopes.append(tuple(line.slope for line in lines))
        thickness = max([thickness, *(line.thickness for line in lines)])
    strength = strength_of(contrast[valid], noise)
    if strength < max(CLEAR_SIGMAS * noise * 0.6, MIN_CONTRAST):
        return None
    contrast[~valid] = 0
    smooth = contrast
    if noise > MAX_UNSMOOTHED_NOISE * strength:
        smooth = ndimage.gaussian_filter(contrast, 0.7 if noise < 3 * MAX_UNSMOOTHED_NOISE * strength else 1.2)
    low = max(3 * noise if smooth is contrast else 0, LOW_SHARE * strength)
    inside = ndimage.binary_erosion(np.pad(valid, 1), np.ones((3, 3), bool), EDGE_PIXELS)[1:-1, 1:-1]
    return BinarizedPage(contrast, smooth > low, strength, noise, corner, ruled, valid & ~inside, thickness, *slopes)


def _subtract_background(levels: Levels, valid: Mask) -> Plane | None:
    """The contrast of each pixel; None where nothing stands out from the background."""
    factor = -(-max(levels.shape[:2]) // BACKGROUND_SIDE_PIXELS)
    coarse = reduced(levels, factor)
    coarse_valid = valid[::factor, ::factor]
    background = _refined(fitted_background(coarse, coarse_valid), coarse_valid)
    if background is not None and _has_shadows(background, coarse_valid):
        background = _refined(local_background(coarse, coarse_valid), coarse_valid) or background
    if background is None:
        return None
    under = coarse @ background.direction - background.contrast
    exact = levels.shape[0] / factor, levels.shape[1] / factor
    contrast = levels @ background.direction - enlarged(under, levels.shape[:2], exact)
    per_level = lightness(background.direction[None, None])[0, 0]
    if per_level < 0:  # a dark foreground reflects a share of the light that falls there
        light = ndimage.uniform_filter(lightness(coarse) - background.contrast * per_level, 9)
        usual = float(np.median(light[coarse_valid]))
        gain = np.clip(usual / np.maximum(light, 1e-3), 0.5, MAX_SHADOW_GAIN)
        contrast *= enlarged(np.asarray(gain, np.float32), levels.shape[:2], exact)
    return np.asarray(contrast, np.float32)


def _refined(background: Background, valid: Mask) -> Background | None:
    """A background with its own residual subtracted; None where nothing stands out from it."""
    strength = strength_of(background.contrast[valid], background.noise)
    if strength < MIN_CONTRAST:
        return None
    longer = max(valid.shape)
    foreground = valid & (background.contrast > max(3 * background.noise, LOW_SHARE * strength))
    around = np.asarray(ndimage.binary_dilation(foreground, iterations=1 + longer // 200)) | ~valid
    return remove_residual(background, around, max(3, longer // 8) | 1)


def _has_shadows(background: Background, valid: Mask) -> bool:
    """Whether much of what stands out from this background is wider than a stroke."""
    strength = strength_of(background.contrast[valid], background.noise)
    dark = valid & (background.contrast > max(3 * background.noise, LOW_SHARE * strength))
    wide = max(3, round(STROKE_SHARE * max(valid.shape)))
    solid = ndimage.uniform_filter(dark.astype(np.float32), wide) > 0.95
    return float(solid[valid].mean()) > MIN_SHADOW_SHARE
