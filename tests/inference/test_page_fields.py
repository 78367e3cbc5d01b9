"""Fields: the probability of a number, where glyphs of its line may or may not be digits."""

import numpy as np
import pytest

from imparfait.inference.ocr.detector import DIGITS
from imparfait.inference.ocr.pipeline import DIGIT_CLASSES, DetectedField, RecognisedGlyphs, field_of

SURE = 0.999


def glyphs(labels: str, presence: list[float], places: list[float] | None = None) -> RecognisedGlyphs:
    """Glyphs of a line that are clearly these digits, if they are any."""
    left = np.array(places or [16.0 * place for place in range(len(labels))])
    boxes = np.stack([left, np.zeros(len(left)), left + 12, np.full(len(left), 20.0)], 1)
    sure = np.full((len(labels), DIGITS), (1 - SURE) / (DIGITS - 1))
    sure[np.arange(len(labels)), [int(label) for label in labels]] = SURE
    return RecognisedGlyphs(boxes, np.array(presence), sure, np.zeros((len(labels), 1, 28, 28), np.uint8))


def field(on: RecognisedGlyphs) -> DetectedField:
    """That of the digits read, on a line of all glyphs."""
    found = field_of(np.flatnonzero(on.is_digit).tolist(), list(range(len(on.boxes))), on, DIGIT_CLASSES)
    assert found is not None
    return found


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
