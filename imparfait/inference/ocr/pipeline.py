"""The OCR pipeline: from a page's pixels to fields of digits with their probabilities."""

# detector (glyphs at all scales) -> classifier (a second opinion on each crop) -> layout (lines, fields) -> the
# probability of every string of a field. A glyph that is perhaps none makes the string's length uncertain.

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from jaxtyping import Float, Float32

from imparfait.core.types import Pixels, Probabilities
from imparfait.data.images.foreground import Box
from imparfait.inference.ocr.crops import opinions_on
from imparfait.inference.ocr.detector import DIGITS, Glyphs
from imparfait.inference.ocr.distribution import Segmentation, StringDistribution
from imparfait.inference.ocr.layout import find_lines, split_into_fields
from imparfait.inference.ocr.orientation import boxes_on_page, upright
from imparfait.inference.predictor import Predictor

MIN_PRESENCE = 0.5  # of a digit that is read
MIN_POSSIBLE = 0.02  # of a glyph between digits that may be one
MAX_DOUBTS = 4  # glyphs of a field that may or may not be digits, the most doubtful; each doubles the segmentations
SMALLEST = 1e-6  # probability, before a logarithm
DIGIT_CLASSES = tuple("0123456789")

Grey = Float32[np.ndarray, "height width"]
"""A page's lightness, 0..1."""


@dataclass(frozen=True)
class Weights:
    """How scores become probabilities: logistic regressions on composed pages (benchmarks/tools/fit_reader.py)."""

    presence: tuple[float, ...] = (1.557, 2.013, -0.982, 1.237, -0.14, -0.511)
    """Of `evidence`."""
    detector: float = 1.504
    classifier: float = 0.785
    """Of the logarithms of both opinions on the label."""


WEIGHTS = Weights()


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


@dataclass(frozen=True, eq=False)
class RecognisedGlyphs:
    """Glyphs, and what they are by both opinions: the detector's, which sees the surroundings, and the classifier's."""

    boxes: Float[np.ndarray, "n 4"]
    presence: Float[np.ndarray, " n"]
    """The probability that each is a digit."""
    probabilities: Float[np.ndarray, "n classes"]
    """Of each label, if it is one."""
    pixels: Pixels
    """The classifier's inputs."""
    opinions: Probabilities
    """The classifier's."""

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
        parts = split_into_fields(line, glyphs.boxes, glyphs.is_digit, join_separators)
        if parts:
            lines.append([field_of(part, line, on_page, predictor.classes) for part in parts])
    return lines


def recognise(grey: Grey, glyphs: Glyphs, predictor: Predictor, weights: Weights = WEIGHTS) -> RecognisedGlyphs:
    """What each glyph of a page is."""
    opinions, pixels = opinions_on(grey, glyphs.boxes, predictor)
    presence = 1 / (1 + np.exp(-evidence(glyphs, opinions) @ np.array(weights.presence)))
    labels = opinions / np.maximum(opinions.sum(1, keepdims=True), SMALLEST)
    if predictor.classes == DIGIT_CLASSES:
        labels = _pooled(glyphs, labels, weights)
    return RecognisedGlyphs(glyphs.boxes, presence, labels, pixels, opinions)


def evidence(glyphs: Glyphs, opinions: Probabilities) -> Float[np.ndarray, "n features"]:
    """What tells a digit from another glyph or none.

    A constant; the detector's score of the best digit and that of another glyph; the classifier's best score; how far
    both agree on the digit; the height at the scale where it was found.
    """
    best, other = glyphs.scores[:, :DIGITS].max(1), glyphs.scores[:, DIGITS]
    shares = glyphs.scores[:, :DIGITS] / glyphs.scores[:, :DIGITS].sum(1, keepdims=True)
    agreed = (shares * opinions).sum(1) if opinions.shape[1:] == (DIGITS,) else opinions.max(1, initial=0)
    clear = np.log(np.maximum(glyphs.heights, 1))
    columns = [np.ones(len(glyphs)), _logit(best), _logit(other), _log(opinions.max(1, initial=0)), _log(agreed), clear]
    return np.stack(columns, 1)


def label_evidence(glyphs: Glyphs, opinions: Float[np.ndarray, "n classes"]) -> Float[np.ndarray, "n 2 classes"]:
    """The logarithms of both opinions on which digit each is."""
    scores = glyphs.scores[:, :DIGITS] / glyphs.scores[:, :DIGITS].sum(1, keepdims=True)
    return np.stack([_log(scores), _log(opinions)], 1)


def _pooled(glyphs: Glyphs, opinions: Float[np.ndarray, "n classes"], weights: Weights) -> np.ndarray:
    """The probability of each digit by both opinions: a weighted geometric mean."""
    logs = np.tensordot(label_evidence(glyphs, opinions), [weights.detector, weights.classifier], (1, 0))
    likely = np.exp(logs - logs.max(1, keepdims=True, initial=-np.inf))
    return np.asarray(likely / likely.sum(1, keepdims=True))


def _logit(score: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return np.asarray(_log(score) - _log(1 - score))


def _log(probability: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(np.clip(probability, SMALLEST, 1)))


def field_of(digits: list[int], line: list[int], glyphs: RecognisedGlyphs, classes: tuple[str, ...]) -> DetectedField:
    """The field of these digits of a line; glyphs between them may be digits too."""
    between = line[line.index(digits[0]) : line.index(digits[-1]) + 1]
    possible = [glyph for glyph in between if glyph in digits or glyphs.presence[glyph] >= MIN_POSSIBLE]
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
