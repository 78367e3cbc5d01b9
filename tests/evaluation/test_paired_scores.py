"""AUROC, false positive rates, McNemar's test and where accuracy crosses a level."""

import math

import numpy as np
import pytest

from imparfait.evaluation.metrics import (
    false_positive_rate_at,
)
from imparfait.evaluation.statistics import crossing, mcnemar


@pytest.mark.parametrize(
    ("positives", "negatives", "rate", "expected"),
    [
        ([1, 1], [0, 0], 0.95, 0),
        ([0, 0], [1, 1], 0.95, 1),
        ([0.5], [0.5], 0.95, 1),  # a tie is accepted
        (list(range(100)), [4, 5, 6, 7], 0.95, 0.75),  # 95 of 100 are 5 and more
        (list(range(100)), [92, 93, 94], 0.07, 2 / 3),
        ([1, 2, 3], [2.5, 0], 0.01, 0),  # at least one positive
    ],
)
def test_false_positive_rate_at_small_tables(positives: list, negatives: list, rate: float, expected) -> None:
    found = false_positive_rate_at(np.array(positives, float), np.array(negatives, float), rate)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (5, 0), (3, 9), (12, 30)])
def test_mcnemar_is_a_toss_for_each_discordant_image(first: int, second: int) -> None:
    pairs = [(True, False)] * first + [(False, True)] * second + [(True, True)] * 50 + [(False, False)] * 3
    one, other = np.array(pairs).T
    found = mcnemar(one, other)
    assert (found.only_first, found.only_second) == (first, second)
    n, least = first + second, min(first, second)
    tail = sum(math.comb(n, k) for k in range(least + 1)) / 2**n
    assert found.p == pytest.approx(min(1.0, 2 * tail))
    assert mcnemar(other, one).p == found.p


SEVERITIES = np.array([0, 0.25, 0.5, 1.0])


@pytest.mark.parametrize(
    ("accuracies", "where"),
    [
        ([1, 1, 1, 1], None),
        ([1, 1, 0.9, 0], 0.375),
        ([1, 0.95, 0.95, 0.9], 0.5),  # on the level is not below it
        ([0.96, 0.9, 1, 0.9], 0.25 / 6),  # the first time
        ([0.9, 1, 1, 1], 0.0),
        ([0, 0, 0, 0], 0.0),
        ([1, 1, 1, 0.9], 0.75),
    ],
)
def test_the_crossing_of_small_tables(accuracies: list[float], where: float | None) -> None:
    correct = np.arange(100) < 100 * np.array(accuracies)[:, None] - 1e-9
    found = crossing(SEVERITIES, correct)
    assert found.severity == (None if where is None else pytest.approx(where))
    if found.high is not None:
        assert found.severity is not None
        assert found.low is not None
        assert found.low <= found.severity <= found.high


def test_the_interval_of_a_crossing_agrees_with_slow_resampling() -> None:
    random = np.random.default_rng(9)
    breaks = 0.2 + random.exponential(1, 400)  # each source is correct up to this severity
    severities = np.linspace(0, 1, 11)
    correct = severities[:, None] < breaks
    found = crossing(severities, correct)
    slow = []
    for _ in range(1000):
        drawn = correct[:, random.integers(400, size=400)].mean(1)
        after = int(np.flatnonzero(drawn < 0.95)[0])
        slow.append(np.interp(-0.95, -drawn[after - 1 : after + 1], severities[after - 1 : after + 1]))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])), abs=0.01)


def test_an_interval_end_beyond_the_last_severity_is_none() -> None:
    """Accuracy at the last severity is 94.5 % of 200: some resamples never fall below 95 %."""
    correct = np.vstack([np.ones(200, bool), np.arange(200) < 189])
    found = crossing(np.array([0.0, 1.0]), correct)
    assert found.severity == pytest.approx(0.05 / 0.055)
    assert found.high is None
    assert found.low is not None


def test_intervals_cover_the_crossing() -> None:
    random, held = np.random.default_rng(10), 0
    truth = 0.2 + math.log(1 / 0.95)
    severities = np.linspace(0, 1, 41)
    for _ in range(300):
        correct = severities[:, None] < 0.2 + random.exponential(1, 1000)
        found = crossing(severities, correct, resamples=500)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= truth <= found.high
    assert held >= 275


def test_shares_of_several_copies_cross_like_single_predictions() -> None:
    correct = np.array([[1.0, 1, 1, 1], [1, 1, 1, 0.5], [1, 0.5, 0.5, 0]])
    assert crossing(np.array([0, 0.5, 1.0]), correct, level=0.75).severity == pytest.approx(0.5 + 0.125 / 0.375 * 0.5)
