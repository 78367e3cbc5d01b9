"""Of all that a row's ink may be, the most probable string of signs, and how probable it is."""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float

from imparfait.core.types import Probabilities
from imparfait.inference.ocr.candidates import Glyph, Hypothesis


@dataclass(frozen=True)
class LatticeWeights:
    """Natural logarithms that a sign's probability is multiplied with; heights are those of the row's digits.

    Found with 1,800 lines of tests/composed.py: those of a random field that makes the right strings most probable.
    """

    sign: float = -6.01
    """Each sign."""
    doubt: float = 1.72
    """The logarithm of its most probable label's probability."""
    sure: float = -0.95
    """The logarithm of what is left to one of that probability, of 0.001 at least."""
    joined: float = 2.52
    """Each of its parts that does not touch the one before."""
    gap: float = -3.59
    """Heights of gaps within it."""
    cut: float = -2.83
    """A cut before it."""
    crossed: float = -0.15
    """Strokes that this cut crosses."""
    uncut: float = 1.68
    """Each cut within it that is not made."""
    absorbed: float = -0.35
    """How sure the classifier is of both sides of such a cut where one of them alone has the label of both together."""
    width: float = 7.67
    """Its width in heights."""
    wide: float = -10.64
    """Its width squared."""
    high: float = -8.27
    """The logarithm of its height in heights, squared."""
    low: float = -3.18
    """How many heights it is lower than half of one."""
    left_out: float = -2.77
    """Each part that is no sign or none of a sign's."""
    ink: float = -12.7
    """Its longer side in heights, squared, at most 1."""


WEIGHTS = LatticeWeights()
NAMES = tuple(each.name for each in fields(LatticeWeights))
Features = Float[np.ndarray, "steps weights"]


