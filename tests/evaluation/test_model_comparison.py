"""Verdicts over a suite: symmetric, adjusted, with false-positive rates by simulation."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from helpers.fake_suites import CLASSES, suite_of
from scipy.special import expit
from scipy.stats import binom, binomtest, ttest_1samp

from imparfait.corruptions.base import SEVERITY_LEVELS
from imparfait.evaluation.model_comparison import (
    ModelGroup,
    compare_models,
    difference,
    discordance,
    group_by_recipe,
)
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import Scores
from imparfait.evaluation.statistics import Difference, Verdict, holm
from imparfait.reports.text import verdict_sentence

SIMULATIONS = 300
MAX_FALSE = int(binom.ppf(0.999, SIMULATIONS, 0.05))  # 28: 5 % and chance


def network(
    random: np.random.Generator, ease: np.ndarray, ahead: float, of_seed: float, names: tuple[str, ...] = ("a", "b")
) -> SuiteResult:
    """The suite of one trained network; correctness depends on the image, on the severity and on the seed."""
    luck = ahead + of_seed * random.standard_normal()
    correct = {}
    for name in names:
        own = 0.5 * random.standard_normal(len(ease))  # on this image, corrupted so, this network
        for level in SEVERITY_LEVELS:
            correct[name, level] = random.random(len(ease)) < expit(3 + luck + own + ease - 2 * level)
    return suite_of(correct)


def two_models(
    seed: int, seeds: int, ahead: float = 0.0, of_seed: float = 0.1, n: int = 100
) -> tuple[ModelGroup, ModelGroup]:
    """Two recipes on the same images, the first ahead by `ahead`."""
    random = np.random.default_rng([seed, seeds])
    ease = random.standard_normal(n)
    both = [
        ModelGroup(name, tuple(network(random, ease, by, of_seed) for _ in range(seeds)))
        for name, by in (("first", ahead), ("second", 0.0))
    ]
    return both[0], both[1]


def verdict(models: tuple[ModelGroup, ...]) -> Verdict:
    (only,) = compare_models(models)
    return only


@pytest.mark.parametrize(("seeds", "of_seed"), [(1, 0.0), (2, 0.15), (3, 0.15)])
def test_equal_recipes_rarely_differ_significantly(seeds: int, of_seed: float) -> None:
    verdicts = [verdict(two_models(seed, seeds, of_seed=of_seed)) for seed in range(SIMULATIONS)]
    assert sum(one.is_significant for one in verdicts) <= MAX_FALSE
    covered = sum(low <= 0 <= high for low, high in (one.difference.interval for one in verdicts))
    assert covered >= SIMULATIONS - MAX_FALSE
    # Holm's adjustment over the corruptions of a pair: any of them, not each.
    assert sum(any(test.p <= 0.05 for test in one.corruptions.values()) for one in verdicts) <= MAX_FALSE


def of_writers(random: np.random.Generator, seeds: int, writers: np.ndarray, ahead: float = 0.0) -> ModelGroup:
    """A recipe with its own strength for each writer, whose networks vary around it."""
    strength = ahead + 0.8 * random.standard_normal(writers.max() + 1)
    suites = [network(random, (strength + 0.3 * random.standard_normal(len(strength)))[writers], 0.0, 0.1, ("a",))
              for _ in range(seeds)]  # fmt: skip
    grouped = (
        SuiteResult(Scores(tuple(replace(each, groups=writers) for each in suite.scores.conditions), CLASSES))
        for suite in suites
    )
    return ModelGroup(f"{ahead}", tuple(grouped))


@pytest.mark.parametrize("seeds", [1, 3])
def test_equal_recipes_rarely_differ_where_images_of_one_writer_are_alike(seeds: int) -> None:
    writers = np.sort(np.arange(200) % 10)
    random = np.random.default_rng(seeds)
    found = [
        difference(of_writers(random, seeds, writers), of_writers(random, seeds, writers)) for _ in range(SIMULATIONS)
    ]
    assert sum(one.p <= 0.05 for one in found) <= MAX_FALSE
    assert sum(one.p <= 0.2 for one in found) >= binom.ppf(0.001, SIMULATIONS, 0.1)  # nor is every test blind
    better = [difference(of_writers(random, seeds, writers, 3), of_writers(random, seeds, writers)) for _ in range(30)]
    assert sum(one.p <= 0.05 for one in better) >= 24


def test_a_group_for_each_image_is_as_none() -> None:
    for first, second in (two_models(3, 1), two_models(3, 3)):
        plain = difference(first, second)
        for model in (first, second):
            for suite in model.seeds:
                for result in suite.scores.conditions:
                    object.__setattr__(result, "groups", np.arange(len(result.truths)))
        grouped = difference(first, second)
        assert (grouped.error, grouped.degrees_of_freedom) == pytest.approx((plain.error, plain.degrees_of_freedom))


def test_a_true_difference_is_found_and_attributed_to_the_better_one() -> None:
    verdicts = [verdict(two_models(seed, seeds=3, ahead=0.8)) for seed in range(100)]
    significant = [one for one in verdicts if one.is_significant]
    assert len(significant) >= 80
    assert all((one.better, one.other) == ("first", "second") for one in significant)
    assert all(verdict_sentence(one).startswith("first is better than second by ") for one in significant)


def test_single_runs_may_differ_by_chance_and_the_sentence_excludes_their_recipes() -> None:
    """Two seeds of one recipe are two networks: on the images alone they differ in more than 5 % of the cases."""
    verdicts = [verdict(two_models(seed, 1, of_seed=0.5)) for seed in range(100)]
    assert sum(one.is_significant for one in verdicts) > 10
    assert all("says nothing about their recipes" in verdict_sentence(one) for one in verdicts)
    assert all(len(one.single_runs) == 2 for one in verdicts)
    one, _ = two_models(0, 1)
    _, several = two_models(0, 2)
    mixed = verdict((one, several))
    assert mixed.single_runs == (one.name,)
    assert f"{one.name} is a single training run" in verdict_sentence(mixed)
    assert "single training run" not in verdict_sentence(verdict(two_models(0, 2)))


@pytest.mark.parametrize("seeds", [1, 3])
def test_swapping_the_models_changes_only_the_sign(seeds: int) -> None:
    for seed in range(20):
        a, b = two_models(seed, seeds, ahead=0.3)
        there, back = verdict((a, b)), verdict((b, a))
        assert there.difference.mean == pytest.approx(-back.difference.mean)
        assert (there.p, there.difference.error) == pytest.approx((back.p, back.difference.error))
        low, high = there.difference.interval
        assert back.difference.interval == pytest.approx((-high, -low))
        for name, test in there.corruptions.items():
            swapped = back.corruptions[name]
            assert (-test.difference.mean, test.p) == pytest.approx((swapped.difference.mean, swapped.p))
        assert (there.better, there.other) == (back.better, back.other)
        if there.is_significant:
            assert verdict_sentence(there) == verdict_sentence(back)


def test_one_seed_each_is_the_paired_t_test_over_sources() -> None:
    a, b = two_models(3, 1, ahead=0.3)
    ahead = a.by_source() - b.by_source()
    twin = ttest_1samp(ahead, 0)
    found = difference(a, b)
    assert (found.mean, found.p) == pytest.approx((ahead.mean(), twin.pvalue))
    low, high = twin.confidence_interval()
    assert found.interval == pytest.approx((low, high))


def test_the_error_is_that_of_crossed_images_and_seeds() -> None:
    """Components by the definition: sums of squares of seeds, images and their interaction, model by model."""
    a, b = two_models(1, 3, of_seed=0.3)
    shares = [np.stack([suite.by_source() for suite in model.seeds]) for model in (a, b)]
    ahead = shares[0].mean(0) - shares[1].mean(0)
    terms, twice = [(ahead.var(ddof=1) / 100, 99)], 0.0
    for own in shares:
        terms.append((own.mean(1).var(ddof=1) / 3, 2))
        cells = [
            own[seed, image] - own[seed].mean() - own[:, image].mean() + own.mean()
            for seed in range(3)
            for image in range(100)
        ]
        twice += np.square(cells).sum() / (2 * 99) / (3 * 100)
    variance = sum(term for term, _ in terms) - twice
    found = difference(a, b)
    assert variance > max(term for term, _ in terms)
    assert found.error == pytest.approx(variance**0.5)
    assert found.degrees_of_freedom == pytest.approx(variance**2 / sum(term**2 / freedom for term, freedom in terms))
    assert (a.mean, a.spread) == pytest.approx((np.mean(a.means), np.std(a.means, ddof=1)))
    assert two_models(1, 1)[0].spread is None


def test_intervals_of_recipes_cover_about_as_often_as_they_say() -> None:
    """Counting the seeds' differences image by image twice, they covered 98 to 99 %."""
    verdicts = [verdict(two_models(seed, 5, of_seed=0.0)) for seed in range(SIMULATIONS)]
    covered = sum(low <= 0 <= high for low, high in (one.difference.interval for one in verdicts))
    assert binom.ppf(0.001, SIMULATIONS, 0.95) <= covered <= binom.ppf(0.999, SIMULATIONS, 0.97)


