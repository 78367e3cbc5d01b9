"""The probability of every string that a field may be, from one or more segmentations of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Float, Float64

from imparfait.inference.ocr.automaton import EVERYTHING, Automaton, Search, best_strings, compiled

# Share of a uniform distribution in each character's probabilities. Classifiers are over-confident on images unlike
# their training data: a smudged 3 may get 1e-9 where one in some hundred is wrong. With ten classes, no digit is less
# probable than 0.0002. A choice, not a measurement.
MISREAD_SHARE = 0.002


@dataclass(frozen=True, eq=False)
class Segmentation:
    """One way to separate a field into characters."""

    probability: float
    rows: Float[np.ndarray, "positions classes"]
    """The probability of each class at each position."""


@dataclass(frozen=True, eq=False)
class SameLength:
    """The segmentations with the same number of characters."""

    weights: Float64[np.ndarray, " segmentations"]
    rows: Float64[np.ndarray, "segmentations length classes"]

    @property
    def length(self) -> int:
        """The number of characters."""
        return int(self.rows.shape[1])


@dataclass(frozen=True, eq=False)
class StringDistribution:
    """A probability for each string over `classes`; characters are independent within a segmentation."""

    classes: tuple[str, ...]
    groups: tuple[SameLength, ...]
    """By length, the shortest first."""

    @classmethod
    def from_segmentations(
        cls, classes: Sequence[str], segmentations: Sequence[Segmentation], misread_share: float = MISREAD_SHARE
    ) -> "StringDistribution":
        """The mean of the segmentations, weighted by their probabilities; these and all rows are brought to sum 1."""
        total = sum(each.probability for each in segmentations)
        groups = []
        for length in sorted({len(each.rows) for each in segmentations}):
            group = [each for each in segmentations if len(each.rows) == length]
            rows = np.array([np.clip(each.rows, 0, None) for each in group], float)
            rows /= rows.sum(2, keepdims=True)
            rows = (1 - misread_share) * rows + misread_share / len(classes)
            groups.append(SameLength(np.array([each.probability / total for each in group], float), rows))
        return cls(tuple(classes), tuple(groups))

    def probability(self, text: str) -> float:
        """The probability of one string of single-character classes; 0 for another character or length."""
        if not set(text) <= set(self.classes):
            return 0.0
        symbols = [self.classes.index(character) for character in text]
        positions = np.arange(len(symbols))
        return sum(
            float(group.weights @ group.rows[:, positions, symbols].prod(1))
            for group in self.groups
            if group.length == len(text)
        )

    def total(self, automaton: Automaton = EVERYTHING) -> float:
        """The probability of all strings that the automaton accepts."""
        return sum(
            float(weight) * search.graph.total(rows)
            for search in self._searches(automaton)
            for weight, rows in zip(search.weights, search.rows, strict=True)
        )

    def strings(self, automaton: Automaton = EVERYTHING) -> Iterator[tuple[str, float]]:
        """The accepted strings with their probabilities, the most probable first, found as they are taken."""
        return best_strings(self._searches(automaton), self.classes)

    def best(self, count: int, automaton: Automaton = EVERYTHING) -> list[tuple[str, float]]:
        """The `count` most probable accepted strings with their probabilities."""
        return list(islice(self.strings(automaton), count))

    def product(self, other: "StringDistribution") -> "StringDistribution":
        """For each string, the probability that both fields are this string; the sum is less than 1."""
        of_length = {group.length: group for group in other.groups}
        groups = []
        for mine in self.groups:
            if its := of_length.get(mine.length):
                weights = np.outer(mine.weights, its.weights).reshape(-1)
                rows = mine.rows[:, None] * its.rows[None]
                groups.append(SameLength(weights, rows.reshape(-1, *mine.rows.shape[1:])))
        return StringDistribution(self.classes, tuple(groups))

    def _searches(self, automaton: Automaton) -> list[Search]:
        graphs = ((compiled(automaton, group.length, self.classes), group) for group in self.groups)
        return [Search(graph, group.weights, group.rows) for graph, group in graphs if graph]
