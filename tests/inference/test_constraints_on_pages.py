"""Constraints on the numbers of a page, from the command line and in Python."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from helpers.distributions import DIGITS
from helpers.lines import composed

import imparfait
from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.inference.ocr.constraints import (
    AtLeast,
    Length,
    OneOf,
    Pattern,
)
from imparfait.inference.ocr.distribution import Segmentation, StringDistribution
from imparfait.inference.ocr.pipeline import DIFFER, MARKED


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


def test_a_length_does_not_settle_what_the_readers_read_differently_and_a_list_does(page: tuple[Path, str]) -> None:
    (field,) = imparfait.read(page[0]).fields
    differs = replace(field, confident=False, reason=DIFFER)
    for constraint in (Length(5), AtLeast("00000"), Pattern(r"\d{5}")):
        unsure = differs.constrained([constraint])
        assert (unsure.confident, unsure.reason) == (False, DIFFER)
        assert not all(digit.confident for digit in unsure.digits)
        assert replace(field, confident=False, reason=MARKED).constrained([constraint]).confident
    known = differs.constrained([Length(5), OneOf([page[1], "12345"])])
    assert (known.confident, known.reason) == (True, None)


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
