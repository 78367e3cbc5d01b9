"""Verdicts over a suite: symmetric, adjusted, and by simulation no more often wrong than they say."""

from collections.abc import Callable

import numpy as np
import pytest
from helpers.fake_suites import suite_of
from scipy.special import expit
from scipy.stats import binom, binomtest, ttest_1samp

from imparfait.corruptions.base import SEVERITY_LEVELS
from imparfait.evaluation.model_comparison import (
    Difference,
    ModelGroup,
    Verdict,
    difference,
    discordance,
    grouped,
    verdicts,
)
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.statistics import holm

SIMULATIONS = 300
MOST_FALSE = int(binom.ppf(0.999, SIMULATIONS, 0.05))  # 28: 5 %, and what chance adds to it


def network(
    random: np.random.Generator, ease: np.ndarray, ahead: float, of_seed: float, names: tuple[str, ...] = ("a", "b")
) -> SuiteResult:
    """The suite of one trained network: each image has its ease, each severity its own, each seed its luck."""
    luck = ahead + of_seed * random.standard_normal()
    correct = {}
    for name in names:
        own = 0.5 * random.standard_normal(len(ease))  # on this image, corrupted so, this network
        for level in SEVERITY_LEVELS:
            correct[name, level] = random.random(len(ease)) < expit(3 + luck + own + ease - 2 * level)
    return suite_of(correct)


def rivals(
    seed: int, seeds: int, ahead: float = 0.0, of_seed: float = 0.1, n: int = 100
) -> tuple[ModelGroup, ModelGroup]:
    """Two recipes on the same images, the first of them `ahead`."""
    random = np.random.default_rng([seed, seeds])
    ease = random.standard_normal(n)
    both = [
        ModelGroup(name, tuple(network(random, ease, by, of_seed) for _ in range(seeds)))
        for name, by in (("first", ahead), ("second", 0.0))
    ]
    return both[0], both[1]


def verdict(models: tuple[ModelGroup, ...]) -> Verdict:
    (found,) = verdicts(models)
    return found


@pytest.mark.parametrize(("seeds", "of_seed"), [(1, 0.0), (2, 0.15), (3, 0.15)])
def test_equal_recipes_are_rarely_told_apart(seeds: int, of_seed: float) -> None:
    found = [verdict(rivals(seed, seeds, of_seed=of_seed)) for seed in range(SIMULATIONS)]
    assert sum(each.p < 0.05 for each in found) <= MOST_FALSE
    held = sum(low <= 0 <= high for low, high in (each.difference.interval for each in found))
    assert held >= SIMULATIONS - MOST_FALSE
    # Holm's over the corruptions of a pair: any of them, not each.
    assert sum(any(p < 0.05 for _, p in each.corruptions.values()) for each in found) <= MOST_FALSE


def test_a_planted_difference_is_found_and_told_of_the_better_one() -> None:
    found = [verdict(rivals(seed, seeds=3, ahead=0.8)) for seed in range(100)]
    shown = [each for each in found if each.p < 0.05]
    assert len(shown) >= 80
    assert all(each.sentence.startswith("first is better than second by ") for each in shown)


def test_one_network_each_may_differ_by_luck_and_the_sentence_says_what_it_is_not_about() -> None:
    """Two seeds of one recipe are two networks: images alone tell them apart more often than 5 %."""
    found = [verdict(rivals(seed, 1, of_seed=0.5)) for seed in range(100)]
    assert sum(each.p < 0.05 for each in found) > 10
    assert all(each.sentence.endswith("; one network each, so this is not about their recipes") for each in found)
    assert all(len(each.single) == 2 for each in found)
    one, _ = rivals(0, 1)
    _, several = rivals(0, 2)
    mixed = verdict((one, several))
    assert mixed.single == (one.name,)
    assert mixed.sentence.endswith(f"; one network of {one.name}, so this is not about its recipe")
    assert "one network" not in verdict(rivals(0, 2)).sentence


@pytest.mark.parametrize("seeds", [1, 3])
def test_swapping_the_models_turns_the_sign_and_nothing_else(seeds: int) -> None:
    for seed in range(20):
        a, b = rivals(seed, seeds, ahead=0.3)
        there, back = verdict((a, b)), verdict((b, a))
        assert there.difference.mean == pytest.approx(-back.difference.mean)
        assert (there.p, there.difference.error) == pytest.approx((back.p, back.difference.error))
        low, high = there.difference.interval
        assert back.difference.interval == pytest.approx((-high, -low))
        for name, (each, p) in there.corruptions.items():
            assert (-each.mean, p) == pytest.approx((back.corruptions[name][0].mean, back.corruptions[name][1]))
        if there.p < 0.05:
            assert there.sentence == back.sentence