def test_a_model_does_not_differ_from_its_copy() -> None:
    a, _ = two_models(0, 2)
    found = verdict((a, ModelGroup("copy", a.seeds)))
    assert found.difference.mean == 0
    assert found.p == 1
    same = ModelGroup("one", a.seeds[:1])
    assert difference(same, same) == Difference(0.0, 0.0, 1.0)
    assert "no difference shown: 0.00 points" in verdict_sentence(verdict((same, same)))


def test_pairs_and_corruptions_are_each_adjusted_once() -> None:
    random = np.random.default_rng(0)
    ease = random.standard_normal(200)
    models = [
        ModelGroup(name, tuple(network(random, ease, ahead, 0.05, ("a", "b", "c")) for _ in range(2)))
        for name, ahead in (("x", 0.4), ("y", 0.2), ("z", 0.0))
    ]
    verdicts = compare_models(models)
    assert [one.names for one in verdicts] == [("x", "y"), ("x", "z"), ("y", "z")]
    assert {one.pairs for one in verdicts} == {3}
    assert [one.p for one in verdicts] == holm([one.difference.p for one in verdicts])
    for one in verdicts:
        assert list(one.corruptions) == ["a", "b", "c"]
        tests = one.corruptions.values()
        assert [test.p for test in tests] == holm([test.difference.p for test in tests])
    assert compare_models(models[:1]) == []


