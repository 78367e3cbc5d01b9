"""Constraints on read numbers: check digits, patterns, lists; exact totals and best strings; honest decisions."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice, product
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from helpers.lines import composed
from hypothesis import given, settings
from hypothesis import strategies as st

import imparfait
from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.inference.ocr import automaton
from imparfait.inference.ocr.automaton import Automaton, Product, accepts
from imparfait.inference.ocr.check_digits import IBAN_LENGTHS
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
    check_possible,
    constrained,
)
from imparfait.inference.ocr.distribution import MISREAD_SHARE, Segmentation, StringDistribution

DIGITS = tuple("0123456789")


def reading(*positions: dict[str, float]) -> StringDistribution:
    """A distribution from one segmentation: the probabilities of some digits at each position."""
    rows = np.array([[position.get(digit, 0.0) for digit in DIGITS] for position in positions])
    rows[:, 0] += 1e-9
    return StringDistribution.from_segmentations(DIGITS, [Segmentation(1.0, rows)])


def clear(text: str, probability: float = 0.9999) -> list[dict[str, float]]:
    """Positions that are these digits with this probability each, and any other digit with the rest."""
    return [{d: probability if d == each else (1 - probability) / 9 for d in DIGITS} for each in text]


# Check digits


VALID = {
    "luhn": ("4111111111111111", "5555555555554444", "378282246310005", "79927398713", "490154203237518", "732829320"),
    "isbn": ("9780306406157", "9783161484100", "9791034304592", "0306406152", "0471958697"),
    "mod11": ("974760673", "923609016", "13585628", "86011117947"),  # two Norwegian firms, a Danish one, an account
    "iban:DE": ("89370400440532013000",),
    "iban:fr": ("7630006000011234567890189",),
    "iban:BE": ("68539007547034",),
    "iban:ES": ("9121000418450200051332",),
    "iban:NO": ("9386011117947",),
}
INVALID = {
    "luhn": ("4111111111111112", "79927398710", "1", "", "7992739871a"),
    "isbn": ("9780306406158", "9770306406151", "030640615", "978030640615", "080442957X", "0804429570"),
    "mod11": ("974760674", "13585627", "1"),
    "iban:DE": ("88370400440532013000", "8937040044053201300", "7630006000011234567890189"),
    "iban:FR": ("7630006000011234567890188", "89370400440532013000"),
}


@pytest.mark.parametrize(("check", "number"), [(check, number) for check, all_ in VALID.items() for number in all_])
def test_published_numbers_have_correct_check_digits(check: str, number: str) -> None:
    assert accepts(Check(check), number)
    for place, digit in enumerate(number):
        wrong = number[:place] + str((int(digit) + 1) % 10) + number[place + 1 :]
        assert not accepts(Check(check), wrong)


@pytest.mark.parametrize(("check", "number"), [(check, number) for check, all_ in INVALID.items() for number in all_])
def test_numbers_with_wrong_check_digits_are_rejected(check: str, number: str) -> None:
    assert not accepts(Check(check), number)


@pytest.mark.parametrize("country", IBAN_LENGTHS)
def test_an_iban_has_check_digits_from_02_to_98(country: str) -> None:
    """As published, the check digits are 98 less the remainder of the rest with 00 in their place."""
    account = ("123456789" * 4)[: IBAN_LENGTHS[country] - 4]
    letters = "".join(str(ord(letter) - ord("A") + 10) for letter in country)
    check = 98 - int(f"{account}{letters}00") % 97
    accepted = [number for number in range(100) if accepts(Check(f"iban:{country}"), f"{number:02}{account}")]
    assert accepted == [check]


# Patterns


MATCHES = [
    (r"\d{2}\.\d{2}\.\d{4}", "12032024", "12.03.2024"),
    (r"\d{2}-?\d{2}", "1234", "12-34"),
    (r"(\d{3} )?\d{3}", "123", "123"),
    (r"(\d{3} )?\d{3}", "123456", "123 456"),
    (r"[0-24]{2,3}", "014", "014"),
    (r"(?:19|20)\d\d", "1987", "1987"),
    (r"\d{1,2}/\d{1,2}", "123", "12/3"),
    (r"FR\d|\d{2}€", "7", "FR7"),
    (r"FR\d|\d{2}€", "70", "70€"),
    (r"\(\d\)\[\d\]\+", "12", "(1)[2]+"),
    (r"(\d,?){2}", "12", "1,2,"),
]


@pytest.mark.parametrize(("pattern", "digits", "printed"), MATCHES)
def test_a_pattern_inserts_what_is_not_read(pattern: str, digits: str, printed: str) -> None:
    assert accepts(Pattern(pattern), digits)
    assert Pattern(pattern).printed(digits) == printed
    assert re.fullmatch(pattern, printed)


@pytest.mark.parametrize(
    ("pattern", "unprinted"),
    [
        (r"\d{2}\.\d{2}", r"\d{4}"),
        (r"(\d-)?\d{2}", r"(\d)?\d{2}"),
        (r"[0-24]{2,3}", r"[0-24]{2,3}"),
        (r"\[(?:03|3)\] \d?\d", r"(?:03|3)\d?\d"),
        (r"FR\d|\d{2}€", r"\d|\d{2}"),
        (r"(0|3\d|(3|4)?5){1,3}", r"(0|3\d|(3|4)?5){1,3}"),
        (r"[03]?3?\d", r"[03]?3?\d"),
        (r"\d{0,2}-?(3|5{2})?", r"\d{0,2}(3|5{2})?"),
    ],
)
def test_a_pattern_accepts_what_a_regular_expression_over_the_digits_accepts(pattern: str, unprinted: str) -> None:
    compiled = Pattern(pattern)
    for length in range(5):
        for characters in product("035", repeat=length):
            text = "".join(characters)
            assert accepts(compiled, text) == bool(re.fullmatch(unprinted, text)), text
            if accepts(compiled, text):
                assert re.fullmatch(pattern, compiled.printed(text))


@pytest.mark.parametrize(
    ("pattern", "received"),
    [
        (r"\d*", "has a * that stands alone"),
        (r"\d+", "has a + that stands alone"),
        (r"\d.\d", "has a . that stands alone"),
        (r"^\d$", "has a ^ that stands alone"),
        (r"\d??", "has a ? that stands alone"),
        (r"\w", r"has \w"),
        ("\\", "has \\"),
        (r"(\d", "has a ( without a )"),
        (r"\d)", "has a ) without a ("),
        (r"(?=\d)", "has a group that begins with ?"),
        (r"(|\d)", "has an empty part"),
        ("", "has an empty part"),
        ("[0-9", "has a [ without characters and a ]"),
        ("[^0]", "has a set of other characters"),
        ("[9-0]", "has a set of other characters"),
        (r"\d{3,2}", "has {3,2}"),
        (r"\d{,2}", "has {,2}"),
        (r"\d{2", "has a { without a }"),
        (r"\d{65}", "has {65}"),
        ("--", "reads no digit"),
        (r"((\d{1,9}){1,9}){1,9}", "has too many possibilities"),
        (r"\d{0,20}1\d{20}", "has too many possibilities"),
    ],
)
def test_other_patterns_are_refused(pattern: str, received: str) -> None:
    with pytest.raises(UserError) as caught:
        Pattern(pattern)
    assert caught.value.received == f"the pattern {pattern!r} {received}"
    assert "\n" not in str(caught.value)


def test_the_longest_pattern_that_is_parsed_does_not_exhaust_the_stack() -> None:
    assert accepts(Pattern("(" * 49 + r"\d" + ")" * 49), "1")
    with pytest.raises(UserError, match="a pattern of 122 characters; expected at most 100"):
        Pattern("(" * 60 + r"\d" + ")" * 60)


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


def test_leading_zeros_count_and_separators_do_not() -> None:
    numbers = OneOf(["007", "1 234", "12-5", "", " "])
    assert numbers == OneOf(["1234", "125", "007"])
    assert [accepts(numbers, text) for text in ("007", "7", "1234", "125", "")] == [True, False, True, True, False]
    assert AtLeast("00 420") == AtLeast("00420")
    assert [accepts(AtLeast("00420"), text) for text in ("00420", "00500", "10000", "00419", "420")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_a_list_is_read_from_a_text_file_or_a_column_of_a_csv_file(tmp_path: Path) -> None:
    expected = OneOf(["00104", "20517"])
    for name, content in (
        ("plain.txt", "00104\n\n205 17\n"),
        ("head.txt", "number\n00104\n20517"),
        ("excel.csv", '\ufeffname;number\n"Ann; Bob";00104\nC\nD;205.17\n'),
        ("comma.csv", "number,name\n00104,\n20517,D\n"),
    ):
        (tmp_path / name).write_text(content, encoding="utf-8")
        assert OneOf.from_file(f"{tmp_path / name}{':number' if name.endswith('csv') else ''}") == expected
    (tmp_path / "a:b").write_text("00104\n20517")
    assert OneOf.from_file(str(tmp_path / "a:b")) == expected


@pytest.mark.parametrize(
    ("content", "column", "message"),
    [
        (None, "", "there is no such file; write a text file, or FILE.csv:COLUMN"),
        (None, ":number", "there is no such file; write a text file, or FILE.csv:COLUMN"),
        (b"", "", "has no numbers; expected one in each line"),
        (b"number\n", ":number", "has no numbers; expected one in each line"),
        (b"", ":number", "is empty; expected a CSV file with a head line"),
        (b"name,number\nAnn,12\n", "", "line 2: has several columns; expected one number; name the column: {}:COLUMN"),
        (b"name,number\nAnn,12\n", ":numbr", "no column of {} is called 'numbr'; did you mean 'number'?"),
        (b"12\n12a\n", "", "line 2: '12a'; expected digits, which are all that is read"),
        (b"\xff\xfe\x00", "", "is no text file; expected text or CSV in UTF-8"),
        (b"1" * 65, "", "the number 11111"),
    ],
)
def test_a_list_that_is_not_readable_is_a_user_error(
    tmp_path: Path, content: bytes | None, column: str, message: str
) -> None:
    file = tmp_path / "numbers.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        OneOf.from_file(f"{file}{column}")
    assert message.format(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Length(0), "length 0; expected 1 to 64 digits, the smaller number first"),
        (lambda: Length(7, 5), "length 7-5; expected 1 to 64 digits, the smaller number first"),
        (lambda: Length.parse("five"), "length 'five'; expected a number of digits, or a range; write 5 or 5-7"),
        (lambda: AtLeast("12a"), "at least '12a'; expected a number of 1 to 64 digits, leading zeros included"),
        (lambda: AtLeast(""), "at least ''; expected a number of 1 to 64 digits, leading zeros included"),
        (lambda: AtLeast("-3"), "at least '-3'; expected a number of 1 to 64 digits, leading zeros included"),
        (lambda: OneOf([" "]), "a list without numbers; expected numbers of at most 64 digits"),
        (lambda: Check("lun"), "no check is called 'lun'; did you mean 'luhn'?"),
        (lambda: Check("crc"), "no check is called 'crc'; choose from luhn, isbn, mod11, iban"),
        (lambda: Check("iban"), "iban without a country; expected its two letters; write iban:FR"),
        (lambda: Check("luhn:FR"), "the check 'luhn:FR'; expected a country only after iban; write luhn"),
        (lambda: Check("iban:GB"), "iban:GB; expected a country whose IBANs have no letters but the first two; choose"),
        (lambda: check_possible([Length(5), AtLeast("123456")], DIGITS, "both"), "no number meets both; leave one"),
        (lambda: check_possible([OneOf(["79927398710"]), Check("luhn")], DIGITS), "no number meets these constraints"),
        (lambda: constrained(words(), []), "a model whose labels have several characters; expected one character"),
        (lambda: constrained(words(), [Same(reading({}))]), "a model whose labels have several characters"),
        (lambda: constrained(reading({}), [Same(quarters())]), "two fields of models with different classes; expected"),
    ],
)
def test_a_mistake_is_one_sentence(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        make()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def words() -> StringDistribution:
    return StringDistribution.from_segmentations(("one", "two"), [Segmentation(1.0, np.array([[0.5, 0.5]]))])


def quarters() -> StringDistribution:
    return StringDistribution.from_segmentations(CLASSES, [Segmentation(1.0, np.full((1, 4), 0.25))])


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


# Pages


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An image of a clear number of five digits, and the number."""
    data = imparfait.load_data().train
    line = composed(data.pixels[5:10, 0], data.labels[5:10], "white", np.random.default_rng(0), touch=0)
    file = tmp_path_factory.mktemp("pages") / "line.png"
    file.write_bytes(line.file("PNG"))
    return file, line.text


