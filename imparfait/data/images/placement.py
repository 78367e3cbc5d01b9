"""Placement of a glyph in a model's input as MNIST's digits lie in theirs."""

# MNIST's digits were fitted into 20 x 20 pixels, then moved so that their centre of mass is the centre of 28 x 28
# (LeCun 1998). Here the same is done to any glyph in any input: thin strokes are thickened first, areas are averaged.

import numpy as np
import scipy  # its parts are loaded when first used: ndimage takes a fifth of a second
from jaxtyping import Bool, Float, Float32
from PIL import Image

from imparfait.data.images.input_format import MNIST_SHARE

THIN_SHARE = 0.085  # of a digit's longer side: 5 % of MNIST's strokes are thinner, half are thinner than 0.12
THICKENED_SHARE = 0.11  # of it: the width to which thinner strokes are brought

Edges = tuple[float, float, float, float]
"""Left, top, right, bottom of a glyph, with subpixel accuracy."""
Plane = Float32[np.ndarray, "height width"]
Framed = Float32[np.ndarray, "rows columns"]
"""Another size than that of the plane it is made from."""


def place(foreground: Plane, edges: Edges, height: int, width: int, share: float = MNIST_SHARE) -> tuple[Framed, float]:
    """A glyph (0..1) in height × width pixels, and the scale at which it was drawn.

    What lies between its edges fills `share` of the sides; areas are averaged; its centre of mass comes to the middle.
    Strokes that would be too thin to see are thickened first.
    """
    foreground, (left, top, right, bottom) = thickened(foreground, edges)
    scale = min(share * height / (bottom - top), share * width / (right - left))
    return centred(sampled(foreground, top, left, scale), height, width), scale


def sampled(foreground: Plane, top: float, left: float, scale: float) -> Framed:
    """The foreground in pixels `1 / scale` wide, one of which begins at `top` and `left`: averaged, or enlarged."""
    larger = int(np.ceil(scale))
    if larger > 1:
        size = foreground.shape[1] * larger, foreground.shape[0] * larger
        foreground = np.clip(np.asarray(Image.fromarray(foreground).resize(size, Image.Resampling.BICUBIC)), 0, 1)
        scale, top, left = scale / larger, top * larger, left * larger
    rows, columns = areas(foreground.shape[0], top, scale), areas(foreground.shape[1], left, scale)
    return np.asarray(rows @ foreground @ columns.T, np.float32)


def resized(plane: Plane, height: int, width: int) -> Framed:
    """`plane` (0..1) with height × width pixels: averaged over areas where it has more, else enlarged smoothly."""
    if height > plane.shape[0] or width > plane.shape[1]:
        size = max(width, plane.shape[1]), max(height, plane.shape[0])
        plane = np.clip(np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC)), 0, 1)
    rows, columns = (
        areas(side, 0, less / side)[:less] for side, less in zip(plane.shape, (height, width), strict=True)
    )
    return np.asarray(rows @ plane @ columns.T, np.float32)


def areas(side: int, start: float, scale: float) -> Float[np.ndarray, "less side"]:
    """The matrix that averages `side` pixels to pixels `1 / scale` wide, one of which begins at `start`."""
    first = start - np.ceil(start * scale) / scale
    edges = first + np.arange(int(np.ceil((side - first) * scale - 1e-9)) + 1)[:, None] / scale
    covered = np.minimum(edges[1:], np.arange(1, side + 1)) - np.maximum(edges[:-1], np.arange(side))
    return np.asarray(np.clip(covered, 0, None) * scale)


def centred(foreground: Plane, height: int, width: int) -> Framed:
    """The foreground on 0, its centre of mass in the middle, as far as whole pixels and the edges allow."""
    frame = np.zeros((height, width), np.float32)
    visible = foreground > 1 / 510  # less rounds to 0 of 255
    if not visible.any():
        return frame
    rows, columns = (np.flatnonzero(visible.any(axis)) for axis in (1, 0))
    foreground = foreground[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    target, source = [], []
    for axis, (side, room) in enumerate(zip(foreground.shape, frame.shape, strict=True)):
        mass = foreground.sum(1 - axis, dtype=np.float64)
        # Pixel i lies at i, not at i + 1/2: so MNIST's centres of mass come within half a pixel of 14.
        start = round(room / 2 - float(mass @ np.arange(side)) / float(mass.sum()))
        start = min(max(start, min(0, room - side)), max(0, room - side))
        target.append(slice(max(0, start), start + side))
        source.append(slice(max(0, -start), room - start))
    frame[target[0], target[1]] = foreground[source[0], source[1]]
    return frame


def thickened(foreground: Plane, edges: Edges) -> tuple[Framed, Edges]:
    """A glyph and its edges, with strokes thickened if they are thinner than nearly all of MNIST's."""
    solid = foreground > 0.5
    longer = max(edges[2] - edges[0], edges[3] - edges[1])
    width = stroke_width(solid)
    radius = (THICKENED_SHARE * longer - width) / 2
    if not solid.any() or width >= THIN_SHARE * longer or radius < 0.5:
        return foreground, edges
    room = int(np.ceil(radius))
    distance = np.asarray(scipy.ndimage.distance_transform_edt(~np.pad(solid, room)), np.float32)
    left, top, right, bottom = edges
    grown = (left + room - radius, top + room - radius, right + room + radius, bottom + room + radius)
    return np.maximum(np.pad(foreground, room), np.clip(radius + 0.5 - distance, 0, 1).astype(np.float32)), grown


def stroke_width(mask: Bool[np.ndarray, "height width"]) -> float:
    """The approximate width of a mask's strokes in pixels: twice their area divided by the length of their edge."""
    padded = np.pad(mask, 1)
    steps = (padded[1:] != padded[:-1]).sum() + (padded[:, 1:] != padded[:, :-1]).sum()
    # The pixel steps along a slanted edge are 4 / pi too long in the mean over all angles.
    return float(2 * mask.sum() / max(1.0, steps * np.pi / 4))
