"""Pieces of ink, gathered into rows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from imparfait.data.images.foreground import Box
from imparfait.data.images.placement import stroke_width
from imparfait.inference.ocr.binarize import EDGE, BinarizedPage

Owners = Int32[np.ndarray, "height width"]
"""Which piece each pixel belongs to; 0 for none."""

MOST_PIECES = 2000  # the largest on a page; a page of text has as many
LEAST_TALL = 8  # pixels, of the tallest piece of a row
LEAST_PIXELS = 4
CLEAR = 0.5  # of the ink's strength that a piece has somewhere
RULED = 0.7  # of a piece, that lies where a line was: it is left of the line
LIKE = 0.45  # of the taller piece's height that its neighbour has, and …
BESIDE = 0.5  # … of the lower one's height that they have in common
APART = 2.0  # heights between two neighbours of a row
IN_ROW, SMALL = 0.3, 0.67  # heights above and below a row, in which pieces lower than that belong to it
SPECK, FEW = 0.35, 3  # of the tallest row: a lower one of fewer pieces is dirt
SAME_ROW = 0.4  # heights by which two parts of a row may lie higher and lower
ALONG = 0.5  # of a piece's longer side or of its ink, along the page's edge, from which on it reaches in from there
LINE = 4.0  # times as long as wide is at least what may be a line
BAR = 2.5  # times as wide as tall, from which on what is full is a bar


@dataclass(frozen=True)
class Piece:
    """Connected ink, or a part of it."""

    number: int
    """In the page's `Owners`."""
    left: int
    top: int
    right: int
    bottom: int
    pixels: int

    @property
    def box(self) -> Box:
        """Left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """In pixels."""
        return self.right - self.left


@dataclass(frozen=True)
class TextRow:
    """Pieces beside each other, from left to right."""

    pieces: tuple[Piece, ...]
    tall: float
    """How tall its digits are, in pixels."""
    height: float
    """Where it lies on the page: rows, at the page's left side after its slope is taken away."""


def find_rows(inked: BinarizedPage) -> tuple[list[TextRow], Owners]:
    """The rows of a page from top to bottom, and which pixels belong to which piece."""
    owners, count = ndimage.label(inked.ink, np.ones((3, 3)))
    if not count:
        return [], owners
    areas = np.bincount(owners.ravel(), minlength=count + 1)[1:]
    peaks = np.asarray(ndimage.maximum(inked.beside, owners, np.arange(1, count + 1)))
    ruled = np.bincount(owners.ravel(), inked.ruled.ravel(), minlength=count + 1)[1:]
    boxes = ndimage.find_objects(owners)
    at_edge = np.bincount(owners[inked.edge], minlength=count + 1)[1:]
    used = [box for number, box in enumerate(boxes) if areas[number] > LEAST_PIXELS and not at_edge[number]]
    tight = bool(used) and min(each[0].start for each in used) < 2 * EDGE

    def reaches_in(down: slice, across: slice, number: int) -> bool:
        """Whether it is part of what lies beside the page, or the end of a line on it."""
        along = at_edge[number - 1] / max(down.stop - down.start, across.stop - across.start)
        if along == 0:
            return False
        ends = inked.thick > 0 and stroke_width(owners[down, across] == number) <= inked.thick
        beside = along > ALONG * EDGE or at_edge[number - 1] > ALONG * areas[number - 1]
        return ends or (bool(beside) and not tight)

    kept = [
        Piece(number + 1, across.start, down.start, across.stop, down.stop, int(areas[number]))
        for number in np.argsort(-areas, kind="stable")[:MOST_PIECES].tolist()
        if areas[number] >= LEAST_PIXELS
        and peaks[number] > CLEAR * inked.strength
        and ruled[number] < RULED * areas[number]
        for down, across in [boxes[number]]
        if not _is_line(down, across, inked, int(areas[number])) and not reaches_in(down, across, number + 1)
    ]
    if not kept:
        return [], owners
    groups = _groups(kept)
    slope = _slope(groups, inked)
    rows = _together(groups, slope)
    tallest = max((row.tall for row in rows if len(row.pieces) > 1), default=0.0)
    rows = [
        row
        for row in rows
        if any(min(p.width, p.height) > inked.thick for p in row.pieces)  # else they are left of lines
        and (row.tall > SPECK * tallest or len(row.pieces) >= FEW)
    ]
    return rows, owners


