"""Grounds to write on: plain, coloured, ruled and squared paper, form boxes, combs, boards and screens."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Colours = NDArray[np.float64]
"""RGB, 0..1: [3] or [height, width, 3]."""
KINDS = {
    "plain": 0.22,
    "coloured": 0.12,
    "ruled": 0.15,
    "squared": 0.15,
    "boxes": 0.13,
    "comb": 0.08,
    "board": 0.09,
    "screen": 0.06,
}
"""How often each is drawn."""
CELLS = ("boxes", "comb")
DARK = ("board", "screen")
BRIGHTNESS = np.array([0.299, 0.587, 0.114])  # of RGB, ITU-R BT.601
MIN_CONTRAST = 0.3  # of ink and ground, in brightness 0..1: what a person reads without effort


@dataclass(frozen=True, eq=False)
class Layout:
    """Where things are on a page, in its own coordinates: pixels from its middle, before it is turned."""

    height_px: float
    """Of the digits."""
    baseline: float
    cells: tuple[tuple[float, float], ...]
    """Left and right of the cell of each digit; empty without cells."""
    cell_top: float
    cell_bottom: float


def colours(kind: str, rng: np.random.Generator) -> tuple[Colours, Colours]:
    """Ground and ink, far enough apart to read."""
    while True:
        if kind == "board":
            ground = np.array([[0.13, 0.27, 0.2], [0.12, 0.12, 0.13], [0.15, 0.2, 0.3]])[rng.integers(3)]
            ink = np.array([0.92, 0.92, 0.88]) - rng.uniform(0, 0.12, 3)
        elif kind == "screen":
            ground = np.clip(rng.uniform(0, 0.15) + rng.uniform(0, 0.06, 3), 0, 1)
            ink = np.array([[1, 1, 1], [0.4, 1, 0.5], [1, 0.8, 0.3], [0.5, 0.8, 1]])[rng.integers(4)]
        else:
            ground = np.array([rng.uniform(0.84, 1)] * 3) * [1, rng.uniform(0.97, 1), rng.uniform(0.9, 1)]
            if kind == "coloured":
                ground = rng.uniform(0.55, 0.98, 3)
            pens = [[0.08, 0.08, 0.1], [0.1, 0.15, 0.55], [0.03, 0.1, 0.35], [0.35, 0.35, 0.37], [0.7, 0.1, 0.12],
                    [0.1, 0.4, 0.2], [0.45, 0.2, 0.5], [0.15, 0.12, 0.1]]  # fmt: skip
            ink = np.array(pens[rng.choice(len(pens), p=[0.3, 0.24, 0.1, 0.12, 0.08, 0.05, 0.03, 0.08])])
        ink = np.clip(ink + rng.normal(0, 0.03, 3), 0, 1)
        if abs((ink - ground) @ BRIGHTNESS) >= MIN_CONTRAST:
            return ground, ink


def drawn(
    kind: str,
    ground: Colours,
    size: tuple[int, int],
    middle: tuple[float, float],
    degrees: float,
    layout: Layout,
    rng: np.random.Generator,
) -> Colours:
    """A page of `size` (height, width) with its middle at `middle` (x, y), turned by `degrees` counterclockwise."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(float)
    x, y = columns + 0.5 - middle[0], rows + 0.5 - middle[1]
    turn = np.deg2rad(degrees)
    u, v = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    page = np.broadcast_to(ground, (*size, 3)) * (1 + texture(size, rng))[..., None]
    height = layout.height_px
    width = max(0.8, rng.uniform(0.012, 0.035) * height)
    line = line_colour(ground, kind, rng)
    if kind == "ruled":
        pitch = height * rng.uniform(1.2, 2.2)
        cover = stroke(v - layout.baseline - 0.04 * height, width, pitch)
        if rng.random() < 0.25:  # a margin line
            left = -u.max() + rng.uniform(0.1, 0.6) * height
            page = painted(page, stroke(u - left, width), np.array([0.85, 0.3, 0.35]), 0.7)
    elif kind == "squared":
        pitch = height * rng.choice([0.5, 0.8, 1.1, 1.4]) * rng.uniform(0.9, 1.1)
        shift = rng.uniform(0, pitch)
        cover = np.maximum(
            stroke(v - layout.baseline - rng.uniform(-0.1, 0.1) * height, width, pitch), stroke(u - shift, width, pitch)
        )
    elif kind in CELLS:
        cover = cells(kind, u, v, layout, width * rng.uniform(1, 2.2))
    elif kind == "board":
        smear = ndimage.zoom(rng.random((4, 6)), (size[0] / 4, size[1] / 6), order=1)[: size[0], : size[1]]
        return np.clip(page + 0.1 * smear[..., None], 0, 1)
    else:
        return np.clip(page, 0, 1)
    return np.clip(painted(page, cover, line, rng.uniform(0.6, 1)), 0, 1)


def line_colour(ground: Colours, kind: str, rng: np.random.Generator) -> Colours:
    """Of printed lines: pale on paper to write on, up to black on forms."""
    tints = np.array([[0.45, 0.6, 0.85], [0.6, 0.6, 0.62], [0.9, 0.55, 0.45], [0.5, 0.75, 0.6]])
    colour = tints[rng.integers(4)]
    if kind in CELLS and rng.random() < 0.4:
        return np.full(3, rng.uniform(0.05, 0.4))
    return np.minimum(colour + rng.uniform(-0.1, 0.12), ground * 0.95)


def cells(kind: str, u: Colours, v: Colours, layout: Layout, width: float) -> Colours:
    """Coverage of the boxes of a form, or of a comb: open at the top, with short teeth."""
    edges = sorted({round(edge, 3) for cell in layout.cells for edge in cell})
    top = layout.cell_top if kind == "boxes" else layout.cell_bottom - 0.3 * layout.height_px
    tall = (v > top - width / 2) & (v < layout.cell_bottom + width / 2)
    cover = np.zeros_like(u)
    for edge in edges:
        np.maximum(cover, stroke(u - edge, width) * tall, out=cover)
    for left, right in layout.cells:
        wide = (u > left - width / 2) & (u < right + width / 2)
        np.maximum(cover, stroke(v - layout.cell_bottom, width) * wide, out=cover)
        if kind == "boxes":
            np.maximum(cover, stroke(v - layout.cell_top, width) * wide, out=cover)
    return cover


def stroke(distance: Colours, width: float, pitch: float = 0) -> Colours:
    """Coverage of a line `width` wide at distance 0, repeated every `pitch`."""
    if pitch:
        distance = (distance + pitch / 2) % pitch - pitch / 2
    return np.clip(width / 2 + 0.5 - np.abs(distance), 0, 1) * min(1, width)


def painted(page: Colours, cover: Colours, colour: Colours, opacity: float = 1) -> Colours:
    """The page with a colour on it, as far as it is covered."""
    share = (cover * opacity)[..., None]
    return page * (1 - share) + colour * share


def texture(size: tuple[int, int], rng: np.random.Generator) -> Colours:
    """Fibres and stains of paper: relative brightness."""
    fine = ndimage.gaussian_filter(rng.normal(0, 1, size), rng.uniform(0.5, 1.5))
    coarse = ndimage.zoom(rng.normal(0, 1, (3, 5)), (size[0] / 3, size[1] / 5), order=1)[: size[0], : size[1]]
    return rng.uniform(0, 0.02) * fine / (fine.std() + 1e-9) + rng.uniform(0, 0.025) * coarse
