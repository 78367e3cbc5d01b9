"""All the ink on a page: what it is written on taken away, ruled lines too."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from PIL import Image, ImageDraw
from scipy import ndimage

from imparfait.data.images.background import Background, fitted, local, without_rest
from imparfait.data.images.foreground import CLEAR, LEAST, LOW, enlarged, lightness, reduced, strength_of
from imparfait.data.images.levels import Levels
from imparfait.data.images.paper import AREA, CONVEX, area, find_paper, hull
from imparfait.data.images.paper import EDGE as OFF_THE_EDGE
from imparfait.data.images.placement import Plane
from imparfait.inference.ocr.line_removal import find_ruled_lines, remove_ruled_lines

COARSE = 800  # pixels of the longer side in which the ground is found
SHEET = 400  # … and the sheet
LINE = 0.03  # of the page's longer side, that no line is as thick as
WIDE = 0.06  # of the page's longer side: what is wider is no stroke but a shadow
NEAR, FADING = 7, 0.88  # pixels of that page around a sheet, that are so much of its lightness at least, are of it
SHADOW, COLOUR = 1.9, 0.03  # times as dark, and of one colour (shares of red, green, blue), is the same sheet in shadow
SHADOWED = 0.02  # of the page, that is wider than a stroke, from which on there are shadows
EDGE = 3
MOST_GAIN = 4.0  # for the darkest places: there noise grows with it
NOISY = 0.04  # of the ink's strength: with more noise, ink is told from ground on a smoothed page

Mask = Bool[np.ndarray, "height width"]


@dataclass(frozen=True, eq=False)
class BinarizedPage:
    """The ink on a page, or on the sheet that lies on it."""

    beside: Plane
    """How far each pixel lies from the ground, towards ink; 0 outside the sheet."""
    ink: Mask
    """Which pixels are ink, in specks too."""
    strength: float
    """How far clear ink lies from the ground."""
    noise: float
    corner: tuple[int, int]
    """Where it begins on the page: column and row."""
    ruled: Mask
    """Where lines were taken away, and what may be left of them."""
    edge: Mask
    """Where the page or the sheet ends, EDGE pixels wide."""
    thick: float
    """How thick those lines were at most, in pixels; 0 where there were none."""
    across: tuple[float, ...]
    """Slopes of the lines that went across the page, rows for one column, …"""
    down: tuple[float, ...]
    """… and of those that went down, columns for one row."""


def binarize(levels: Levels, grown: bool = False) -> BinarizedPage | None:
    """The ink on a page, or on a sheet that lies there; None where there is none.

    With `grown` true the sheet goes on as far as the light only fades.
    """
    factor = -(-max(levels.shape[:2]) // SHEET)
    coarse = reduced(levels, factor)
    light = lightness(coarse)
    # Without ruled lines: between two of them would be a sheet.
    thin = max(3, round(LINE * max(light.shape)))
    sheet = find_paper(ndimage.grey_opening(ndimage.grey_closing(light, thin), thin))
    corner = (0, 0)
    valid = np.ones(levels.shape[:2], bool)
    if sheet is not None and not _in_shadow(coarse, sheet):
        if grown:
            sheet = _grown(light, sheet)
        image = Image.fromarray(sheet.astype(np.uint8))
        valid = np.asarray(image.resize((sheet.shape[1] * factor, sheet.shape[0] * factor), Image.Resampling.NEAREST))
        valid = valid[: levels.shape[0], : levels.shape[1]] > 0
        rows, columns = np.flatnonzero(valid.any(1)), np.flatnonzero(valid.any(0))
        down, across = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        levels, valid, corner = levels[down, across], valid[down, across], (int(columns[0]), int(rows[0]))
    return _ink_on(levels, valid, corner)


def _grown(light: Plane, sheet: Mask) -> Mask:
    """A sheet with all around it that is nearly as light as what it lies beside; itself where that is no sheet."""
    grown = sheet
    for _ in range(max(light.shape)):
        share = ndimage.uniform_filter(grown.astype(np.float32), NEAR)
        usual = ndimage.uniform_filter(light * grown, NEAR) / np.maximum(share, 1e-6)
        more = ~grown & (share > 0) & (light > FADING * usual)
        if not more.any():
            break
        grown = grown | more
    grown = np.asarray(ndimage.binary_fill_holes(grown))
    corners = hull(grown)
    if grown.mean() > AREA[1] or grown.sum() < CONVEX * area(corners):
        return sheet
    drawing = Image.new("1", sheet.shape[::-1])
    ImageDraw.Draw(drawing).polygon([(x - 0.5, y - 0.5) for x, y in corners], fill=1)
    edge = max(2, round(OFF_THE_EDGE * max(light.shape)))
    return np.asarray(ndimage.binary_erosion(np.asarray(drawing), iterations=edge, border_value=1))


def _in_shadow(coarse: Levels, sheet: Mask) -> bool:
    """Whether what lies beside a sheet may be more of it in a shadow: of the same colour, and not much darker."""
    around = np.asarray(ndimage.distance_transform_cdt(~sheet))
    inside = np.asarray(ndimage.distance_transform_cdt(sheet))
    edge = max(coarse.shape[:2]) // 20
    within, beyond = (
        np.median(coarse[(away > 0) & (away <= 2 * edge)], 0)
        for away in (inside, np.where(around > edge // 2, around, 0))
    )
    if not within.all() or not beyond.all():
        return False
    brighter, colour = float(within.mean() / beyond.mean()), within / within.sum() - beyond / beyond.sum()
    return 1 / SHADOW < brighter < SHADOW and float(np.abs(colour).max()) < COLOUR


def _ink_on(levels: Levels, valid: Mask, corner: tuple[int, int]) -> BinarizedPage | None:
    beside = _without_ground(levels, valid)
    if beside is None:
        return None
    noise = max(1.4826 * float(np.median(np.abs(beside[valid][::7]))), 1 / 510)
    slopes: list[tuple[float, ...]] = []
    thick = 0.0
    ruled = np.zeros(beside.shape, bool)
    for turned in (False, True):
        plane = beside.T if turned else beside
        rules = find_ruled_lines(plane, noise, strength_of(beside[valid], noise))
        if rules:
            free = np.array(valid.T if turned else valid)
            for rule in rules:
                rows = np.rint(rule.rows).astype(int)
                for away in range(-int(rule.thickness) - 1, int(rule.thickness) + 2):
                    free[(rows + away).clip(0, len(free) - 1), np.arange(len(rows))] = False
            strength = strength_of(plane[free], noise) or float(plane.max())
            plane, lines = remove_ruled_lines(plane, rules, strength, max(3 * noise, LOW * strength))
            beside = np.ascontiguousarray(plane.T) if turned else plane
            ruled |= lines.T if turned else lines
        slopes.append(tuple(rule.slope for rule in rules))
        thick = max([thick, *(rule.thickness for rule in rules)])
    strength = strength_of(beside[valid], noise)
    if strength < max(CLEAR * noise * 0.6, LEAST):
        return None
    beside[~valid] = 0
    smooth = beside
    if noise > NOISY * strength:
        smooth = ndimage.gaussian_filter(beside, 0.7 if noise < 3 * NOISY * strength else 1.2)
    low = max(3 * noise if smooth is beside else 0, LOW * strength)
    inside = ndimage.binary_erosion(np.pad(valid, 1), np.ones((3, 3), bool), EDGE)[1:-1, 1:-1]
    return BinarizedPage(beside, smooth > low, strength, noise, corner, ruled, valid & ~inside, thick, *slopes)


def _without_ground(levels: Levels, valid: Mask) -> Plane | None:
    factor = -(-max(levels.shape[:2]) // COARSE)
    coarse = reduced(levels, factor)
    few = valid[::factor, ::factor]
    ground = _rested(fitted(coarse, few), few)
    if ground is not None and _shadowed(ground, few):
        ground = _rested(local(coarse, few), few) or ground
    if ground is None:
        return None
    under = coarse @ ground.direction - ground.beside
    exact = levels.shape[0] / factor, levels.shape[1] / factor
    beside = levels @ ground.direction - enlarged(under, levels.shape[:2], exact)
    per_level = lightness(ground.direction[None, None])[0, 0]
    if per_level < 0:  # dark ink takes a share of the light that falls there
        light = ndimage.uniform_filter(lightness(coarse) - ground.beside * per_level, 9)
        usual = float(np.median(light[few]))
        gain = np.clip(usual / np.maximum(light, 1e-3), 0.5, MOST_GAIN)
        beside *= enlarged(np.asarray(gain, np.float32), levels.shape[:2], exact)
    return np.asarray(beside, np.float32)


def _rested(ground: Background, valid: Mask) -> Background | None:
    """A ground after its rest is taken away; None where nothing is seen on it."""
    strength = strength_of(ground.beside[valid], ground.noise)
    if strength < LEAST:
        return None
    longer = max(valid.shape)
    ink = valid & (ground.beside > max(3 * ground.noise, LOW * strength))
    around = np.asarray(ndimage.binary_dilation(ink, iterations=1 + longer // 200)) | ~valid
    return without_rest(ground, around, max(3, longer // 8) | 1)


def _shadowed(ground: Background, valid: Mask) -> bool:
    """Whether much of what is darker than this ground is wider than strokes are."""
    strength = strength_of(ground.beside[valid], ground.noise)
    dark = valid & (ground.beside > max(3 * ground.noise, LOW * strength))
    wide = max(3, round(WIDE * max(valid.shape)))
    solid = ndimage.uniform_filter(dark.astype(np.float32), wide) > 0.95
    return float(solid[valid].mean()) > SHADOWED
