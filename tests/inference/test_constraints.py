"""Constraints on read numbers: check digits, patterns, lists; exact totals and best strings; honest decisions."""

from collections.abc import Sequence
from itertools import islice, product

import numpy as np
import pytest
from helpers.distributions import DIGITS, reading
from hypothesis import given, settings
from hypothesis import strategies as st

from imparfait.core.errors import UserError
from imparfait.inference.ocr import automaton
from imparfait.inference.ocr.automaton import Automaton, Product, accepts
from imparfait.inference.ocr.constraints import (
    MIN_PROBABILITY,
    VIOLATED_SHARE,
    AtLeast,
    Check,
    Constraint,
    Decision,
    Length,
    OneOf,
    Pattern,
    Same,
    constrained,
)
from imparfait.inference.ocr.distribution import MISREAD_SHARE, Segmentation, StringDistribution


def clear(text: str, probability: float = 0.9999) -> list[dict[str, float]]:
    """Positions that are these digits with this probability each, and any other digit with the rest."""
    return [{d: probability if d == each else (1 - probability) / 9 for d in DIGITS} for each in text]


# Distributions: exact, compared with a list of all strings


CLASSES = ("0", "1", "2", "3")
AUTOMATA: dict[str, Automaton] = {
    "everything": Product(),
    "length": Length(2, 3),
    "list": OneOf(["0", "12", "13", "003", "2222", "3-2-1"]),
    "luhn": Check("luhn"),
    "mod 11": Check("mod11"),
    "pattern": Pattern(r"[12]\d?(3|0-\d)"),
    "at least": AtLeast("120"),
    "product": Product((Check("luhn"), AtLeast("0100"), Pattern(r"\d{3,4}"))),
}


ROWS = st.integers(1, 4).flatmap(
    lambda length: st.lists(
        st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0]), min_size=4, max_size=4).filter(any),
        min_size=length, max_size=length,
    )
)  # fmt: skip
PARTS = st.lists(st.tuples(st.floats(0.01, 1), ROWS), min_size=1, max_size=3)
Parts = list[tuple[float, list[list[float]]]]


def of_parts(parts: Parts, misread_share: float = 0.0) -> StringDistribution:
    segmentations = [Segmentation(weight, np.array(rows)) for weight, rows in parts]
    return StringDistribution.from_segmentations(CLASSES, segmentations, misread_share)


def all_strings() -> list[str]:
    return ["".join(characters) for length in range(1, 5) for characters in product(CLASSES, repeat=length)]


@pytest.mark.parametrize("name", AUTOMATA)
@settings(max_examples=4, deadline=None)
@given(parts=PARTS, share=st.sampled_from([0.0, MISREAD_SHARE]))
def test_totals_and_best_strings_equal_those_of_a_list_of_all_strings(name: str, parts: Parts, share: float) -> None:
    distribution = of_parts(parts, share)
    allowed = {text: distribution.probability(text) for text in all_strings() if accepts(AUTOMATA[name], text)}
    expected = sorted((p for p in allowed.values() if p > 0), reverse=True)
    assert distribution.total(AUTOMATA[name]) == pytest.approx(sum(expected))
    found = list(distribution.strings(AUTOMATA[name]))
    assert [p for _, p in found] == pytest.approx(expected)
    assert len({text for text, _ in found}) == len(found)
    for text, probability in found:
        assert probability == pytest.approx(allowed[text])


@settings(max_examples=10, deadline=None)
@given(PARTS, PARTS)
def test_the_product_of_two_distributions_is_that_of_their_probabilities(first: Parts, second: Parts) -> None:
    one, other = of_parts(first), of_parts(second)
    both = one.product(other)
    expected = [one.probability(text) * other.probability(text) for text in all_strings()]
    assert [both.probability(text) for text in all_strings()] == pytest.approx(expected)
    assert both.total() == pytest.approx(sum(expected))


