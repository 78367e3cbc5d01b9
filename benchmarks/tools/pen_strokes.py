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
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

Points = Float[np.ndarray, "n 2"]
"""Points along a stroke: x to the right, y downwards. A digit is about 1 high, its top at 0, its middle at x = 0."""
Strokes = list[Points]

STEPS = 12  # points of a curve between two of its knots
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


class Style:
    """What a hand chooses for one digit: numbers that stay the same, and knots that differ a little each time."""

    def __init__(self, style: np.random.Generator, once: np.random.Generator, wobble: float, roundness: float):
        self._style, self._once, self._wobble, self.roundness = style, once, wobble, roundness

    def between(self, least: float, most: float) -> float:
        """A number that this hand keeps."""
        return float(self._style.uniform(least, most))

    def has(self, share: float) -> bool:
        """A habit that this share of hands has."""
        return bool(self._style.random() < share)

    def one_of(self, **shares: float) -> str:
        """One of several variants, each with its share of hands."""
        return str(self._style.choice(list(shares), p=np.array(list(shares.values())) / sum(shares.values())))

    def curve(self, *knots: tuple[float, float]) -> Points:
        """A smooth curve through the knots."""
        return _spline(self._moved(knots))

    def corners(self, *knots: tuple[float, float]) -> Points:
        """Nearly straight lines between the knots, whose corners this hand rounds off more or less."""
        points = self._moved(knots)
        bows = self._once.normal(0, 0.025, len(points) - 1)
        parts = []
        for (start, end), bow in zip(pairwise(points), bows, strict=True):
            t = np.linspace(0, 1, STEPS)[:, None]
            across = np.array([start[1] - end[1], end[0] - start[0]])
            parts.append(start + t * (end - start) + 4 * bow * t * (1 - t) * across)
        return rounded_off(np.concatenate(parts), round(5 * self.roundness))

    def _moved(self, knots: Sequence[tuple[float, float]]) -> Points:
        return np.array(knots, float) + self._once.normal(0, self._wobble, (len(knots), 2))


def _spline(knots: Points) -> Points:
    """A Catmull-Rom spline through the knots, with centripetal steps so that it makes no loops of its own."""
    if len(knots) == 2:
        return knots[0] + np.linspace(0, 1, STEPS)[:, None] * (knots[1] - knots[0])
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    steps = np.maximum(np.linalg.norm(np.diff(padded, axis=0), axis=1) ** 0.5, 1e-3)
    times = np.concatenate([[0], np.cumsum(steps)])
    parts = []
    for i in range(1, len(padded) - 2):
        t0, t1, t2, t3 = times[i - 1 : i + 3]
        p0, p1, p2, p3 = padded[i - 1 : i + 3]
        t = np.linspace(t1, t2, STEPS)[:, None]
        a1 = (t1 - t) / (t1 - t0) * p0 + (t - t0) / (t1 - t0) * p1
        a2 = (t2 - t) / (t2 - t1) * p1 + (t - t1) / (t2 - t1) * p2
        a3 = (t3 - t) / (t3 - t2) * p2 + (t - t2) / (t3 - t2) * p3
        b1 = (t2 - t) / (t2 - t0) * a1 + (t - t0) / (t2 - t0) * a2
        b2 = (t3 - t) / (t3 - t1) * a2 + (t - t1) / (t3 - t1) * a3
        parts.append((t2 - t) / (t2 - t1) * b1 + (t - t1) / (t2 - t1) * b2)
    return np.concatenate(parts)


def rounded_off(points: Points, times: int) -> Points:
    """The points with their corners rounded off: a running mean, the ends in place."""
    for _ in range(times):
        points = np.concatenate([points[:1], (points[:-2] + 2 * points[1:-1] + points[2:]) / 4, points[-1:]])
    return points


