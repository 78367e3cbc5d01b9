"""Intervals cover the truth as often as they say: near 100 %, of few images, and of copies that are alike."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, t

from imparfait.evaluation.intervals import (
    difference_interval,
    group_error,
    group_interval,
    mean_error,
    mean_interval,
    wilson_interval,
)

EVALUATIONS = 2000
COVERAGE = (0.93, 0.97)  # of 95 % intervals
REAL = json.loads((Path(__file__).parents[1] / "data" / "correct_by_source.json").read_text())
"""How many of their copies two networks got right, by number of source images: real correlations, real failures."""


def coverage(intervals: list[tuple[float, float]], truth: float) -> float:
    low, high = np.array(intervals).T
    return float(np.mean((low <= truth + 1e-12) & (truth <= high + 1e-12)))


@pytest.mark.parametrize("truth", [0.9, 0.975, 0.994])
def test_wilson_intervals_cover_the_accuracy(truth: float) -> None:
    correct = np.random.default_rng(1).binomial(10_000, truth, EVALUATIONS)
    by_count = {count: wilson_interval(int(count), 10_000) for count in np.unique(correct)}
    assert COVERAGE[0] <= coverage([by_count[count] for count in correct], truth) <= COVERAGE[1]


@pytest.mark.parametrize(("correct", "total"), [(0, 1), (1, 1), (59, 60), (9968, 10_000), (0, 300)])
def test_wilsons_interval_is_scipys(correct: int, total: int) -> None:
    expected = binomtest(correct, total).proportion_ci(0.9, method="wilson")
    assert wilson_interval(correct, total, 0.9) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("images", [60, 200, 1000, 10_000])
@pytest.mark.parametrize("predictions", REAL)
def test_intervals_of_a_mean_cover_it_for_copies_of_real_images(predictions: str, images: int) -> None:
    """Where few images can show a rare failure, coverage may be higher than 97 %; it is not lower than 93 %."""
    copies, counts = REAL[predictions]["copies"], REAL[predictions]["counts"]
    shares = np.repeat([int(correct) / copies for correct in counts], list(counts.values()))
    random = np.random.default_rng(2)
    intervals = [mean_interval(random.choice(shares, images), copies) for _ in range(500)]
    assert coverage(intervals, float(shares.mean())) >= COVERAGE[0] - 0.02  # 500 samples: two standard errors
    if images >= 1000 and predictions != "digits-clean, core suite":  # its copies differ more than by chance
        assert coverage(intervals, float(shares.mean())) <= COVERAGE[1] + 0.015


def test_a_bootstrap_would_not_cover_there() -> None:
    shares = np.repeat([1.0, 0.5], [985, 15])
    random = np.random.default_rng(3)
    samples = [random.choice(shares, 60) for _ in range(1000)]
    ends = [np.quantile(random.choice(sample, (300, 60)).mean(1), (0.025, 0.975)) for sample in samples]
    assert coverage([(low, high) for low, high in ends], float(shares.mean())) < 0.7
    assert coverage([mean_interval(sample, 2) for sample in samples], float(shares.mean())) >= COVERAGE[0] - 0.015


@pytest.mark.parametrize("correct", [0.0, 1.0])
@pytest.mark.parametrize("copies", [1, 3, 100])
def test_where_all_are_equal_the_interval_is_wilsons_for_about_as_many_sources(correct: float, copies: int) -> None:
    found = mean_interval(np.full(200, correct), copies)
    assert found == pytest.approx(wilson_interval(round(200 * correct), 200), abs=0.002)
    assert found[1] - found[0] > 0.01


@given(st.lists(st.integers(0, 4), min_size=2, max_size=50), st.sampled_from([0.9, 0.95, 0.99]))
@settings(max_examples=200, deadline=None)
def test_an_interval_of_a_mean_holds_it_and_lies_within_0_and_1(correct: list[int], confidence: float) -> None:
    shares = np.array(correct) / 4
    low, high = mean_interval(shares, 4, confidence)
    assert 0 <= low <= shares.mean() + 1e-12
    assert shares.mean() - 1e-12 <= high <= 1
    wider = mean_interval(shares, 4, 0.995)
    assert wider[0] <= low
    assert high <= wider[1]


@given(st.integers(1, 300), st.data())
@settings(max_examples=50, deadline=None)
def test_without_copies_it_is_wilsons(images: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, images))
    shares = (np.arange(images) < correct).astype(float)
    assert mean_interval(shares, 1) == pytest.approx(wilson_interval(correct, images), abs=1e-9)


@pytest.mark.parametrize("sources", [60, 1000])
@pytest.mark.parametrize("ahead", [0.0, 0.005, 0.05])
def test_intervals_of_a_difference_cover_it(ahead: float, sources: int) -> None:
    """Two classifiers that differ on few images, in all their copies or in some."""
    random, intervals = np.random.default_rng(4), []
    for _ in range(1000):
        first = (random.random((sources, 3)) < 0.02 + ahead) & (random.random((sources, 1)) < 0.7)
        second = (random.random((sources, 3)) < 0.02) & (random.random((sources, 1)) < 0.7)
        intervals.append(difference_interval(first.mean(1) - second.mean(1)))
    assert coverage(intervals, 0.7 * ahead) >= COVERAGE[0]


def test_few_equal_images_do_not_prove_that_two_classifiers_are_equal() -> None:
    low, high = difference_interval(np.zeros(60))
    assert low < -0.01
    assert high > 0.01
    assert difference_interval(np.zeros(10_000)) == pytest.approx((0, 0), abs=0.001)


@pytest.mark.parametrize(("mean", "groups"), [(0.9, 4), (0.9, 16), (0.97, 40)])
def test_intervals_over_groups_cover_the_accuracy_on_new_groups(mean: float, groups: int) -> None:
    """Groups of different accuracies and sizes; intervals over images would cover a third of the time."""
    random, over_groups, over_images = np.random.default_rng(2), [], []
    for _ in range(400):
        sizes = random.integers(10, 150, groups)
        owners = np.repeat(np.arange(groups), sizes)
        accuracies = random.beta(20 * mean, 20 * (1 - mean), groups)
        correct = random.random(len(owners)) < accuracies[owners]
        found = group_interval(correct.astype(float), owners)
        assert found
        over_groups.append(found.interval)
        over_images.append(wilson_interval(int(correct.sum()), len(correct)))
    assert coverage(over_groups, mean) >= 0.92
    assert coverage(over_images, mean) < 0.75


def test_the_interval_over_groups_is_a_jackknife_of_the_log_odds() -> None:
    """As the slow twin has it, which leaves out each group in turn; the logarithm's slope is that of the mean."""
    random = np.random.default_rng(0)
    owners = np.repeat(np.arange(7), random.integers(5, 40, 7))
    correct = (random.random(len(owners)) < 0.8).astype(float)
    mean = correct.mean()
    left_out = np.array([correct[owners != group].mean() for group in range(7)])
    slope = 1 / (mean * (1 - mean))
    error = slope * np.sqrt(6 / 7 * ((left_out - mean) ** 2).sum())
    freedom = len(owners) ** 2 / (np.bincount(owners) ** 2).sum() - 1
    ends = np.log(mean / (1 - mean)) + error * t.ppf([0.025, 0.975], freedom)
    found = group_interval(correct, owners)
    assert found
    assert found.groups == 7
    assert found.interval == pytest.approx(1 / (1 + np.exp(-ends)))


