"""Page layout: boxes of glyphs as lines and fields, whatever the slope."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imparfait.inference.ocr.detector import Glyphs
from imparfait.inference.ocr.layout import find_lines, slope_of, split_into_fields, within_reach
from imparfait.inference.ocr.orientation import boxes_on_page


def row(places: list[float], y: float = 100.0, tall: float = 20.0, wide: float = 12.0) -> np.ndarray:
    """Boxes of glyphs at these places of a line."""
    return np.array([[x, y - tall / 2, x + wide, y + tall / 2] for x in places])


def sloping(boxes: np.ndarray, slope: float) -> np.ndarray:
    """The boxes with their middles on lines that fall by `slope`."""
    fall = slope * (boxes[:, [0]] + boxes[:, [2]]) / 2
    return boxes + fall * [0, 1, 0, 1]


@given(st.floats(-0.7, 0.7), st.integers(1, 5), st.integers(3, 9), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_lines_of_any_slope_are_found_in_reading_order(slope: float, lines: int, digits: int, random: object) -> None:
    boxes = np.concatenate([row([16.0 * i for i in range(digits)], 60.0 * line) for line in range(lines)])
    boxes = sloping(boxes, slope)
    order = np.random.default_rng(abs(hash(slope)) % 2**32).permutation(len(boxes))
    found = [order[line].tolist() for line in find_lines(boxes[order])]
    assert found == [list(range(line * digits, (line + 1) * digits)) for line in range(lines)]
    assert slope_of(boxes) == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize(
    ("places", "fields"),
    [
        ([0, 16, 32, 48], [4]),
        ([0, 16, 32, 120, 136], [3, 2]),  # a wide gap
        ([0, 16, 32, 62, 78, 94], [3, 3]),  # a gap that is wide among narrow ones
        ([0, 40, 80, 120, 160], [5]),  # an even pitch: the cells of a comb
        ([0], [1]),
    ],
)
def test_fields_are_cut_at_gaps_that_are_wide_for_their_line(places: list[float], fields: list[int]) -> None:
    boxes = row(places)
    (line,) = find_lines(boxes)
    assert [len(field) for field in split_into_fields(line, boxes, np.ones(len(boxes)))] == fields


def test_other_glyphs_cut_a_field_and_separators_may_be_joined() -> None:
    boxes = row([0, 16, 40, 56])
    comma, letter = np.array([[30, 106, 34, 112.0]]), np.array([[29, 90, 38, 110.0]])
    for mark, joined in ((comma, [4]), (letter, [2, 2])):
        everything = np.concatenate([boxes, mark])
        line = [0, 1, 4, 2, 3]
        presence = np.array([1.0] * 4 + [0.02])
        assert [len(field) for field in split_into_fields(line, everything, presence)] == [2, 2]
        assert [len(field) for field in split_into_fields(line, everything, presence, join_separators=True)] == joined


@pytest.mark.parametrize(
    ("places", "presence", "reach"),
    [
        ([0, 16, 32], [1, 1, 0.3], 3),  # a doubtful glyph beside digits
        ([0, 16, 32, 48], [1, 1, 0.3, 0.1], 4),  # two of them
        ([0, 16, 32, 48], [1, 1, 0.001, 0.3], 2),  # beyond a glyph that is none
        ([0, 16, 80], [1, 1, 0.3], 2),  # beyond a wide gap
        ([0, 16, 80], [1, 1, 1], 2),  # a digit of another field
        ([0, 16, 21], [1, 1, 0.3], 2),  # another view of a digit
    ],
)
def test_a_field_reaches_doubtful_glyphs_beside_its_digits(
    places: list[float], presence: list[float], reach: int
) -> None:
    for boxes, digits in ((row(places), [0, 1]), (row([-place for place in places]), [1, 0])):
        line = np.argsort(boxes[:, 0]).tolist()
        found = within_reach(digits, line, boxes, np.array(presence, float))
        assert sorted(found) == list(range(reach)), "on both sides"
        assert found == [glyph for glyph in line if glyph < reach], "from left to right"


def test_no_glyphs_are_no_lines() -> None:
    assert find_lines(np.zeros((0, 4))) == []
    assert split_into_fields([0], row([0.0]), np.array([0.0])) == []


def test_boxes_are_around_their_corners_on_the_page() -> None:
    boxes = np.array([[1.0, 2, 4, 9]])
    np.testing.assert_allclose(boxes_on_page(boxes, np.eye(2, 3)), boxes)
    quarter = np.array([[0.0, -1, 10], [1, 0, 0]])
    np.testing.assert_allclose(boxes_on_page(boxes, quarter), [[1, 1, 8, 4]])


def test_glyphs_are_chosen_with_all_that_belongs_to_them() -> None:
    glyphs = Glyphs(np.arange(8.0).reshape(2, 4), np.zeros((2, 11)), np.array([9.0, 20]))
    assert len(glyphs) == 2
    assert glyphs[[1]].heights.tolist() == [20]
    assert glyphs[[1]].boxes.tolist() == [[4, 5, 6, 7]]
