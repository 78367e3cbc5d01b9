"""Strings by length: what the frames of a CTC network add up to, compared with a sum over all paths."""

import itertools
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imparfait.inference.ocr.ctc import CLEAR_BLANK, MIN_PROBABILITY, strings_by_length


def by_all_paths(chances: np.ndarray) -> dict[tuple[int, ...], float]:
    """The probability of each string, by the definition: repeated labels are one, blanks separate."""
    frames, labels = chances.shape
    strings: dict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(range(labels), repeat=frames):
        string = tuple(label for label, _ in itertools.groupby(path) if label != labels - 1)
        strings[string] += float(chances[np.arange(frames), path].prod())
    return strings


@given(frames=st.integers(1, 4), digits=st.integers(1, 3), blanks=st.integers(0, 2), seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_lengths_and_digits_have_the_probabilities_that_all_paths_add_up_to(
    frames: int, digits: int, blanks: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    chances = random.dirichlet(np.ones(digits + 1), frames)
    clear = np.full(digits + 1, 1e-5)
    clear[-1] = 1 - 1e-5 * digits
    chances = np.insert(chances, [random.integers(frames + 1)] * blanks, clear, axis=0)
    strings = by_all_paths(chances)
    totals = {
        length: sum(p for text, p in strings.items() if len(text) == length) for length in range(len(chances) + 1)
    }
    found = strings_by_length(chances)
    assert {len(each.rows) for each in found} >= {n for n, total in totals.items() if total > 2 * MIN_PROBABILITY}
    for each in found:
        mine = {string: chance for string, chance in strings.items() if len(string) == len(each.rows)}
        assert each.probability == pytest.approx(totals[len(each.rows)], abs=1e-4)
        for position, digit in np.ndindex(each.rows.shape):
            share = sum(chance for string, chance in mine.items() if string[position] == digit) / sum(mine.values())
            assert each.rows[position, digit] == pytest.approx(share, abs=1e-2 if blanks > 1 else 1e-9)


@pytest.mark.parametrize("length", [64, 65, 80, 200])
def test_numbers_that_are_too_long_are_not_read_as_shorter_ones(length: int) -> None:
    found = strings_by_length(frames_of("1234567890" * (length // 10) + "1234567890"[: length % 10], 1))
    assert [len(each.rows) for each in found if each.probability > 0.5] == ([64] if length == 64 else [])


def frames_of(text: str, blanks: int, sure: float = 0.9999) -> np.ndarray:
    """A frame for each digit, with so many frames of clear blanks around each."""
    rows = []
    for label in [10] + [each for digit in text for each in (int(digit), 10)]:
        row = np.full(11, (1 - CLEAR_BLANK) / 100 if label == 10 else (1 - sure) / 10)
        row[label] = 1 - row.sum() + row[label]
        rows += [row] * (blanks if label == 10 else 1)
    return np.array(rows)


def test_digits_are_where_they_begin_and_many_blanks_between_them_change_nothing() -> None:
    for blanks in (1, 2, 30):
        [found, *_] = strings_by_length(frames_of("1105", blanks))
        assert found.rows.argmax(1).tolist() == [1, 1, 0, 5]
        assert found.probability == pytest.approx(1, abs=0.01)
        np.testing.assert_allclose(found.frames, blanks + (blanks + 1) * np.arange(4), atol=0.1)


def test_a_digit_in_doubt_makes_two_lengths() -> None:
    chances = frames_of("123", 1)
    chances[3] = [0.01, 0, 0.6, *[0.0] * 7, 0.39]
    long, short = strings_by_length(chances)[:2]
    assert (len(long.rows), len(short.rows)) == (3, 2)
    assert long.probability == pytest.approx(0.61, abs=0.01)
    assert short.rows.argmax(1).tolist() == [1, 3]


def test_blanks_alone_is_a_string_without_digits() -> None:
    [found, *_] = strings_by_length(frames_of("", 5))
    assert found.rows.shape == (0, 10)
    assert found.probability == pytest.approx(1, abs=0.01)