@pytest.mark.parametrize("correct", [0.0, 1.0])
def test_where_all_groups_are_equally_extreme_the_interval_is_that_of_as_many_images(correct: float) -> None:
    found = group_interval(np.full(90, correct), np.arange(90) // 10)
    assert found
    assert found.interval == wilson_interval(round(9 * correct), 9)


def test_one_group_has_no_interval() -> None:
    assert group_interval(np.array([0.0, 1.0, 1.0]), np.zeros(3, np.int64)) is None


def test_groups_of_one_image_each_have_about_the_interval_over_images() -> None:
    correct = (np.arange(400) % 10 > 0).astype(float)
    found = group_interval(correct, np.arange(400))
    assert found
    assert found.interval == pytest.approx(wilson_interval(360, 400), abs=0.003)


def test_an_error_over_groups_is_not_below_the_one_over_images() -> None:
    values = np.tile([1.0, 0, 0, 0, 0], 2)  # two groups of one accuracy: no spread between them
    over_images = values.std(ddof=1) / 10**0.5
    assert mean_error(values, np.repeat([0, 1], 5)) == pytest.approx((over_images, 1))
    assert mean_error(values, None) == mean_error(values, np.zeros(10, int)) == pytest.approx((over_images, 9))
    apart = np.repeat([0.0, 1], 5)
    assert mean_error(apart, np.repeat([0, 1], 5)) == pytest.approx(group_error(apart, np.repeat([0, 1], 5)))
