"""Metrics and calibration against slow reference code or closed forms; guarantees by simulation."""

import math

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom

from imparfait.evaluation.calibration import fit_temperature, threshold_for
from imparfait.evaluation.metrics import (
    auroc,
    brier,
    calibration_error,
    calibration_error_interval,
    confident_errors,
    error_by_chance,
    log_loss,
    reliability,
    risk_coverage,
)

seeds = st.integers(0, 2**32 - 1)


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    return scipy.special.softmax(logits.astype(np.float64) / temperature, axis=1)


def confident(probabilities: np.ndarray, truths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The confidence of each prediction, and whether it is correct."""
    return probabilities.max(1), probabilities.argmax(1) == truths


def simulated(n: int, seed: int, sharpness: float = 1.0, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Logits and truths drawn from their softmax: calibrated for sharpness 1, overconfident above."""
    random = np.random.default_rng(seed)
    logits = 6 * random.standard_normal((n, classes))
    truths = (random.random((n, 1)) > softmax(logits).cumsum(1)).sum(1).clip(max=classes - 1)
    return sharpness * logits, truths


def ties(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Confidences with many ties, and which predictions are correct."""
    random = np.random.default_rng(seed)
    return random.integers(0, max(2, n // 2), n) / n, random.random(n) < 0.7


TWO = np.array([[0.9, 0.1], [0.4, 0.6]])
CERTAIN = np.array([[1.0, 0.0], [0.0, 1.0]])


@pytest.mark.parametrize(
    ("probabilities", "truths", "loss", "distance", "error", "baseline"),
    [
        (CERTAIN, [0, 1], 0, 0, 0, 0),
        (CERTAIN, [1, 0], -math.log(np.finfo(np.float32).tiny), 2, 1, 1),
        (TWO, [0, 1], -math.log(0.9 * 0.6) / 2, (2 * 0.1**2 + 2 * 0.4**2) / 2, 0.25, 0),
        (TWO, [1, 1], -math.log(0.1 * 0.6) / 2, (2 * 0.9**2 + 2 * 0.4**2) / 2, 0.65, 0.5),
        (TWO[:1], [0], -math.log(0.9), 0.02, 0.1, 0),
        (np.full((4, 4), 0.25), [0, 1, 2, 3], math.log(4), 0.75, 0, 0.75),
    ],
    ids=["all correct", "all wrong", "two", "one of two", "one image", "uniform"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_and_errors_of_small_tables(
    probabilities: np.ndarray, truths: list[int], loss, distance, error, baseline, dtype: type
) -> None:
    arguments = probabilities.astype(dtype), np.array(truths)
    assert log_loss(*arguments) == pytest.approx(loss, abs=1e-6)
    assert brier(*arguments) == pytest.approx(distance, abs=1e-6)
    assert calibration_error(*confident(*arguments)) == pytest.approx(error, abs=1e-6)
    assert 1 - confident(*arguments)[1].mean() == pytest.approx(baseline)


@settings(max_examples=50, deadline=None)
@given(seed=seeds, n=st.integers(1, 60), bins=st.integers(1, 20), step=st.sampled_from([0, 0.2]))
def test_losses_and_calibration_error_agree_with_slow_code(seed: int, n: int, bins: int, step: float) -> None:
    logits, truths = simulated(n, seed, classes=3)
    probabilities = softmax(np.round(logits / 5) if step else logits)  # rounded: many equal confidences
    rows = list(zip(probabilities.tolist(), truths.tolist(), strict=True))
    assert log_loss(probabilities, truths) == pytest.approx(sum(-math.log(row[truth]) for row, truth in rows) / n)
    squares = [sum((p - (k == truth)) ** 2 for k, p in enumerate(row)) for row, truth in rows]
    assert brier(probabilities, truths) == pytest.approx(sum(squares) / n)
    found = reliability(*confident(probabilities, truths), bins)
    assert sum(part.count for part in found) == n
    assert [part.confidence for part in found] == sorted(part.confidence for part in found)
    error = sum(part.count * abs(part.accuracy - part.confidence) for part in found) / n
    assert calibration_error(*confident(probabilities, truths), bins) == pytest.approx(error)


def test_bins_hold_equal_numbers_of_images_in_order() -> None:
    logits, truths = simulated(300, 1)
    probabilities = softmax(logits)
    found = reliability(*confident(probabilities, truths), 10)
    assert [part.count for part in found] == [30] * 10
    order = np.argsort(probabilities.max(1)).reshape(10, 30)
    for part, rows in zip(found, order, strict=True):
        assert part.confidence == pytest.approx(probabilities[rows].max(1).mean())
        assert part.accuracy == pytest.approx((probabilities[rows].argmax(1) == truths[rows]).mean())


def test_equal_confidences_share_a_bin_so_that_order_does_not_matter() -> None:
    logits, truths = simulated(400, 2, classes=3)
    probabilities, order = softmax(np.round(logits / 4)), np.random.default_rng(0).permutation(400)
    shuffled = probabilities[order], truths[order]
    assert calibration_error(*confident(*shuffled)) == pytest.approx(
        calibration_error(*confident(probabilities, truths))
    )
    assert len(reliability(*confident(CERTAIN[[0] * 50], np.zeros(50, int)))) == 1


@pytest.mark.parametrize("n", [1000, 10_000])
def test_the_error_of_a_calibrated_classifier_is_within_chance(n: int) -> None:
    logits, truths = simulated(n, 3)
    probabilities = softmax(logits)
    confidence, correct = confident(probabilities, truths)
    accuracy = correct.mean()
    error = calibration_error(confidence, correct)
    assert error < error_by_chance(confidence) < 3 * math.sqrt(2 * 15 * accuracy * (1 - accuracy) / (math.pi * n))
    low, high = calibration_error_interval(confidence, correct)
    assert low == 0 < high < 2 * error


def test_intervals_cover_the_calibration_error() -> None:
    for sharpness in (1.0, 1.5):
        logits, truths = simulated(200_000, 4, sharpness)
        truth = 0.0 if sharpness == 1 else calibration_error(*confident(softmax(logits), truths))
        held = 0
        for seed in range(100):
            logits, truths = simulated(1000, seed, sharpness)
            low, high = calibration_error_interval(*confident(softmax(logits), truths), resamples=200)
            held += low <= truth <= high
        assert held >= 83


@pytest.mark.parametrize(
    ("confidences", "correct", "share", "counts"),
    [
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 0, 0], 0.5, (0, 2)),
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 0, 0], 0.75, (1, 3)),
        ([0.9, 0.7, 0.7, 0.7], [1, 1, 0, 0], 0.5, (2, 4)),  # all ties
        ([0.9, 0.8, 0.7, 0.6], [0, 1, 1, 1], 0.01, (1, 1)),  # at least one
        ([0.9], [1], 0.99, (0, 1)),
    ],
)
def test_confident_errors_of_small_tables(
    confidences: list, correct: list, share: float, counts: tuple[int, int]
) -> None:
    assert confident_errors(np.array(confidences), np.array(correct, bool), share) == counts


@settings(max_examples=60, deadline=None)
@given(seed=seeds, n=st.integers(1, 50))
def test_risk_and_coverage_agree_with_slow_code(seed: int, n: int) -> None:
    confidence, correct = ties(n, seed)
    found = risk_coverage(confidence, correct)
    area, before = 0.0, 0.0
    for row, level in enumerate(sorted(set(confidence.tolist()), reverse=True)):
        accepted = [ok for value, ok in zip(confidence.tolist(), correct.tolist(), strict=True) if value >= level]
        assert found.threshold[row] == level
        assert found.coverage[row] == pytest.approx(len(accepted) / n)
        assert found.risk[row] == pytest.approx(1 - sum(accepted) / len(accepted))
        area += found.risk[row] * (found.coverage[row] - before)
        before = found.coverage[row]
    assert found.area == pytest.approx(area)
    assert 0 <= found.area <= 1
    # The best order has all correct predictions before all wrong ones, the worst the reverse.
    best, worst = (risk_coverage(way * np.arange(n, dtype=float), np.sort(correct)).area for way in (1, -1))
    assert best - 1e-12 <= risk_coverage(confidence + 1e-6 * np.random.default_rng(seed).random(n), correct).area
    assert risk_coverage(confidence + 1e-6 * np.random.default_rng(seed).random(n), correct).area <= worst + 1e-12


@pytest.mark.parametrize(("correct", "area"), [([True] * 5, 0), ([False] * 5, 1), ([True], 0), ([False], 1)])
def test_the_area_of_all_correct_and_all_wrong(correct: list[bool], area: float) -> None:
    assert risk_coverage(np.linspace(0, 1, len(correct)), np.array(correct)).area == area
    assert risk_coverage(np.zeros(len(correct)), np.array(correct)).area == area


def curve(sure: np.ndarray) -> np.ndarray:
    return 0.002 + 0.4 * np.exp(-8 * sure)


RISKS = {"steep": curve, "no order, just over": lambda sure: np.full_like(sure, 0.0101)}


@pytest.mark.parametrize("risk", RISKS.values(), ids=RISKS.keys())
def test_a_threshold_keeps_its_guarantee_on_new_images(risk) -> None:
    """With 95 % certainty: in at most 5 % of the simulations, here 24 of 300 with the chance of 99 %."""
    random, broken, reached = np.random.default_rng(5), 0, 0
    for _ in range(300):
        sure = random.random(4000)
        found = threshold_for(sure, random.random(4000) >= risk(sure), 0.01)
        if found:
            reached += 1
            broken += risk(np.linspace(found.confidence, 1, 1000)).mean() > 0.01
    assert broken <= binom.ppf(0.99, 300, 0.05)
    assert reached > 200 or risk is not curve


def test_a_threshold_and_all_between_it_and_its_start_pass_clopper_and_pearson() -> None:
    random = np.random.default_rng(6)
    sure = np.round(random.random(3000), 3)
    correct = random.random(3000) >= curve(sure)
    found = threshold_for(sure, correct, 0.02)
    assert found is not None
    accepted = sure >= found.confidence
    assert (found.accepted, found.wrong) == (accepted.sum(), (accepted & ~correct).sum())
    assert found.coverage == found.accepted / 3000
    for threshold in np.unique(sure[(sure >= found.confidence) & (sure <= np.quantile(sure, 0.2))]):
        n, wrong = (sure >= threshold).sum(), ((sure >= threshold) & ~correct).sum()
        assert beta.ppf(1 - 0.05 / 4, wrong + 1, n - wrong) <= 0.02


@pytest.mark.parametrize(
    ("correct", "rate", "coverage"),
    [
        ([True] * 875, 0.005, 1.0),  # the fewest
        ([True] * 874, 0.005, None),
        ([False] * 1000, 0.5, None),
        ([True], 0.5, None),
        ([True] * 1000 + [False] * 1000, 0.01, 0.5),  # three errors more would still be allowed
        ([False] + [True] * 2999, 0.005, 1.0),  # an early error, of which the later starts know nothing
    ],
)
def test_coverage_of_thresholds(correct: list[bool], rate: float, coverage: float | None) -> None:
    found = threshold_for(-np.arange(len(correct), dtype=float), np.array(correct), rate)
    assert (found and round(found.coverage, 2)) == coverage


@settings(max_examples=30, deadline=None)
@given(seed=seeds, temperature=st.floats(0.05, 20))
def test_a_temperature_changes_confidence_but_no_prediction(seed: int, temperature: float) -> None:
    logits, _ = simulated(50, seed)
    warm, plain = softmax(logits, temperature), softmax(logits)
    assert np.array_equal(warm.argmax(1), plain.argmax(1))
    assert warm.sum(1) == pytest.approx(np.ones(50))
    assert ((warm.max(1) <= plain.max(1) + 1e-12) == (temperature >= 1)).all() or np.allclose(warm, plain)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_fitting_recovers_the_temperature_of_the_logits(sharpness: float) -> None:
    logits, truths = simulated(20_000, 7, sharpness)
    temperature = fit_temperature(logits.astype(np.float32), truths)
    assert temperature == pytest.approx(sharpness, rel=0.03)
    assert fit_temperature(np.log(softmax(logits)), truths) == pytest.approx(temperature, rel=1e-3)
    losses = [log_loss(softmax(logits, t), truths) for t in (0.97 * temperature, temperature, 1.03 * temperature)]
    assert min(losses) == losses[1]


def test_the_temperature_is_at_its_bound_where_all_are_correct_or_all_wrong() -> None:
    logits, _ = simulated(200, 8)
    assert fit_temperature(logits, logits.argmax(1)) == pytest.approx(0.05, rel=1e-3)
    assert fit_temperature(logits, logits.argmin(1)) == pytest.approx(20, rel=1e-3)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, n=st.integers(1, 30), m=st.integers(1, 30))
def test_auroc_is_the_share_of_ordered_pairs_and_symmetric(seed: int, n: int, m: int) -> None:
    random = np.random.default_rng(seed)
    positives, negatives = random.integers(2, 9, n) / 8, random.integers(0, 7, m) / 8
    pairs = [(a > b) + (a == b) / 2 for a in positives.tolist() for b in negatives.tolist()]
    assert auroc(positives, negatives) == pytest.approx(sum(pairs) / (n * m))
    assert auroc(negatives, positives) == pytest.approx(1 - auroc(positives, negatives))
    assert auroc(-positives, -negatives) == pytest.approx(1 - auroc(positives, negatives))