def _ellipse(
    start: float, turn: float, width: float, height: float, x: float = 0, y: float = 0.5
) -> list[tuple[float, float]]:
    """Knots on an ellipse, from an angle (in turns, 0 at the top, clockwise) over so many turns."""
    count = max(4, math.ceil(abs(turn) * 10) + 1)
    angles = 2 * math.pi * (start + np.linspace(0, turn, count))
    return [(x + width * math.sin(a), y - height * math.cos(a)) for a in angles]


def zero(style: Style) -> Strokes:
    """0: closed, open or overlapping; sometimes with a loop at the top, a slash or a bar."""
    start, way = style.between(-0.14, 0.14), -1 if style.has(0.8) else 1
    width = style.between(0.2, 0.4)
    over = style.between(-0.06, 0.1)
    knots = _ellipse(start, way * (1 + over), width, 0.5)
    ending = style.one_of(plain=0.7, loop=0.12, tail=0.18)
    if ending == "loop":  # the end runs on in a small loop at the top
        reach = style.between(0.08, 0.2)
        knots += [(-way * reach * 0.3, 0.12), (-way * -reach, -0.02), (-way * -2 * reach, -0.06)]
    elif ending == "tail":
        knots += [(knots[-1][0] - way * -style.between(0.02, 0.14), style.between(-0.06, 0.25))]
    strokes = [style.curve(*knots)]
    if style.has(0.14):
        far, middle = style.between(0.8, 1.35), style.between(-0.08, 0.08)
        strokes.append(style.curve((width * far, 0.5 - 0.42 * far + middle), (-width * far, 0.5 + 0.42 * far + middle)))
    return strokes


def one(style: Style) -> Strokes:
    """1: a stick, or with an upstroke from a fifth of to its whole height; with or without a foot or a tail."""
    kind = style.one_of(stick=0.25, short=0.2, half=0.25, long=0.2, whole=0.1)
    ending = style.one_of(plain=0.66, foot=0.24, tail=0.1)
    bottom: list[tuple[float, float]] = [(style.between(-0.03, 0.03), 1.0)]
    if ending == "tail":
        bottom = [(0.0, 0.9), (style.between(0.05, 0.18), 1.0)]
    strokes = []
    if kind == "stick":
        bow = style.between(-0.03, 0.03)
        strokes.append(style.curve((0, 0), (bow, 0.5), *bottom))
    else:
        drop = {
            "short": style.between(0.14, 0.28),
            "half": style.between(0.25, 0.5),
            "long": style.between(0.45, 0.8),
            "whole": style.between(0.8, 1.02),
        }[kind]
        # 37 to 72 degrees above the horizontal: flatter ones are 7s in every hand that was looked at.
        far = drop / math.tan(math.radians(style.between(40, 72) if drop > 0.3 else style.between(34, 68)))
        far = min(far, 0.62)
        shape = style.one_of(straight=0.5, hollow=0.3, swung=0.12, looped=0.08)
        start, top = (-far, drop), (0.0, 0.0)
        if shape == "straight":
            strokes.append(style.corners(start, top, *bottom))
        else:
            sag = {"hollow": 0.1, "swung": -0.07, "looped": 0.1}[shape] * style.between(0.5, 1.5)
            up = [start, (-far * 0.5, drop * 0.5 + sag * drop), (-far * 0.12, drop * 0.12 + sag * drop * 0.5)]
            if shape == "looped":
                up = [(-far * 0.7, drop * 0.75), (-far, drop), (-far * 0.9, drop * 0.7), *up[1:]]
            strokes.append(np.concatenate([style.curve(*up, top), style.curve(top, (0.0, 0.5), *bottom)]))
    if ending == "foot":
        left, right, tilt = style.between(0.1, 0.32), style.between(0.08, 0.32), style.between(-0.03, 0.03)
        strokes.append(style.corners((-left, 1 + tilt), (right, 1 - tilt)))
    return strokes


