"""Writers: one hand, real source or font that writes a whole line."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import digit_fonts
import numpy as np
import pen_strokes
from build_digit_data import Split
from PIL import Image, ImageFilter

from pages.glyphs import Glyph, Shape, characters, font_glyph, glyph_of, reshaped, size_for
from pages.sources import Hand, RealDigits, Sources

HANDS = {"fit": 500, "choose": 150, "test": 150}  # of pen strokes: few enough to keep most of their digits drawn
SEEDS = {"fit": 0, "choose": 10_000_000, "test": 20_000_000}  # of their hands, as for the single digits
TIMES = 2  # a hand of pen strokes writes each digit in so many ways
DRAWN_PX = 80  # height at which pen strokes and real digits are drawn before they are resized
KINDS = {"strokes": 0.45, "font": 0.25, "mnist": 0.12, "italy": 0.09, "turkey": 0.09}
"""Shares of the writers of handwritten lines."""

SIGNS: dict[str, tuple[float, float, pen_strokes.Strokes]] = {
    sign: (height, above, [np.array(stroke, float) for stroke in strokes])
    for sign, height, above, strokes in (
        ("+", 0.5, 0.2, [[(-0.5, 0.5), (0.5, 0.5)], [(0.0, 0.0), (0.0, 1.0)]]),
        ("-", 0.1, 0.42, [[(-2.2, 0.5), (2.2, 0.4)]]),
        ("=", 0.22, 0.35, [[(-1.0, 0.0), (1.0, 0.0)], [(-1.0, 1.0), (1.0, 1.0)]]),
        ("×", 0.4, 0.15, [[(-0.5, 0.0), (0.5, 1.0)], [(0.5, 0.0), (-0.5, 1.0)]]),
        ("/", 1.1, -0.05, [[(0.25, 0.0), (-0.25, 1.0)]]),
        (",", 0.22, -0.14, [[(0.1, 0.0), (-0.25, 1.0)]]),
        ("(", 1.2, -0.1, [[(0.1, 0.0), (-0.08, 0.25), (-0.12, 0.5), (-0.08, 0.75), (0.1, 1.0)]]),
        (")", 1.2, -0.1, [[(-0.1, 0.0), (0.08, 0.25), (0.12, 0.5), (0.08, 0.75), (-0.1, 1.0)]]),
    )
}
"""Signs beside digits: height and place above the baseline in heights of a digit, and strokes."""


class Writer(Protocol):
    """Something that writes all characters of a line in one style."""

    @property
    def name(self) -> str:
        """Of the hand, the source or the font."""

    def characters(self) -> frozenset[str]:
        """What this writer can write."""

    def glyph(self, character: str, height: float, turn: float, rng: np.random.Generator) -> Glyph:
        """A character, in a line with digits of this height, turned by an angle in radians."""


@dataclass(frozen=True, eq=False)
class PenWriter:
    """A hand of the generator of pen strokes: digits and signs."""

    name: str
    seed: int
    shape: Shape

    def characters(self) -> frozenset[str]:
        return frozenset("0123456789") | frozenset(SIGNS)

    def glyph(self, character: str, height: float, turn: float, rng: np.random.Generator) -> Glyph:
        """A digit or sign with this hand's pen."""
        if character in SIGNS:
            share, above, _ = SIGNS[character]
            mask = pen_sign(self.seed, character)
            scale = height / DRAWN_PX
            drawn = reshaped(mask, mask.height * scale, self.shape, turn, rng)
            glyph = glyph_of(drawn)
            return replace(glyph, top=-above * height - (drawn.height + share * height) / 2)
        mask = pen_digit(self.seed, int(character), int(rng.integers(TIMES)))
        return glyph_of(reshaped(mask, height * rng.uniform(0.9, 1.1), self.shape, turn, rng))


@lru_cache(maxsize=4096)
def hand_of(seed: int) -> pen_strokes.Hand:
    """A hand of pen strokes; one in four writes with a thin pencil, one in ten with a heavy felt pen."""
    hand = pen_strokes.hand_of(seed)
    draw = np.random.default_rng([seed, 5]).random(2)
    if draw[0] < 0.25:
        return replace(hand, pen=0.018 + 0.022 * float(draw[1]))
    return replace(hand, pen=0.16 + 0.14 * float(draw[1])) if draw[0] > 0.9 else hand


@lru_cache(maxsize=12_000)
def pen_digit(seed: int, digit: int, number: int) -> Image.Image:
    """A digit of a hand, cropped to its ink."""
    hand = hand_of(seed)
    drawn = Image.fromarray(pen_strokes.draw(pen_strokes.strokes_of(digit, hand, number), hand, DRAWN_PX, number))
    return drawn.crop(drawn.getbbox())


@lru_cache(maxsize=4_000)
def pen_sign(seed: int, sign: str) -> Image.Image:
    """A sign of a hand, cropped to its ink."""
    hand = hand_of(seed)
    share, _, strokes = SIGNS[sign]
    scaled = [points * share for points in strokes]
    drawn = Image.fromarray(pen_strokes.draw(scaled, hand, DRAWN_PX))
    return drawn.crop(drawn.getbbox())