def run_read(file: Path, *arguments: str) -> Result:
    return CliRunner().invoke(commands, ["read", str(file), *arguments])


def field_of(file: Path, *arguments: str) -> dict[str, object]:
    (field,) = json.loads(run_read(file, "--json", *arguments).stdout)["lines"][0]["fields"]
    return field


def test_a_page_is_read_under_constraints(page: tuple[Path, str], tmp_path: Path) -> None:
    file, text = page
    (tmp_path / "list.txt").write_text(f"{text}\n12\n")
    plain = field_of(file)
    assert (plain["text"], plain["confident"]) == (text, True)
    assert "alternatives" not in plain
    met = field_of(file, "--length", "5", "--one-of", str(tmp_path / "list.txt"), "--at-least", text)
    assert (met["text"], met["confident"]) == (text, True)
    assert met["constraint"] == {"met": pytest.approx(1, abs=0.01), "unconstrained": text}
    assert [each["text"] for each in met["alternatives"]] == [text]
    printed = run_read(file, "--pattern", r"\d{2}\.\d{3}")
    assert (printed.stdout, printed.stderr) == (f"{text[:2]}.{text[2:]}\n", "")
    unmet = field_of(file, "--length", "6")
    assert (unmet["text"], unmet["confident"], unmet["alternatives"]) == (text, False, [])
    assert unmet["constraint"] == {"met": 0, "unconstrained": text}


