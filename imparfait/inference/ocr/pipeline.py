"""From a page's pixels to fields of signs: the ink, its rows, what they may be, the best of it."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float32, UInt8

from imparfait.data.images.foreground import Box
from imparfait.data.images.levels import Levels
from imparfait.inference.ocr.binarize import BinarizedPage, binarize
from imparfait.inference.ocr.candidates import Glyph, Hypothesis, hypotheses_of, looked_at, parts_of
from imparfait.inference.ocr.lattice import Chosen, Lattice, ways_through
from imparfait.inference.ocr.layout import find_rows
from imparfait.inference.predictor import Predictor

WIDE, WIDEST = 0.7, 1.6  # heights of a gap: between fields where others are narrower, and in any case
MANY = 5  # other gaps in a row from which on they tell what is unlike them …
SPACE, EVEN = 0.25, 2.5  # … from so many heights on, and so many times wider than nearly all of them: print is even
COMMA = 0.12, 0.6  # heights, that a comma or a point is high
CERTAIN = 0.9  # of a sign's score, that counts for where it was read
USUAL = 1.8  # times the usual distance from one sign's middle to the next, that is unlike the others


@dataclass(frozen=True, eq=False)
class DetectedDigit:
    """A sign in a field."""

    label: int
    score: float
    box: Box
    pixels: UInt8[np.ndarray, "1 height width"]


@dataclass(frozen=True, eq=False)
class DetectedField:
    """A field, and how probable it is that it is this string."""

    signs: list[DetectedDigit]
    score: float


def find(levels: Levels, ready: Predictor) -> list[list[DetectedField]]:
    """The fields of each row of a page, in the order in which they are written; boxes are in the page's pixels."""
    inked = binarize(levels)
    if inked is None:
        return []
    found = _find_on(inked, ready)
    if inked.beside.shape != levels.shape[:2] and inked.ink[inked.edge].any():
        # What looked like a sheet may be where the light falls on it: where more of it shows more that is certain, and
        # no more that is not, that is right; a desk's grain is not.
        more = binarize(levels, grown=True)
        other = _find_on(more, ready) if more else []
        (certain, doubtful), (more_certain, more_doubtful) = _counted(found), _counted(other)
        if more_certain > certain and more_doubtful <= doubtful:
            return other
    return found


def _counted(found: list[list[DetectedField]]) -> tuple[int, int]:
    """How many signs are certain, and how many are not."""
    scores = [sign.score for row in found for field in row for sign in field.signs]
    certain = sum(score > CERTAIN for score in scores)
    return certain, len(scores) - certain


def _find_on(inked: BinarizedPage, ready: Predictor) -> list[list[DetectedField]]:
    rows, owners = find_rows(inked)
    looks = looked_at(rows, inked, owners, ready)
    lattices = []
    for row in rows:
        parts = parts_of(row, inked, owners, looks)
        hypotheses = hypotheses_of(parts, row.tall, inked, owners, ready.input_format)
        if hypotheses:
            lattices.append((row.tall, parts, hypotheses))
    answered = iter(_answered([each for _, _, hypotheses in lattices for each in hypotheses], ready))
    across, down = inked.corner
    found = []
    for tall, parts, hypotheses in lattices:
        answers = np.array([next(answered) for _ in hypotheses])
        lattice = Lattice(len(parts) + 1, ways_through(parts, tall, hypotheses, answers))
        fields = []
        for chosen in _fields(lattice.best(), parts, tall):
            signs = [
                DetectedDigit(
                    each.label, each.score, (l + across, t + down, r + across, b + down), each.hypothesis.pixels
                )
                for each in chosen
                for l, t, r, b in [each.hypothesis.box]  # noqa: E741
            ]
            fields.append(DetectedField(signs, lattice.probability(chosen)))
        if fields:
            found.append(fields)
    return found


def _answered(hypotheses: list[Hypothesis], ready: Predictor) -> list[Float32[np.ndarray, " classes"]]:
    """What the classifier says of each, of those that it has not been asked yet too."""
    asked = [each.pixels for each in hypotheses if each.answers is None]
    new = iter(ready.predict_proba(np.array(asked)) if asked else ())
    return [next(new) if each.answers is None else each.answers for each in hypotheses]


def _fields(chosen: list[Chosen], parts: list[Glyph], tall: float) -> list[list[Chosen]]:
    """Signs of a row, parted where the gap is wide, and by a comma or a point."""
    boxes = [each.hypothesis.box for each in chosen]
    middles = np.array([(box[0] + box[2]) / 2 for box in boxes])
    usual = float(np.median(np.diff(middles))) if len(chosen) > 2 else np.inf
    gaps = np.array([max(0, right[0] - left[2]) / tall for left, right in pairwise(boxes)])
    fields: list[list[Chosen]] = []
    for place, each in enumerate(chosen):
        if place:
            before = chosen[place - 1]
            gap = gaps[place - 1]
            unlike = gap > WIDE and middles[place] - middles[place - 1] > USUAL * usual
            others = np.delete(gaps, place - 1)
            if len(others) >= MANY:
                unlike |= gap > SPACE and gap > EVEN * float(np.quantile(others, 0.8)) + 0.05
            between = parts[before.hypothesis.end : each.hypothesis.start]
            parted = any(_is_comma(part.box, boxes[place - 1], boxes[place], tall) for part in between)
        if not place or gap > WIDEST or unlike or parted:
            fields.append([])
        fields[-1].append(each)
    return fields


def _is_comma(mark: Box, before: Box, after: Box, tall: float) -> bool:
    """Whether a mark stands between two signs, low, neither a speck nor as tall as they are."""
    low = mark[1] > max((box[1] + 2 * box[3]) / 3 for box in (before, after))
    between = mark[0] >= before[2] - 0.1 * tall and mark[2] <= after[0] + 0.1 * tall
    return low and between and COMMA[0] < (mark[3] - mark[1]) / tall < COMMA[1]