@dataclass(frozen=True, eq=False)
class RealWriter:
    """Real digits of one writer, or of writers with similar slant and thickness."""

    name: str
    digits: RealDigits
    hand: Hand
    shape: Shape
    blur: float
    """Standard deviation that rounds off the pixels of the source, in shares of the height."""

    def characters(self) -> frozenset[str]:
        return frozenset(map(str, self.hand))

    def glyph(self, character: str, height: float, turn: float, rng: np.random.Generator) -> Glyph:
        """One of this hand's digits, smoothly enlarged."""
        rows = self.hand[int(character)]
        ink = Image.fromarray(self.digits.images[rows[rng.integers(len(rows))]])
        ink = ink.crop(ink.getbbox())
        aspect = ink.width / ink.height
        if self.digits.stretched:
            aspect = rng.uniform(0.25, 0.55) if character == "1" else rng.uniform(0.55, 0.75)
        room = round(DRAWN_PX * 0.1)
        smooth = Image.new("L", (max(3, round(DRAWN_PX * aspect)) + 2 * room, DRAWN_PX + 2 * room))
        size = (smooth.width - 2 * room, DRAWN_PX)
        smooth.paste(ink.resize(size, Image.Resampling.BICUBIC), (room, room))
        smooth = smooth.filter(ImageFilter.GaussianBlur(DRAWN_PX * self.blur)).point(SHARPER)
        smooth = smooth.crop(smooth.getbbox())
        return glyph_of(reshaped(smooth, height * rng.uniform(0.9, 1.1), self.shape, turn, rng))


SHARPER = [min(255, max(0, round((level - 110) * 3 + 127))) for level in range(256)]


@dataclass(frozen=True, eq=False)
class FontWriter:
    """One font, as it is or by a hand that writes each character a little differently."""

    name: str
    face: digit_fonts.Face
    shape: Shape | None

    def characters(self) -> frozenset[str]:
        return characters(self.face.path)

    def glyph(self, character: str, height: float, turn: float, rng: np.random.Generator) -> Glyph:
        """The character of the font."""
        path = self.face.path
        glyph = font_glyph(path, size_for(path, height), character)
        if (self.shape is None and not turn) or not len(glyph.outline):
            return glyph
        drawn = reshaped(glyph.mask, max(1.0, glyph.mask.height), self.shape or Shape(bend=0, turn=0), turn, rng)
        centre = glyph.top + glyph.mask.height / 2
        fresh = glyph_of(drawn)
        return replace(fresh, left=glyph.left, top=centre - drawn.height / 2, advance=glyph.advance)


def random_face(
    sources: Sources, split: Split, kind: digit_fonts.Kind, rng: np.random.Generator, legible: bool = False
) -> digit_fonts.Face:
    """A face of a split, each design as often as another; legible: with all ASCII letters, as text needs."""
    designs = sources.faces(split, kind)
    while True:
        faces = designs[rng.integers(len(designs))]
        face = faces[rng.integers(len(faces))]
        if not legible or characters(face.path) >= LETTERS:
            return face


LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def printer(sources: Sources, split: Split, rng: np.random.Generator) -> FontWriter:
    """A printed font."""
    face = random_face(sources, split, "printed", rng, legible=True)
    return FontWriter(face.name, face, None)


def hand_lettering(sources: Sources, split: Split, rng: np.random.Generator) -> FontWriter:
    """A handwriting font, for words."""
    face = random_face(sources, split, "handwriting", rng, legible=True)
    return FontWriter(face.name, face, Shape(slant=rng.normal(0, 0.08), bend=0.012, turn=0.02))


def writer(sources: Sources, split: Split, rng: np.random.Generator) -> Writer:
    """One hand for a line of handwritten digits."""
    kinds = [kind for kind in KINDS if kind not in ("mnist", "italy", "turkey") or available(sources, split, kind)]
    shares = np.array([KINDS[kind] for kind in kinds])
    kind = str(rng.choice(kinds, p=shares / shares.sum()))
    shape = Shape(
        slant=rng.normal(0, 0.1),
        aspect=math.exp(rng.normal(0, 0.1)),
        bend=rng.uniform(0, 0.025),
        turn=rng.uniform(0.01, 0.07),
    )
    if kind == "strokes":
        seed = SEEDS[split] + int(rng.integers(HANDS[split]))
        return PenWriter(f"hand {seed}", seed, replace(shape, slant=shape.slant * 0.5))
    if kind == "font":
        face = random_face(sources, split, "handwriting", rng)
        return FontWriter(face.name, face, shape)
    hands = available(sources, split, kind)
    number = int(rng.integers(len(hands)))
    return RealWriter(f"{kind} {number}", sources.real[kind], hands[number], shape, rng.uniform(0.02, 0.035))


def available(sources: Sources, split: Split, kind: str) -> list[Hand]:
    """The hands of a real source in a split."""
    return sources.real[kind].hands[split] if kind in sources.real else []
