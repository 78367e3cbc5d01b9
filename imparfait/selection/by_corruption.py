"""What a comparison over a full suite shows, corruption by corruption."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from imparfait.evaluation.statistics import Difference, corrected_difference, holm
from imparfait.evaluation.suite import CLEAN, levels_of
from imparfait.selection.jobs import JobResult

Place = tuple[int, int]
"""Seed and fold."""


@dataclass(frozen=True)
class Tested:
    """A corruption of a pair: by how much the first is ahead, in shares 0..1, and what can be said of it."""

    difference: Difference
    p: float
    """Adjusted for all corruptions of the pair (Holm)."""

    def to_json(self) -> dict[str, Any]:
        """As numbers."""
        found = self.difference
        return {"difference": found.mean, "interval": found.interval, "p": found.p, "p_holm": self.p}


def accuracies(outcome: JobResult) -> dict[str, float]:
    """The share of right answers as the images are, then under each corruption: the mean over its levels."""
    shares = outcome.counts / len(outcome.sources)
    found = dict(zip(outcome.corruptions, shares.tolist(), strict=True))
    levels = levels_of(outcome.corruptions)
    means = {name: float(np.mean([found[name, level] for level in each])) for name, each in levels.items()}
    return {CLEAN: found[CLEAN, 0.0]} | means if (CLEAN, 0.0) in found else means


def in_the_mean(outcomes: Mapping[Place, JobResult]) -> dict[str, float]:
    """`accuracies` in the mean over a contender's jobs."""
    each = [accuracies(outcome) for outcome in outcomes.values()]
    return {name: float(np.mean([found[name] for found in each])) for name in (each[0] if each else ())}


def tested(mine: Mapping[Place, JobResult], theirs: Mapping[Place, JobResult], test_share: float) -> dict[str, Tested]:
    """For each corruption mine minus theirs, over the folds that both have.

    The same test as the verdict's, on each corruption's mean over its levels: severities are not tested one by one.
    """
    places = sorted(mine.keys() & theirs.keys())
    both = [(accuracies(mine[place]), accuracies(theirs[place])) for place in places]
    names = [name for name in both[0][0] if name != CLEAN]
    found = [corrected_difference(np.array([a[name] - b[name] for a, b in both]), test_share) for name in names]
    adjusted = holm([each.p for each in found])
    return {name: Tested(each, p) for name, each, p in zip(names, found, adjusted, strict=True)}
