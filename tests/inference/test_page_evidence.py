"""What decides whether a glyph on a page is a digit: its scores, and its line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imparfait.inference.ocr.crops import Opinions
from imparfait.inference.ocr.detector import DIGITS, Glyphs
from imparfait.inference.ocr.evidence import Weights, context, context_lines, labels, presence

Box = tuple[float, float, float, float]
WIDE, TALL = 16.0, 24.0
LINE: list[Box] = [(20 * place, 100, 20 * place + WIDE, 100 + TALL) for place in (0, 1, 3, 4)]
GAP: Box = (40, 100, 40 + WIDE, 100 + TALL)
DOUBTFUL = 0.35


def glyphs(boxes: list[Box], scores: list[float], other: list[float] | None = None) -> Glyphs:
    """Glyphs of which each looks like a 4 by its score."""
    every = np.full((len(boxes), DIGITS + 1), 0.02)
    every[:, 4] = scores
    every[:, DIGITS] = other or [0.1] * len(boxes)
    array = np.array(boxes, float).reshape(-1, 4)
    return Glyphs(array, every, array[:, 3] - array[:, 1])


def opinions(count: int, label: int = 4, sure: float = 0.7, contrast: float = 0.6, seen: float = 0.5) -> Opinions:
    """The classifiers', all alike, of a first glyph with some contrast among others of 0.6.

    The glyph classifier takes the first for a 4 by the probability `seen`, for none otherwise, and the others for 4s.
    """
    row = np.where(np.arange(DIGITS) == label, sure, (1 - sure) / (DIGITS - 1)).astype(np.float32)
    contrasts = np.array([contrast, *[0.6] * (count - 1)])[:count]
    in_place = np.full((count, DIGITS + 1), 0.001, np.float32)
    in_place[:, 4] = np.array([seen, *[0.95] * (count - 1)])[:count]
    in_place[:, DIGITS] = 1 - in_place[:, 4] - 0.009
    return Opinions(row[None].repeat(count, 0), np.zeros((count, 1, 28, 28), np.uint8), contrasts, in_place)


def chance(box: Box, neighbours: list[Box], other: bool = False, contrast: float = 0.6) -> float:
    """The probability that a doubtful glyph is a digit, among clear digits or clear other glyphs."""
    scores = [DOUBTFUL] + [0.05 if other else 0.85] * len(neighbours)
    found = glyphs([box, *neighbours], scores, [0.1] + [0.85 if other else 0.05] * len(neighbours))
    return float(presence(found, opinions(len(found), contrast=contrast))[0])


def test_a_doubtful_glyph_among_digits_of_its_size_is_one_more_probably_than_alone() -> None:
    assert chance(GAP, LINE) > chance(GAP, []) + 0.1


@pytest.mark.parametrize(
    ("fault", "box"),
    [
        ("a comma", (46, 117, 50, 127)),
        ("a tick of a comb", (46, 116, 49, 126)),
        ("three times as high", (30, 76, 62, 148)),
        ("covered by a digit", (24, 102, 34, 122)),
    ],
)
def test_a_glyph_that_does_not_fit_its_line_is_a_digit_less_probably(fault: str, box: Box) -> None:
    assert chance(box, LINE) < chance(GAP, LINE) - 0.1, fault


def test_a_doubtful_glyph_among_letters_is_a_digit_less_probably() -> None:
    assert chance(GAP, LINE, other=True) < chance(GAP, LINE) - 0.1


def test_what_shows_through_the_paper_is_a_digit_less_probably() -> None:
    assert chance(GAP, LINE, contrast=0.15) < chance(GAP, LINE) - 0.1


def test_other_lines_do_not_count() -> None:
    far = [(left, top + 90, right, bottom + 90) for left, top, right, bottom in LINE]
    assert chance(GAP, far) == pytest.approx(chance(GAP, []), abs=1e-6)


@given(st.floats(-50, 500), st.floats(-50, 500), st.floats(0.5, 4))
def test_where_and_how_large_a_line_is_does_not_matter(right: float, down: float, scale: float) -> None:
    moved = np.array([GAP, *LINE]) * scale + [right, down, right, down]
    page, other = glyphs([GAP, *LINE], [DOUBTFUL, *[0.85] * 4]), glyphs(moved.tolist(), [DOUBTFUL, *[0.85] * 4])
    chances = np.full(5, 0.9)
    features = context(page, np.ones(5), context_lines(page), chances)
    np.testing.assert_allclose(context(other, np.ones(5), context_lines(other), chances), features, atol=1e-6)


@pytest.mark.parametrize("count", [0, 1])
def test_no_glyphs_and_one_glyph_have_probabilities_too(count: int) -> None:
    found = glyphs([GAP][:count], [0.9][:count])
    assert presence(found, opinions(count)).shape == (count,)
    assert labels(found, opinions(count)).shape == (count, DIGITS)


def test_a_glyph_that_the_glyph_classifier_takes_for_none_is_a_digit_less_probably() -> None:
    found = glyphs([GAP], [0.6])
    assert presence(found, opinions(1, seen=0.05))[0] < presence(found, opinions(1, seen=0.95))[0] - 0.2


def test_the_label_is_what_all_opinions_together_make_most_probable() -> None:
    found = glyphs([GAP], [0.6])
    nine = opinions(1, label=9, sure=0.999)
    assert labels(found, nine, Weights(label=(0.1, 1.0, 0.1), label_by_height=(0, 0, 0))).argmax() == 9
    assert labels(found, nine, Weights(label=(5.0, 0.1, 0.1), label_by_height=(0, 0, 0))).argmax() == 4
    assert labels(found, nine, Weights(label=(0.1, 0.1, 5.0), label_by_height=(0, 0, 0))).argmax() == 4
    assert labels(found, nine).sum() == pytest.approx(1)