def test_the_probabilities_of_all_strings_have_the_sum_one() -> None:
    rows = np.random.default_rng(0).dirichlet([0.3] * 10, 3)
    segmentations = [Segmentation(0.5, rows), Segmentation(0.25, rows[:2]), Segmentation(0.25, rows[::-1])]
    distribution = StringDistribution.from_segmentations(DIGITS, segmentations)
    assert distribution.total() == pytest.approx(1)
    assert distribution.total(Length(2)) == pytest.approx(0.25)
    assert distribution.probability("1234") == distribution.probability("x") == distribution.probability("") == 0
    assert min(p for _, p in distribution.strings(Length(3))) >= 0.5 * (MISREAD_SHARE / 10) ** 3


def test_the_best_of_ten_to_the_thirty_strings_are_found_at_once() -> None:
    even = StringDistribution.from_segmentations(DIGITS, [Segmentation(1.0, np.ones((30, 10)))])
    assert even.best(3) == [("0" * 29 + each, pytest.approx(1e-30)) for each in "012"]
    rows = np.random.default_rng(1).dirichlet([0.2] * 10, 30)
    distribution = StringDistribution.from_segmentations(DIGITS, [Segmentation(1.0, rows)])
    probabilities = [p for _, p in islice(distribution.strings(Check("luhn")), 200)]
    assert probabilities == sorted(probabilities, reverse=True)


# Decisions


def test_a_string_off_the_list_is_unsure_however_clear_it_is() -> None:
    customers = OneOf(["10433", "10438", "20517"])
    decision = constrained(reading(*clear("10434", 0.998)), [customers])
    assert (decision.text, decision.probability, decision.confident) == (None, 0, False)
    assert decision.violated > 0.8
    assert [each.text for each in decision.alternatives[:2]] == ["10433", "10438"]
    barely = reading(*clear("1043"), {"4": 0.99, "3": 0.01})  # the reader's 0.99 is off the list, its 0.01 on it
    assert not constrained(barely, [customers]).confident


def test_a_constraint_makes_an_unsure_reading_confident() -> None:
    doubtful = reading(*clear("1043"), {"3": 0.4, "8": 0.6})
    assert doubtful.best(1)[0] == ("10438", pytest.approx(0.6, abs=0.01))
    assert not constrained(doubtful, []).confident
    decision = constrained(doubtful, [OneOf(["10433", "20517"])])
    assert (decision.text, decision.confident) == ("10433", True)
    assert decision.violated < 0.02
    assert constrained(doubtful, [AtLeast("10435")]).text == "10438"


def test_a_constraint_makes_a_confident_reading_unsure() -> None:
    confident = reading(*clear("79927398710"))
    assert constrained(confident, []).confident
    for constraint in (Check("luhn"), Length(10), AtLeast("80000000000"), Pattern(r"[0-6]\d{10}")):
        decision = constrained(confident, [constraint])
        assert not decision.confident
        assert decision.text is None


def test_a_decision_is_bayes_rule() -> None:
    distribution = reading({"1": 0.5, "2": 0.3, "3": 0.2})
    p = {digit: distribution.probability(digit) for digit in DIGITS}
    decision = constrained(distribution, [OneOf(["2", "3"])])
    allowed = (1 - VIOLATED_SHARE) * (p["2"] + p["3"])
    evidence = allowed + VIOLATED_SHARE * (1 - p["2"] - p["3"])
    assert [each.text for each in decision.alternatives] == ["2", "3"]
    assert decision.probability == pytest.approx((1 - VIOLATED_SHARE) * p["2"] / evidence)
    assert decision.violated + sum(each.probability for each in decision.alternatives) == pytest.approx(1)