def two(style: Style) -> Strokes:
    """2: an arch and a base, that meet in a corner, a curve or a loop."""
    wide = style.between(0.22, 0.36)
    start_y, hook = style.between(0.14, 0.36), style.between(0, 0.1)
    top: list[tuple[float, float]] = [(-wide + hook, start_y + hook * style.between(0, 1)), (-wide * 0.75, 0.1)]
    if style.has(0.12):  # starts with a curl
        top = [(-wide * 0.4, 0.26), (-wide * 0.75, 0.34), (-wide, 0.2), (-wide * 0.6, 0.05)]
    turn_y = style.between(0.22, 0.36)
    arch = [*top, (0.0, 0.0), (wide * 0.8, 0.1), (wide * 0.9, turn_y), (wide * 0.45, 0.58)]
    base = style.one_of(corner=0.45, loop=0.3, round=0.15, zed=0.1)
    right, lift = style.between(0.22, 0.46), style.between(-0.08, 0.06)
    left = style.between(0.2, 0.36)
    if base == "zed":
        return [style.corners((-wide, style.between(0, 0.12)), (wide, 0.02), (-left, 1.0), (right, 1.0 + lift))]
    if base == "corner":
        down = style.curve(*arch, (-left * 0.5, 0.85), (-left, 1.0))
        wave = style.between(-0.05, 0.05)
        return [np.concatenate([down, style.curve((-left, 1.0), (0.0, 0.98 + wave), (right, 1.0 + lift))])]
    if base == "loop":
        size = style.between(0.05, 0.14)
        return [
            style.curve(
                *arch, (0.0, 0.85), (-left * 0.7, 0.98), (-left - size * 0.3, 0.98 - size),
                (-left * 0.6, 0.98 - 1.5 * size), (0.05, 0.92), (right * 0.7, 1.0), (right, 0.96 + lift),
            )
        ]  # fmt: skip
    return [style.curve(*arch, (0.0, 0.8), (-left * 0.9, 0.97), (0.0, 0.99), (right, 0.97 + lift))]


def three(style: Style) -> Strokes:
    """3: two bowls, with a round or flat top, a notch or a loop between them."""
    wide, low = style.between(0.22, 0.36), style.between(0.26, 0.4)
    middle = style.between(0.38, 0.52)
    inner = style.between(-0.14, 0.1)
    end = style.one_of(open=0.5, hook=0.35, long=0.15)
    tail = {
        "open": [(-wide, style.between(0.84, 0.94))],
        "hook": [(-wide * 0.9, 0.93), (-wide, style.between(0.76, 0.86))],
        "long": [(-wide, 1.0), (-wide * 1.4, style.between(0.84, 0.96))],
    }[end]
    lower = [(low * 0.75, middle + 0.08), (low, 0.5 * (middle + 1)), (low * 0.65, 0.95), (0.0, 1.0), *tail]
    if style.has(0.2):  # flat top, then a diagonal
        top = style.corners((-wide, style.between(0, 0.08)), (wide, 0.0), (inner, middle))
        return [np.concatenate([top, style.curve((inner, middle), *lower)])]
    start = [(-wide, style.between(0.08, 0.26)), (-wide * 0.6, 0.05)]
    upper = [*start, (0.0, 0.0), (wide * 0.85, 0.1), (wide * 0.85, middle * 0.62), (wide * 0.4, middle * 0.95)]
    if style.has(0.2):
        size = style.between(0.03, 0.09)
        knot = [(inner, middle + size * 0.2), (inner - size, middle + size), (inner - size * 0.2, middle + size * 1.2)]
        return [style.curve(*upper, *knot, (inner + 0.1, middle + 0.03), *lower)]
    upper_half, lower_half = style.curve(*upper, (inner, middle)), style.curve((inner, middle), *lower)
    return [rounded_off(np.concatenate([upper_half, lower_half]), round(4 * style.roundness))]


