"""The digit detector: digits of many sizes on one page, and pages of many digits."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from imparfait.inference.loading import load_predictor
from imparfait.inference.ocr.detector import DIGITS, Glyphs, detect
from imparfait.inference.ocr.orientation import upright
from imparfait.inference.ocr.pipeline import detect_fields


def printed(height: int, width: int, numbers: list[tuple[int, int, str]], size: float) -> np.ndarray:
    """Numbers printed at (column, row) in Pillow's own font."""
    image = Image.new("L", (width, height), 255)
    draw = ImageDraw.Draw(image)
    for left, top, text in numbers:
        draw.text((left, top), text, 0, ImageFont.load_default(size))
    return np.asarray(image, np.float32) / 255


def digits_in(found: Glyphs, left: float, right: float) -> int:
    """How many clear digits have their middle between two columns of the page."""
    middles = (found.boxes[:, 0] + found.boxes[:, 2]) / 2
    clear = found.scores[:, :DIGITS].max(1) > 0.4
    return int(np.count_nonzero(clear & (middles > left) & (middles < right)))


@pytest.mark.parametrize(("size", "rows", "apart"), [(20, 8, 50), (26, 6, 80), (40, 4, 110)])
def test_columns_of_numbers_are_no_strokes_on_a_coarse_scale(size: int, rows: int, apart: int) -> None:
    wide = size * 8
    numbers = [(40 + wide * column, 40 + apart * row, "50829") for row in range(rows) for column in range(5)]
    found = detect(printed(80 + apart * rows, 40 + 5 * wide, numbers, size))
    for column in range(5):
        assert digits_in(found, 30 + wide * column, 30 + wide * (column + 1)) >= 0.9 * 5 * rows


def test_small_print_on_a_large_page_is_read_at_a_finer_scale() -> None:
    numbers = [(100 + 300 * column, 200 + 80 * row, "50829") for row in range(10) for column in range(4)]
    found = detect(printed(2339, 1654, numbers, 20))
    assert digits_in(found, 0, 1654) >= 0.9 * 200


@pytest.mark.parametrize("size", [14, 30, 80, 200, 500])
def test_a_digit_of_any_size_is_one_glyph(size: int) -> None:
    found = detect(printed(2 * size, 2 * size, [(size // 2, size // 3, "8")], size))
    best = found.scores[:, :DIGITS].max(1)
    assert found.scores[best.argmax(), :DIGITS].argmax() == 8
    assert np.count_nonzero(best > 0.4) == 1
    left, top, right, bottom = found.boxes[best.argmax()]
    assert bottom - top == pytest.approx(0.73 * size, rel=0.25)
    assert 0.3 < (right - left) / (bottom - top) < 1


@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (40, 40)])
def test_an_empty_page_has_no_clear_digits(shape: tuple[int, int]) -> None:
    assert digits_in(detect(np.full(shape, 0.9, np.float32)), 0, shape[1]) == 0


@pytest.mark.parametrize("angle", [0, 20, 35, -30, 90, 270])
def test_a_turned_page_is_read_as_if_it_were_upright(angle: int) -> None:
    page = printed(400, 900, [(40, 40, "48205"), (40, 120, "60294"), (40, 200, "7385")], 48)
    image = Image.fromarray(page).rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=1.0)
    lines = detect_fields(np.clip(np.asarray(image, np.float32), 0, 1), load_predictor("digits"))
    texts = ["".join(str(digit.label) for field in line for digit in field.digits) for line in lines]
    assert texts == ["48205", "60294", "7385"]


@pytest.mark.parametrize("turns", [0, 1, 3])
def test_a_dense_part_that_lies_on_its_side_does_not_turn_the_page(turns: int) -> None:
    page = printed(700, 900, [(40, 40 + 90 * number, "482057396421") for number in range(7)], 48)
    dense = printed(300, 300, [(5, 5 + 18 * number, "3964 ABGKRSTWY 27510462") for number in range(16)], 16)
    page[200:500, 560:860] = np.rot90(dense)
    assert upright(np.ascontiguousarray(np.rot90(page, turns))).grey.shape == page.shape
