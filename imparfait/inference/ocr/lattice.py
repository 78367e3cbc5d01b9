"""Segmentation lattice of a text line: its most probable string of digits, and the probability of each part."""

# A node is a place between two segments. An edge goes over one or more segments: a candidate digit, or a segment that
# is skipped. The weights of a conditional random field (semi-Markov) score each edge from its features; the forward and
# backward sums over all paths give probabilities, the best path gives the string.

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float

from imparfait.core.types import Probabilities
from imparfait.inference.ocr.candidates import Candidate, Segment

MIN_PROBABILITY = 1e-6  # of a label, before the logarithm
MIN_OVERLAP = 0.5  # intersection over union of two candidates that count as the same digit


@dataclass(frozen=True)
class LatticeWeights:
    """Weights of the features of an edge, added to the logarithm of its probability; heights are the digits'.

    Trained on 1,800 composed lines (tests/helpers/lines.py), maximising the probability of the true strings.
    """

    digit: float = -6.01
    """For each digit."""
    log_probability: float = 1.72
    """Logarithm of the probability of its most probable label."""
    log_doubt: float = -0.95
    """Logarithm of 1.001 less that probability."""
    joined: float = 2.52
    """For each of its segments that does not touch the one before."""
    gap: float = -3.59
    """Gaps within it, in heights."""
    cut: float = -2.83
    """Where it begins with a cut."""
    crossed: float = -0.15
    """Strokes that this cut crosses."""
    uncut: float = 1.68
    """For each possible cut within it that is not made."""
    absorbed: float = -0.35
    """Lower score of the two sides of such a cut, where one side alone has the label of both together."""
    width: float = 7.67
    """Width in heights."""
    width_squared: float = -10.64
    log_height_squared: float = -8.27
    """Squared logarithm of its height in heights."""
    lowness: float = -3.18
    """Heights by which it is lower than half a height."""
    skipped: float = -2.77
    """For each segment that belongs to no digit."""
    skipped_size: float = -12.7
    """Squared longer side of such a segment in heights, at most 1."""


WEIGHTS = LatticeWeights()
NAMES = tuple(field.name for field in fields(LatticeWeights))
Features = Float[np.ndarray, "edges weights"]


@dataclass(frozen=True, eq=False)
class Edge:
    """A step over the segments from `start` to before `end`."""

    start: int
    end: int
    score: float
    candidate: Candidate | None
    """The digit that these segments form; None where a segment is skipped."""
    log_probabilities: Float[np.ndarray, " classes"]
    """Of the digit's labels."""


@dataclass(frozen=True, eq=False)
class DecodedDigit:
    """A digit of the best string."""

    candidate: Candidate
    label: int
    score: float
    """The probability that a digit with this label is at this place."""
    probabilities: Float[np.ndarray, " classes"]
    """Of each label, if this segmentation is right."""


def edge_features(
    segments: list[Segment], digit_height: float, candidates: list[Candidate], probabilities: Probabilities
) -> Features:
    """The features of each edge: one row for each candidate, then one for each segment that is skipped."""
    best = {
        (c.start, c.end): (int(row.argmax()), float(row.max()))
        for c, row in zip(candidates, probabilities, strict=True)
    }
    rows = []
    for candidate, row in zip(candidates, probabilities, strict=True):
        left, top, right, bottom = candidate.box
        width, height = (right - left) / digit_height, (bottom - top) / digit_height
        cut = segments[candidate.start].cut
        uncut = sum(segment.cut is not None for segment in segments[candidate.start + 1 : candidate.end])
        score = float(row.max())
        rows.append([
            1, float(np.log(max(MIN_PROBABILITY, score))), float(np.log(1.001 - score)), candidate.joined,
            candidate.gap, cut is not None, cut or 0, uncut, _absorbed(candidate, int(row.argmax()), segments, best),
            width, width**2, float(np.log(height)) ** 2, max(0.0, 0.5 - height), 0, 0,
        ])  # fmt: skip
    for segment in segments:
        left, top, right, bottom = segment.box
        size = min(1.0, max(bottom - top, right - left) / digit_height)
        rows.append([0] * (len(NAMES) - 2) + [1, size**2])
    return np.array(rows, float).reshape(-1, len(NAMES))


def _absorbed(
    candidate: Candidate, label: int, segments: list[Segment], best: dict[tuple[int, int], tuple[int, float]]
) -> float:
    highest = 0.0
    for place in range(candidate.start + 1, candidate.end):
        left, right = best.get((candidate.start, place)), best.get((place, candidate.end))
        if segments[place].cut is not None and left and right and label in (left[0], right[0]):
            highest = max(highest, min(left[1], right[1]))
    return highest


