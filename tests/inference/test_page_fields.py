"""Fields: the probability of a number, where glyphs of its line may or may not be digits."""

import numpy as np
import pytest

from imparfait.data.images.input_format import InputFormat
from imparfait.inference.ocr.ctc import LengthReading
from imparfait.inference.ocr.detector import DIGITS
from imparfait.inference.ocr.pipeline import (
    DIFFER,
    DIGIT_CLASSES,
    DetectedField,
    RecognisedGlyphs,
    SequenceReader,
    field_of,
)
from imparfait.inference.ocr.sequence_recognizer import Strip

SURE = 0.999


def glyphs(labels: str, presence: list[float], places: list[float] | None = None) -> RecognisedGlyphs:
    """Glyphs of a line that are clearly these digits, if they are any."""
    left = np.array(places or [16.0 * place for place in range(len(labels))])
    boxes = np.stack([left, np.zeros(len(left)), left + 12, np.full(len(left), 20.0)], 1)
    sure = np.full((len(labels), DIGITS), (1 - SURE) / (DIGITS - 1))
    sure[np.arange(len(labels)), [int(label) for label in labels]] = SURE
    return RecognisedGlyphs(boxes, np.array(presence), sure, np.zeros((len(labels), 1, 28, 28), np.uint8))


def field_or_none(on: RecognisedGlyphs, sequences: SequenceReader | None = None) -> DetectedField | None:
    """That of the digits read, on a line of all glyphs."""
    return field_of(np.flatnonzero(on.is_digit).tolist(), list(range(len(on.boxes))), on, DIGIT_CLASSES, sequences)


def field(on: RecognisedGlyphs, sequences: SequenceReader | None = None) -> DetectedField:
    found = field_or_none(on, sequences)
    assert found is not None
    return found


class Reads(SequenceReader):
    """A sequence reader that has made up its mind."""

    def __init__(self, text: str, probability: float = 0.9) -> None:
        form = InputFormat(channels=1, height=28, width=28, normalization="digit")
        super().__init__(np.zeros((20, 200), np.float32), form)
        rows = np.full((len(text), DIGITS), (1 - SURE) / (DIGITS - 1))
        rows[np.arange(len(text)), [int(digit) for digit in text]] = SURE
        object.__setattr__(self, "lengths", [LengthReading(probability, rows, np.arange(float(len(text))) * 4)])

    def read(self, boxes: np.ndarray) -> tuple[list[LengthReading], Strip]:
        plane = np.zeros((2, 32, 200), np.float32)
        return self.lengths, Strip(plane, np.zeros(2), np.array([1.0, 0]), np.array([0, 1.0]), 20.0)


def text_of(found: DetectedField) -> str:
    return "".join(str(digit.label) for digit in found.digits)


@pytest.mark.parametrize("doubtful", [0, 1, 2])
def test_a_glyph_that_may_be_a_digit_makes_the_number_less_probable_wherever_it_is(doubtful: int) -> None:
    presence = [1.0, 1.0, 1.0]
    presence[doubtful] = 0.4
    found = field(glyphs("123", presence))
    assert len(found.digits) == 2
    assert found.score == pytest.approx(0.6 * SURE**2)
    text = "123".replace(str(doubtful + 1), "")
    assert dict(found.distribution.best(2)) == pytest.approx({text: 0.6 * SURE**2, "123": 0.4 * SURE**3}, abs=0.01)


def test_a_glyph_beyond_a_wide_gap_does_not_count() -> None:
    assert field(glyphs("12", [1.0, 0.4], [0, 60])).score == pytest.approx(SURE)


# Fields that are read as a whole too


def test_a_field_that_both_readers_read_alike_becomes_more_probable() -> None:
    on = glyphs("123", [0.9, 0.9, 0.9])
    alone, both = field(on), field(on, Reads("123"))
    assert text_of(both) == "123"
    assert both.score > alone.score
    assert both.doubt is None


def test_a_clear_field_is_not_read_as_a_whole() -> None:
    assert text_of(field(glyphs("123", [1.0, 1.0, 1.0]), Reads("999"))) == "123"


@pytest.mark.parametrize("other", ["124", "12", "1234", ""])
def test_a_field_that_the_readers_read_differently_has_a_doubt(other: str) -> None:
    assert field(glyphs("123", [0.97, 0.97, 0.97]), Reads(other)).doubt == DIFFER


def test_a_digit_that_no_glyph_was_is_found_and_no_surer_than_its_length() -> None:
    found = field(glyphs("12", [0.7, 0.7]), Reads("152"))
    assert (text_of(found), found.doubt) == ("152", DIFFER)
    assert max(digit.score for digit in found.digits) <= 0.9
    assert len(found.digits) == 3


@pytest.mark.parametrize("count", range(1, 9))
def test_clear_digits_stay_and_are_unsure_where_the_sequence_sees_no_number(count: int) -> None:
    found = field(glyphs("12345678"[:count], [0.97] * count), Reads("", probability=1.0))
    assert len(found.digits) == count
    assert found.doubt == DIFFER


def test_what_neither_reader_holds_for_a_digit_is_none() -> None:
    assert field_or_none(glyphs("1", [0.52]), Reads("", probability=1.0)) is None