def test_a_field_that_does_not_meet_the_constraints_is_printed_as_unsure(page: tuple[Path, str]) -> None:
    file, text = page
    marked = "".join(f"({digit})" for digit in text)
    result = run_read(file, "--length", "6")
    assert result.stdout == f"{marked}\n"
    assert f"{text}: unsure; no number of this length is allowed" in result.stderr
    other = f"{(int(text[0]) + 1) % 10}{text[1:]}"
    reading = imparfait.read(file, constraints=[OneOf([other])])
    assert (reading.text, reading.confident) == (text, False)
    assert reading.fields[0].decision
    assert [each.text for each in reading.fields[0].decision.alternatives] == [other]


def test_only_the_digits_in_which_alternatives_differ_are_unsure(page: tuple[Path, str]) -> None:
    (field,) = imparfait.read(page[0]).fields
    doubtful = np.array([digit.probabilities for digit in field.digits])
    doubtful[2] = 0.1
    distribution = StringDistribution.from_segmentations(DIGITS, [Segmentation(1.0, doubtful)])
    unsure = replace(field, distribution=distribution).constrained([Length(5)])
    assert [digit.confident for digit in unsure.digits] == [True, True, False, True, True]
    assert not unsure.confident
    five = page[1][:2] + "5" + page[1][3:]
    known = replace(field, distribution=distribution).constrained([OneOf([five, "12"])])
    assert ("".join(digit.label for digit in known.digits), known.confident) == (five, True)
    assert all(digit.confident and digit.score >= known.score for digit in known.digits)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--length", "5", "--at-least", "123456"], "no number meets --length 5 and --at-least 123456; leave one"),
        (["--one-of", "nothing.txt"], "nothing.txt: there is no such file"),
        (["--check", "lun"], "no check is called 'lun'; did you mean 'luhn'?"),
        (["--pattern", r"\d+"], r"the pattern '\\d+' has a + that stands alone"),
        (["--length", "five"], "length 'five'; expected a number of digits"),
    ],
)
def test_a_mistake_on_the_command_line_is_a_user_error(
    page: tuple[Path, str], arguments: list[str], message: str
) -> None:
    """main() prints a UserError and exits with code 2."""
    result = run_read(page[0], *arguments)
    assert isinstance(result.exception, UserError)
    assert str(result.exception).startswith(message)
    assert "\n" not in str(result.exception)


def test_contradictory_constraints_are_an_error_in_python_too(page: tuple[Path, str]) -> None:
    with pytest.raises(UserError, match="no number meets these constraints; leave one of them out"):
        imparfait.read(page[0], constraints=[Length(5), AtLeast("123456")])