def lattice_edges(
    segments: list[Segment],
    digit_height: float,
    candidates: list[Candidate],
    probabilities: Probabilities,
    weights: LatticeWeights = WEIGHTS,
) -> list[Edge]:
    """All edges, ordered by their ends."""
    features = edge_features(segments, digit_height, candidates, probabilities)
    scores = features @ [getattr(weights, name) for name in NAMES]
    digits = zip(candidates, scores, np.log(np.maximum(probabilities, MIN_PROBABILITY)), strict=False)
    edges = [Edge(c.start, c.end, float(score), c, logs) for c, score, logs in digits]
    edges += [Edge(i, i + 1, float(s), None, np.empty(0)) for i, s in enumerate(scores[len(candidates) :])]
    return sorted(edges, key=lambda edge: edge.end)


class Lattice:
    """All paths through a text line with their probabilities."""

    def __init__(self, nodes: int, edges: list[Edge]):
        self.nodes, self.edges = nodes, edges
        self.forward, self.backward = np.full(nodes, -np.inf), np.full(nodes, -np.inf)
        self.forward[0] = self.backward[-1] = 0.0
        masses = [edge.score + (_log_sum(edge.log_probabilities) if edge.candidate else 0.0) for edge in edges]
        for edge, mass in zip(edges, masses, strict=True):
            self.forward[edge.end] = np.logaddexp(self.forward[edge.end], self.forward[edge.start] + mass)
        for edge, mass in sorted(zip(edges, masses, strict=True), key=lambda pair: -pair[0].start):
            self.backward[edge.start] = np.logaddexp(self.backward[edge.start], self.backward[edge.end] + mass)

    def best(self) -> list[DecodedDigit]:
        """The digits of the most probable path, from left to right."""
        best, arrived_by = np.full(self.nodes, -np.inf), [self.edges[0]] * self.nodes
        best[0] = 0.0
        for edge in self.edges:
            score = best[edge.start] + edge.score + (float(edge.log_probabilities.max()) if edge.candidate else 0.0)
            if score > best[edge.end]:
                best[edge.end], arrived_by[edge.end] = score, edge
        digits, node = [], self.nodes - 1
        while node:
            edge = arrived_by[node]
            if edge.candidate:
                label = int(edge.log_probabilities.argmax())
                probabilities = np.exp(edge.log_probabilities - _log_sum(edge.log_probabilities))
                score = self._probability_at(edge.candidate, label)
                digits.append(DecodedDigit(edge.candidate, label, score, probabilities))
            node = edge.start
        return digits[::-1]

    def probability(self, digits: list[DecodedDigit]) -> float:
        """The probability that the segments from the first to the last of these digits are this string."""
        start, end = digits[0].candidate.start, digits[-1].candidate.end
        labels = [digit.label for digit in digits]
        sums = np.full((end + 1, len(labels) + 1), -np.inf)
        sums[start, 0] = self.forward[start]
        for edge in self.edges:
            if edge.start < start or edge.end > end:
                continue
            if edge.candidate is None:
                sums[edge.end] = np.logaddexp(sums[edge.end], sums[edge.start] + edge.score)
            else:
                extended = sums[edge.start, :-1] + edge.score + edge.log_probabilities[labels]
                sums[edge.end, 1:] = np.logaddexp(sums[edge.end, 1:], extended)
        return float(np.exp(min(0.0, sums[end, -1] + self.backward[end] - self.forward[-1])))

    def _probability_at(self, candidate: Candidate, label: int) -> float:
        """The probability of all paths with a digit of this label at this place."""
        mass = -np.inf
        for edge in self.edges:
            if edge.candidate and _overlap(edge.candidate, candidate) > MIN_OVERLAP:
                path = self.forward[edge.start] + edge.score + edge.log_probabilities[label] + self.backward[edge.end]
                mass = np.logaddexp(mass, path)
        return float(np.exp(min(0.0, mass - self.forward[-1])))


def _log_sum(logs: Float[np.ndarray, " classes"]) -> float:
    """Logarithm of the sum of the exponentials."""
    highest = float(logs.max())
    return highest + float(np.log(np.exp(logs - highest).sum()))


def _overlap(one: Candidate, other: Candidate) -> float:
    """Intersection over union of two boxes."""
    (l1, t1, r1, b1), (l2, t2, r2, b2) = one.box, other.box
    common = max(0, min(r1, r2) - max(l1, l2)) * max(0, min(b1, b2) - max(t1, t2))
    return common / ((r1 - l1) * (b1 - t1) + (r2 - l2) * (b2 - t2) - common)
