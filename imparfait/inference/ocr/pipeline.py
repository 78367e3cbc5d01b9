"""The OCR pipeline: from a page's pixels to fields of digits with their probabilities."""

# binarize -> layout (text lines) -> candidates (segments and possible digits) -> lattice (best string) -> fields.
# Where paper was found on the page, the pipeline runs a second time with the paper grown; the result with more
# confident digits is kept.

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Float32, UInt8

from imparfait.data.images.foreground import Box
from imparfait.data.images.levels import Levels
from imparfait.inference.ocr.binarize import BinarizedPage, binarize
from imparfait.inference.ocr.candidates import Candidate, Segment, make_candidates, predict_components, segment_line
from imparfait.inference.ocr.lattice import DecodedDigit, Lattice, lattice_edges
from imparfait.inference.ocr.layout import find_lines
from imparfait.inference.predictor import Predictor

# Heights are those of the line's digits.
FIELD_GAP_HEIGHTS = 1.6  # between two digits: wider gaps always separate fields
WIDE_GAP_HEIGHTS = 0.7  # from here on a gap separates fields where the pitch is uneven:
UNEVEN_PITCH_RATIO = 1.8  # of the distance between two digits' middles to the median distance in the line
MIN_OTHER_GAPS = 5  # in a line, from which on a gap can be compared with the others, as in print:
PRINT_GAP_HEIGHTS, PRINT_GAP_RATIO = 0.25, 2.5  # of a gap in heights, and to nearly all others (80 %)
COMMA_HEIGHTS = 0.12, 0.6  # height of a comma or point
CONFIDENT_SCORE = 0.9  # of a digit, that counts when the two results for a page are compared


@dataclass(frozen=True, eq=False)
class DetectedDigit:
    """A digit in a field; its box is in the page's pixels."""

    label: int
    score: float
    box: Box
    pixels: UInt8[np.ndarray, "1 height width"]
    probabilities: Float[np.ndarray, " classes"]


@dataclass(frozen=True, eq=False)
class DetectedField:
    """Digits without a wide gap, and the probability of the whole string."""

    digits: list[DetectedDigit]
    score: float


def detect_fields(levels: Levels, predictor: Predictor) -> list[list[DetectedField]]:
    """The fields of each text line, from top to bottom and left to right."""
    page = binarize(levels)
    if page is None:
        return []
    lines = _detect_on(page, predictor)
    if page.contrast.shape != levels.shape[:2] and page.foreground[page.edge].any():
        # What looked like a sheet of paper may be a patch of light on a larger one. Then the larger one shows more
        # confident digits and no more doubtful ones, unlike the grain of a desk.
        grown_page = binarize(levels, grow_paper=True)
        grown_lines = _detect_on(grown_page, predictor) if grown_page else []
        (confident, doubtful), (grown_confident, grown_doubtful) = _counts(lines), _counts(grown_lines)
        if grown_confident > confident and grown_doubtful <= doubtful:
            return grown_lines
    return lines


def _counts(lines: list[list[DetectedField]]) -> tuple[int, int]:
    """Numbers of confident and of other digits."""
    scores = [digit.score for line in lines for field in line for digit in field.digits]
    confident = sum(score > CONFIDENT_SCORE for score in scores)
    return confident, len(scores) - confident


def _detect_on(page: BinarizedPage, predictor: Predictor) -> list[list[DetectedField]]:
    text_lines, component_map = find_lines(page)
    predictions = predict_components(text_lines, page, component_map, predictor)
    segmented = []
    for line in text_lines:
        segments = segment_line(line, page, component_map, predictions)
        candidates = make_candidates(segments, line.digit_height, page, component_map, predictor.input_format)
        if candidates:
            segmented.append((line.digit_height, segments, candidates))
    probabilities = iter(_probabilities([c for _, _, candidates in segmented for c in candidates], predictor))
    across, down = page.corner
    lines = []
    for digit_height, segments, candidates in segmented:
        of_line = np.array([next(probabilities) for _ in candidates])
        lattice = Lattice(len(segments) + 1, lattice_edges(segments, digit_height, candidates, of_line))
        fields = []
        for decoded in _split_into_fields(lattice.best(), segments, digit_height):
            digits = [
                DetectedDigit(
                    digit.label,
                    digit.score,
                    (l + across, t + down, r + across, b + down),
                    digit.candidate.pixels,
                    digit.probabilities,
                )
                for digit in decoded
                for l, t, r, b in [digit.candidate.box]  # noqa: E741
            ]
            fields.append(DetectedField(digits, lattice.probability(decoded)))
        if fields:
            lines.append(fields)
    return lines


def _probabilities(candidates: list[Candidate], predictor: Predictor) -> list[Float32[np.ndarray, " classes"]]:
    """The probabilities of each candidate; those not yet known are predicted in one call."""
    unknown = [candidate.pixels for candidate in candidates if candidate.probabilities is None]
    predicted = iter(predictor.predict_proba(np.array(unknown)) if unknown else ())
    return [next(predicted) if c.probabilities is None else c.probabilities for c in candidates]


def _split_into_fields(
    digits: list[DecodedDigit], segments: list[Segment], digit_height: float
) -> list[list[DecodedDigit]]:
    """The digits of a line, separated at wide gaps and at commas and points."""
    boxes = [digit.candidate.box for digit in digits]
    middles = np.array([(box[0] + box[2]) / 2 for box in boxes])
    pitch = float(np.median(np.diff(middles))) if len(digits) > 2 else np.inf
    gaps = np.array([max(0, right[0] - left[2]) / digit_height for left, right in pairwise(boxes)])
    fields: list[list[DecodedDigit]] = []
    for index, digit in enumerate(digits):
        is_new = index == 0
        if index:
            gap = gaps[index - 1]
            distance = middles[index] - middles[index - 1]
            is_new = gap > FIELD_GAP_HEIGHTS or (gap > WIDE_GAP_HEIGHTS and distance > UNEVEN_PITCH_RATIO * pitch)
            others = np.delete(gaps, index - 1)
            if len(others) >= MIN_OTHER_GAPS:
                widest_usual = float(np.quantile(others, 0.8))
                is_new |= gap > PRINT_GAP_HEIGHTS and gap > PRINT_GAP_RATIO * widest_usual + 0.05
            between = segments[digits[index - 1].candidate.end : digit.candidate.start]
            is_new |= any(_is_comma(s.box, boxes[index - 1], boxes[index], digit_height) for s in between)
        if is_new:
            fields.append([])
        fields[-1].append(digit)
    return fields


def _is_comma(mark: Box, before: Box, after: Box, digit_height: float) -> bool:
    """Whether a mark between two digits is a comma or a point: low, neither a speck nor as tall as a digit."""
    is_low = mark[1] > max((box[1] + 2 * box[3]) / 3 for box in (before, after))
    is_between = mark[0] >= before[2] - 0.1 * digit_height and mark[2] <= after[0] + 0.1 * digit_height
    height = (mark[3] - mark[1]) / digit_height
    return is_low and is_between and COMMA_HEIGHTS[0] < height < COMMA_HEIGHTS[1]
