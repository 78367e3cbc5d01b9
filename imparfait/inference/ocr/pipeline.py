"""The OCR pipeline: from a page's pixels to fields of digits with their probabilities."""

# detector (glyphs at all scales) -> classifiers (two more opinions on each glyph) -> layout (lines, fields) -> the
# probability of every string of a field. A glyph that is perhaps none makes the string's length uncertain. Where there
# is a doubt, the sequence recogniser reads the field as a whole, and the product of both readers' probabilities counts.

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from jaxtyping import Float, Float32

from imparfait.core.types import Pixels
from imparfait.data.images.foreground import Box
from imparfait.data.images.input_format import InputFormat
from imparfait.inference.ocr.crops import SMALLEST, cut_out, opinions_on
from imparfait.inference.ocr.ctc import LengthReading
from imparfait.inference.ocr.detector import Glyphs
from imparfait.inference.ocr.distribution import Segmentation, StringDistribution
from imparfait.inference.ocr.evidence import WEIGHTS, Weights, labels, presence
from imparfait.inference.ocr.fusion import fused, only_in_sequence
from imparfait.inference.ocr.layout import MIN_POSSIBLE, MIN_PRESENCE, find_lines, split_into_fields, within_reach
from imparfait.inference.ocr.marks import is_marked
from imparfait.inference.ocr.orientation import boxes_on_page, upright
from imparfait.inference.ocr.sequence_recognizer import Strip, likeliest, read_sequence
from imparfait.inference.predictor import Predictor

MAX_DOUBTS = 4  # glyphs of a field that may or may not be digits, the most doubtful; each doubles the segmentations
MAX_UNSURE = 0.98  # probability of a field by its glyphs, up to which it is read as a whole too
MIN_NONE = 0.5  # probability that there is no number; so were 62 of 80 composed fields, the others were a digit or two
MAX_SHARED_HEIGHTS = 0.2  # by which digits of two fields overlap; with more they are one
MARKED = "it has a mark that is no digit, such as a comma or a sign"
DIFFER = "read digit by digit it is one number, read as a whole another"
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
class SequenceReader:
    """Reads fields of a page as a whole."""

    grey: Grey
    form: InputFormat
    """Of the classifier."""
    grows: bool = True
    """Whether digits that are seen beside a field belong to it: not in the cells of a table."""

    def read(self, boxes: Float[np.ndarray, "n 4"]) -> tuple[list[LengthReading], Strip]:
        """The field with these boxes of what may be its digits, and with digits that are seen beside them."""
        return read_sequence(self.grey, boxes, self.grows)

    def digits(self, reading: LengthReading, strip: Strip) -> list[DetectedDigit]:
        """The digits of the strings of one length."""
        found = []
        for box, row in zip(strip.boxes(reading.frames), reading.rows, strict=True):
            pixels, _ = cut_out(self.grey, box, self.form)
            score = reading.probability * float(row.max())
            found.append(DetectedDigit(int(row.argmax()), score, _whole_pixels(box), pixels[None], row))
        return found


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
    sequences = SequenceReader(page.grey, predictor.input_format)
    lines = []
    for line in find_lines(glyphs.boxes):
        fields: list[tuple[list[int], DetectedField]] = []
        for part in split_into_fields(line, glyphs.boxes, glyphs.presence, join_separators):
            found = field_of(part, line, glyphs, predictor.classes, sequences)
            while found and fields and _share_a_digit(fields[-1][1], found):
                # What was between them was no glyph, and both have read it.
                part = fields.pop()[0] + part
                found = field_of(part, line, glyphs, predictor.classes, sequences)
            if found:
                fields.append((part, found))
        if fields:
            marked = (is_marked(page.grey, boxes_of(found)) for _, found in fields)
            lines.append(
                [
                    replace(_on_page(found, page.to_page), doubt=found.doubt or (MARKED if with_mark else None))
                    for (_, found), with_mark in zip(fields, marked, strict=True)
                ]
            )
    return lines


def boxes_of(field: DetectedField) -> Float[np.ndarray, "digits 4"]:
    """Around each of its digits."""
    return np.array([digit.box for digit in field.digits], float)


def _share_a_digit(left: DetectedField, right: DetectedField) -> bool:
    """Whether the last digit of one field is the first one of the next."""
    (_, _, end, _), (start, top, _, bottom) = left.digits[-1].box, right.digits[0].box
    return end - start > MAX_SHARED_HEIGHTS * (bottom - top)


def _on_page(field: DetectedField, to_page: Float[np.ndarray, "2 3"]) -> DetectedField:
    """The field with its boxes on the page."""
    digits, *others = (
        [
            replace(digit, box=_whole_pixels(box))
            for digit, box in zip(
                each, boxes_on_page(np.array([digit.box for digit in each], float), to_page), strict=True
            )
        ]
        for each in (field.digits, *field.others)
    )
    return replace(field, digits=digits, others=others)


def recognise(grey: Grey, glyphs: Glyphs, predictor: Predictor, weights: Weights = WEIGHTS) -> RecognisedGlyphs:
    """What each glyph of a page is."""
    opinions = opinions_on(grey, glyphs, predictor)
    shares = opinions.probabilities
    if predictor.classes == DIGIT_CLASSES:
        shares = labels(glyphs, opinions, weights)
    else:
        shares = shares / np.maximum(shares.sum(1, keepdims=True), SMALLEST)
    return RecognisedGlyphs(glyphs.boxes, presence(glyphs, opinions, weights), shares, opinions.pixels)


