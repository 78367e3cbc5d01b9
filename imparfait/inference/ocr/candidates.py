"""Candidate digits of a text line: components over-segmented, and neighbouring segments joined again."""

# 1. The classifier predicts each component that may be one digit.
# 2. Wide components are split into segments (splitting), unless the classifier is confident that they are one digit.
# 3. Every run of neighbouring segments that could be one digit is a candidate, normalised as the model takes a digit.

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int, UInt8
from scipy import ndimage

from imparfait.data.images.foreground import Box, edges_of, reduced
from imparfait.data.images.input_format import InputFormat
from imparfait.data.images.placement import place
from imparfait.inference.ocr.binarize import BinarizedPage
from imparfait.inference.ocr.layout import ComponentMap, TextLine
from imparfait.inference.ocr.splitting import split_component
from imparfait.inference.predictor import Predictor

# Heights are those of the line's digits.
MAX_SEGMENTS = 8  # of a candidate: as many as the widest component is split into
MAX_WIDTH_HEIGHTS, MAX_HEIGHT_HEIGHTS = 1.7, 1.9  # of a candidate
MIN_DIGITS_HEIGHT = 0.4  # heights of a component that may be one or more digits
MAX_GAP_HEIGHTS = 0.35  # between segments of a candidate
MAX_DIGIT_GAP_HEIGHTS = 0.06  # between two components that are digits themselves; if wider, they are not joined
MIN_DIGIT_HEIGHTS = 0.7  # of a component that is a digit itself
MIN_SPLIT_WIDTH_HEIGHTS = 0.55  # of a component that may be more than one digit
# A component narrower than ONE_DIGIT_WIDTH_HEIGHTS that the classifier predicts with ONE_DIGIT_SCORE is one digit,
# unless a cut through at most PAIR_STROKES strokes leaves PAIR_HEIGHT_SHARE of its height on both sides.
# On composed lines (tests/helpers/lines.py) that saves the splitting of 57 % of the single digits, less an eighth.
ONE_DIGIT_WIDTH_HEIGHTS, ONE_DIGIT_SCORE = 0.85, 0.99
PAIR_STROKES, PAIR_HEIGHT_SHARE = 1.6, 0.65
LARGE_PIXELS = 800  # of a candidate's longer side, from which on it is averaged to half of that before it is placed


@dataclass(frozen=True, eq=False)
class ComponentPrediction:
    """A component as the model takes it, and the predicted probabilities."""

    pixels: UInt8[np.ndarray, "1 height width"]
    probabilities: Float32[np.ndarray, " classes"]

    @property
    def is_confident(self) -> bool:
        """Whether it is most likely one digit."""
        return bool(self.probabilities.max() >= ONE_DIGIT_SCORE)


@dataclass(frozen=True, eq=False)
class Segment:
    """The smallest part that a line's foreground is split into."""

    number: int
    """In the line's component map."""
    box: Box
    cut: float | None
    """Strokes crossed by the cut before it; None at the start of a component."""
    prediction: ComponentPrediction | None
    """Where it is a whole component."""
    is_digit: bool
    """Whether its component is most likely one or more whole digits, of which nothing belongs to another component."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A possible digit, made of the segments from `start` to before `end`."""

    start: int
    end: int
    box: Box
    pixels: UInt8[np.ndarray, "1 height width"]
    """As the model takes it."""
    gap: float
    """Sum of the gaps between its segments, in heights."""
    joined: int
    """Number of its segments that do not touch the one before."""
    probabilities: Float32[np.ndarray, " classes"] | None
    """Predicted by the model; None where it has not been run yet."""


def predict_components(
    lines: list[TextLine], page: BinarizedPage, component_map: ComponentMap, predictor: Predictor
) -> dict[int, ComponentPrediction]:
    """The prediction for each component that may be one digit, by its number."""
    inputs = {
        component.number: pixels
        for line in lines
        for component in line.components
        if component.height > MIN_DIGITS_HEIGHT * line.digit_height
        and component.width < MAX_WIDTH_HEIGHTS * line.digit_height
        if (
            pixels := _model_input(
                component.number, component.number, component.box, page, component_map, predictor.input_format
            )
        )
        is not None
    }
    probabilities = predictor.predict_proba(np.array([*inputs.values()])) if inputs else ()
    return {number: ComponentPrediction(inputs[number], row) for number, row in zip(inputs, probabilities, strict=True)}


