"""A generator of pen strokes: digits as curves, in the national variants that MNIST lacks.

Each digit is one to three curves. A `Hand` keeps its variants, slant, pen and proportions along a line: its digits
differ from each other as one writer's do. Variants and their shares follow real European and American hands: 1 with an
upstroke from a fifth of to its whole height, barred 7 with hooks, open and lightning 4, curled 9, slashed 0, looped 2,
flat-topped 3, 5 with a detached flag.

    python benchmarks/tools/pen_strokes.py sheet.png    # ten rows of digits, one hand a column
"""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from pen_strokes_0_to_4 import four, one, three, two, zero
from pen_strokes_5_to_9 import eight, five, nine, seven, six
from pen_strokes_curves import Points, Strokes, Style
from PIL import Image, ImageDraw

DIGITS: tuple[Callable[[Style], Strokes], ...] = (zero, one, two, three, four, five, six, seven, eight, nine)
OVERSAMPLING = 3  # of the raster in which strokes are drawn before it is averaged

Tip = Literal["round", "chisel"]


@dataclass(frozen=True)
class Hand:
    """A writer and a pen."""

    seed: int
    slant: float
    """Shift to the right per height, towards the top."""
    width: float
    """Of a digit, as a factor of its usual width."""
    wobble: float
    """Standard deviation of what one digit's knots differ from the next one's, in heights."""
    bend: float
    """Amplitude of a smooth bend of the whole digit, in heights."""
    pen: float
    """Width of the stroke, in heights."""
    tip: Tip
    pressure: float
    """How much the width of a stroke varies along it, 0..1."""
    roundness: float
    """0: knots are rounded off as little as possible; 1: corners become curves."""


def hand_of(seed: int) -> Hand:
    """The hand of this number."""
    rng = np.random.default_rng([seed, 0])
    pen = float(np.exp(rng.normal(math.log(0.085), 0.42)))
    return Hand(
        seed=seed,
        slant=float(np.clip(rng.normal(0.14, 0.2), -0.35, 0.75)),
        width=float(np.exp(rng.normal(0, 0.2))),
        wobble=float(rng.uniform(0.006, 0.03)),
        bend=float(rng.uniform(0, 0.045)),
        pen=float(np.clip(pen, 0.03, 0.26)),
        tip="chisel" if rng.random() < 0.15 else "round",
        pressure=float(rng.uniform(0, 0.45)),
        roundness=float(rng.random()),
    )


def strokes_of(digit: int, hand: Hand, number: int = 0) -> Strokes:
    """The strokes of a digit as this hand writes it for the `number`-th time."""
    style = np.random.default_rng([hand.seed, 1, digit])  # the same each time: a hand keeps its variants
    once = np.random.default_rng([hand.seed, 2, digit, number])
    if once.random() < 0.06:  # even a steady hand writes a variant of its own now and then
        style = once
    strokes = DIGITS[digit](Style(style, once, hand.wobble, hand.roundness))
    waves = once.normal(0, hand.bend, (2, 2)), once.uniform(0, 2 * math.pi, (2, 2))
    slant = hand.slant + once.normal(0, 0.04)
    turn, width = once.normal(0, 0.035), hand.width * math.exp(once.normal(0, 0.06))
    return [_written(points, slant, turn, width, waves) for points in strokes]


def _written(points: Points, slant: float, turn: float, width: float, waves: tuple[np.ndarray, np.ndarray]) -> Points:
    x, y = points[:, 0] * width, points[:, 1] - 0.5
    sizes, phases = waves
    x = x + sum(sizes[0, i] * np.sin((i + 1) * math.pi * (y + 0.5) + phases[0, i]) for i in (0, 1))
    y = y + sum(sizes[1, i] * 0.7 * np.sin((i + 1) * math.pi * (points[:, 0] + 0.5) + phases[1, i]) for i in (0, 1))
    x = x - slant * y
    cos, sin = math.cos(turn), math.sin(turn)
    return np.stack([cos * x - sin * y, sin * x + cos * y + 0.5], 1)


def draw(strokes: Strokes, hand: Hand, height_px: float, number: int = 0) -> UInt8[np.ndarray, "height width"]:
    """The strokes with this hand's pen, `height_px` high without the pen's width: 255 is ink; a margin of its width."""
    rng = np.random.default_rng([hand.seed, 3, number])
    scale, pen = height_px * OVERSAMPLING, max(hand.pen * height_px, 1.0) * OVERSAMPLING
    every = np.concatenate(strokes)
    corner, far = every.min(0) * scale - 2 * pen, every.max(0) * scale + 2 * pen
    width, height = (math.ceil(side / OVERSAMPLING) for side in far - corner)
    image = Image.new("L", (width * OVERSAMPLING, height * OVERSAMPLING))
    brush = ImageDraw.Draw(image)
    for points in strokes:
        dense = _resampled(points * scale - corner, max(0.5, pen / 6))
        along = np.linspace(0, math.pi * rng.uniform(0.5, 2.5), len(dense)) + rng.uniform(0, 2 * math.pi)
        radii = pen / 2 * (1 + hand.pressure * 0.6 * np.sin(along))
        if hand.tip == "round":
            for (x, y), radius in zip(dense, np.maximum(radii, 0.5 * OVERSAMPLING), strict=True):
                brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        else:
            nib = pen * np.array([0.55, -0.4])
            for start, end in pairwise(dense):
                brush.polygon([*map(tuple, (start - nib, start + nib, end + nib, end - nib))], fill=255)
                brush.line([*map(tuple, (start - nib, start + nib))], fill=255, width=max(1, round(pen / 4)))
    return np.asarray(image.reduce(OVERSAMPLING))


def _resampled(points: Points, step: float) -> Points:
    """The points of the same line, `step` apart."""
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0, lengths[-1], max(2, math.ceil(lengths[-1] / step)))
    return np.stack([np.interp(at, lengths, points[:, axis]) for axis in (0, 1)], 1)


def sheet(hands: Sequence[int], height_px: int = 44) -> Image.Image:
    """Ten rows of digits, one hand a column."""
    side = int(height_px * 1.5)
    image = Image.new("L", (side * len(hands), side * 10))
    for column, seed in enumerate(hands):
        hand = hand_of(seed)
        for digit in range(10):
            drawn = Image.fromarray(draw(strokes_of(digit, hand), hand, height_px))
            drawn.thumbnail((side, side))
            image.paste(drawn, (column * side + (side - drawn.width) // 2, digit * side + (side - drawn.height) // 2))
    return image


if __name__ == "__main__":
    sheet(range(24)).save(Path(sys.argv[1]))