def test_only_corruptions_that_both_models_have_are_compared() -> None:
    correct = np.arange(40) % 3 > 0
    a = ModelGroup("a", (suite_of({("rotate", 0.2): correct, ("rotate", 0.4): correct, ("fog", 0.2): correct}),))
    b = ModelGroup("b", (suite_of({("rotate", 0.2): correct, ("rotate", 0.4): ~correct}),))
    assert list(verdict((a, b)).corruptions) == ["rotate"]


@pytest.mark.parametrize(
    ("mean", "error", "p", "start"),
    [
        (0.01, 0.002, 0.001, "a is better than b by 1.00 points (95 %: 0.60 to 1.40)"),
        (-0.01, 0.002, 0.001, "b is better than a by 1.00 points (95 %: 0.60 to 1.40)"),
        (0.01, 0.02, 0.6, "a and b: no difference shown: 1.00 points (95 %: −2.97 to 4.97); more than 5"),
        (-0.01, 0.005, 0.12, "b and a: no difference shown after correction for 6 pairs: 1.00 points (95 %: 0.01 to"),
    ],
)
def test_the_sentence_is_in_points_and_claims_no_difference_that_is_not_significant(mean, error, p, start) -> None:
    verdict = Verdict(("a", "b"), Difference(mean, error, 100), p, pairs=6)
    assert verdict_sentence(verdict).startswith(start)


def test_runs_that_differ_only_in_their_seed_form_one_model() -> None:
    suites = {f"{recipe}-s{seed}": two_models(seed, 1)[0].seeds[0] for seed in (0, 1) for recipe in ("petit", "cnn")}
    recipe: Callable[[str], str] = lambda name: name.split("-")[0]  # noqa: E731
    models = group_by_recipe(suites, recipe)
    assert [(model.name, len(model.seeds)) for model in models] == [("petit-s0", 2), ("cnn-s0", 2)]
    assert models[0].seeds == (suites["petit-s0"], suites["petit-s1"])
    assert [len(model.seeds) for model in group_by_recipe(suites, str)] == [1, 1, 1, 1]


def test_two_networks_under_one_condition_are_compared_by_image() -> None:
    a = suite_of({("fog", 0.2): [1] * 9 + [0] * 1})
    b = suite_of({("fog", 0.2): [1] * 2 + [0] * 7 + [1]})
    found = discordance(a, b, "fog", 0.2)
    assert (found.only_first, found.only_second) == (7, 1)
    assert found.p == pytest.approx(binomtest(7, 8).pvalue)
