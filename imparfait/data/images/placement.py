"""Ink in the frame of a model, as the digits of MNIST lie in theirs."""

import numpy as np
import scipy  # its parts are loaded when first used: ndimage takes a fifth of a second
from jaxtyping import Bool, Float, Float32
from PIL import Image

from imparfait.data.images.input_format import MNIST_SHARE

THIN_SHARE = 0.085  # a stroke's width by its digit's longer side: 5 % of MNIST's are thinner; half are thinner than 0.12
THICKENED_SHARE = 0.11  # what a thinner one is brought to

Edges = tuple[float, float, float, float]
"""Left, top, right, bottom of a sign, to parts of a pixel."""
Plane = Float32[np.ndarray, "height width"]
Framed = Float32[np.ndarray, "rows columns"]
"""Of another size than the plane it is made from."""


def place(ink: Plane, edges: Edges, height: int, width: int, share: float = MNIST_SHARE) -> tuple[Framed, float]:
    """A sign in a frame of height × width, and how many of the frame's pixels one of `ink` (0..1) takes.

    What lies between its edges fills `share` of the frame; it is reduced by averaging areas; its centre of mass comes
    to the middle. Strokes too thin to be seen then are thickened first.
    """
    ink, (left, top, right, bottom) = thickened(ink, edges)
    scale = min(share * height / (bottom - top), share * width / (right - left))
    return centred(sampled(ink, top, left, scale), height, width), scale


def sampled(ink: Plane, top: float, left: float, scale: float) -> Framed:
    """`ink` in pixels `1 / scale` wide, one of which begins at `top` and `left`: averaged over areas, or enlarged."""
    larger = int(np.ceil(scale))
    if larger > 1:
        size = ink.shape[1] * larger, ink.shape[0] * larger
        ink = np.clip(np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BICUBIC)), 0, 1)
        scale, top, left = scale / larger, top * larger, left * larger
    rows, columns = areas(ink.shape[0], top, scale), areas(ink.shape[1], left, scale)
    return np.asarray(rows @ ink @ columns.T, np.float32)


def resized(plane: Plane, height: int, width: int) -> Framed:
    """`plane` (0..1) with so many rows and columns: averaged over areas where it has more, else enlarged smoothly."""
    if height > plane.shape[0] or width > plane.shape[1]:
        size = max(width, plane.shape[1]), max(height, plane.shape[0])
        plane = np.clip(np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC)), 0, 1)
    rows, columns = (
        areas(side, 0, less / side)[:less] for side, less in zip(plane.shape, (height, width), strict=True)
    )
    return np.asarray(rows @ plane @ columns.T, np.float32)


def areas(side: int, start: float, scale: float) -> Float[np.ndarray, "less side"]:
    """The matrix that averages `side` pixels to ones `1 / scale` wide, of which one begins at `start`."""
    first = start - np.ceil(start * scale) / scale
    edges = first + np.arange(int(np.ceil((side - first) * scale - 1e-9)) + 1)[:, None] / scale
    covered = np.minimum(edges[1:], np.arange(1, side + 1)) - np.maximum(edges[:-1], np.arange(side))
    return np.asarray(np.clip(covered, 0, None) * scale)


def centred(ink: Plane, height: int, width: int) -> Framed:
    """`ink` in an empty frame, its centre of mass at the middle as far as whole pixels and the frame's edges allow."""
    frame = np.zeros((height, width), np.float32)
    seen = ink > 1 / 510  # less is no grey of 255
    if not seen.any():
        return frame
    rows, columns = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    theirs, ours = [], []
    for axis, (side, room) in enumerate(zip(ink.shape, frame.shape, strict=True)):
        mass = ink.sum(1 - axis, dtype=np.float64)
        # Pixel i lies at i here, not at i + 1/2: so MNIST's centres of mass come within half a pixel of 14.
        start = round(room / 2 - float(mass @ np.arange(side)) / float(mass.sum()))
        start = min(max(start, min(0, room - side)), max(0, room - side))
        theirs.append(slice(max(0, start), start + side))
        ours.append(slice(max(0, -start), room - start))
    frame[theirs[0], theirs[1]] = ink[ours[0], ours[1]]
    return frame


def thickened(ink: Plane, edges: Edges) -> tuple[Framed, Edges]:
    """`ink` and its edges, its strokes thickened where they are thinner than nearly all of MNIST's."""
    clear = ink > 0.5
    expected = max(edges[2] - edges[0], edges[3] - edges[1])
    thick = stroke_width(clear)
    radius = (THICKENED_SHARE * expected - thick) / 2
    if not clear.any() or thick >= THIN_SHARE * expected or radius < 0.5:
        return ink, edges
    room = int(np.ceil(radius))
    away = np.asarray(scipy.ndimage.distance_transform_edt(~np.pad(clear, room)), np.float32)
    left, top, right, bottom = edges
    grown = (left + room - radius, top + room - radius, right + room + radius, bottom + room + radius)
    return np.maximum(np.pad(ink, room), np.clip(radius + 0.5 - away, 0, 1).astype(np.float32)), grown


def stroke_width(mask: Bool[np.ndarray, "height width"]) -> float:
    """About how many pixels wide a mask's strokes are: twice their area by the length of their edge."""
    padded = np.pad(mask, 1)
    steps = (padded[1:] != padded[:-1]).sum() + (padded[:, 1:] != padded[:, :-1]).sum()
    # Pixels go round a slanted edge in steps, by 4 / pi too long in the mean of all slants.
    return float(2 * mask.sum() / max(1.0, steps * np.pi / 4))