def four(style: Style) -> Strokes:
    """4: open, closed, as a lightning, or with a rounded foot; the stem starts above, at or below the crossbar."""
    kind = style.one_of(open=0.36, closed=0.22, lightning=0.24, rounded=0.18)
    bar, left = style.between(0.5, 0.74), style.between(0.24, 0.42)
    right, stem = style.between(0.06, 0.36), style.between(-0.02, 0.16)
    tilt = style.between(-0.08, 0.06)
    bottom = style.between(0.95, 1.05)
    lean = style.between(-0.1, 0.06)
    if kind == "closed":
        top = (stem, 0.0)
        if style.has(0.5):  # one stroke: up from the crossbar's end is not lifted
            return [
                style.corners(top, (-left, bar), (right + 0.1, bar + tilt)),
                style.corners(top, (stem + lean, bottom)),
            ]
        return [style.corners((stem + lean, bottom), top, (-left, bar), (stem + right, bar + tilt))]
    if kind == "lightning":  # the stem is a short second stroke, low on the right
        begin = bar + style.between(-0.26, 0.04)
        first = style.corners((style.between(-0.22, 0.12), 0.0), (-left, bar), (stem + right, bar + tilt))
        at = stem + style.between(-0.04, 0.1)
        return [first, style.corners((at, begin), (at + lean, bottom))]
    begin = style.between(0.0, 0.34)
    top_x = style.between(-left, -left * 0.4)
    if kind == "open":
        first = style.corners((top_x, style.between(0, 0.12)), (-left, bar), (stem + right, bar + tilt))
    else:  # its foot is rounded, as a u
        deep = style.between(0.02, 0.1)
        first = style.curve(
            (top_x, style.between(0, 0.12)), (-left, bar * 0.55), (-left * 0.9, bar), (-left * 0.3, bar + deep),
            (stem * 0.6, bar + tilt), (stem + right, bar + tilt - style.between(0, 0.12)),
        )  # fmt: skip
    if style.has(0.18):  # one stroke, as a y: the stem runs on from the crossbar
        cup = [(top_x, 0.05), (-left, bar * 0.6), (-left * 0.6, bar), (0.0, bar), (stem, bar * 0.6), (stem, begin)]
        return [np.concatenate([style.curve(*cup), style.corners((stem, begin), (stem + lean, bottom))])]
    return [first, style.corners((stem, begin), (stem + lean, bottom))]


def five(style: Style) -> Strokes:
    """5: in one stroke, or with its flag as a second one, attached or not."""
    wide, neck = style.between(0.2, 0.34), style.between(0.36, 0.5)
    x, flag = -wide * style.between(0.5, 0.95), style.between(0.22, 0.5)
    end = style.one_of(open=0.55, hook=0.35, short=0.1)
    tail = {
        "open": [(-wide, style.between(0.86, 0.96))],
        "hook": [(-wide * 0.9, 0.93), (-wide * 1.05, style.between(0.72, 0.84))],
        "short": [],
    }[end]
    bulge = style.between(0.0, 0.1)
    bowl = [
        (x * 0.2, neck - bulge),
        (wide * 0.8, neck + 0.06),
        (wide, 0.5 * (neck + 1) + 0.02),
        (wide * 0.55, 0.95),
        (-wide * 0.2, 1.0),
        *tail,
    ]
    stem = style.corners((x, style.between(0.0, 0.06)), (x - style.between(-0.06, 0.08), neck + style.between(0, 0.08)))
    body = np.concatenate([stem, style.curve(tuple(stem[-1]), *bowl)])
    kind = style.one_of(attached=0.45, detached=0.3, single=0.25)
    lift = style.between(-0.08, 0.07)
    if kind == "single":
        top = style.curve((x + flag, lift), (x + flag * 0.5, lift / 2 + style.between(-0.04, 0.04)), tuple(stem[0]))
        return [rounded_off(np.concatenate([top, body]), round(3 * style.roundness))]
    gap = style.between(0.02, 0.16) if kind == "detached" else 0.0
    away = style.between(-0.03, 0.08) if kind == "detached" else 0.0
    begin = (float(stem[0, 0]) + gap, float(stem[0, 1]) - away)
    return [body, style.curve(begin, (x + flag * 0.6 + gap, lift - away), (x + flag + gap, lift - away))]


