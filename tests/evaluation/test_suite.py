"""The full suite: its conditions, and its means computed by hand."""

import numpy as np
import pytest
import torch
from helpers.bars import draw_bars
from helpers.fake_suites import suite_of

from imparfait.core.errors import UserError
from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions import CORRUPTIONS
from imparfait.corruptions.base import SEVERITY_LEVELS
from imparfait.data.corrupted import CORE_SUITE, corrupt
from imparfait.evaluation.intervals import mean_interval, wilson_interval
from imparfait.evaluation.robustness import SuiteResult, published_baseline
from imparfait.evaluation.scores import Score
from imparfait.evaluation.suite import (
    CLEAN,
    CUSTOM,
    Condition,
    apply_conditions,
    conditions_from,
    full_suite,
    suite_named,
    weights,
)
from imparfait.reports.text import corruption_label


def darker(images: Images, severity: float, rng: CounterRng) -> Images:
    return images * (1 - severity)


def test_the_full_suite_has_clean_once_and_every_corruption_at_all_its_severities() -> None:
    parts = full_suite()
    assert [part for part in parts if part.corruption == CLEAN] == [Condition(CLEAN, 0.0)]
    for name, known in CORRUPTIONS.items():
        severities = [part.severity for part in parts if part.corruption == name]
        assert severities == sorted(set(severities))
        assert set(severities) == {*known.levels, *{known.mnist_c, known.protocol} - {None}}
        assert {part.family for part in parts if part.corruption == name} == {known.family}
    assert len(parts) == 1 + sum(len({*a.levels, *{a.mnist_c, a.protocol} - {None}}) for a in CORRUPTIONS.values())


def test_every_severity_is_within_0_and_1() -> None:
    for part in full_suite():
        assert 0 <= part.severity <= 1
    assert sum(known.mnist_c is not None for known in CORRUPTIONS.values()) == 15
    assert {(name, known.protocol) for name, known in CORRUPTIONS.items() if known.protocol} == set(CORE_SUITE[1:])


def test_a_custom_corruption_is_in_the_suite_under_its_name() -> None:
    parts = full_suite(["rotate", darker])
    mine = [part for part in parts if part.corruption == "darker"]
    assert [part.severity for part in mine] == list(SEVERITY_LEVELS)
    assert {part.family for part in mine} == {CUSTOM}
    data = draw_bars(8)
    (half,) = (part for part in mine if part.severity == 0.6)
    assert np.array_equal(half.apply(data).data.pixels, np.round(data.pixels * 0.4).astype(np.uint8))


def test_a_function_of_the_package_is_the_listed_corruption() -> None:
    by_name = full_suite(["rotate"])
    assert full_suite([CORRUPTIONS["rotate"]]) == by_name
    assert full_suite([CORRUPTIONS["rotate"].function]) == by_name


def function_called(name: str) -> object:
    def mine(images: Images, severity: float, rng: CounterRng) -> Images:
        return images

    mine.__name__ = name
    return mine


@pytest.mark.parametrize(
    ("corruptions", "message"),
    [
        (["rotate", "rotate"], "two corruptions of the suite have the same name"),
        ([darker, function_called("darker")], "two corruptions of the suite have the same name"),
        (["rotat"], "no corruption is called 'rotat'; did you mean 'rotate'?"),
        ([function_called("rotate")], "your corruption is called rotate, as one of the package; rename your function"),
        ([function_called("clean")], "your corruption is called clean"),
    ],
)
def test_ambiguous_and_unknown_names_are_rejected(corruptions: list, message: str) -> None:
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        full_suite(corruptions)


def test_conditions_by_name_have_the_published_pixels() -> None:
    data = draw_bars(6)
    for (name, severity), part in zip(CORE_SUITE, apply_conditions(data, conditions_from()), strict=True):
        assert (part.corruption, part.severity) == (name, severity)
        assert np.array_equal(part.data.pixels, corrupt(data, name, severity).pixels)
    with pytest.raises(UserError, match="no corruption is called 'shrunken'; did you mean 'shrunk'"):
        conditions_from([("shrunken", 1.0)])


def test_conditions_are_applied_one_after_the_other() -> None:
    made = []

    def counting(images: Images, severity: float, rng: CounterRng) -> Images:
        made.append(severity)
        return images

    conditions = apply_conditions(draw_bars(4), full_suite([counting]))
    assert made == []
    assert next(iter(conditions)).corruption == CLEAN
    assert made == []
    next(iter(conditions))
    assert made == [SEVERITY_LEVELS[0]]