def field_of(
    digits: list[int],
    line: list[int],
    glyphs: RecognisedGlyphs,
    classes: tuple[str, ...],
    sequences: SequenceReader | None = None,
) -> DetectedField | None:
    """The field of these digits of a line; glyphs between them and beside them may be digits too.

    Where its glyphs alone leave a doubt, `sequences` reads it as a whole too. It may find digits that are no glyphs.
    None where there is no number by both.
    """
    parts, certain = segmentations_of(digits, line, glyphs)
    candidates = [[_digit(glyph, glyphs) for glyph in chosen] for _, chosen in parts]
    found = [Segmentation(share, glyphs.probabilities[chosen]) for share, chosen in parts]
    own = next(place for place, (_, chosen) in enumerate(parts) if chosen == digits)
    doubt = None
    if sequences and _likeliest(found[own]) < MAX_UNSURE and classes == DIGIT_CLASSES:
        _, all_possible = parts[0]
        lengths, strip = sequences.read(glyphs.boxes[all_possible])
        candidates += [sequences.digits(each, strip) for each in only_in_sequence(found, lengths)]
        by_glyphs, found = found, fused(found, lengths)
        if _none(found) >= MIN_NONE:
            return None
        readings = [_labels(by_glyphs[own].rows), _labels(max(found, key=_likeliest).rows)]
        readings += [_labels(likeliest(lengths).rows) if lengths else []]
        doubt = None if readings == readings[:1] * 3 else DIFFER
        found = [replace(each, probability=each.probability * certain) for each in found]
        candidates = [
            [_with_row(digit, row) for digit, row in zip(each, segmentation.rows, strict=True)]
            for each, segmentation in zip(candidates, found, strict=True)
        ]
        own = max((place for place, each in enumerate(candidates) if each), key=lambda place: _likeliest(found[place]))
    # What is held to be a digit without doubt, or to be none, may be wrong too: then any string may be right.
    any_string = Segmentation(
        1 - certain + _none(found), np.full((len(candidates[own]), len(classes)), 1 / len(classes))
    )
    others = [place for place in range(len(found)) if place != own and candidates[place]]
    others.sort(key=lambda place: -found[place].probability)
    return DetectedField(
        candidates[own],
        _likeliest(found[own]),
        StringDistribution.from_segmentations(classes, [any_string, *(each for each in found if len(each.rows))]),
        [candidates[place] for place in others],
        doubt,
    )


def segmentations_of(
    digits: list[int], line: list[int], glyphs: RecognisedGlyphs
) -> tuple[list[tuple[float, list[int]]], float]:
    """The glyphs of each segmentation, with its probability, all possible ones first; and the sum of these."""
    reach = within_reach(digits, line, glyphs.boxes, glyphs.presence)
    possible = [glyph for glyph in reach if glyph in digits or glyphs.presence[glyph] >= MIN_POSSIBLE]
    doubtful = sorted(possible, key=lambda glyph: abs(glyphs.presence[glyph] - 0.5))[:MAX_DOUBTS]
    certain = float(np.prod([_odds(glyphs, glyph, glyph in digits) for glyph in possible if glyph not in doubtful]))
    found: list[tuple[float, list[int]]] = []
    for there in product((True, False), repeat=len(doubtful)):
        chosen = dict(zip(doubtful, there, strict=True))
        parts = [glyph for glyph in possible if chosen.get(glyph, glyph in digits)]
        share = float(np.prod([_odds(glyphs, glyph, is_there) for glyph, is_there in chosen.items()]))
        found.append((certain * share, parts))
    return found, certain


def _labels(rows: Float[np.ndarray, "length classes"]) -> list[int]:
    return [int(label) for label in rows.argmax(1)]


def _none(segmentations: list[Segmentation]) -> float:
    """The probability that there is no digit."""
    return sum(each.probability for each in segmentations if not len(each.rows))


def _likeliest(segmentation: Segmentation) -> float:
    """The probability of its most probable string."""
    return float(segmentation.probability * segmentation.rows.max(1).prod())


def _odds(glyphs: RecognisedGlyphs, glyph: int, there: bool) -> float:
    return float(glyphs.presence[glyph] if there else 1 - glyphs.presence[glyph])


def _digit(glyph: int, glyphs: RecognisedGlyphs) -> DetectedDigit:
    row = glyphs.probabilities[glyph]
    score = float(glyphs.presence[glyph] * row.max())
    return DetectedDigit(int(row.argmax()), score, _whole_pixels(glyphs.boxes[glyph]), glyphs.pixels[glyph][None], row)


def _with_row(digit: DetectedDigit, row: Float[np.ndarray, " classes"]) -> DetectedDigit:
    """The digit with other probabilities of its labels."""
    score = digit.score / float(digit.probabilities.max()) * float(row.max())
    return replace(digit, label=int(row.argmax()), score=min(score, 1.0), probabilities=row)


def _whole_pixels(box: Float[np.ndarray, "4"]) -> Box:
    left, top, right, bottom = (round(edge) for edge in box.tolist())
    return left, top, max(left + 1, right), max(top + 1, bottom)
