"""The analysis of how optimistic the validation set is, on simulated trainings."""

import sys
from pathlib import Path

import numpy as np
import pytest

import imparfait

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "accuracy"))

import worn_validation as script

IMAGES = 2000


def simulated(seed: int, ahead: float) -> dict[tuple[str, int, int], np.ndarray]:
    """Shares of three conditions in which images are correct: 2 % wrong, of the new recipe `ahead` fewer on fold 0."""
    rng = np.random.default_rng(seed)
    found = {}
    for number in range(script.FOLDS):
        hard = rng.random((IMAGES, 3)) < 0.04  # the same images are hard for all
        for trained, recipe in [(s, r) for s in script.SEEDS for r in ("default", "old default")]:
            wrong = 0.02 * np.exp(rng.normal(0, 0.05)) - ahead * (number == 0 and recipe == "default")
            found[recipe, number, trained] = (~hard | (rng.random(hard.shape) > wrong / 0.04)).mean(1)
    return found


@pytest.mark.parametrize("ahead", [0.0, 0.004])
def test_the_interval_holds_the_true_optimism(ahead: float) -> None:
    """In at least 90 % of simulations: of 100 with a true rate of 95 %, fewer are improbable (3 %)."""
    rows = [script.analyse(simulated(seed, ahead), "default", "old default") for seed in range(100)]
    inside = sum(low <= 100 * ahead <= high for low, high in (row["interval"] for row in rows))
    assert inside >= 90
    assert np.mean([row["contrast"] for row in rows]) == pytest.approx(100 * ahead, abs=0.1)


def test_the_folds_are_the_validation_set_and_a_division_of_the_rest() -> None:
    images = imparfait.load_data("mnist").train
    _, validation = imparfait.split(images)
    sources = [script.held_out(images, number)[1].sources for number in range(script.FOLDS)]
    assert np.array_equal(np.sort(sources[0]), np.sort(validation.sources))
    assert np.array_equal(np.sort(np.concatenate(sources)), np.sort(images.sources))
