"""The statistics hold what they promise: checked by simulation, where the truth is known."""

import numpy as np
import pytest
from helpers.fake_jobs import made_up_result, plan_of
from scipy.stats import norm, ttest_1samp

from imparfait.evaluation.statistics import bootstrap_interval, corrected_difference, holm, wilson_interval
from imparfait.selection.comparison import Comparison, verdict_of

EVALUATIONS = 2000
HELD = (0.93, 0.97)  # of 95 % intervals
FALSE = 23  # of 300, the 97.5 % limit of a binomial with 5 %


def covered(intervals: list[tuple[float, float]], truth: float) -> float:
    low, high = np.array(intervals).T
    return float(np.mean((low <= truth) & (truth <= high)))


@pytest.mark.parametrize("truth", [0.9, 0.975, 0.994])
def test_wilson_intervals_hold_the_accuracy_as_often_as_they_say(truth: float) -> None:
    correct = np.random.default_rng(1).binomial(10_000, truth, EVALUATIONS)
    by_count = {count: wilson_interval(int(count), 10_000) for count in np.unique(correct)}
    assert HELD[0] <= covered([by_count[count] for count in correct], truth) <= HELD[1]


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.9])
def test_bootstrap_intervals_hold_the_mean_of_the_three_however_alike_the_copies_are(alike: float) -> None:
    """A source's three copies are right together with correlation `alike`: Wilson's interval would be too narrow."""
    random = np.random.default_rng(2)
    truth, sources = 0.97, 3000
    intervals = []
    for _ in range(EVALUATIONS):
        shared, apart = random.random((sources, 1)) < truth, random.random((sources, 3)) < truth
        correct = np.where(random.random((sources, 1)) < alike, shared, apart).sum(1)
        intervals.append(bootstrap_interval(correct, each=3, resamples=1000))
    assert HELD[0] <= covered(intervals, truth) <= HELD[1]


@pytest.mark.parametrize(("folds", "seeds"), [(5, 2), (5, 3), (10, 3)])
def test_corrected_intervals_hold_the_difference_where_folds_are_as_alike_as_they_assume(
    folds: int, seeds: int
) -> None:
    """Nadeau and Bengio's model: two folds' differences have the correlation held-out / all."""
    random = np.random.default_rng(3)
    alike, truth = 1 / folds, 0.2
    shared = random.standard_normal((EVALUATIONS, 1)) * np.sqrt(alike)
    apart = random.standard_normal((EVALUATIONS, folds * seeds)) * np.sqrt(1 - alike)
    found = [corrected_difference(row, 1 / (folds - 1)).interval for row in truth + 0.3 * (shared + apart)]
    assert HELD[0] <= covered(found, truth) <= HELD[1]


def test_the_plain_t_test_would_not_hold_there() -> None:
    random = np.random.default_rng(3)
    differences = random.standard_normal((EVALUATIONS, 1)) * np.sqrt(0.2)
    differences = differences + random.standard_normal((EVALUATIONS, 15)) * np.sqrt(0.8)
    intervals = [ttest_1samp(row, 0).confidence_interval() for row in differences[:500]]
    assert covered([(found.low, found.high) for found in intervals], 0) < 0.8


def simulated(random: np.random.Generator, planted: float = 0.0) -> Comparison:
    """Two recipes that err on different images, exchangeable by image; then `planted` is taken from the second.

    An image is hard for one of them, for the other, for both or for none, and each training reads it with a
    probability of its own; which recipe has which half of the hard images is a toss for each image.
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


def test_different_recipes_that_are_equally_good_are_told_apart_at_most_as_often_as_the_level_allows() -> None:
    random = np.random.default_rng(4)
    assert sum(simulated(random).verdicts[0].shown for _ in range(300)) <= FALSE


def test_pooling_all_predictions_as_if_they_were_independent_would_be_wrong_far_more_often() -> None:
    """Why there is no McNemar on out-of-fold predictions: each image counts nine times in them."""
    random, false = np.random.default_rng(4), 0
    for _ in range(100):
        found = simulated(random)
        one, other = (found.answers(profile).correct for profile in found.plan.profiles)
        ahead, behind = int((one & ~other).sum()), int((other & ~one).sum())
        false += 2 * norm.sf(abs(ahead - behind) / np.sqrt(ahead + behind)) <= 0.05
    assert false > 15


def test_a_planted_difference_of_0_3_points_is_found_with_as_many_pictures_as_mnist_has() -> None:
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
        found += verdict.shown and verdict.names[0] == "one"
    assert found >= 32


def test_holm_gives_the_numbers_of_the_definition() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.2]) == [0.2]
    assert holm([0.5, 0.6]) == [1.0, 1.0]


def test_the_corrected_test_gives_the_numbers_of_the_definition() -> None:
    differences = np.array([0.01, 0.02, 0.03, 0.02, 0.01, 0.03, 0.02, 0.02, 0.01, 0.03])
    found = corrected_difference(differences, 0.25)
    assert found.mean == pytest.approx(0.02)
    assert found.error == pytest.approx(np.sqrt((0.1 + 0.25) * differences.var(ddof=1)))
    assert found.freedom == 9
    low, high = found.interval
    assert found.p < 0.05
    assert low > 0
    assert high - found.mean == pytest.approx(found.reach())


@pytest.mark.parametrize("difference", [0.0, 0.1])
def test_folds_that_all_differ_by_the_same_tell_nothing_apart(difference: float) -> None:
    """As on two folds of ten images: without spread there is no test, and nothing is claimed."""
    verdict = verdict_of(("one", "other"), np.full(2, difference), 1.0)
    assert not verdict.shown
    assert f"{100 * difference:.2f} points on each of 2 folds, no spread to test by" in str(verdict)
