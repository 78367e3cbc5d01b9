"""From a page's pixels to fields of signs: the ink, its rows, what they may be, the best of it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from imparfait.answering import Ready
from imparfait.decoding.ink import Box
from imparfait.decoding.levels import Levels
from imparfait.reading.choosing import Chosen, Lattice, ways_through
from imparfait.reading.hypotheses import Part, clear_pieces, hypotheses_of, parts_of
from imparfait.reading.inked import Inked, find_all_ink
from imparfait.reading.rows import find_rows

WIDE, WIDEST = 0.7, 1.6  # heights of a gap: between fields where others are narrower, and in any case
COMMA = 0.12, 0.6  # heights, that a comma or a point is high
CERTAIN = 0.9  # of a sign's score, that counts for where it was read
USUAL = 1.8  # times the usual distance from one sign's middle to the next, that is unlike the others


@dataclass(frozen=True, eq=False)
class Sign:
    """A sign in a field."""

    label: int
    score: float
    box: Box
    pixels: UInt8[np.ndarray, "1 height width"]


@dataclass(frozen=True, eq=False)
class Found:
    """A field, and how probable it is that it is this string."""

    signs: list[Sign]
    score: float


def find(levels: Levels, ready: Ready) -> list[list[Found]]:
    """The fields of each row of a page, in the order in which they are written; boxes are in the page's pixels."""
    inked = find_all_ink(levels)
    if inked is None:
        return []
    found = _find_on(inked, ready)
    if inked.beside.shape != levels.shape[:2] and inked.ink[inked.edge].any():
        # What looked like a sheet may be where the light falls on it: where more is read on more of it, that is right.
        more = find_all_ink(levels, grown=True)
        other = _find_on(more, ready) if more else []
        if _sure_signs(other) > _sure_signs(found):
            return other
    return found


def _sure_signs(found: list[list[Found]]) -> int:
    return sum(sign.score > CERTAIN for row in found for field in row for sign in field.signs)


def _find_on(inked: Inked, ready: Ready) -> list[list[Found]]:
    rows, owners = find_rows(inked)
    clear = clear_pieces(rows, inked, owners, ready)
    lattices = []
    for row in rows:
        parts = parts_of(row, inked, owners, clear)
        hypotheses = hypotheses_of(parts, row.tall, inked, owners, ready.frame)
        if hypotheses:
            lattices.append((row.tall, parts, hypotheses))
    if not lattices:
        return []
    asked = ready.probabilities(np.stack([each.pixels for _, _, hypotheses in lattices for each in hypotheses]))
    across, down = inked.corner
    found = []
    for tall, parts, hypotheses in lattices:
        answers, asked = asked[: len(hypotheses)], asked[len(hypotheses) :]
        lattice = Lattice(len(parts) + 1, ways_through(parts, tall, hypotheses, answers))
        fields = []
        for chosen in _fields(lattice.best(), parts, tall):
            signs = [
                Sign(each.label, each.score, (l + across, t + down, r + across, b + down), each.hypothesis.pixels)
                for each in chosen
                for l, t, r, b in [each.hypothesis.box]  # noqa: E741
            ]
            fields.append(Found(signs, lattice.probability(chosen)))
        if fields:
            found.append(fields)
    return found


def _fields(chosen: list[Chosen], parts: list[Part], tall: float) -> list[list[Chosen]]:
    """Signs of a row, parted where the gap is wide, and by a comma or a point."""
    boxes = [each.hypothesis.box for each in chosen]
    middles = np.array([(box[0] + box[2]) / 2 for box in boxes])
    usual = float(np.median(np.diff(middles))) if len(chosen) > 2 else np.inf
    fields: list[list[Chosen]] = []
    for place, each in enumerate(chosen):
        if place:
            before = chosen[place - 1]
            gap = boxes[place][0] - boxes[place - 1][2]
            unlike = gap > WIDE * tall and middles[place] - middles[place - 1] > USUAL * usual
            between = parts[before.hypothesis.end : each.hypothesis.start]
            parted = any(_is_comma(part.box, boxes[place - 1], boxes[place], tall) for part in between)
        if not place or gap > WIDEST * tall or unlike or parted:
            fields.append([])
        fields[-1].append(each)
    return fields


def _is_comma(mark: Box, before: Box, after: Box, tall: float) -> bool:
    """Whether a mark stands between two signs, low, neither a speck nor as tall as they are."""
    low = mark[1] > max((box[1] + 2 * box[3]) / 3 for box in (before, after))
    between = mark[0] >= before[2] - 0.1 * tall and mark[2] <= after[0] + 0.1 * tall
    return low and between and COMMA[0] < (mark[3] - mark[1]) / tall < COMMA[1]
