"""The number in a region: pieces joined to one string, its alternatives, and the decision under constraints."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from imparfait.inference.ocr import MIN_CONFIDENT_SCORE
from imparfait.inference.ocr.constraints import VIOLATED_SHARE, Alternative, Constraint, Decision, constrained
from imparfait.inference.ocr.distribution import Segmentation, StringDistribution

ALTERNATIVES = 9  # of a number: keys 1 to 9 choose one
MAX_SEGMENTATIONS = 64  # of a joined number, the most probable; an even distribution stands for the others
LEAST_PROBABILITY = 1e-4  # of an alternative that is worth a button


@dataclass(frozen=True)
class DecidedNumber:
    """The most probable string, and whether to rely on it."""

    text: str
    score: float
    confident: bool
    alternatives: tuple[tuple[str, float], ...]
    """With their probabilities, the best first; strings that the constraints do not allow are among them."""
    allowed: bool
    """Whether it is more probable than not that the constraints are met."""


def joined(distributions: Sequence[StringDistribution]) -> StringDistribution:
    """The distribution of several numbers written one after the other, independent of each other."""
    if len(distributions) == 1:
        return distributions[0]
    classes = distributions[0].classes
    found = [(1.0, np.zeros((0, len(classes))))]
    for distribution in distributions:
        options = [
            (float(weight), rows)
            for group in distribution.groups
            for weight, rows in zip(group.weights, group.rows, strict=True)
        ]
        pairs = ((weight * more, rows, rest) for (weight, rows), (more, rest) in product(found, options))
        best = sorted(pairs, key=lambda pair: -pair[0])[:MAX_SEGMENTATIONS]
        found = [(weight, np.concatenate([rows, rest])) for weight, rows, rest in best]
    segmentations = [Segmentation(weight, rows) for weight, rows in found]
    missing = 1 - sum(weight for weight, _ in found)
    if missing > 1e-9:
        segmentations.append(Segmentation(missing, np.full_like(found[0][1], 1 / len(classes))))
    return StringDistribution.from_segmentations(classes, segmentations, misread_share=0)  # the parts have theirs


def decide(distribution: StringDistribution, constraints: Sequence[Constraint]) -> DecidedNumber:
    """The most probable string of a distribution under constraints.

    Where it is more probable that the constraints are not met, it is the most probable string without them, and not
    confident.
    """
    decision = constrained(distribution, constraints, alternatives=ALTERNATIVES, min_probability=MIN_CONFIDENT_SCORE)
    alternatives = _alternatives(decision, distribution)
    if decision.best:
        return DecidedNumber(decision.best.text, decision.probability, decision.confident, alternatives, allowed=True)
    ((text, _),) = distribution.best(1)
    return DecidedNumber(text, dict(alternatives).get(text, 0.0), False, alternatives, allowed=False)


def _alternatives(decision: Decision, distribution: StringDistribution) -> tuple[tuple[str, float], ...]:
    """The most probable strings, allowed or not, by the same rule as the decision.

    Of a string that is not allowed, the probability is VIOLATED_SHARE of the reader's, divided by the same sum.
    """
    allowed = _allowed(decision)
    by_characters = {each.characters: each for each in decision.alternatives}
    for text, mass in distribution.best(ALTERNATIVES):
        if text not in by_characters and allowed < 1:
            probability = decision.violated * min(1.0, mass / (1 - allowed))
            by_characters[text] = Alternative(text, text, probability)
    best = sorted(by_characters.values(), key=lambda each: -each.probability)[:ALTERNATIVES]
    return tuple((each.text, each.probability) for each in best if each.probability >= LEAST_PROBABILITY)


def _allowed(decision: Decision) -> float:
    """The reader's probability of all allowed strings together, from that of a violation."""
    if decision.violated in (0.0, 1.0):
        return 1 - decision.violated
    odds = decision.violated / (1 - decision.violated) * (1 - VIOLATED_SHARE) / VIOLATED_SHARE
    return 1 / (1 + odds)
