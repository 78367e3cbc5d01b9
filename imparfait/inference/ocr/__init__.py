"""OCR of digits: the numbers on a page, line by line, with boxes and probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from imparfait.core.errors import UserError
from imparfait.core.types import Pixels
from imparfait.data.images.decode import Page
from imparfait.data.images.foreground import Box, lightness
from imparfait.data.images.limits import Limits
from imparfait.data.images.pdf import read_document
from imparfait.inference.ocr.constraints import Constraint, Decision, Pattern, check_possible, constrained, tell_digits
from imparfait.inference.ocr.distribution import StringDistribution
from imparfait.inference.ocr.pipeline import MARKED, DetectedDigit, DetectedField, detect_fields
from imparfait.inference.predictor import Predictor

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from imparfait.data.images.sources import OneImage

# Chosen on 927 fields of composed pages, of which 4 % of the confident ones are wrong. Of 49 real images with several
# numbers, read during development, 42 are confident and none of them is wrong.
MIN_CONFIDENT_SCORE = 0.9  # probability of a field's whole string
MAX_ASPECT = 100  # of a large page's sides: 700 bytes of GIF can hold a strip that takes seconds
LARGE_PIXELS = 1 << 20  # pixels from which on a page's shape is checked
LIKELY = 0.01  # probability of an alternative from which on the digits that it has otherwise are unsure
NO_DIGITS_MESSAGE = "no digits were found on it"


@dataclass(frozen=True)
class Digit:
    """A recognised digit: one of the model's classes."""

    label: str
    score: float
    """The probability of this digit at this place; under constraints, at least that of the whole string."""
    confident: bool
    box: Box
    """Left, top, right, bottom, in the page's pixels as a person sees it; right and bottom are outside."""
    pixels: Pixels = field(repr=False, compare=False)
    """The model's input: [1, channels, height, width]."""
    probabilities: Float[np.ndarray, " classes"] = field(repr=False, compare=False)
    """Of each of the model's classes, without constraints."""


@dataclass(frozen=True)
class Field:
    """Digits without a wide gap between them: a number, a postcode."""

    digits: tuple[Digit, ...]
    score: float
    """The probability of the whole string."""
    confident: bool
    distribution: StringDistribution = field(repr=False, compare=False)
    """The probability of each string, without constraints."""
    decision: Decision | None = None
    """Where there are constraints: what was decided under them."""
    others: tuple[tuple[Digit, ...], ...] = field(default=(), repr=False, compare=False)
    """The digits if other glyphs are digits, or fewer: the most probable first."""
    reason: str | None = None
    """Why it is unsure, where this is not for its digits."""

    @property
    def text(self) -> str:
        """Its labels; with the separators of a pattern that it meets."""
        decided = self.decision.text if self.decision else None
        return "".join(digit.label for digit in self.digits) if decided is None else decided

    def constrained(self, constraints: Sequence[Constraint]) -> Field:
        """The field as the most probable string that the constraints allow.

        Where none is probable, the text stays and no digit of it is confident.
        """
        # The threshold of a field without constraints, so that a length alone makes no number unsure.
        decision = constrained(self.distribution, constraints, min_probability=MIN_CONFIDENT_SCORE)
        # A length explains a mark, but not that two readers differ or that a digit crosses a line.
        explained = self.reason in (None, MARKED) or tell_digits(constraints)
        confident = decision.confident and explained
        digits = _digits_decided(self, decision, confident)
        score = decision.probability if decision.best else self.score
        reason = None if confident else self.reason
        return replace(self, digits=digits, score=score, confident=confident, decision=decision, reason=reason)

    @property
    def box(self) -> Box:
        """Around all of its digits."""
        left, top, right, bottom = zip(*(digit.box for digit in self.digits), strict=True)
        return min(left), min(top), max(right), max(bottom)


def _digits_decided(field: Field, decision: Decision, confident: bool) -> tuple[Digit, ...]:
    """The digits of the decided string; unsure are those that likely alternatives do not share."""
    if decision.best is None:
        return tuple(replace(digit, confident=False) for digit in field.digits)
    text, classes = decision.best.characters, field.distribution.classes
    chosen = next(digits for digits in (field.digits, *field.others) if len(digits) == len(text))
    likely = [each.characters for each in decision.alternatives if each.probability >= LIKELY]
    digits = []
    for place, (digit, label) in enumerate(zip(chosen, text, strict=True)):
        agreed = digit.confident and all(each[place : place + 1] == label for each in likely)
        score = max(decision.probability, float(digit.probabilities[classes.index(label)]))
        digits.append(replace(digit, label=label, score=score, confident=confident or agreed))
    if not confident and all(digit.confident for digit in digits):
        least = min(range(len(digits)), key=lambda place: digits[place].score)
        digits[least] = replace(digits[least], confident=False)
    return tuple(digits)


@dataclass(frozen=True)
class Line:
    """The fields of a line of text, from left to right."""

    fields: tuple[Field, ...]

    @property
    def text(self) -> str:
        """Its fields, separated by spaces."""
        return " ".join(field.text for field in self.fields)