def test_one_seed_each_is_the_paired_t_test_over_sources() -> None:
    a, b = rivals(3, 1, ahead=0.3)
    ahead = a.by_source() - b.by_source()
    twin = ttest_1samp(ahead, 0)
    found = difference(a, b)
    assert (found.mean, found.p) == pytest.approx((ahead.mean(), twin.pvalue))
    low, high = twin.confidence_interval()
    assert found.interval == pytest.approx((low, high))


def test_the_error_adds_pictures_and_seeds_as_by_hand() -> None:
    a, b = rivals(1, 3)
    ahead = np.mean([s.by_source() for s in a.seeds], 0) - np.mean([s.by_source() for s in b.seeds], 0)
    terms = [(ahead.var(ddof=1) / 100, 99), *((np.var(model.means, ddof=1) / 3, 2) for model in (a, b))]
    total = sum(term for term, _ in terms)
    found = difference(a, b)
    assert found.error == pytest.approx(total**0.5)
    assert found.freedom == pytest.approx(total**2 / sum(term**2 / freedom for term, freedom in terms))
    assert (a.mean, a.spread) == pytest.approx((np.mean(a.means), np.std(a.means, ddof=1)))
    assert rivals(1, 1)[0].spread is None


def test_a_model_and_its_copy_do_not_differ() -> None:
    a, _ = rivals(0, 2)
    found = verdict((a, ModelGroup("copy", a.seeds)))
    assert found.difference.mean == 0
    assert found.p == 1
    same = ModelGroup("one", a.seeds[:1])
    assert difference(same, same) == Difference(0.0, 0.0, 1.0)
    assert "no difference shown, +0.00 points (95 %: +0.00 to +0.00)" in verdict((same, same)).sentence


def test_pairs_and_alterations_are_each_adjusted_once() -> None:
    random = np.random.default_rng(0)
    ease = random.standard_normal(200)
    models = [
        ModelGroup(name, tuple(network(random, ease, ahead, 0.05, ("a", "b", "c")) for _ in range(2)))
        for name, ahead in (("x", 0.4), ("y", 0.2), ("z", 0.0))
    ]
    found = verdicts(models)
    assert [(each.first, each.second) for each in found] == [("x", "y"), ("x", "z"), ("y", "z")]
    assert [each.p for each in found] == holm([each.difference.p for each in found])
    for each in found:
        assert list(each.corruptions) == ["a", "b", "c"]
        assert [p for _, p in each.corruptions.values()] == holm([d.p for d, _ in each.corruptions.values()])
    assert verdicts(models[:1]) == []


def test_only_alterations_that_both_were_asked_are_compared() -> None:
    correct = np.arange(40) % 3 > 0
    a = ModelGroup("a", (suite_of({("rotate", 0.2): correct, ("rotate", 0.4): correct, ("fog", 0.2): correct}),))
    b = ModelGroup("b", (suite_of({("rotate", 0.2): correct, ("rotate", 0.4): ~correct}),))
    assert list(verdict((a, b)).corruptions) == ["rotate"]


@pytest.mark.parametrize(
    ("mean", "error", "p", "words"),
    [
        (0.01, 0.002, 0.001, "a is better than b by 1.00 points (95 %: 0.60 to 1.40)"),
        (-0.01, 0.002, 0.001, "b is better than a by 1.00 points (95 %: 0.60 to 1.40)"),
        (0.01, 0.02, 0.6, "a and b: no difference shown, +1.00 points (95 %: -2.97 to +4.97)"),
        (-0.01, 0.005, 0.12, "a and b: no difference shown, -1.00 points (95 %: -1.99 to -0.01)"),
    ],
)
def test_the_sentence_is_in_points_and_never_calls_an_unshown_difference_one(mean, error, p, words: str) -> None:
    told = Verdict("a", "b", Difference(mean, error, 100), p, {}, single=())
    assert told.sentence == words


def test_runs_that_differ_only_in_their_seed_are_one_model() -> None:
    suites = {f"{recipe}-s{seed}": rivals(seed, 1)[0].seeds[0] for seed in (0, 1) for recipe in ("petit", "cnn")}
    recipe: Callable[[str], str] = lambda name: name.split("-")[0]  # noqa: E731
    models = grouped(suites, recipe)
    assert [(model.name, len(model.seeds)) for model in models] == [("petit-s0", 2), ("cnn-s0", 2)]
    assert models[0].seeds == (suites["petit-s0"], suites["petit-s1"])
    assert [len(model.seeds) for model in grouped(suites, str)] == [1, 1, 1, 1]


def test_two_networks_on_one_part_are_compared_picture_by_picture() -> None:
    a = suite_of({("fog", 0.2): [1] * 9 + [0] * 1})
    b = suite_of({("fog", 0.2): [1] * 2 + [0] * 7 + [1]})
    found = discordance(a, b, "fog", 0.2)
    assert (found.only_first, found.only_second) == (7, 1)
    assert found.p == pytest.approx(binomtest(7, 8).pvalue)
