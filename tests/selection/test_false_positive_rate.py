"""Verdicts on real trainings: equal recipes are rarely separated, a planted difference is detected.

The counts are those of 40 trainings of `quick` on MNIST (benchmarks/speed/executors.py): 5 folds of 2 partitions, each
with 4 training seeds. Two of the four seeds, drawn again for each fold, stand for two equal candidates.
"""

import csv
from pathlib import Path

import numpy as np
import pytest

from imparfait.selection.comparison import verdict_of

TRAININGS = Path(__file__).parents[1] / "data" / "false_positive_jobs.csv"
PAIRS, MAX_FALSE_POSITIVES = 300, 23  # the 97.5 % quantile of a binomial with p = 5 %


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    return read_counts()


def read_counts() -> np.ndarray:
    """Correct images, int64 [partition, fold, seed, condition]; the last condition is the number of all images."""
    with TRAININGS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    counts = np.zeros((2, 5, 4, 4), np.int64)
    for row in rows:
        index = int(row["partition"]), int(row["fold"]), int(row["seed"])
        counts[index] = [int(row[name]) for name in ("clean", "geometric", "shrunk", "images")]
    assert len(rows) == 40
    assert (counts[..., 3] == 6000).all()
    return counts


def count_detections(counts: np.ndarray, planted: float = 0.0) -> int:
    """Significant verdicts among PAIRS comparisons; a share `planted` of the second's correct images is made wrong."""
    random, detections = np.random.default_rng(0), 0
    for _ in range(PAIRS):
        seeds = random.permuted(np.broadcast_to(np.arange(4), (2, 5, 4)), axis=2)[..., :2]
        first, second = (np.take_along_axis(counts, seeds[..., i, None, None], 2)[:, :, 0] for i in (0, 1))
        lost = random.binomial(second[..., :3], planted)
        images = first[..., 3:]
        means = [(correct / images).mean(2) for correct in (first[..., :3], second[..., :3] - lost)]
        verdict = verdict_of(("first", "second"), (means[0] - means[1]).ravel(), 1 / 4)
        detections += verdict.is_significant and (planted == 0 or verdict.better == "first")
    return detections


def test_equal_recipes_are_separated_at_most_at_the_nominal_rate(counts: np.ndarray) -> None:
    assert count_detections(counts) <= MAX_FALSE_POSITIVES


def test_a_planted_difference_of_0_3_points_is_detected(counts: np.ndarray) -> None:
    assert count_detections(counts, planted=0.003) >= 0.8 * PAIRS
