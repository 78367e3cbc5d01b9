"""Composed lines of held-out hands: a function of the number, with a true count of digits and of touching ones."""

import io
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from ocr.lines import Hands, compose, paper, row
from ocr.lines.composer import HEIGHTS_PX, LENGTHS, MAX_SLOPE, SPACING, glyphs, in_a_row
from ocr.lines.hands import european_hands, is_whole

HANDS = Path(__file__).parents[2] / "benchmarks" / "tools" / "hands"
EIGHT = np.ones((3, 3))


@pytest.fixture(scope="module")
def hands() -> Hands:
    return european_hands(HANDS)


def test_a_line_is_a_function_of_seed_and_number(hands: Hands) -> None:
    line = compose(5, hands)
    assert compose(5, hands) == line
    assert compose(5, hands).content == line.content
    assert compose(6, hands).content != line.content
    assert compose(5, hands, seed=1).content != line.content


def test_lines_are_files_within_the_stated_ranges(hands: Hands) -> None:
    lines = [compose(number, hands) for number in range(6)]
    for line in lines:
        assert LENGTHS[0] <= len(line.text) <= LENGTHS[1]
        assert set(line.text) <= set("0123456789")
        assert HEIGHTS_PX[0] <= line.height_px <= HEIGHTS_PX[1]
        assert abs(line.slope) <= MAX_SLOPE
        assert line.kind in paper.KINDS
        assert not line.words
        with Image.open(io.BytesIO(line.content)) as image:
            assert image.mode == "RGB"
            assert image.height > 0.5 * line.height_px
    assert len({line.kind for line in lines}) > 2


@pytest.mark.parametrize("source", ["turkish", "italian"])
def test_a_line_has_as_many_strokes_as_digits(hands: Hands, source: str) -> None:
    rng = np.random.default_rng(0)
    for text in ("0123467890", "77", "98460"):  # a 5 may have two pieces
        digits = glyphs(text, hands[source], 40.0, rng)
        assert len(digits) == len(text)
        placed = row.placed(digits, *in_a_row(digits, "wide", 40.0, rng))
        assert ndimage.label(placed.ink > 0.1, EIGHT)[1] == len(text)
        assert not any(placed.touching)


@pytest.mark.parametrize("spacing", SPACING)
def test_touching_is_where_the_ink_of_neighbours_meets(hands: Hands, spacing: str) -> None:
    some = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        digits = glyphs("3141592653"[: 4 + seed], hands["turkish"], 30.0, rng)
        placed = row.placed(digits, *in_a_row(digits, spacing, 30.0, rng))
        assert placed.touching == slowly(digits, placed.places)
        some += any(placed.touching)
        for (left, _), (after, _), one, other in zip(
            placed.places, placed.places[1:], digits, digits[1:], strict=False
        ):
            overlap = left + one.shape[1] - after
            assert overlap <= max(1, row.MAX_OVERLAP * min(one.shape[1], other.shape[1]))
    assert (some == 0) if spacing in ("wide", "normal") else (some >= 3) if spacing == "touching" else True


def slowly(digits: list[np.ndarray], places: tuple[tuple[int, int], ...]) -> tuple[bool, ...]:
    """By the distance of each pixel of ink from each of the neighbour's."""
    pixels = [np.argwhere(ink >= row.INK) + np.array((y, x)) for ink, (x, y) in zip(digits, places, strict=True)]
    return tuple(bool(np.abs(one[:, None] - other[None]).max(2).min() <= 1) for one, other in pairwise(pixels))


def test_torn_digits_are_left_out() -> None:
    bar = np.zeros((28, 28), np.uint8)
    bar[4:24, 12:16] = 255
    torn, faint = bar.copy(), bar.copy()
    torn[12:15] = 0
    faint[4:12] //= 3
    assert is_whole(bar, 1)
    assert not is_whole(torn, 1)
    assert is_whole(torn, 2)
    assert not is_whole(faint, 1)
    assert not is_whole(np.zeros((28, 28), np.uint8), 1)


def test_ink_can_be_told_from_every_ground() -> None:
    rng = np.random.default_rng(0)
    for kind in paper.KINDS:
        ground, ink = paper.colours(kind, rng)
        lightness = float((ink - ground) @ paper.BRIGHTNESS)
        assert abs(lightness) >= paper.MIN_CONTRAST
        assert (lightness > 0) == (kind in paper.DARK)