@dataclass(frozen=True)
class Reading:
    """The text recognised on a page."""

    lines: tuple[Line, ...]
    """From top to bottom."""
    page: int
    """From 1."""
    size: tuple[int, int]
    """The page's height and width, in the file's pixels."""

    @property
    def text(self) -> str:
        """Its lines, separated by line breaks; empty where no digits were found."""
        return "\n".join(line.text for line in self.lines)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields of all lines."""
        return tuple(field for line in self.lines for field in line.fields)

    @property
    def confident(self) -> bool:
        """Whether there is text, and all of it can be relied on."""
        return bool(self.lines) and all(field.confident for field in self.fields)

    def to_frame(self) -> pd.DataFrame:
        """A pandas row per field: page, line, text, score (0..1), confident, box in the page's pixels, reason."""
        from imparfait.inference.ocr.readings import frame_of_readings

        return frame_of_readings([self], [""])

    def plot(self, ax: Axes | None = None, image: OneImage | None = None) -> Axes:
        """Draw the text and box of each field, orange where it is unsure; on `image`, where it is given."""
        from imparfait.inference.ocr.readings import plot_reading

        return plot_reading(self, ax, image)

    def to_json(self) -> dict[str, Any]:
        """The content of `read --json` and of the HTTP API."""
        return {
            "text": self.text,
            "confident": self.confident,
            "lines": [
                {"text": line.text, "fields": [_field_json(field) for field in line.fields]} for line in self.lines
            ],
        }


def _field_json(field: Field) -> dict[str, Any]:
    digits = [
        {"label": digit.label, "score": round(digit.score, 6), "confident": digit.confident, "box": [*digit.box]}
        for digit in field.digits
    ]
    content = {
        "text": field.text, "score": round(field.score, 6), "confident": field.confident, "box": [*field.box],
        "reason": field.reason, "digits": digits,
    }  # fmt: skip
    if field.decision is None:
        return content
    alternatives = [{"text": each.text, "score": round(each.probability, 6)} for each in field.decision.alternatives]
    ((unconstrained, _),) = field.distribution.best(1)
    constraint = {"met": round(1 - field.decision.violated, 6), "unconstrained": unconstrained}
    return {**content, "constraint": constraint, "alternatives": alternatives}


def read_file(
    source: bytes | str | Path,
    predictor: Predictor,
    name: str | None = None,
    limits: Limits | None = None,
    constraints: Sequence[Constraint] = (),
) -> Iterator[tuple[Page, Reading]]:
    """The pages of an image file or a PDF, and the digits on each; errors call the file `name`.

    Raises UserError as `read_document` does, and for constraints that contradict each other.
    """
    check_possible(constraints, predictor.classes)
    for page in read_document(source, name, limits):
        yield page, read_page(page, predictor, constraints)


def read_page(
    page: Page, predictor: Predictor, constraints: Sequence[Constraint] = (), join_separators: bool = False
) -> Reading:
    """The digits on a page, by a model for cropped digits. Raises UserError as `check_readable` does.

    With `join_separators`, or a Pattern among the constraints, digits with a separator between them are one field.
    """
    check_readable(page, predictor)
    join_separators = join_separators or any(isinstance(each, Pattern) for each in constraints)
    lines = detect_fields(lightness(page.pixels), predictor, join_separators)
    found = (Line(tuple(field_on(each, page, predictor) for each in line)) for line in lines)
    return constrained_reading(Reading(tuple(found), page.number, page.size), constraints)


def constrained_reading(reading: Reading, constraints: Sequence[Constraint]) -> Reading:
    """The reading with each field as the most probable string that the constraints allow."""
    if not constraints:
        return reading
    lines = (Line(tuple(field.constrained(constraints) for field in line.fields)) for line in reading.lines)
    return replace(reading, lines=tuple(lines))


def check_readable(page: Page, predictor: Predictor) -> None:
    """Raises UserError for a long strip, and for a model that is not for cropped digits."""
    height, width = page.size
    if max(height, width) > MAX_ASPECT * min(height, width) and height * width > LARGE_PIXELS:
        raise UserError(
            f"{page.name}: has {width}×{height} pixels",
            expected=f"a page that is at most {MAX_ASPECT} times as long as wide",
            hint="cut it into pages",
        )
    normalization = predictor.input_format.normalization
    if normalization != "digit":
        raise UserError(
            f"{predictor.name}: was trained on images normalised by {normalization}",
            expected="a model for single digits, light on dark",
            hint="use digits, or train with --normalize digit",
        )


def field_on(detected: DetectedField, page: Page, predictor: Predictor) -> Field:
    """The field with labels and in the file's pixels, confident or not."""
    confident = detected.score >= MIN_CONFIDENT_SCORE and detected.doubt is None
    digits = _digits_on(detected.digits, page, predictor, confident)
    others = tuple(_digits_on(each, page, predictor, confident=False) for each in detected.others)
    return Field(digits, detected.score, confident, detected.distribution, others=others, reason=detected.doubt)


def _digits_on(detected: list[DetectedDigit], page: Page, predictor: Predictor, confident: bool) -> tuple[Digit, ...]:
    height, width = page.size
    least = min(range(len(detected)), key=lambda index: detected[index].score)
    digits = []
    for index, digit in enumerate(detected):
        left, top, right, bottom = (edge * page.reduced for edge in digit.box)
        left, top = max(0, min(left, width - 1)), max(0, min(top, height - 1))
        box = left, top, max(left + 1, min(right, width)), max(top + 1, min(bottom, height))
        # A field that is not confident has at least one digit that is not: the least probable.
        digit_confident = digit.score >= MIN_CONFIDENT_SCORE and (confident or index != least)
        label = predictor.classes[digit.label]
        digits.append(Digit(label, digit.score, digit_confident, box, digit.pixels, digit.probabilities))
    return tuple(digits)
