"""Ruled grids on a page: their corners, and the grid seen from straight above with the lines between its cells."""

# The lines of a grid are one connected piece of ink. Its corners are where a quadrilateral around it has its ends; a
# perspective transform brings it to a rectangle. There, a line is where nearly all of the way across is ink.

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32
from PIL import Image
from scipy import ndimage

COARSE_PIXELS = 900  # of the longer side of the copy in which the grid is found
AROUND_SHARE = 0.03  # of the longer side: the surroundings that ink is darker or lighter than
MIN_CONTRAST = 0.035  # of white, between ink and its surroundings
CLEAR_SHARE = 0.25  # of the contrast of the darkest ink, that all ink has
MIN_SIDE_SHARE = 0.2  # of the page's sides, that a grid takes at least
MAX_INK_SHARE = 0.45  # of a grid's rectangle
MAX_GRIDS = 3  # pieces that are tried, the largest first
MANY_CELLS = 6  # of two grids that have as many, the larger one on the page counts
LINE_COLUMNS = 0.8  # share of the way across where a line is
LINE_SHARE = 0.55  # of ink along it there, in runs of
RUN_SHARE = 0.09  # of the way across: more than a digit is wide
BOW_SHARES = (0.02, 0.01, 0.005)  # of the grid's side, by which a line may leave its place; less where cells are low
MIN_GAP_SHARE = 0.3  # of the median gap between lines; of two that are closer, one is the fold of a paper, or a shadow
BESIDE_SHARES, BESIDE_PIXELS = (
    (0.08, 0.12),
    4,
)  # of a cell's side, at least: from a line to where those it crosses go on
CROSSING_SHARE = 0.5  # of these places, that have ink
OUTER_SHARE = 0.03  # of the grid's side, by which an outer line may bow out of its corners
MIN_BOW_PIXELS = 3  # of a narrower bow than the widest
MOST_LINES = 0.7  # of those that another bow finds
APART_BOWS = 4  # between the lines that a bow keeps apart
MIN_CELL_PIXELS = 52  # median side of cells, up to which the rectified grid is made larger if the page is
MAX_RECTIFIED_PIXELS = 1100  # of the longer side of the rectified grid
MARGIN_SHARE = 0.03  # of the grid's side, around it


