"""The verdict on real trainings: equal recipes are not told apart, and a planted difference is found.

The outcomes are those of 40 trainings of `quick` on MNIST (benchmarks/executors.py): 5 folds of 2 partitions, each with
4 training seeds. Two of the four make a pair of equal contenders, drawn anew for each fold.
"""

import csv
from pathlib import Path

import numpy as np
import pytest

from imparfait.selection.comparison import verdict_of

JOBS_FOLDER = Path(__file__).parents[2] / "results" / "2026-11-24-executors" / "jobs.csv"
PAIRINGS, FALSE = 300, 23  # the 97.5 % limit of a binomial with 5 %


@pytest.fixture(scope="module")
def correct() -> np.ndarray:
    return read(JOBS_FOLDER)


def read(path: Path) -> np.ndarray:
    """Right answers [partition, fold, seed, corruption], and how many there could be."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = np.zeros((2, 5, 4, 4), np.int64)
    for row in rows:
        place = int(row["partition"]), int(row["fold"]), int(row["seed"])
        found[place] = [int(row[name]) for name in ("clean", "geometric", "shrunk", "images")]
    assert len(rows) == 40
    assert (found[..., 3] == 6000).all()
    return found


def shown(correct: np.ndarray, planted: float = 0.0) -> float:
    """How many of the pairings are told apart, where `planted` of the second one's right answers are made wrong."""
    random, found = np.random.default_rng(0), 0
    for _ in range(PAIRINGS):
        pairs = random.permuted(np.broadcast_to(np.arange(4), (2, 5, 4)), axis=2)[..., :2]
        one, other = (np.take_along_axis(correct, pairs[..., i, None, None], 2)[:, :, 0] for i in (0, 1))
        lost = random.binomial(other[..., :3], planted)
        means = [(each / one[..., 3:]).mean(2) for each in (one[..., :3], other[..., :3] - lost)]
        verdict = verdict_of(("one", "other"), (means[0] - means[1]).ravel(), 1 / 4)
        found += verdict.shown and (planted == 0 or verdict.names[0] == "one")
    return found


def test_equal_recipes_are_told_apart_at_most_as_often_as_the_level_allows(correct: np.ndarray) -> None:
    assert shown(correct) <= FALSE


def test_a_planted_difference_of_0_3_points_is_found(correct: np.ndarray) -> None:
    assert shown(correct, planted=0.003) >= 0.8 * PAIRINGS
