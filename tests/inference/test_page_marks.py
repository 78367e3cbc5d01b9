"""Marks that are no digits: a number with a comma or a sign is unsure."""

from itertools import pairwise

import numpy as np
import pytest
from helpers.forms import form
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from imparfait.data.images.decode import page_of
from imparfait.inference.forms import read_form
from imparfait.inference.loading import load_predictor
from imparfait.inference.ocr import read_page
from imparfait.inference.ocr.constraints import Pattern
from imparfait.inference.ocr.marks import has_wall, is_marked
from imparfait.inference.ocr.pipeline import MARKED

LEFT, TOP = 60, 40
WIDE, TALL, PITCH = 18, 30, 30


def printed(text: str) -> Image.Image:
    """A line of print."""
    font = ImageFont.load_default(40)
    image = Image.new("L", (round(font.getlength(text)) + 2 * LEFT, 3 * TOP), 235)
    ImageDraw.Draw(image).text((LEFT, TOP), text, 25, font)
    return image


@pytest.mark.parametrize("text", ["3,14", "12.50", "12-50", "-5", "1.250,75"])
def test_a_number_with_a_mark_is_unsure_with_the_reason_or_is_split(text: str) -> None:
    reading = read_page(page_of(printed(text)), load_predictor("digits"))
    joined = "".join(filter(str.isdigit, text))
    assert reading.text.replace(" ", "") == joined
    for field in reading.fields:
        assert (field.confident, field.reason) == ((False, MARKED) if field.text == joined else (True, None))


def test_a_pattern_makes_it_confident() -> None:
    (field,) = read_page(page_of(printed("12.50")), load_predictor("digits"), [Pattern(r"\d{1,5}\.\d{2}")]).fields
    assert (field.text, field.confident, field.reason) == ("12.50", True, None)


@pytest.mark.parametrize(("constraint", "reason"), [({}, MARKED), ({"pattern": r"\d{2}\.\d{2}"}, None)])
def test_a_field_of_a_form_with_a_mark_is_unsure_too(constraint: dict[str, str], reason: str | None) -> None:
    whole = {"name": "total", "left": 0, "top": 0, "width": 1, "height": 1}
    (field,) = read_form(page_of(printed("12.50")), form({**whole, **constraint}), load_predictor("digits")).fields
    assert (field.reason, field.confident) == (reason, reason is None)


def strokes(*marks: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Four zeros of straight strokes with these marks, and the boxes of the zeros."""
    grey = np.full((110, 220), 0.9, np.float32)
    boxes = [(LEFT + PITCH * place, TOP, LEFT + PITCH * place + WIDE, TOP + TALL) for place in range(4)]
    for left, top, right, bottom in (*boxes, *marks):
        grey[top:bottom, left:right] = 0.1
        grey[top + 4 : bottom - 4, left + 4 : right - 4] = 0.9
    return grey, np.array(boxes, float)


BASE = TOP + TALL
COMMA, POINT, DASH = (83, BASE - 5, 86, BASE + 5), (82, BASE - 3, 86, BASE), (80, 54, 88, 57)
SIGN = (44, 54, 56, 57)
TICKS = [(LEFT + PITCH * place + WIDE + 4, BASE - 4, LEFT + PITCH * place + WIDE + 7, BASE + 4) for place in range(3)]


@pytest.mark.parametrize("mark", [COMMA, POINT, DASH, SIGN])
@pytest.mark.parametrize("dark", [True, False])
def test_marks_between_digits_and_a_sign_before_them_are_found(mark: tuple[int, int, int, int], dark: bool) -> None:
    grey, boxes = strokes(mark)
    assert is_marked(grey if dark else 1 - grey, boxes)


@given(st.lists(st.tuples(*[st.floats(-30, 250)] * 2, st.floats(1, 60), st.floats(1, 60)), min_size=1, max_size=4))
def test_digits_below_each_other_or_beyond_the_page_are_no_error(
    places: list[tuple[float, float, float, float]],
) -> None:
    boxes = np.array([(left, top, left + wide, top + tall) for left, top, wide, tall in places])
    grey, _ = strokes(COMMA)
    assert is_marked(grey, boxes) in (True, False)
    assert all(has_wall(grey, left, right) in (True, False) for left, right in pairwise(boxes))


@pytest.mark.parametrize(
    ("what", "marks"),
    [
        ("nothing", []),
        ("ruled paper", [(0, BASE - 8, 220, BASE - 6), (0, BASE + 2, 220, BASE + 4)]),
        ("squared paper", [(82, 0, 84, 110)]),
        ("ticks of a comb", TICKS),
        ("a speck", [(83, 50, 84, 51)]),
        ("a dash that joins it to another number", [SIGN, (26, TOP, 40, BASE)]),
        ("a distant dash", [(28, 54, 40, 57)]),
        ("a line below", [(70, BASE + 9, 90, BASE + 12), (0, BASE + 9, 220, BASE + 12)]),
    ],
)
def test_lines_ticks_and_other_numbers_are_no_marks(what: str, marks: list[tuple[int, int, int, int]]) -> None:
    assert not is_marked(*strokes(*marks)), what
