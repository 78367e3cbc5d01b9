"""Pen strokes: any hand draws ten digits, keeps its variants, and draws the same digit twice alike."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "tools"))
from pen_strokes import draw, hand_of, strokes_of

HANDS = st.integers(0, 10_000_000)


@given(HANDS, st.integers(0, 9), st.integers(0, 50), st.floats(12, 120))
@settings(max_examples=60, deadline=None)
def test_every_digit_of_every_hand_is_ink_within_its_image(seed: int, digit: int, number: int, height: float) -> None:
    hand = hand_of(seed)
    strokes = strokes_of(digit, hand, number)
    assert 1 <= len(strokes) <= 3
    points = np.concatenate(strokes)
    assert np.isfinite(points).all()
    assert 0.7 < np.ptp(points[:, 1]) < 1.6  # about one height
    assert np.ptp(points[:, 0]) < 2
    image = draw(strokes, hand, height, number)
    assert image.dtype == np.uint8
    assert image.max() == 255
    assert not image[[0, -1]].any()
    assert not image[:, [0, -1]].any()


@given(HANDS, st.integers(0, 9), st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_a_digit_is_a_function_of_its_hand_and_number(seed: int, digit: int, number: int) -> None:
    one, other = (draw(strokes_of(digit, hand_of(seed), number), hand_of(seed), 40, number) for _ in range(2))
    assert np.array_equal(one, other)
    changed = strokes_of(digit, hand_of(seed), number + 1)
    assert not np.array_equal(np.concatenate(changed), np.concatenate(strokes_of(digit, hand_of(seed), number)))


@pytest.mark.parametrize("digit", range(10))
def test_a_hand_keeps_its_variants(digit: int) -> None:
    kept = total = 0
    for seed in range(40):
        hand = hand_of(seed)
        forms = [[len(points) for points in strokes_of(digit, hand, number)] for number in range(10)]
        kept += sum(form == forms[0] for form in forms[1:])
        total += 9
    assert kept > 0.8 * total


@pytest.mark.parametrize("digit", range(10))
def test_hands_differ_in_their_variants(digit: int) -> None:
    assert len({tuple(len(points) for points in strokes_of(digit, hand_of(seed))) for seed in range(60)}) > 1


def test_a_long_upstroke_of_a_1_is_steep() -> None:
    for seed in range(300):
        hand = hand_of(seed)
        one = strokes_of(1, hand)[0]
        start, peak = one[0], one[one[:, 1].argmin()]
        if start[1] - peak[1] > 0.4:
            assert np.degrees(np.arctan2(start[1] - peak[1], peak[0] - start[0])) > 25  # flatter ones are 7s
