"""Smooth curves and rounded corners, drawn in the style of one hand."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float

Points = Float[np.ndarray, "n 2"]
"""Points along a stroke: x to the right, y downwards. A digit is about 1 high, its top at 0, its middle at x = 0."""
Strokes = list[Points]

STEPS = 12  # points of a curve between two of its knots


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


def ellipse(
    start: float, turn: float, width: float, height: float, x: float = 0, y: float = 0.5
) -> list[tuple[float, float]]:
    """Knots on an ellipse, from an angle (in turns, 0 at the top, clockwise) over so many turns."""
    count = max(4, math.ceil(abs(turn) * 10) + 1)
    angles = 2 * math.pi * (start + np.linspace(0, turn, count))
    return [(x + width * math.sin(a), y - height * math.cos(a)) for a in angles]