def segment_line(
    line: TextLine, page: BinarizedPage, component_map: ComponentMap, predictions: dict[int, ComponentPrediction]
) -> list[Segment]:
    """The line's segments from left to right; they are renumbered in `component_map`, ascending along the line.

    A component that is confidently one digit is split only where it is wide or looks like a pair.
    """
    segments: list[Segment] = []
    number = int(component_map.max()) + 1
    for component in line.components:
        down, across = slice(component.top, component.bottom), slice(component.left, component.right)
        own = component_map[down, across] == component.number
        cuts: list[float] = []
        prediction = predictions.get(component.number)
        is_confident = prediction is not None and prediction.is_confident
        is_digit = is_confident and component.height >= MIN_DIGIT_HEIGHTS * line.digit_height
        part_of = np.where(own, 0, -1)
        is_wide = component.width >= MIN_SPLIT_WIDTH_HEIGHTS * line.digit_height
        if is_wide and component.height > MIN_DIGITS_HEIGHT * line.digit_height:
            foreground = np.clip(page.contrast[down, across] / page.strength, 0, 1)
            part_of, cuts = split_component(foreground, own, line.digit_height)
            is_narrow = component.width < ONE_DIGIT_WIDTH_HEIGHTS * line.digit_height
            if is_confident and is_narrow and not _is_pair(part_of, cuts):
                part_of, cuts = np.where(own, 0, -1), []
        for index in range(len(cuts) + 1):
            mask = part_of == index
            if not mask.any():
                continue
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            box = (
                component.left + int(columns[0]), component.top + int(rows[0]),
                component.left + int(columns[-1]) + 1, component.top + int(rows[-1]) + 1,
            )  # fmt: skip
            component_map[down, across][mask] = number
            cut_before = cuts[index - 1] if index else None
            segments.append(Segment(number, box, cut_before, None if cuts else prediction, is_digit))
            number += 1
    return segments


def _is_pair(part_of: Int[np.ndarray, "height width"], cuts: list[float]) -> bool:
    """Whether a cut through few strokes leaves something tall on both sides."""
    for last, strokes in enumerate(cuts):
        sides = (np.flatnonzero(side.any(1)) for side in ((part_of >= 0) & (part_of <= last), part_of > last))
        lowest = PAIR_HEIGHT_SHARE * len(part_of)
        if strokes <= PAIR_STROKES and min(int(np.ptp(rows)) + 1 for rows in sides) >= lowest:
            return True
    return False


def make_candidates(
    segments: list[Segment], digit_height: float, page: BinarizedPage, component_map: ComponentMap, form: InputFormat
) -> list[Candidate]:
    """The possible digits: runs of neighbouring segments."""
    candidates = []
    for start, first in enumerate(segments):
        box, gap, joined = first.box, 0.0, 0
        for end in range(start + 1, min(len(segments), start + MAX_SEGMENTS) + 1):
            if end > start + 1:
                segment = segments[end - 1]
                if segment.cut is None:
                    distance = max(0.0, segment.box[0] - box[2]) / digit_height
                    gap, joined = gap + distance, joined + 1
                    are_digits = segments[end - 2].is_digit and segment.is_digit
                    if distance > MAX_GAP_HEIGHTS or (distance > MAX_DIGIT_GAP_HEIGHTS and are_digits):
                        break
                box = _union(box, segment.box)
                width, height = box[2] - box[0], box[3] - box[1]
                if width > MAX_WIDTH_HEIGHTS * digit_height or height > MAX_HEIGHT_HEIGHTS * digit_height:
                    break
            elif first.prediction:
                known = first.prediction
                candidates.append(Candidate(start, end, box, known.pixels, gap, joined, known.probabilities))
                continue
            pixels = _model_input(first.number, segments[end - 1].number, box, page, component_map, form)
            if pixels is not None:
                candidates.append(Candidate(start, end, box, pixels, gap, joined, None))
    return candidates


def _union(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _model_input(
    first: int, last: int, box: Box, page: BinarizedPage, component_map: ComponentMap, form: InputFormat
) -> UInt8[np.ndarray, "1 rows columns"] | None:
    """The segments numbered from `first` to `last` as the model takes a digit."""
    height, width = component_map.shape
    down = slice(max(0, box[1] - 2), min(height, box[3] + 2))
    across = slice(max(0, box[0] - 2), min(width, box[2] + 2))
    numbers = component_map[down, across]
    own = (numbers >= first) & (numbers <= last)
    near = ndimage.binary_dilation(own, np.ones((3, 3), bool)) & (own | (numbers == 0))
    contrast = page.contrast[down, across]
    strength = _strength(contrast[own])
    low = min(3 * page.noise, strength / 3)
    foreground = np.clip((contrast * near - low) / (strength - low), 0, 1).astype(np.float32)
    if not foreground.any():
        return None
    if (longer := max(foreground.shape)) > LARGE_PIXELS:  # a spiral's parts are all as large as the page
        foreground = reduced(foreground[..., None], longer // (LARGE_PIXELS // 2))[..., 0]
    plane, _ = place(foreground, edges_of(foreground), form.height, form.width)
    return np.asarray(np.rint(plane[None] * 255), np.uint8)


def _strength(contrast: Float32[np.ndarray, " pixels"]) -> float:
    """The contrast of a digit's own foreground: the median of its stronger half, without its strongest pixels."""
    clear = np.partition(contrast, -1 - len(contrast) // 20)[-1 - len(contrast) // 20]
    strong = contrast[contrast >= clear / 2]
    return float(np.partition(strong, len(strong) // 2)[len(strong) // 2])
