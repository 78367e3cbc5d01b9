"""Tables: ruled grids in perspective, turned and bent, and the numbers in their cells."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.commands import refused
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from imparfait.cli.main import commands
from imparfait.data.images.decode import page_of
from imparfait.inference.loading import load_predictor
from imparfait.inference.ocr import table as ocr_table
from imparfait.inference.ocr.constraints import Length
from imparfait.inference.ocr.grid import MIN_CELL_PIXELS, Grid, find_grid
from imparfait.inference.ocr.pipeline import MARKED
from imparfait.inference.ocr.table import APART, CROSSING, PERHAPS_EMPTY, read_table

CELL = 60


def drawn(cells: list[list[str]], margin: int = 50, line: int = 2, dark: bool = True) -> Image.Image:
    """A printed table, its lines and numbers dark on light or light on dark."""
    rows, columns = len(cells), len(cells[0])
    ground, ink = (235, 25) if dark else (25, 235)
    image = Image.new("L", (columns * CELL + 2 * margin, rows * CELL + 2 * margin), ground)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(34)
    for y in range(rows + 1):
        draw.line([margin, margin + y * CELL, margin + columns * CELL, margin + y * CELL], ink, line)
    for x in range(columns + 1):
        draw.line([margin + x * CELL, margin, margin + x * CELL, margin + rows * CELL], ink, line)
    for y, row in enumerate(cells):
        for x, text in enumerate(row):
            draw.text((margin + (x + 0.5) * CELL, margin + (y + 0.5) * CELL), text, ink, font, "mm")
    return image


def levels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.float32) / 255


def in_perspective(image: Image.Image, strength: float = 0.08) -> Image.Image:
    width, height = image.size
    coefficients = (1 + strength, 0.06, -0.02 * width, 0.03, 1 + strength, -0.03 * height, strength / width, 0)
    bicubic, perspective = Image.Resampling.BICUBIC, Image.Transform.PERSPECTIVE
    return image.transform(image.size, perspective, coefficients, bicubic, fillcolor=235)


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (9, 9), (3, 7), (12, 4), (40, 12)])
@pytest.mark.parametrize("dark", [True, False])
def test_the_lines_of_a_grid_are_found(rows: int, columns: int, dark: bool) -> None:
    grid = find_grid(levels(drawn([[""] * columns for _ in range(rows)], dark=dark)))
    assert grid
    assert grid.shape == (rows, columns)
    first = grid.on_page(np.array([[grid.down[0], grid.across[0]], [grid.down[-1], grid.across[-1]]]))
    np.testing.assert_allclose(first, [[50, 50], [50 + columns * CELL, 50 + rows * CELL]], atol=6)


@pytest.mark.parametrize("upright", [True, False])
def test_strokes_that_are_the_same_in_all_cells_are_no_lines(upright: bool) -> None:
    image = drawn([[""] * 4 for _ in range(12)])
    for left in range(50, 50 + 4 * CELL, CELL):
        for top in range(50, 50 + 12 * CELL, CELL):
            stroke = (left + 28, top + 7, left + 32, top + 53) if upright else (left + 7, top + 28, left + 53, top + 32)
            ImageDraw.Draw(image).rectangle(stroke, fill=25)
    grid = find_grid(levels(image))
    assert grid
    assert grid.shape == (12, 4)


def test_a_large_grid_is_seen_with_the_pixels_that_its_page_has() -> None:
    grid = find_grid(levels(drawn([[""] * 12 for _ in range(40)])))
    assert grid
    assert np.median(np.diff(grid.across)) == pytest.approx(MIN_CELL_PIXELS, abs=1)


def test_a_grid_in_perspective_has_its_cells_where_they_are_on_the_page() -> None:
    image = drawn([[""] * 5 for _ in range(4)])
    # Marks at the corners of each cell, in another image that is seen in the same way.
    grid = find_grid(levels(in_perspective(image)))
    assert grid
    assert grid.shape == (4, 5)
    for row in range(5):
        for column in range(6):
            mark = Image.new("L", image.size, 0)
            ImageDraw.Draw(mark).ellipse(
                [50 + column * CELL - 6, 50 + row * CELL - 6, 50 + column * CELL + 6, 50 + row * CELL + 6], 255
            )
            seen = levels(in_perspective(mark)) * (levels(in_perspective(Image.new("L", image.size, 255))) > 0.95)
            y, x = np.nonzero(seen > 0.95)
            (found,) = grid.on_page(np.array([[grid.down[column], grid.across[row]]]))
            assert np.hypot(found[0] - x.mean(), found[1] - y.mean()) < 5


def test_a_page_without_a_grid_has_none() -> None:
    ruled = np.full((300, 400), 0.9, np.float32)
    ruled[20::40] = 0.4
    noise = np.random.default_rng(0).random((300, 400), dtype=np.float32)
    frame = levels(drawn([[""]]))
    for grey in (np.full((200, 200), 0.5, np.float32), ruled, noise, frame, np.zeros((1, 1), np.float32)):
        assert find_grid(grey) is None


@given(st.integers(0, 3), st.floats(0.3, 1.5))
@settings(max_examples=20, deadline=None)
def test_turning_and_scaling_a_grid_keep_its_points_on_the_page(quarters: int, scale: float) -> None:
    to_page = np.array([[1.1, 0.1, 5], [0.05, 0.9, 7], [0.0004, 0.0002, 1]])
    pixels = np.random.default_rng(0).random((60, 90), dtype=np.float32)
    grid = Grid(pixels, np.array([5.0, 30, 55]), np.array([4.0, 30, 60, 85]), to_page)
    other = grid.turned(quarters).scaled(scale)
    assert other.shape == ((2, 3) if quarters % 2 == 0 else (3, 2))
    assert other.area == pytest.approx(grid.area, rel=0.05)
    crossings = [each.on_page(np.array([[x, y] for y in each.across for x in each.down])) for each in (grid, other)]
    distances = np.hypot(*(crossings[0][:, None] - crossings[1][None]).transpose(2, 0, 1))
    assert distances.min(1).max() < 4


CELLS = [["8", "", "25"], ["", "417", ""], ["63", "9", "40"]]


@pytest.mark.parametrize("quarters", [0, 1, 3])
def test_the_numbers_are_in_their_cells_and_empty_cells_are_empty(quarters: int) -> None:
    image = in_perspective(drawn(CELLS)).rotate(90 * quarters, expand=True)
    table = read_table(page_of(image), load_predictor("digits"))
    assert table
    assert table.text == "\n".join("\t".join(row) for row in CELLS)
    for row, texts in zip(table.rows, CELLS, strict=True):
        for cell, text in zip(row, texts, strict=True):
            assert (cell.field is None) == (text == "")
            x, y = np.array(cell.corners).T
            if cell.field:
                left, top, right, bottom = cell.field.box
                assert x.min() < (left + right) / 2 < x.max()
                assert y.min() < (top + bottom) / 2 < y.max()


def test_the_command_prints_rows(tmp_path: str) -> None:
    path = f"{tmp_path}/table.png"
    drawn(CELLS).save(path)
    result = CliRunner().invoke(commands, ["read", path, "--table"])
    assert result.exit_code == 0, result.output
    assert [line.replace("(", "").replace(")", "").split("\t") for line in result.stdout.splitlines()] == CELLS
    found = json.loads(CliRunner().invoke(commands, ["read", path, "--table", "--json"]).stdout)
    assert [[cell["text"] for cell in row] for row in found["rows"]] == CELLS


def test_a_number_that_crosses_a_line_and_one_without_its_line_are_unsure() -> None:
    image = drawn([["", "", "7", "8"], ["9", "6", "5", "4"], ["3", "2", "", ""]])
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(34)
    draw.text((50 + CELL, 50 + CELL / 2), "417", 25, font, "mm")
    wall = 50 + 3 * CELL
    draw.rectangle((wall - 2, 53, wall + 2, 50 + 3 * CELL - 3), fill=235)
    draw.line([wall - CELL, 50 + CELL, wall + CELL, 50 + CELL], 25, 2)
    draw.line([wall - CELL, 50 + 2 * CELL, wall + CELL, 50 + 2 * CELL], 25, 2)
    table = read_table(page_of(image), load_predictor("digits"))
    assert table
    reasons = [[cell.field.reason if cell.field else None for cell in row] for row in table.rows]
    assert {reason for reason in reasons[0][:2] if reason} == {CROSSING}
    assert [row[2] for row in reasons] == [APART, APART, None]
    assert [cell.text for cell in table.rows[1]] == ["9", "6", "54"]
    assert all(cell.confident for cell in table.rows[2])


@pytest.mark.parametrize("apart", [1, 3])
def test_a_cell_does_not_read_its_neighbour(apart: int) -> None:
    image = drawn([["", "", ""], ["", "", ""]])
    font, pen = ImageFont.load_default(34), ImageDraw.Draw(image)
    for row, (left, right) in enumerate([("86", "52"), ("07", "61")]):
        middle = 50 + (row + 0.5) * CELL
        pen.text((50 + CELL - apart, middle), left, 25, font, "rm")
        pen.text((50 + CELL + 2 + apart, middle), right, 25, font, "lm")
    for constraints in ([], [Length(3)]):
        table = read_table(page_of(np.asarray(image)), load_predictor("digits"), constraints)
        assert table
        for row, expected in zip(table.rows, [("86", "52"), ("07", "61")], strict=True):
            for cell, text in zip(row, expected, strict=False):
                assert cell.text == text or not cell.confident
                assert len(cell.text) <= 2


def test_a_cell_with_what_is_perhaps_no_digit_is_empty_and_unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr_table, "field_of", lambda *_: None)
    table = read_table(page_of(np.asarray(drawn([["7", ""], ["", ""]]))), load_predictor("digits"))
    assert table
    (full, empty), _ = table.rows
    assert (full.text, full.confident, full.reason) == ("", False, PERHAPS_EMPTY)
    assert (empty.text, empty.confident, empty.reason) == ("", True, None)


def test_a_cell_with_a_comma_or_a_sign_is_unsure_with_the_reason() -> None:
    table = read_table(page_of(drawn([["3,1", "31"], ["5", "-5"]])), load_predictor("digits"))
    assert table
    assert [[cell["confident"] for cell in row] for row in table.to_json()["rows"]] == [[False, True], [True, False]]
    assert [cell.field.reason for row in table.rows for cell in row if cell.field] == [MARKED, None, None, MARKED]


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_page_without_a_grid_is_an_error_and_other_pages_are_printed(flags: tuple[str, ...], tmp_path: Path) -> None:
    table, none = drawn(CELLS), Image.new("L", (300, 200), 235)
    table.save(tmp_path / "a.png")
    none.save(tmp_path / "b.png")
    none.save(tmp_path / "c.tif", save_all=True, append_images=[table.copy()])
    message = "no ruled grid was found on it"
    assert f"b.png: {message}; expected a table" in refused("read", tmp_path / "b.png", "--table", *flags)
    result = CliRunner().invoke(commands, ["read", str(tmp_path), "--table", *flags])
    assert f"1 of 3 files could not be read; the first was {tmp_path / 'b.png'}" in str(result.exception)
    assert f"c.tif, page 1: {message}" in result.stderr
    if flags:
        assert [[*json.loads(line)][2:][-1] for line in result.stdout.splitlines()] == ["rows", "error", "rows", "rows"]
    else:
        assert [line for line in result.stdout.splitlines() if ":" in line] == [
            f"{tmp_path / 'a.png'}:", f"{tmp_path / 'c.tif'}, page 2:",
        ]  # fmt: skip


@pytest.mark.parametrize("flag", ["--show", "--review"])
def test_flags_that_are_for_pages_are_refused(flag: str, tmp_path: str) -> None:
    words = ["read", "page.png", "--table", flag, *(["x"] if flag == "--review" else [])]
    result = CliRunner().invoke(commands, words)
    assert f"{flag} does not go with --table" in str(result.exception)