@dataclass(frozen=True, eq=False)
class Grid:
    """A ruled grid seen from straight above."""

    pixels: Float32[np.ndarray, "rows columns"]
    """Its lightness, 0..1."""
    across: Float[np.ndarray, " n"]
    """Rows of `pixels` at which its horizontal lines are, from the top."""
    down: Float[np.ndarray, " m"]
    """Columns of its vertical lines, from the left."""
    to_page: Float[np.ndarray, "3 3"]
    """Homography from (column, row) of `pixels` to those of the page."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns of cells."""
        return len(self.across) - 1, len(self.down) - 1

    @property
    def area(self) -> float:
        """Pixels of the page inside its outer lines."""
        (top, *_, bottom), (left, *_, right) = self.across, self.down
        x, y = self.on_page(np.array([[left, top], [right, top], [right, bottom], [left, bottom]])).T
        return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2)

    def scaled(self, scale: float) -> "Grid":
        """The grid with more or fewer pixels."""
        height, width = (max(1, round(side * scale)) for side in self.pixels.shape)
        ratios = width / self.pixels.shape[1], height / self.pixels.shape[0]
        pixels = np.asarray(Image.fromarray(self.pixels).resize((width, height), Image.Resampling.BILINEAR))
        to_page = self.to_page @ np.diag([1 / ratios[0], 1 / ratios[1], 1])
        return Grid(pixels, self.across * ratios[1], self.down * ratios[0], to_page)

    def turned(self, quarters: int) -> "Grid":
        """The grid turned counterclockwise by so many quarters."""
        grid = self
        for _ in range(quarters % 4):
            width = grid.pixels.shape[1]
            turn = np.array([[0, -1, width - 1], [1, 0, 0], [0, 0, 1]], float)  # new (column, row) to old
            pixels = np.ascontiguousarray(np.rot90(grid.pixels))
            grid = Grid(pixels, (width - 1 - grid.down)[::-1], grid.across, grid.to_page @ turn)
        return grid

    def on_page(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Points of `pixels`, (column, row), as points of the page."""
        mapped = np.column_stack([points, np.ones(len(points))]) @ self.to_page.T
        return np.asarray(mapped[:, :2] / mapped[:, 2:])


def find_grid(grey: Float32[np.ndarray, "height width"]) -> Grid | None:
    """The grid with the most cells on a page, given by its lightness; None where there is none of two cells or more."""
    scale = min(1.0, COARSE_PIXELS / max(grey.shape))
    size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
    coarse = np.asarray(Image.fromarray(np.ascontiguousarray(grey)).resize(size, Image.Resampling.BILINEAR))
    for sign in (1, -1):  # dark lines, else light ones: beside dark lines, paper looks lighter than its surroundings
        tried = (_rectified(grey, (each + 0.5) / scale - 0.5, sign) for each in _quadrilaterals(_ink(coarse * sign)))
        if found := [grid for grid in tried if grid]:
            return max(found, key=lambda grid: (min(MANY_CELLS, grid.shape[0] * grid.shape[1]), grid.area))
    return None


def _ink(plane: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """How much darker than its surroundings each pixel is: 1 is certainly ink."""
    side = max(3, round(AROUND_SHARE * max(plane.shape))) | 1
    difference = ndimage.uniform_filter(plane, side, mode="nearest") - plane
    clear = max(MIN_CONTRAST, CLEAR_SHARE * float(np.quantile(difference, 0.98)))
    return np.asarray(np.clip(difference / clear, 0, 1), np.float32)


def _quadrilaterals(ink: Float32[np.ndarray, "height width"]) -> list[Float[np.ndarray, "4 2"]]:
    """Corners (column, row) of the large pieces of ink: upper left, upper right, lower right, lower left."""
    numbers, _ = ndimage.label(ink == 1, np.ones((3, 3)))
    pieces = []
    for number, (down, across) in enumerate(ndimage.find_objects(numbers), 1):
        tall, wide = down.stop - down.start, across.stop - across.start
        if tall > MIN_SIDE_SHARE * ink.shape[0] / 2 and wide > MIN_SIDE_SHARE * ink.shape[1] / 2:
            pieces.append((tall * wide, number, down, across))
    corners = []
    for _, number, down, across in sorted(pieces, key=lambda piece: -piece[0])[:MAX_GRIDS]:
        rows, columns = np.nonzero(numbers[down, across] == number)
        sums, differences = columns + rows, columns - rows
        ends = [np.argmin(sums), np.argmax(differences), np.argmax(sums), np.argmin(differences)]
        corners.append(np.array([[columns[end] + across.start, rows[end] + down.start] for end in ends], float))
    return corners


def _rectified(grey: Float32[np.ndarray, "height width"], corners: Float[np.ndarray, "4 2"], sign: int) -> Grid | None:
    sides = np.hypot(*(np.roll(corners, -1, 0) - corners).T)
    width, height = max(sides[0], sides[2]), max(sides[1], sides[3])
    if min(width, height) < 16:
        return None
    scale = min(1.0, MAX_RECTIFIED_PIXELS / max(width, height))
    margin = round(MARGIN_SHARE * max(width, height) * scale) + 2
    width, height = round(width * scale), round(height * scale)
    size = width + 2 * margin, height + 2 * margin
    targets = margin + np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    to_page = _homography(targets, corners)
    pixels = _seen(grey, to_page, size)
    ink = _ink(pixels * sign)
    if ink.mean() > MAX_INK_SHARE:
        return None
    # The outer lines may bow out of the rectangle.
    across, down = _lines(ink[:, margin : margin + width], margin), _lines(ink[margin : margin + height].T, margin)
    if len(across) < 2 or len(down) < 2:
        return None
    across, down = _crossing(ink, across, down), _crossing(ink.T, down, across)
    if (len(across) - 1) * (len(down) - 1) < 2:
        return None
    cell = float(min(np.median(np.diff(across)), np.median(np.diff(down))))
    finer = min(1 / scale, MIN_CELL_PIXELS / cell)
    if finer > 1:
        to_page = to_page @ np.diag([1 / finer, 1 / finer, 1])
        pixels = _seen(grey, to_page, (round(size[0] * finer), round(size[1] * finer)))
        across, down = across * finer, down * finer
    return Grid(pixels, across, down, to_page)


def _seen(
    grey: Float32[np.ndarray, "height width"], to_page: Float[np.ndarray, "3 3"], size: tuple[int, int]
) -> Float32[np.ndarray, "rows columns"]:
    """A part of the page through a homography."""
    image = Image.fromarray(np.ascontiguousarray(grey))
    coefficients = tuple((to_page / to_page[2, 2]).ravel()[:8])
    pixels = np.asarray(image.transform(size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC))
    return np.asarray(np.clip(pixels, 0, 1), np.float32)


def _crossing(
    ink: Float32[np.ndarray, "rows columns"], lines: Float[np.ndarray, " n"], others: Float[np.ndarray, " m"]
) -> Float[np.ndarray, " k"]:
    """Those of the lines at these rows that go on beside the lines that they cross: strokes of digits end before.

    The outer lines stay: no digits are there, and a bent paper moves them most.
    """
    sides = np.diff(others)
    apart = [np.maximum(share * sides, BESIDE_PIXELS) for share in BESIDE_SHARES]
    beside = np.concatenate([place for each in apart for place in (others[:-1] + each, others[1:] - each)])
    columns = np.clip(np.rint(beside), 0, ink.shape[1] - 1).astype(int)
    bow = max(1, round(min(BOW_SHARES[0] * len(ink), float(np.median(np.diff(lines))) / 4)))
    near = ndimage.maximum_filter1d(ink[:, columns], 2 * bow + 1, axis=0)
    go_on = near[np.clip(np.rint(lines), 0, len(ink) - 1).astype(int)].mean(1) > CROSSING_SHARE
    go_on[[0, -1]] = True
    return np.asarray(lines[go_on])


def _lines(ink: Float32[np.ndarray, "rows columns"], margin: int) -> Float[np.ndarray, " n"]:
    """The rows at which lines run through all columns, by the widest bow that keeps lines apart."""
    bows = [round(share * len(ink)) for share in BOW_SHARES]
    bows = [max(1, bows[0]), *(bow for bow in bows[1:] if bow >= MIN_BOW_PIXELS)]
    found = [(_lines_within(ink, bow), bow) for bow in bows]
    most = max((lines for lines, _ in found), key=len)
    clear = [(lines, bow) for lines, bow in found if len(lines) > 1 and len(lines) >= MOST_LINES * len(most)]
    lines = next((lines for lines, bow in clear if np.median(np.diff(lines)) > APART_BOWS * bow), most)
    # The edge of the page, black beyond, is a line only where it cuts the grid.
    side = len(ink) - 2 * margin
    beyond = min(OUTER_SHARE * side, float(np.median(np.diff(lines))) / 2) if len(lines) > 1 else 0
    return np.asarray(lines[np.abs(lines - len(ink) / 2) < side / 2 + beyond])


def _lines_within(ink: Float32[np.ndarray, "rows columns"], bow: int) -> Float[np.ndarray, " n"]:
    padded = np.pad(ink, ((2 * bow, 2 * bow), (0, 0)))
    # Strokes of digits are shorter than the mean is taken over.
    run = max(1, round(RUN_SHARE * ink.shape[1]))
    runs = ndimage.uniform_filter1d(ndimage.maximum_filter1d(padded, 3, axis=0), run, axis=1)
    share = np.quantile(ndimage.maximum_filter1d(runs, 2 * bow + 1, axis=0), 1 - LINE_COLUMNS, axis=1)
    numbers, count = ndimage.label(share > LINE_SHARE)
    ranges = [np.flatnonzero(numbers == number + 1) for number in range(count)]
    places = [float(np.mean(rows)) - 2 * bow for rows in ranges]
    strengths = [float(share[rows].max()) for rows in ranges]
    while len(places) > 2:
        gaps = np.diff(places)
        narrow = int(gaps.argmin())
        if gaps[narrow] >= MIN_GAP_SHARE * float(np.median(gaps)):
            break
        weaker = narrow + int(strengths[narrow + 1] < strengths[narrow])
        del places[weaker], strengths[weaker]
    return np.array(places)


def _homography(points: Float[np.ndarray, "4 2"], targets: Float[np.ndarray, "4 2"]) -> Float[np.ndarray, "3 3"]:
    """The perspective map that brings four points to four others."""
    rows = []
    for (x, y), (u, v) in zip(points, targets, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    solution = np.linalg.lstsq(np.array(rows), targets.ravel(), rcond=None)[0]
    return np.append(solution, 1).reshape(3, 3)