def _is_line(down: slice, across: slice, inked: BinarizedPage, pixels: int) -> bool:
    """Whether a piece is a line, or lines, through most of the page."""
    height, width = inked.ink.shape
    tall, wide = down.stop - down.start, across.stop - across.start
    flat, upright = tall < wide / LINE, wide < tall / LINE
    if (flat and wide > 0.6 * width) or (upright and tall > 0.8 * height):
        return True
    return bool(wide > 0.8 * width and tall > 0.5 * height and pixels < 0.2 * wide * tall)


def _is_bar(piece: Piece) -> bool:
    """Whether it is flat and full: a dash, or what is left of a line."""
    return piece.width > BAR * piece.height and piece.pixels > 0.4 * piece.width * piece.height


def _groups(pieces: list[Piece]) -> list[list[Piece]]:
    """Pieces that stand beside each other and are of about one height."""
    left, top, right, bottom = np.array([[p.left, p.top, p.right, p.bottom] for p in pieces], np.float32).T
    tall = bottom - top
    lower, taller = np.minimum(tall[:, None], tall), np.maximum(tall[:, None], tall)
    common = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    gap = np.maximum(left[:, None] - right, left - right[:, None])
    linked = (lower >= LIKE * taller) & (common >= BESIDE * lower) & (gap <= APART * taller)
    number, which = connected_components(coo_array(linked), directed=False)
    return [[pieces[i] for i in np.flatnonzero(which == group)] for group in range(number)]


def _slope(groups: list[list[Piece]], inked: BinarizedPage) -> float:
    """Of the page's rows: that of its lines, else what most groups have; rows for one column."""
    if inked.across or inked.down:
        return float(np.median([*inked.across, *(-slope for slope in inked.down)]))
    found: list[tuple[float, float]] = []
    for group in groups:
        if len(group) >= 3:
            x = np.array([(p.left + p.right) / 2 for p in group])
            y = np.array([(p.top + p.bottom) / 2 for p in group])
            if np.ptp(x) > 2 * max(p.height for p in group):
                found.append((float(np.polyfit(x, y, 1)[0]), float(np.ptp(x))))
    if not found:
        return 0.0
    slope = sorted(found)
    weight = np.cumsum([each[1] for each in slope])
    return float(np.clip(slope[int(np.searchsorted(weight, weight[-1] / 2))][0], -0.2, 0.2))


def _together(groups: list[list[Piece]], slope: float) -> list[TextRow]:
    """Rows of groups on one height, with the small pieces in and near them."""

    def at(piece: Piece) -> float:
        return (piece.top + piece.bottom) / 2 - slope * (piece.left + piece.right) / 2

    tall = [float(np.median([p.height for p in group])) for group in groups]
    order = sorted(range(len(groups)), key=lambda i: -tall[i] * len(groups[i]) ** 0.5)
    rows: list[tuple[float, float, list[Piece]]] = []  # height of its digits, where it lies, its pieces
    for i in order:
        middle = float(np.median([at(p) for p in groups[i]]))
        for number, (high, height, members) in enumerate(rows):
            alike = 1 / 2 < tall[i] / high < 2 and abs(middle - height) < SAME_ROW * min(high, tall[i])
            if alike and tall[i] >= LEAST_TALL:
                rows[number] = high, height, members + groups[i]
                break
        else:
            rest = []
            for piece in groups[i]:
                beside = _row_around(piece, at(piece), rows)
                if beside is not None and piece.height < SMALL * rows[beside][0]:
                    rows[beside][2].append(piece)
                else:
                    rest.append(piece)
            if any(p.height >= LEAST_TALL and not _is_bar(p) for p in rest):
                rows.append((tall[i], middle, rest))
    made = [
        TextRow(tuple(sorted(members, key=lambda p: p.left + p.right)), high, height) for high, height, members in rows
    ]
    return sorted(made, key=lambda row: row.height)


def _row_around(piece: Piece, middle: float, rows: list[tuple[float, float, list[Piece]]]) -> int | None:
    """The row in or near which a small piece lies."""
    best: tuple[float, int] | None = None
    for number, (high, height, members) in enumerate(rows):
        if abs(middle - height) > (0.5 + IN_ROW) * high:
            continue
        away = min(max(p.left - piece.right, piece.left - p.right, 0) for p in members)
        if away <= high and (best is None or abs(middle - height) / high < best[0]):
            best = abs(middle - height) / high, number
    return None if best is None else best[1]