def six(style: Style) -> Strokes:
    """6: a curved or straight stem and a bowl, closed, open, overlapping or curled in."""
    wide, top = style.between(0.2, 0.34), style.between(0.42, 0.62)
    lean = style.between(-0.05, 0.35)
    stem: list[tuple[float, float]] = [(lean, 0.0)]
    if style.has(0.3):  # begins with a small curve over the top
        stem = [(lean + style.between(0.05, 0.14), style.between(0.02, 0.14)), (lean, 0.0)]
    stem += [
        (-wide * style.between(0.3, 0.8), 0.3),
        (-wide, 0.68),
        (-wide * 0.65, 0.94),
        (0.0, 1.0),
        (wide * 0.85, 0.9),
    ]
    bowl = [(wide, top + 0.2), (wide * 0.55, top + 0.03), (-wide * 0.1, top + 0.02)]
    end = style.one_of(closed=0.55, open=0.2, over=0.15, curl=0.1)
    if end == "closed":
        bowl += [(-wide * 0.75, top + 0.14)]
    elif end == "over":
        bowl += [(-wide * 0.9, top + 0.12), (-wide * 1.25, top + 0.2)]
    elif end == "curl":
        bowl += [(-wide * 0.45, top + 0.18), (-wide * 0.1, top + 0.3), (wide * 0.3, top + 0.24)]
    return [style.curve(*stem, *bowl)]


def seven(style: Style) -> Strokes:
    """7: a straight or waved top, with or without hooks at its start and foot, barred or not."""
    barred = style.has(0.5)
    wide = style.between(0.22, 0.4)
    # The top of an unbarred 7 is nearly level; a bar allows a steeper one.
    rise = style.between(-0.1, 0.2) if barred else style.between(-0.1, 0.1)
    foot = style.between(-0.3, 0.08)
    bend = style.between(-0.04, 0.12)
    start, corner = (-wide, max(rise, 0)), (wide, max(-rise, 0))
    top = style.one_of(straight=0.5, waved=0.3, sagging=0.2)
    begin: list[tuple[float, float]] = [start]
    if style.has(0.35):  # a tick at its start
        begin = [(start[0] - style.between(-0.04, 0.06), start[1] + style.between(0.06, 0.3)), start]
    middle = {
        "straight": [],
        "waved": [
            (-wide * 0.4, start[1] - style.between(0.02, 0.08)),
            (wide * 0.3, corner[1] + style.between(0.02, 0.09)),
        ],
        "sagging": [(0.0, 0.5 * (start[1] + corner[1]) + style.between(0.02, 0.08))],
    }[top]
    if middle:
        over = style.curve(start, *middle, corner)
        if len(begin) > 1:
            over = np.concatenate([style.corners(*begin), over])
    else:
        over = style.corners(*begin, corner)
    end: list[tuple[float, float]] = [(foot, 1.0)]
    ending = style.one_of(plain=0.62, left=0.08, right=0.18, long=0.12)
    if ending == "long":  # the pen runs on to the right along the line, nearly as a z
        end = [
            (foot, 0.97),
            (foot + style.between(0.1, 0.2), style.between(0.92, 1.0)),
            (foot + style.between(0.2, 0.42), 1.0),
        ]
    elif ending != "plain":
        way = -1 if ending == "left" else 1
        end = [(foot, 0.92), (foot + way * style.between(0.05, 0.2), style.between(0.94, 1.02))]
    stem = style.curve(corner, (0.5 * (wide + foot) - bend, 0.5), *end)
    strokes = [rounded_off(np.concatenate([over, stem]), round(3 * style.roundness))]
    if barred:
        at, half = style.between(0.4, 0.66), style.between(0.12, 0.32)
        x = wide + (foot - wide) * at - bend * 0.8 + style.between(-0.06, 0.06)
        tilt = style.between(-0.09, 0.07)
        wave = style.between(-0.05, 0.05) if style.has(0.3) else 0.0
        strokes.append(
            style.curve(
                (x - half, at - tilt), (x - half * 0.3, at + wave), (x + half * 0.3, at - wave), (x + half, at + tilt)
            )
        )
    elif style.has(0.08):  # a foot
        half = style.between(0.08, 0.2)
        strokes.append(style.corners((foot - half, 1.0), (foot + half, 1.0)))
    return strokes


