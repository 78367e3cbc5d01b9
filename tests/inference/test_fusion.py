"""Two readers of a field as one: where they agree the string is more probable, where they differ less."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imparfait.inference.ocr.ctc import LengthReading
from imparfait.inference.ocr.distribution import Segmentation
from imparfait.inference.ocr.fusion import FUSION, fused


def rows(text: str, sure: float) -> np.ndarray:
    """Probabilities of ten digits at each position."""
    table = np.full((len(text), 10), (1 - sure) / 9)
    table[np.arange(len(text)), [int(digit) for digit in text]] = sure
    return table


def by_glyphs(text: str, probability: float = 1.0, sure: float = 0.8) -> Segmentation:
    return Segmentation(probability, rows(text, sure))


def by_sequence(text: str, probability: float = 1.0, sure: float = 0.8) -> LengthReading:
    return LengthReading(probability, rows(text, sure), np.arange(float(len(text))))


def best(found: list[Segmentation]) -> tuple[str, float]:
    each = max(found, key=lambda each: each.probability * each.rows.max(1).prod())
    return "".join(map(str, each.rows.argmax(1))), float(each.probability * each.rows.max(1).prod())


def test_what_both_read_is_more_probable_and_what_one_reads_is_less() -> None:
    text, score = best(fused([by_glyphs("123")], [by_sequence("123")]))
    assert text == "123"
    assert score > 0.8**3
    _, score = best(fused([by_glyphs("123")], [by_sequence("124")]))
    assert score < 0.8**3


def test_a_digit_on_which_they_differ_is_unsure() -> None:
    text, score = best(fused([by_glyphs("123")], [by_sequence("173")]))
    assert text in ("123", "173")
    assert score < 0.6


def test_a_length_that_only_the_sequence_knows_is_read_if_the_glyphs_are_unclear() -> None:
    unclear = [by_glyphs("12", 0.5, sure=0.4), by_glyphs("1", 0.5, sure=0.4)]
    found = fused(unclear, [by_sequence("1123", 0.98, sure=0.99)])
    assert len(found) == 3  # the sequence's length comes after those by glyphs
    assert best(found)[0] == "1123"


@given(st.integers(0, 1000))
def test_probabilities_add_up_to_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 6, 4)
    glyphs = [
        Segmentation(share, rng.dirichlet(np.ones(10), length))
        for share, length in zip(rng.random(4), lengths, strict=True)
    ]
    sequence = [
        LengthReading(float(share), rng.dirichlet(np.ones(10), length), np.arange(float(length)))
        for share, length in zip(rng.dirichlet(np.ones(3)), (2, 4, 7), strict=True)
    ]
    found = fused(glyphs, sequence, FUSION)
    assert sum(each.probability for each in found) == pytest.approx(1)
    for each in found:
        np.testing.assert_allclose(each.rows.sum(1), 1)
    assert [len(each.rows) for each in found[:4]] == lengths.tolist()


def test_an_improbable_length_that_no_glyphs_have_is_no_alternative() -> None:
    found = fused([by_glyphs("123")], [by_sequence("123", 0.99), by_sequence("1223", 0.01)])
    assert [len(each.rows) for each in found] == [3]
