"""A stored digit drawn again at any height, with a pen of any width."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Ink = NDArray[np.float64]
"""Coverage 0..1 [height, width], cropped to the digit."""
WORK_HEIGHT_PX = 96  # drawn at least so high, then averaged down
THINNEST, THICKEST = 0.35, 1.35  # times the digit's own pen: beyond, strokes break and holes close
EDGE = 0.4  # level of the enlarged digit; at 0.5 faint strokes break
SPECK = 0.04  # share of a digit's ink below which a piece is none of its strokes
RIDGE = 0.8  # slope of the distance to the edge, below which a pixel is in the middle of a stroke


def drawn(
    image: NDArray[np.uint8],
    height_px: float,
    pen_px: float,
    *,
    aspect: float,
    slant: float,
    smoothing: float,
    thinnest: float = THINNEST,
) -> Ink:
    """The digit `height_px` high with strokes about `pen_px` wide.

    `aspect` is its width, times that of the image; `slant` is added to its own, in pixels to the right a pixel up.
    """  # fmt: skip
    work = max(WORK_HEIGHT_PX, round(height_px))
    large = enlarged(image, work, aspect, slant, smoothing)
    mask = large > EDGE
    if not mask.any():
        mask = large >= large.max()
    ink = rewidened(mask, pen_px / 2 * work / height_px, thinnest)
    ink = cropped(without_specks(ink))
    size = max(2, round(ink.shape[1] * height_px / ink.shape[0])), max(4, round(height_px))
    small = Image.fromarray(ink.astype(np.float32)).resize(size, Image.Resampling.BOX)
    return np.clip(np.asarray(small, float), 0, 1)


def enlarged(image: NDArray[np.uint8], height: int, aspect: float, slant: float, smoothing: float) -> Ink:
    """The digit about `height` high, with room around it; EDGE is where the strokes end."""
    digit = cropped(image / 255.0, 0.25)
    smooth = ndimage.gaussian_filter(np.pad(digit, 3), smoothing)
    scale = height / digit.shape[0]
    rows, columns = smooth.shape
    room = abs(slant) * rows * scale / 2
    out = round(columns * scale * aspect + 2 * room), round(rows * scale)
    # PIL's transform takes output to input: x = (X - room) / (scale aspect) + shear, y = Y / scale
    shear = slant / (scale * aspect)
    matrix = (1 / (scale * aspect), shear, -room / (scale * aspect) - shear * out[1] / 2, 0, 1 / scale, 0)
    plane = Image.fromarray(smooth.astype(np.float32))
    return np.asarray(plane.transform(out, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC), float)


def rewidened(mask: NDArray[np.bool_], half_width: float, thinnest: float = THINNEST) -> Ink:
    """The same strokes with another half width, in pixels: a thinner pen is drawn along their middle."""
    mask = np.pad(mask, round(half_width) + 2)
    inside = ndimage.distance_transform_edt(mask)
    # The distance to the edge grows by 1 a pixel, except along the middle of a stroke.
    middle = mask & (np.hypot(*np.gradient(ndimage.gaussian_filter(inside, 0.7))) < RIDGE)
    own = float(np.median(inside[middle])) if middle.any() else 1.0
    middle &= inside > 0.4 * own  # not into each corner of the outline
    half_width = float(np.clip(half_width, thinnest * own, THICKEST * own))
    if half_width >= own or not middle.any():
        return np.clip(half_width - own + 0.5 - ndimage.distance_transform_edt(~mask) + np.minimum(inside, 1), 0, 1)
    thin = half_width + 0.5 - ndimage.distance_transform_edt(~middle)
    filled = inside - (own - half_width) + 0.5  # loops that the stored pen had closed stay closed
    return np.clip(np.minimum(np.maximum(thin, filled), inside), 0, 1)


def without_specks(ink: Ink) -> Ink:
    """Without pieces that are too small to be a stroke."""
    pieces, count = ndimage.label(ink > 0.1, np.ones((3, 3)))
    if count < 2:
        return ink
    areas = np.bincount(pieces.ravel(), ink.ravel())
    return np.where((areas >= SPECK * areas.sum())[pieces], ink, 0.0)


def cropped(ink: Ink, least: float = 0.1) -> Ink:
    """Without empty rows and columns; `least` is the coverage that counts."""
    rows, columns = (np.flatnonzero(ink.max(axis) >= min(least, ink.max())) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