def test_a_custom_corruption_may_use_the_rng_and_is_reproducible() -> None:
    def speckled(images: Images, severity: float, rng: CounterRng) -> Images:
        return torch.where(rng.uniform("specks", *images.shape[1:]) < severity, 1.0, images)

    condition = full_suite([speckled])[3]
    data = draw_bars(12)
    few = data.select(np.array([7, 2]))
    assert np.array_equal(condition.apply(data).data.pixels[[7, 2]], condition.apply(few).data.pixels)


def test_suites_by_name() -> None:
    assert suite_named("core") == conditions_from()
    assert suite_named("digits") == full_suite()
    assert suite_named(["rotate", darker]) == full_suite(["rotate", darker])
    with pytest.raises(UserError, match="no suite is called 'digit'; did you mean 'digits'"):
        suite_named("digit")
    with pytest.raises(UserError, match="the suite full is now digits; write digits, or photo"):
        suite_named("full")


CORRECT = {
    ("darker", 0.2): [1, 1, 1, 1],
    ("darker", 0.4): [1, 1, 1, 0],
    ("darker", 0.6): [1, 1, 0, 0],
    ("darker", 0.8): [1, 0, 0, 0],
    ("darker", 1.0): [0, 0, 0, 0],
    ("rotate", 0.2): [1, 1, 1, 1],
    ("rotate", 0.4): [0, 1, 1, 1],
    ("rotate", 0.6): [0, 1, 1, 1],
    ("rotate", 0.8): [0, 0, 1, 1],
    ("rotate", 1.0): [0, 0, 1, 1],
    ("stripe", 1.0): [0, 0, 0, 1],
}
ROTATE_CORRECT = {0.2: 4, 0.4: 3, 0.6: 3, 0.8: 2, 1.0: 2}


def test_means_add_up_from_the_counts() -> None:
    suite = suite_of(CORRECT)
    assert [(row.corruption, row.family, row.accuracy) for row in suite.corruptions] == [
        ("darker", CUSTOM, pytest.approx(10 / 20)),
        ("rotate", "geometry", pytest.approx(14 / 20)),
        ("stripe", "strokes", pytest.approx(1 / 4)),  # one level, with the weight of the others
    ]
    assert suite.mean == pytest.approx((10 / 20 + 14 / 20 + 1 / 4) / 3)
    rotate = suite.corruptions[1]
    assert rotate.severities == SEVERITY_LEVELS
    assert rotate.accuracies == tuple(correct / 4 for correct in ROTATE_CORRECT.values())
    assert rotate.intervals == tuple(wilson_interval(correct, 4) for correct in ROTATE_CORRECT.values())
    assert suite.is_full


def test_the_mean_and_its_interval_are_over_sources() -> None:
    suite = suite_of(CORRECT)
    each = [
        (4 / 5 + 1 / 5 + 0) / 3,
        (3 / 5 + 3 / 5 + 0) / 3,
        (2 / 5 + 5 / 5 + 0) / 3,
        (1 / 5 + 5 / 5 + 1) / 3,
    ]
    assert suite.by_source() == pytest.approx(each)
    assert suite.by_source("rotate") == pytest.approx([1 / 5, 3 / 5, 1, 1])
    assert suite.mean == pytest.approx(sum(each) / 4)
    assert suite.mean_interval == pytest.approx(mean_interval(np.array(each), copies=len(suite.conditions)))


def test_the_interval_of_the_mean_covers_the_truth() -> None:
    """Copies of a source are correlated: an interval over single images would be too narrow."""
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        ease = random.beta(4, 1, 150)  # mean 0.8
        suite = suite_of({("darker", level): random.random(150) < ease for level in SEVERITY_LEVELS})
        low, high = suite.mean_interval
        covered += low <= 0.8 <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_severities_of_published_parameters_are_reported_but_not_in_the_mean() -> None:
    published = CORRUPTIONS["rotate"].mnist_c
    assert published not in SEVERITY_LEVELS
    suite = suite_of(CORRECT | {("rotate", published): [0, 0, 0, 0], ("darker", 0.5): [0, 0, 0, 0]})
    assert suite.mean == pytest.approx(suite_of(CORRECT).mean)
    assert suite.by_source() == pytest.approx(suite_of(CORRECT).by_source())
    assert (suite.corruptions[1].mnist_c, suite.corruptions[1].severities) == (0.0, SEVERITY_LEVELS)
    assert suite_of(CORRECT).corruptions[1].mnist_c is None


