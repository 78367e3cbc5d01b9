"""The OCR pipeline: from a page's pixels to fields of digits with their probabilities."""

# detector (glyphs at all scales) -> classifiers (two more opinions on each glyph) -> layout (lines, fields) -> the
# probability of every string of a field. A glyph that is perhaps none makes the string's length uncertain.

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from jaxtyping import Float, Float32

from imparfait.core.types import Pixels
from imparfait.data.images.foreground import Box
from imparfait.inference.ocr.crops import SMALLEST, opinions_on
from imparfait.inference.ocr.detector import Glyphs
from imparfait.inference.ocr.distribution import Segmentation, StringDistribution
from imparfait.inference.ocr.evidence import WEIGHTS, Weights, labels, presence
from imparfait.inference.ocr.layout import MIN_POSSIBLE, MIN_PRESENCE, find_lines, split_into_fields, within_reach
from imparfait.inference.ocr.marks import is_marked
from imparfait.inference.ocr.orientation import boxes_on_page, upright
from imparfait.inference.predictor import Predictor

MAX_DOUBTS = 4  # glyphs of a field that may or may not be digits, the most doubtful; each doubles the segmentations
MARKED = "it has a mark that is no digit, such as a comma or a sign"
DIGIT_CLASSES = tuple("0123456789")

Grey = Float32[np.ndarray, "height width"]
"""A page's lightness, 0..1."""


@dataclass(frozen=True, eq=False)
class DetectedDigit:
    """A digit in a field; its box is in the page's pixels."""

    label: int
    score: float
    """The probability of this label at this place."""
    box: Box
    pixels: Pixels
    """The classifier's input: [1, channels, height, width]."""
    probabilities: Float[np.ndarray, " classes"]
    """Of each label, if it is a digit."""


@dataclass(frozen=True, eq=False)
class DetectedField:
    """Digits without a wide gap, and the probability of each string."""

    digits: list[DetectedDigit]
    score: float
    """The probability of the string that its digits are."""
    distribution: StringDistribution
    others: list[list[DetectedDigit]]
    """The digits of its other segmentations, the most probable first."""
    doubt: str | None = None
    """Why the number may not be what its digits are."""


@dataclass(frozen=True, eq=False)
class RecognisedGlyphs:
    """Glyphs, and what they are by all opinions: the detector's, the classifier's and the glyph classifier's."""

    boxes: Float[np.ndarray, "n 4"]
    presence: Float[np.ndarray, " n"]
    """The probability that each is a digit."""
    probabilities: Float[np.ndarray, "n classes"]
    """Of each label, if it is one."""
    pixels: Pixels
    """The classifier's inputs."""

    @property
    def is_digit(self) -> np.ndarray:
        """Which are read as digits."""
        return self.presence >= MIN_PRESENCE


def detect_fields(grey: Grey, predictor: Predictor, join_separators: bool = False) -> list[list[DetectedField]]:
    """The fields of each text line, from top to bottom and left to right."""
    page = upright(grey)
    glyphs = recognise(page.grey, page.glyphs, predictor)
    on_page = replace(glyphs, boxes=boxes_on_page(glyphs.boxes, page.to_page))
    lines = []
    for line in find_lines(glyphs.boxes):
        fields = []
        for part in split_into_fields(line, glyphs.boxes, glyphs.presence, join_separators):
            doubt = MARKED if is_marked(page.grey, glyphs.boxes[part]) else None
            fields.append(replace(field_of(part, line, on_page, predictor.classes), doubt=doubt))
        if fields:
            lines.append(fields)
    return lines


def recognise(grey: Grey, glyphs: Glyphs, predictor: Predictor, weights: Weights = WEIGHTS) -> RecognisedGlyphs:
    """What each glyph of a page is."""
    opinions = opinions_on(grey, glyphs, predictor)
    shares = opinions.probabilities
    if predictor.classes == DIGIT_CLASSES:
        shares = labels(glyphs, opinions, weights)
    else:
        shares = shares / np.maximum(shares.sum(1, keepdims=True), SMALLEST)
    return RecognisedGlyphs(glyphs.boxes, presence(glyphs, opinions, weights), shares, opinions.pixels)


def field_of(digits: list[int], line: list[int], glyphs: RecognisedGlyphs, classes: tuple[str, ...]) -> DetectedField:
    """The field of these digits of a line; glyphs between them and beside them may be digits too."""
    reach = within_reach(digits, line, glyphs.boxes, glyphs.presence)
    possible = [glyph for glyph in reach if glyph in digits or glyphs.presence[glyph] >= MIN_POSSIBLE]
    doubtful = sorted(possible, key=lambda glyph: abs(glyphs.presence[glyph] - 0.5))[:MAX_DOUBTS]
    held = float(np.prod([_odds(glyphs, glyph, glyph in digits) for glyph in possible if glyph not in doubtful]))
    rows = glyphs.probabilities
    # What is held to be a digit without doubt, or to be none, may be wrong too: then any string may be right.
    segmentations = [Segmentation(1 - held, np.full((len(digits), len(classes)), 1 / len(classes)))]
    others: list[tuple[float, list[int]]] = []
    for there in product((True, False), repeat=len(doubtful)):
        chosen = dict(zip(doubtful, there, strict=True))
        parts = [glyph for glyph in possible if chosen.get(glyph, glyph in digits)]
        if parts:
            share = held * float(np.prod([_odds(glyphs, glyph, is_there) for glyph, is_there in chosen.items()]))
            segmentations.append(Segmentation(share, rows[parts]))
            others += [(share, parts)] if parts != digits else []
    score = float(np.prod([_odds(glyphs, glyph, glyph in digits) for glyph in possible]) * rows[digits].max(1).prod())
    others.sort(key=lambda other: -other[0])
    return DetectedField(
        [_digit(glyph, glyphs) for glyph in digits],
        score,
        StringDistribution.from_segmentations(classes, segmentations),
        [[_digit(glyph, glyphs) for glyph in parts] for _, parts in others],
    )


def _odds(glyphs: RecognisedGlyphs, glyph: int, there: bool) -> float:
    return float(glyphs.presence[glyph] if there else 1 - glyphs.presence[glyph])


def _digit(glyph: int, glyphs: RecognisedGlyphs) -> DetectedDigit:
    left, top, right, bottom = (round(edge) for edge in glyphs.boxes[glyph].tolist())
    box = left, top, max(left + 1, right), max(top + 1, bottom)
    row = glyphs.probabilities[glyph]
    score = float(glyphs.presence[glyph] * row.max())
    return DetectedDigit(int(row.argmax()), score, box, glyphs.pixels[glyph][None], row)
