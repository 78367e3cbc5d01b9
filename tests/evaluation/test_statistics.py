"""Coverage of intervals and false-positive rates of tests, by simulation."""

import numpy as np
import pytest
from helpers.fake_jobs import made_up_result, plan_of
from scipy.stats import norm, ttest_1samp

from imparfait.evaluation.statistics import corrected_difference, holm
from imparfait.reports.text import verdict_sentence
from imparfait.selection.comparison import Comparison, verdict_of

EVALUATIONS = 2000
COVERAGE = (0.93, 0.97)  # of 95 % intervals
MAX_FALSE = 23  # of 300, the 97.5 % limit of a binomial with 5 %


def coverage(intervals: list[tuple[float, float]], truth: float) -> float:
    low, high = np.array(intervals).T
    return float(np.mean((low <= truth) & (truth <= high)))


@pytest.mark.parametrize(("folds", "seeds"), [(5, 2), (5, 3), (10, 3)])
def test_corrected_intervals_cover_the_difference_for_folds_as_correlated_as_assumed(folds: int, seeds: int) -> None:
    """Nadeau and Bengio's model: two folds' differences have the correlation held-out / all."""
    random = np.random.default_rng(3)
    correlation, truth = 1 / folds, 0.2
    shared = random.standard_normal((EVALUATIONS, 1)) * np.sqrt(correlation)
    apart = random.standard_normal((EVALUATIONS, folds * seeds)) * np.sqrt(1 - correlation)
    intervals = [corrected_difference(row, 1 / (folds - 1)).interval for row in truth + 0.3 * (shared + apart)]
    assert COVERAGE[0] <= coverage(intervals, truth) <= COVERAGE[1]


def test_the_plain_t_test_would_not_cover_there() -> None:
    random = np.random.default_rng(3)
    differences = random.standard_normal((EVALUATIONS, 1)) * np.sqrt(0.2)
    differences = differences + random.standard_normal((EVALUATIONS, 15)) * np.sqrt(0.8)
    intervals = [ttest_1samp(row, 0).confidence_interval() for row in differences[:500]]
    assert coverage([(found.low, found.high) for found in intervals], 0) < 0.8


def simulated(random: np.random.Generator, planted: float = 0.0) -> Comparison:
    """Two recipes with errors on different images, exchangeable by image; the second loses `planted` accuracy.

    An image is hard for one of them, for the other, for both or for none, and each training classifies it correctly
    with its own probability. A coin toss per image decides which recipe it is hard for.
    """
    plan = plan_of("one", "other", sources=1500, folds=5, seeds=3)
    hard = random.random((2, 1, 1500)) < 0.04
    chance = np.where(hard, random.beta(1, 1, (2, 3, 1500)), 1 - random.beta(0.05, 20, (2, 3, 1500)))
    swapped = random.random(1500) < 0.5
    chance = np.where(swapped, chance[::-1], chance)

    def correct(name: str, seed: int) -> np.ndarray:
        hits = random.random((3, 1500)) < chance[int(name == "other")]
        return hits & ~((name == "other") & (random.random((3, 1500)) < planted))

    return made_up_result(plan, correct, seed=int(random.integers(2**31)))


def test_the_false_positive_rate_for_equally_good_recipes_stays_at_the_level() -> None:
    random = np.random.default_rng(4)
    assert sum(simulated(random).verdicts[0].is_significant for _ in range(300)) <= MAX_FALSE


def test_pooled_predictions_would_have_far_more_false_positives() -> None:
    """Why there is no McNemar on out-of-fold predictions: each image counts nine times in them."""
    random, false = np.random.default_rng(4), 0
    for _ in range(100):
        found = simulated(random)
        one, other = (found.out_of_fold(profile.name).correct for profile in found.plan.profiles)
        ahead, behind = int((one & ~other).sum()), int((other & ~one).sum())
        false += 2 * norm.sf(abs(ahead - behind) / np.sqrt(ahead + behind)) <= 0.05
    assert false > 15


def test_a_difference_of_0_3_points_is_found_with_as_many_images_as_mnist_has() -> None:
    """Accuracy 98.5 %, the recipes disagreeing on about 1.5 % of the images."""
    random, found = np.random.default_rng(5), 0
    for _ in range(40):
        plan = plan_of("one", "other", sources=60_000, folds=5, seeds=2)
        hard = random.random((2, 60_000)) < 0.012

        def correct(name: str, seed: int, hard: np.ndarray = hard) -> np.ndarray:
            other = name == "other"
            hits = ~hard[int(other)] | (random.random((3, 60_000)) < 0.3)
            return hits & ~((random.random((3, 60_000)) < 0.003) & other)

        verdict = made_up_result(plan, correct, seed=int(random.integers(2**31))).verdicts[0]
        found += verdict.is_significant and verdict.better == "one"
    assert found >= 32


def test_holm_is_as_defined() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.2]) == [0.2]
    assert holm([0.5, 0.6]) == [1.0, 1.0]


def test_the_corrected_test_is_as_defined() -> None:
    differences = np.array([0.01, 0.02, 0.03, 0.02, 0.01, 0.03, 0.02, 0.02, 0.01, 0.03])
    found = corrected_difference(differences, 0.25)
    assert found.mean == pytest.approx(0.02)
    assert found.error == pytest.approx(np.sqrt((0.1 + 0.25) * differences.var(ddof=1)))
    assert found.degrees_of_freedom == 9
    low, high = found.interval
    assert found.p < 0.05
    assert low > 0
    assert high - found.mean == pytest.approx(found.detectable())


@pytest.mark.parametrize("difference", [0.0, 0.1])
def test_equal_differences_on_all_folds_are_not_significant(difference: float) -> None:
    """As on two folds of ten images: without spread there is no test."""
    verdict = verdict_of(("one", "other"), np.full(2, difference), 1.0)
    assert not verdict.is_significant
    assert f"{100 * difference:.2f} points on each of 2 folds, so there is no spread to test by" in verdict_sentence(
        verdict
    )


def test_no_sentence_speaks_of_more_than_a_hundred_points() -> None:
    """Two of three files right against three: the interval of the t test is wider than what is possible."""
    said = verdict_sentence(verdict_of(("one", "other"), np.array([0.0, 0.0, 1.0]), 0.0))
    assert "33.33 points (95 %: −100.00 to 100.00); with so little data no difference would have been" in said
