"""Lines of text: written digit by digit by a hand, or printed with a font's spacing."""

import math

import numpy as np

from pages.canvas import Canvas, Colour
from pages.writers import FontWriter, Writer

GAPS = ((0.4, 1.4, 0.22), (0.1, 0.4, 0.36), (-0.02, 0.1, 0.24), (-0.16, -0.02, 0.18))
"""Gaps between digits, in heights: from, to, and the share of lines: wide, usual, touching, overlapping."""
THICK = 100  # mean coverage (0..255) of a glyph's box


def random_gap(rng: np.random.Generator) -> float:
    """The gap of one line."""
    low, high, _ = GAPS[int(rng.choice(len(GAPS), p=[share for *_, share in GAPS]))]
    return float(rng.uniform(low, high))


def write(
    canvas: Canvas,
    writer: Writer,
    text: str,
    at: tuple[float, float],
    height: float,
    colour: Colour,
    rng: np.random.Generator,
    *,
    gap: float = 0.15,
    tilt: float = 0.0,
) -> float:
    """Write a line from a point of its baseline; gives how far it went. The baseline wanders and is tilted."""
    along, drift = 0.0, 0.0
    for character in text:
        if character == " ":
            along += 0.6 * height
            continue
        glyph = writer.glyph(character, height, tilt, rng)
        drift = 0.7 * drift + rng.normal(0, 0.035) * height
        x = at[0] + along * math.cos(tilt)
        y = at[1] + along * math.sin(tilt) + drift
        canvas.stamp(glyph, x - glyph.left, y, colour, character)
        # Thick strokes that overlap as much as thin ones do are a blot.
        thick = np.asarray(glyph.mask).mean() > THICK
        apart = max(gap, 0.0) if thick else gap
        along += glyph.mask.width + height * (apart + 0.4 * max(abs(apart), 0.05) * rng.normal())
    return along


def print_text(
    canvas: Canvas, writer: FontWriter, text: str, at: tuple[float, float], height: float, colour: Colour,
    rng: np.random.Generator, spacing: float = 0.0,
) -> float:  # fmt: skip
    """Print a line with the font's own spacing; gives how far it went."""
    x, y = at
    known = writer.characters()
    for character in text:
        if character == " " or character not in known:
            x += 0.4 * height
            continue
        glyph = writer.glyph(character, height, 0.0, rng)
        canvas.stamp(glyph, x, y, colour, character)
        x += glyph.advance + spacing * height
    return x - at[0]


def text_width(writer: FontWriter, text: str, height: float, rng: np.random.Generator) -> float:
    """How far a printed line will go."""
    known = writer.characters()
    return sum(
        writer.glyph(character, height, 0.0, rng).advance if character in known else 0.4 * height for character in text
    )


def fitting(writer: FontWriter, text: str, height: float, room: float, rng: np.random.Generator) -> str:
    """As much of the text as fits into a room."""
    while text and text_width(writer, text, height, rng) > room:
        text = text[:-1]
    return text