@pytest.mark.parametrize(
    ("read", "constraints", "text"),
    [
        ({"3": 0.5, "8": 0.5}, [Length(5), AtLeast("10435")], "10438"),
        ({"3": 0.5, "8": 0.5}, [OneOf(["10433", "10438"]), AtLeast("10435")], "10438"),
        ({"3": 0.4, "9": 0.3, "8": 0.3}, [Check("luhn"), Length(4, 6)], "10439"),
        ({"3": 0.5, "8": 0.5}, [Pattern(r"\d{3}\.\d[5-9]"), OneOf(["10 433", "10-438"])], "104.38"),
    ],
)
def test_all_constraints_hold_together(read: dict[str, float], constraints: list[Constraint], text: str) -> None:
    decision = constrained(reading(*clear("1043"), read), constraints)
    assert decision.text == text
    for each in decision.alternatives:
        assert accepts(Product(tuple(constraints)), each.characters)


def test_two_fields_that_agree_are_read_together() -> None:
    one = reading(*clear("10"), {"1": 0.55, "7": 0.45})
    other = reading(*clear("10"), {"4": 0.4, "7": 0.6})
    assert not constrained(one, []).confident
    decision = constrained(one, [Same(other)])
    assert (decision.text, decision.confident) == ("107", True)
    assert constrained(one, [Same(other), AtLeast("107")]).text == "107"
    different = constrained(reading(*clear("107")), [Same(reading(*clear("204")))])
    assert (different.text, different.confident) == (None, False)


def test_constraints_with_too_many_states_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automaton, "MAX_STATES", 20)
    with pytest.raises(UserError, match="constraints with more than 20 states; expected a shorter list"):
        constrained(reading(*clear("12345")), [OneOf(["12345", "23456", "34567", "45678", "56789"])])


# Simulation: a reader with calibrated probabilities


def simulated(text: str, random: np.random.Generator) -> StringDistribution:
    """A calibrated reading: at each position, a digit with a probability of p is the true one in p of the cases."""
    rows = np.zeros((len(text), 10))
    for row, digit in zip(rows, text, strict=True):
        doubt = random.choice([0.0005, 0.02, 0.3], p=[0.75, 0.15, 0.1])
        shares = np.sort(random.dirichlet([0.3] * 9))[::-1] * doubt
        probabilities = np.array([1 - doubt, *shares])
        true = random.choice(10, p=probabilities / probabilities.sum())
        others = random.permutation([each for each in range(10) if each != int(digit)])
        row[int(digit)], row[others] = probabilities[true], np.delete(probabilities, true)
    return StringDistribution.from_segmentations(DIGITS, [Segmentation(1.0, rows)])


def rates(decisions: Sequence[Decision], truths: Sequence[str]) -> tuple[int, int]:
    """How many decisions are confident, and how many of these are wrong."""
    confident = [(each.text, truth) for each, truth in zip(decisions, truths, strict=True) if each.confident]
    return len(confident), sum(text != truth for text, truth in confident)


def test_confident_answers_are_wrong_no_more_often_than_promised() -> None:
    random = np.random.default_rng(2026)
    numbers = ["".join(random.choice([*DIGITS], random.integers(5, 8))) for _ in range(1000)]
    listed, off_list = OneOf(numbers[:500]), numbers[500:]
    truths = [off_list[i] if random.random() < VIOLATED_SHARE else number for i, number in enumerate(numbers[:500])]
    readings = [simulated(truth, random) for truth in truths]
    alone, alone_wrong = rates([constrained(each, []) for each in readings], truths)
    known, known_wrong = rates([constrained(each, [listed]) for each in readings], truths)
    print(f"confident, wrong: {alone}, {alone_wrong}; with the list {known}, {known_wrong}")
    assert alone_wrong <= (1 - MIN_PROBABILITY) * alone
    assert known_wrong <= (1 - MIN_PROBABILITY) * known
    assert known > 1.5 * alone
    strangers = [simulated(number, random) for number in off_list if number not in listed.numbers]
    forced = sum(constrained(each, [listed]).confident for each in strangers)
    print(f"off the list: {forced} of {len(strangers)} confident")
    assert forced <= (1 - MIN_PROBABILITY) * len(strangers)
