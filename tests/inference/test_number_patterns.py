"""Check digits and patterns of numbers."""

import re
from itertools import product

import pytest

from imparfait.core.errors import UserError
from imparfait.inference.ocr.automaton import accepts
from imparfait.inference.ocr.check_digits import IBAN_LENGTHS
from imparfait.inference.ocr.constraints import (
    Check,
    Pattern,
)

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