@dataclass(frozen=True, eq=False)
class Way:
    """A step through a row: over the parts from `start` to before `end`."""

    start: int
    end: int
    score: float
    hypothesis: Hypothesis | None
    """The sign that these parts make; None where a part is left out."""
    logs: Float[np.ndarray, " classes"]
    """Logarithms of the probabilities of its labels."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """A sign of the best string."""

    hypothesis: Hypothesis
    label: int
    score: float
    """How probable it is that a sign with this label is there."""


def features_of(parts: list[Glyph], tall: float, hypotheses: list[Hypothesis], answers: Probabilities) -> Features:
    """What the weights are multiplied with: a row for each hypothesis, then one for each part that is left out."""
    told = {
        (h.start, h.end): (int(each.argmax()), float(each.max())) for h, each in zip(hypotheses, answers, strict=True)
    }
    rows = []
    for h, each in zip(hypotheses, answers, strict=True):
        left, top, right, bottom = h.box
        width, height = (right - left) / tall, (bottom - top) / tall
        before = parts[h.start].cut
        within = sum(part.cut is not None for part in parts[h.start + 1 : h.end])
        rows.append([
            1, float(np.log(max(1e-6, float(each.max())))), float(np.log(1.001 - float(each.max()))), h.joined, h.gap,
            before is not None, before or 0, within, _absorbed(h, int(each.argmax()), parts, told),
            width, width**2, float(np.log(height)) ** 2, max(0.0, 0.5 - height), 0, 0,
        ])  # fmt: skip
    for part in parts:
        left, top, right, bottom = part.box
        size = min(1.0, max(bottom - top, right - left) / tall)
        rows.append([0] * (len(NAMES) - 2) + [1, size**2])
    return np.array(rows, float).reshape(-1, len(NAMES))


def _absorbed(h: Hypothesis, label: int, parts: list[Glyph], told: dict[tuple[int, int], tuple[int, float]]) -> float:
    most = 0.0
    for place in range(h.start + 1, h.end):
        left, right = told.get((h.start, place)), told.get((place, h.end))
        if parts[place].cut is not None and left and right and label in (left[0], right[0]):
            most = max(most, min(left[1], right[1]))
    return most


def ways_through(
    parts: list[Glyph],
    tall: float,
    hypotheses: list[Hypothesis],
    answers: Probabilities,
    weights: LatticeWeights = WEIGHTS,
) -> list[Way]:
    """All steps there are, in the order of their ends."""
    scores = features_of(parts, tall, hypotheses, answers) @ [getattr(weights, name) for name in NAMES]
    signs = zip(hypotheses, scores, np.log(np.maximum(answers, 1e-6)), strict=False)
    ways = [Way(h.start, h.end, float(score), h, logs) for h, score, logs in signs]
    ways += [Way(i, i + 1, float(s), None, np.empty(0)) for i, s in enumerate(scores[len(hypotheses) :])]
    return sorted(ways, key=lambda way: way.end)


class Lattice:
    """All ways through a row, weighed."""

    def __init__(self, places: int, ways: list[Way]):
        self.places, self.ways = places, ways
        self.forward, self.backward = np.full(places, -np.inf), np.full(places, -np.inf)
        self.forward[0] = self.backward[-1] = 0.0
        masses = [way.score + (_total(way.logs) if way.hypothesis else 0.0) for way in ways]
        for way, mass in zip(ways, masses, strict=True):
            self.forward[way.end] = np.logaddexp(self.forward[way.end], self.forward[way.start] + mass)
        for way, mass in sorted(zip(ways, masses, strict=True), key=lambda each: -each[0].start):
            self.backward[way.start] = np.logaddexp(self.backward[way.start], self.backward[way.end] + mass)

    def best(self) -> list[Chosen]:
        """The signs of the most probable way, from left to right."""
        best, came = np.full(self.places, -np.inf), [self.ways[0]] * self.places
        best[0] = 0.0
        for way in self.ways:
            score = best[way.start] + way.score + (float(way.logs.max()) if way.hypothesis else 0.0)
            if score > best[way.end]:
                best[way.end], came[way.end] = score, way
        chosen, place = [], self.places - 1
        while place:
            way = came[place]
            if way.hypothesis:
                label = int(way.logs.argmax())
                chosen.append(Chosen(way.hypothesis, label, self._share(way, label)))
            place = way.start
        return chosen[::-1]

    def probability(self, chosen: list[Chosen]) -> float:
        """How probable it is that what lies between the first and the last of these signs is this string."""
        start, end = chosen[0].hypothesis.start, chosen[-1].hypothesis.end
        labels = [each.label for each in chosen]
        found = np.full((end + 1, len(labels) + 1), -np.inf)
        found[start, 0] = self.forward[start]
        for way in self.ways:
            if way.start < start or way.end > end:
                continue
            if way.hypothesis is None:
                found[way.end] = np.logaddexp(found[way.end], found[way.start] + way.score)
            else:
                step = found[way.start, :-1] + way.score + way.logs[labels]
                found[way.end, 1:] = np.logaddexp(found[way.end, 1:], step)
        return float(np.exp(min(0.0, found[end, -1] + self.backward[end] - self.forward[-1])))

    def _share(self, chosen: Way, label: int) -> float:
        """Of all ways, by their weight, those in which a sign at this place has this label."""
        assert chosen.hypothesis
        mass = -np.inf
        for way in self.ways:
            if way.hypothesis and _overlap(way.hypothesis, chosen.hypothesis) > 0.5:
                mass = np.logaddexp(
                    mass, self.forward[way.start] + way.score + way.logs[label] + self.backward[way.end]
                )
        return float(np.exp(min(0.0, mass - self.forward[-1])))


def _total(logs: Float[np.ndarray, " classes"]) -> float:
    most = float(logs.max())
    return most + float(np.log(np.exp(logs - most).sum()))


def _overlap(one: Hypothesis, other: Hypothesis) -> float:
    """What two signs have in common, of what they cover together."""
    (l1, t1, r1, b1), (l2, t2, r2, b2) = one.box, other.box
    common = max(0, min(r1, r2) - max(l1, l2)) * max(0, min(b1, b2) - max(t1, t2))
    return common / ((r1 - l1) * (b1 - t1) + (r2 - l2) * (b2 - t2) - common)
