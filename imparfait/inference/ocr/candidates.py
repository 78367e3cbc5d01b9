"""What the ink of a row may be cut and joined into: signs between two places of the row, as a classifier takes them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int, UInt8
from scipy import ndimage

from imparfait.data.images.foreground import Box, edges_of
from imparfait.data.images.normalize import InputFormat
from imparfait.data.images.placement import place
from imparfait.inference.ocr.binarize import BinarizedPage
from imparfait.inference.ocr.layout import Owners, TextRow
from imparfait.inference.ocr.splitting import cut
from imparfait.inference.predictor import Predictor

MOST_PARTS = 8  # of a row, that are joined to one sign: as many as a piece of its greatest width is cut into
WIDEST, TALLEST = 1.7, 1.9  # heights of the row's digits, of a sign that is joined
LOWEST = 0.4  # heights, of a piece that may be more than one digit
FARTHEST = 0.35  # heights between parts that are joined
TOUCHING, HIGH = 0.06, 0.7  # heights between two sure signs, each so high, from which on they are not joined
CUT_FROM = 0.55  # heights, from which width on a piece may be more than one digit
# A piece narrower than this of which the classifier is as sure as that is one digit, unless a cut through so few
# strokes leaves something so high on both sides: of single digits of tests/composed.py 57 %, less an eighth.
ONE_WIDE, ONE_SURE = 0.85, 0.99
PAIR_CROSSED, PAIR_TALL = 1.6, 0.65


@dataclass(frozen=True, eq=False)
class GlyphPrediction:
    """Ink as a model takes it, and what it says of it."""

    pixels: UInt8[np.ndarray, "1 height width"]
    answers: Float32[np.ndarray, " classes"]

    @property
    def sure(self) -> bool:
        """Whether it is most likely one sign."""
        return bool(self.answers.max() >= ONE_SURE)


@dataclass(frozen=True, eq=False)
class Glyph:
    """The least that a row's ink is divided into."""

    first: int
    """Its number in the row's owners."""
    box: Box
    pixels: int
    cut: float | None
    """Strokes crossed by the cut between it and the part before it; None where there was none to make."""
    look: GlyphPrediction | None
    """Where it is all of a piece."""
    whole: bool
    """Whether its piece is most likely a sign, or several: none of it belongs to others."""


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A sign made of the parts from `start` to before `end`."""

    start: int
    end: int
    box: Box
    pixels: UInt8[np.ndarray, "1 height width"]
    """As the model takes it."""
    gap: float
    """Heights that its parts lie apart, all together."""
    joined: int
    """Of its parts, those that nothing connects with the one before."""
    answers: Float32[np.ndarray, " classes"] | None
    """What the model says of it; None where it has not been asked."""


def looked_at(
    rows: list[TextRow], inked: BinarizedPage, owners: Owners, ready: Predictor
) -> dict[int, GlyphPrediction]:
    """What the classifier says of each piece that may be one sign, by its number."""
    framed = {
        piece.number: pixels
        for row in rows
        for piece in row.pieces
        if piece.height > LOWEST * row.tall and piece.width < WIDEST * row.tall
        if (pixels := _framed(piece.number, piece.number, piece.box, inked, owners, ready.input_format)) is not None
    }
    answers = ready.predict_proba(np.array([*framed.values()])) if framed else ()
    return {number: GlyphPrediction(framed[number], each) for number, each in zip(framed, answers, strict=True)}


def parts_of(row: TextRow, inked: BinarizedPage, owners: Owners, looks: dict[int, GlyphPrediction]) -> list[Glyph]:
    """The row's parts from left to right; `owners` is written anew: numbers rise along the row.

    What a look at the piece is sure of is cut only where it is wide, or looks like a pair.
    """
    parts: list[Glyph] = []
    number = int(owners.max()) + 1
    for piece in row.pieces:
        down, across = slice(piece.top, piece.bottom), slice(piece.left, piece.right)
        own = owners[down, across] == piece.number
        costs: list[float] = []
        look = looks.get(piece.number)
        whole = look is not None and look.sure and piece.height >= HIGH * row.tall
        which = np.where(own, 0, -1)
        if piece.width >= CUT_FROM * row.tall and piece.height > LOWEST * row.tall:
            ink = np.clip(inked.beside[down, across] / inked.strength, 0, 1)
            which, costs = cut(ink, own, row.tall)
            clear = look is not None and look.sure and piece.width < ONE_WIDE * row.tall
            if clear and not _is_pair(which, costs):
                which, costs = np.where(own, 0, -1), []
        for index in range(len(costs) + 1):
            mask = which == index
            if not mask.any():
                continue
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            box = (
                piece.left + int(columns[0]), piece.top + int(rows[0]),
                piece.left + int(columns[-1]) + 1, piece.top + int(rows[-1]) + 1,
            )  # fmt: skip
            owners[down, across][mask] = number
            before = costs[index - 1] if index else None
            parts.append(Glyph(number, box, int(mask.sum()), before, None if costs else look, whole))
            number += 1
    return parts


def _is_pair(which: Int[np.ndarray, "height width"], costs: list[float]) -> bool:
    """Whether a cut through little ink leaves something tall on both sides."""
    for last, cost in enumerate(costs):
        sides = (np.flatnonzero(side.any(1)) for side in ((which >= 0) & (which <= last), which > last))
        if cost <= PAIR_CROSSED and min(int(np.ptp(rows)) + 1 for rows in sides) >= PAIR_TALL * len(which):
            return True
    return False


def hypotheses_of(
    parts: list[Glyph], tall: float, inked: BinarizedPage, owners: Owners, form: InputFormat
) -> list[Hypothesis]:
    """The signs that neighbouring parts may make."""
    found = []
    for start, first in enumerate(parts):
        box, gap, joined = first.box, 0.0, 0
        for end in range(start + 1, min(len(parts), start + MOST_PARTS) + 1):
            if end > start + 1:
                part = parts[end - 1]
                if part.cut is None:
                    apart = max(0.0, part.box[0] - box[2]) / tall
                    gap, joined = gap + apart, joined + 1
                    if apart > FARTHEST or (apart > TOUCHING and parts[end - 2].whole and part.whole):
                        break
                box = _around(box, part.box)
                if box[2] - box[0] > WIDEST * tall or box[3] - box[1] > TALLEST * tall:
                    break
            elif first.look:
                look = first.look
                found.append(Hypothesis(start, end, box, look.pixels, gap, joined, look.answers))
                continue
            pixels = _framed(first.first, parts[end - 1].first, box, inked, owners, form)
            if pixels is not None:
                found.append(Hypothesis(start, end, box, pixels, gap, joined, None))
    return found


def _around(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _framed(
    first: int, last: int, box: Box, inked: BinarizedPage, owners: Owners, form: InputFormat
) -> UInt8[np.ndarray, "1 rows columns"] | None:
    """The parts numbered from `first` to `last` as a model takes a sign."""
    height, width = owners.shape
    down = slice(max(0, box[1] - 2), min(height, box[3] + 2))
    across = slice(max(0, box[0] - 2), min(width, box[2] + 2))
    theirs = owners[down, across]
    own = (theirs >= first) & (theirs <= last)
    near = ndimage.binary_dilation(own, np.ones((3, 3), bool)) & (own | (theirs == 0))
    beside = inked.beside[down, across]
    strength = _strength(beside[own])
    low = min(3 * inked.noise, strength / 3)
    ink = np.clip((beside * near - low) / (strength - low), 0, 1).astype(np.float32)
    if not ink.any():
        return None
    plane, _ = place(ink, edges_of(ink), form.height, form.width)
    return np.asarray(np.rint(plane[None] * 255), np.uint8)


def _strength(inside: Float32[np.ndarray, " pixels"]) -> float:
    """How far a sign's own ink lies from the ground: the median of its darker half, but for its darkest pixels."""
    clear = np.partition(inside, -1 - len(inside) // 20)[-1 - len(inside) // 20]
    dark = inside[inside >= clear / 2]
    return float(np.partition(dark, len(dark) // 2)[len(dark) // 2])
