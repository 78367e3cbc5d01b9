"""Tables: the number in each cell of a ruled grid, seen in perspective or turned by a quarter."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float

from imparfait.data.images.decode import Page
from imparfait.data.images.foreground import lightness
from imparfait.inference.ocr import Field, check_readable, field_on
from imparfait.inference.ocr.constraints import Constraint, check_possible
from imparfait.inference.ocr.detector import DIGITS, detect
from imparfait.inference.ocr.grid import Grid, find_grid
from imparfait.inference.ocr.layout import WIDE_GAP_HEIGHTS, find_lines
from imparfait.inference.ocr.marks import has_wall, is_marked
from imparfait.inference.ocr.pipeline import (
    MARKED,
    DetectedDigit,
    DetectedField,
    RecognisedGlyphs,
    SequenceReader,
    boxes_of,
    field_of,
    recognise,
)
from imparfait.inference.predictor import Predictor

CELL_PIXELS = 52  # the median cell's shorter side as it is read: its digits are of the detector's sizes
MAX_REACH = 0.1  # of a digit's height, by which it may reach over a line
CROSSING = "it crosses a line of the table"
APART = "its digits are not side by side: perhaps a line of the table is missing"
PERHAPS_EMPTY = "what is in it is perhaps no digit"
CLEARER = 1.15  # sum of scores, that a turned grid needs compared with the upright one


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    field: Field | None
    """None where it is empty."""
    corners: tuple[tuple[float, float], ...]
    """Its corners on the page, (column, row) in the file's pixels: upper left, upper right, lower right, lower left of
    the upright table."""
    doubt: str | None = None
    """Why it may not be empty."""

    @property
    def reason(self) -> str | None:
        """Why it is unsure, where this is not for its digits."""
        return self.field.reason if self.field else self.doubt

    @property
    def text(self) -> str:
        """Its number, or nothing."""
        return self.field.text if self.field else ""

    @property
    def confident(self) -> bool:
        """Whether its number is to be relied on, or that it is empty."""
        return self.field.confident if self.field else self.doubt is None


@dataclass(frozen=True)
class Table:
    """The rows of a ruled grid, from top to bottom, each from left to right."""

    rows: tuple[tuple[Cell, ...], ...]
    page: int
    size: tuple[int, int]
    """The page's height and width, in the file's pixels."""

    @property
    def text(self) -> str:
        """Its rows as lines, cells separated by tabulators."""
        return "\n".join("\t".join(cell.text for cell in row) for row in self.rows)

    @property
    def confident(self) -> bool:
        """Whether all of its cells can be relied on."""
        return all(cell.confident for row in self.rows for cell in row)

    def to_json(self) -> dict[str, Any]:
        """The content of `read --table --json`."""
        return {
            "confident": self.confident,
            "rows": [
                [
                    {
                        "text": cell.text, "confident": cell.confident,
                        "score": round(cell.field.score, 6) if cell.field else None,
                        "reason": cell.reason,
                        "corners": [[round(x, 1), round(y, 1)] for x, y in cell.corners],
                    }
                    for cell in row
                ]
                for row in self.rows
            ],
        }  # fmt: skip


def read_table(page: Page, predictor: Predictor, constraints: Sequence[Constraint] = ()) -> Table | None:
    """The table on a page: the largest ruled grid with its cells; None where there is no grid.

    A grid that is turned by a quarter is read upright. Each number has to meet all `constraints`. Raises UserError as
    `check_readable` does, and for constraints that contradict each other.
    """
    check_readable(page, predictor)
    check_possible(constraints, predictor.classes)
    grid = find_grid(lightness(page.pixels))
    if grid is None:
        return None
    cells = np.minimum(np.median(np.diff(grid.across)), np.median(np.diff(grid.down)))
    grid = _upright(grid.scaled(min(1.0, CELL_PIXELS / float(cells))))
    glyphs = recognise(grid.pixels, detect(grid.pixels), predictor)
    middles = (glyphs.boxes[:, :2] + glyphs.boxes[:, 2:]) / 2
    row, column = np.searchsorted(grid.across, middles[:, 1]) - 1, np.searchsorted(grid.down, middles[:, 0]) - 1
    rows = []
    for y in range(grid.shape[0]):
        cells_of_row = []
        for x in range(grid.shape[1]):
            inside = np.flatnonzero((row == y) & (column == x))
            field = _field(inside.tolist(), glyphs, grid, page, predictor)
            if field and constraints:
                field = field.constrained(constraints)
            doubt = PERHAPS_EMPTY if field is None and glyphs.is_digit[inside].any() else None
            cells_of_row.append(Cell(field, _corners(grid, y, x, page), doubt))
        rows.append(tuple(cells_of_row))
    return Table(tuple(rows), page.number, page.size)


def _upright(grid: Grid) -> Grid:
    """The grid turned so that its digits are clearest."""
    turns = [grid.turned(quarters) for quarters in range(4)]
    clear = [float(detect(turn.pixels).scores[:, :DIGITS].max(1, initial=0).sum()) for turn in turns]
    clear[0] *= CLEARER
    return turns[int(np.argmax(clear))]


def _field(inside: list[int], glyphs: RecognisedGlyphs, grid: Grid, page: Page, predictor: Predictor) -> Field | None:
    """The field of the glyphs inside a cell; None where none of them is read as a digit."""
    line = [inside[place] for line in find_lines(glyphs.boxes[inside]) for place in line]
    read = [glyph for glyph in line if glyphs.is_digit[glyph]]
    if not read:
        return None
    sequences = SequenceReader(grid.pixels, predictor.input_format, grows=False)
    found = field_of(read, line, glyphs, predictor.classes, sequences)
    if found is None:
        return None
    boxes = boxes_of(found)
    gaps = (boxes[1:, 0] - boxes[:-1, 2]) / (boxes[:, 3] - boxes[:, 1]).max()
    doubt = (
        CROSSING if _crosses(boxes, grid)
        else APART if (np.abs(gaps) > WIDE_GAP_HEIGHTS).any()
        else found.doubt or (MARKED if is_marked(grid.pixels, boxes) else None)
    )  # fmt: skip
    digits, *others = ([_on_page(digit, grid) for digit in each] for each in (found.digits, *found.others))
    return field_on(DetectedField(digits, found.score, found.distribution, others, doubt), page, predictor)


def _crosses(boxes: Float[np.ndarray, "n 4"], grid: Grid) -> bool:
    """Whether a digit reaches through a line into another cell, or a line is between two digits."""
    reach = MAX_REACH * (boxes[:, [3]] - boxes[:, [1]])
    shrunk = boxes + reach * [1, 1, -1, -1]
    cells = [
        np.searchsorted(lines, shrunk[:, [start, start + 2]]) for start, lines in enumerate((grid.down, grid.across))
    ]
    through = any((np.sort(each, 1)[:, 0] != np.sort(each, 1)[:, 1]).any() for each in cells)
    return through or any(has_wall(grid.pixels, left, right) for left, right in pairwise(boxes))


def _on_page(digit: DetectedDigit, grid: Grid) -> DetectedDigit:
    left, top, right, bottom = digit.box
    x, y = grid.on_page(np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)).T
    return replace(digit, box=(round(x.min()), round(y.min()), round(x.max()), round(y.max())))


def _corners(grid: Grid, row: int, column: int, page: Page) -> tuple[tuple[float, float], ...]:
    (top, bottom), (left, right) = grid.across[row : row + 2], grid.down[column : column + 2]
    points = grid.on_page(np.array([[left, top], [right, top], [right, bottom], [left, bottom]])) * page.reduced
    return tuple((float(x), float(y)) for x, y in points)