def test_means_of_published_suites_need_all_their_conditions() -> None:
    assert suite_of(CORRECT).mnist_c_mean is None
    assert suite_of(CORRECT).core_mean is None
    everything = {
        (condition.corruption, condition.severity): [1, 1, 0, 0] for condition in full_suite() if condition.function
    }
    named = {(name, known.mnist_c): [1, 0, 0, 0] for name, known in CORRUPTIONS.items() if known.mnist_c}
    protocol = {(name, severity): [1, 1, 1, 0] for name, severity in CORE_SUITE}
    suite = suite_of(everything | named | protocol)
    assert suite.mnist_c_mean == pytest.approx(1 / 4)
    assert suite.core_mean == pytest.approx(3 / 4)


def test_the_core_suite_has_a_plain_mean() -> None:
    suite = suite_of({("clean", 0.0): [1, 1, 1, 1], ("geometric", 0.5): [1, 1, 1, 0], ("shrunk", 1.0): [1, 0, 0, 0]})
    assert not suite.is_full
    assert suite.mean == pytest.approx((1 + 3 / 4 + 1 / 4) / 3)
    assert suite.mean == pytest.approx(suite.core_mean)
    assert suite.by_source().mean() == pytest.approx(suite.mean)


def test_every_corruption_has_the_same_weight_whatever_its_levels_and_clean_has_none() -> None:
    parts = [(part.corruption, part.severity) for part in full_suite()]
    of = dict(zip(parts, weights(parts).tolist(), strict=True))
    sums = {name: sum(weight for (other, _), weight in of.items() if other == name) for name in CORRUPTIONS}
    assert len(set(sums.values())) == 1
    assert of[CLEAN, 0.0] == 0
    for (name, severity), weight in of.items():
        assert (weight > 0) == (name != CLEAN and severity in CORRUPTIONS[name].levels)
    turned = weights(parts[::-1]).tolist()
    assert turned == list(of.values())[::-1]


def test_in_a_short_suite_all_conditions_weigh_the_same() -> None:
    assert weights(CORE_SUITE).tolist() == [1, 1, 1]
    assert weights([(CLEAN, 0.0), ("invert", 1.0)]).tolist() == [1, 1]


def test_the_worst_condition_has_the_lowest_accuracy() -> None:
    assert suite_of(CORRECT).worst == Score("darker", 1.0, 0, 4)
    assert suite_of(CORRECT | {("darker", 1.0): [1, 1, 1, 1]}).worst == Score("darker", 0.8, 1, 4)


def test_the_crossing_is_where_a_straight_line_falls_below_95_percent() -> None:
    n = 1000
    correct = {("darker", level): np.arange(n) < n * (1 - level / 2) for level in SEVERITY_LEVELS}
    (row,) = suite_of(correct).corruptions
    assert row.crossing.severity == pytest.approx(0.1, abs=1e-9)
    assert row.crossing.low < 0.1 < row.crossing.high


def test_the_corruption_error_is_a_ratio_of_summed_errors() -> None:
    baseline = {"rotate": {f"{level:g}": 0.2 for level in SEVERITY_LEVELS}, "stripe": {"1": 0.5}, "fog": {"1": 0.5}}
    found = suite_of(CORRECT).corruption_error(baseline)
    assert found == {
        "rotate": pytest.approx(sum((4 - correct) / 4 for correct in ROTATE_CORRECT.values()) / 1.0),
        "stripe": pytest.approx(0.75 / 0.5),
    }
    itself = {
        row.corruption: {f"{s:g}": 1 - a for s, a in zip(row.severities, row.accuracies, strict=True)}
        for row in suite_of(CORRECT).corruptions
    }
    assert suite_of(CORRECT).corruption_error(itself) == {name: pytest.approx(1) for name in itself}


def test_the_baseline_has_every_level_of_every_corruption() -> None:
    baseline = published_baseline()
    for name, known in CORRUPTIONS.items():
        assert {f"{level:g}" for level in known.levels} <= set(baseline[name])


def test_a_corruption_that_only_resembles_mnist_c_is_labelled_so() -> None:
    names = {name: name.replace("_", " ") + " (similar)" * known.in_kind for name, known in CORRUPTIONS.items()}
    suite = suite_of({(name, known.levels[-1]): [1, 0] for name, known in CORRUPTIONS.items()})
    assert {row.corruption: corruption_label(row.corruption) for row in suite.corruptions} == names
    assert names["fog"] == "fog (similar)"
    assert names["shot_noise"].startswith("shot noise")


def test_the_order_of_conditions_does_not_matter() -> None:
    suite = suite_of(CORRECT)
    turned = SuiteResult(type(suite.scores)(suite.scores.conditions[::-1], suite.scores.classes))
    assert turned.mean == pytest.approx(suite.mean)
    assert {row.corruption: row for row in turned.corruptions} == {row.corruption: row for row in suite.corruptions}