def eight(style: Style) -> Strokes:
    """8: one crossing stroke or two rings; closed, or open at the top."""
    upper, lower = style.between(0.16, 0.3), style.between(0.22, 0.36)
    middle = style.between(0.4, 0.54)
    if style.has(0.25):  # two rings
        start = style.between(-0.2, 0.2)
        first = style.curve(*_ellipse(start, 1.02, upper, middle / 2 + 0.01, y=middle / 2))
        second = style.curve(
            *_ellipse(style.between(-0.2, 0.2), 1.02, lower, (1 - middle) / 2 + 0.01, y=(1 + middle) / 2)
        )
        return [first, second]
    start = style.between(0.4, 0.95)
    mirror = 1 if style.has(0.75) else -1
    knots = [
        (upper * start, 0.1), (0.0, 0.0), (-upper, middle * 0.4), (-upper * 0.5, middle * 0.8), (0.0, middle),
        (lower * 0.8, middle + 0.14), (lower, 0.5 * (middle + 1) + 0.06), (0.0, 1.0),
        (-lower, 0.5 * (middle + 1) + 0.06), (-lower * 0.75, middle + 0.12), (0.0, middle),
        (upper * 0.75, middle * 0.7),
    ]  # fmt: skip
    close = style.one_of(closed=0.6, open=0.25, over=0.15)
    if close == "closed":
        knots += [(upper * 0.95, middle * 0.35), (upper * start, 0.09)]
    elif close == "open":
        knots += [(upper * style.between(0.9, 1.3), style.between(0.06, 0.2))]
    else:
        knots += [(upper, middle * 0.35), (upper * 0.6, 0.06), (upper * 0.3, style.between(-0.1, 0.04))]
    return [style.curve(*((mirror * x, y) for x, y in knots))]


def nine(style: Style) -> Strokes:
    """9: a bowl and a leg that is straight, curved, hooked or curled."""
    wide, low = style.between(0.18, 0.32), style.between(0.4, 0.6)
    right = wide * style.between(0.85, 1.0)
    start = style.between(0.06, 0.2)
    bowl = [
        (right, start),
        (wide * 0.3, 0.0),
        (-wide * 0.75, 0.1),
        (-wide, low * 0.55),
        (-wide * 0.5, low),
        (wide * 0.3, low * 0.92),
        (right, low * 0.5),
    ]
    if style.has(0.15):  # the bowl stays open at the top
        bowl[0] = (right * 0.6, style.between(0.0, 0.06))
    leg = style.one_of(straight=0.42, curved=0.22, hook=0.2, curl=0.16)
    x = right + style.between(-0.16, 0.03)
    if leg == "straight":
        up = style.curve(*bowl, (right, style.between(0.02, 0.2)))
        return [np.concatenate([up, style.corners(tuple(up[-1]), (x, 1.0))])]
    if leg == "curved":
        return [style.curve(*bowl, (right, 0.22), (right * 0.9, 0.6), (x - style.between(0, 0.25), 1.0))]
    depth = style.between(0.1, 0.22)
    run = [(right, 0.22), (right, 0.62), (right * 0.85, 0.88), (0.0, 1.0)]
    if leg == "hook":
        return [style.curve(*bowl, *run, (-wide * style.between(0.7, 1.2), 1.0 - depth * 0.5))]
    return [style.curve(*bowl, *run, (-wide * 0.8, 0.95), (-wide * style.between(0.9, 1.2), 1 - depth - 0.06))]


DIGITS: tuple[Callable[[Style], Strokes], ...] = (zero, one, two, three, four, five, six, seven, eight, nine)


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
