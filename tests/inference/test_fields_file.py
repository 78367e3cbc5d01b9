"""Files of fields: which are refused and why, and what the constraints are."""

from pathlib import Path

import pytest
from helpers.forms import DIGITS, form, write_fields

from imparfait.core.errors import UserError
from imparfait.inference.forms.fields_file import load_form
from imparfait.inference.ocr.constraints import Length, OneOf

RIGHT = {"name": "a", "left": 0.1, "top": 0.1, "width": 0.2, "height": 0.1}


@pytest.mark.parametrize(
    ("change", "received", "expected"),
    [
        ({"left": 1.5}, "field 1: left is 1.5", "a fraction of the page's width, in 0..1"),
        ({"left": -0.1}, "field 1: left is -0.1", "a fraction of the page's width, in 0..1"),
        ({"top": "high"}, "field 1: top is 'high'", "a fraction of the page's height, in 0..1"),
        ({"height": 0}, "field 1: height is 0", "a fraction of the page's height, above 0 and at most 1"),
        ({"width": 0.95}, "field 'a': left + width is 1.05", "a region that ends on the page"),
        ({"name": "=1+1"}, "field 1: name is '=1+1'", "a letter, then up to 59 letters, digits, spaces, - and _"),
        ({"name": "page"}, "field 'page': is the name of a column", "none of file, page, unsure"),
        ({"length": "five"}, "field 'a', length: length 'five'", "a number of digits, or a range"),
        ({"check": "luhm"}, "field 'a', check: no check is called 'luhm'", ""),
        ({"pattern": "("}, "field 'a', pattern: the pattern '('", ""),
        ({"one_of": "none.csv:number"}, "none.csv: there is no such file", ""),
        ({"one_of": ["7a"]}, "field 'a', one_of: the number '7a'", "digits, which are all that is read"),
        ({"same_as": "b"}, "field 'a', same_as: no field is called 'b'", ""),
        ({"lenght": 5}, "field 1: has an unknown key 'lenght'", ""),
        ({"required": 7}, "field 1: required is 7", "true or false"),
        ({"length": 5, "at_least": "12"}, "no number meets these constraints", ""),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected(
    tmp_path: Path, change: dict[str, object], received: str, expected: str
) -> None:
    path = write_fields(tmp_path / "fields.json", {**RIGHT, **change})
    with pytest.raises(UserError) as error:
        load_form(path, DIGITS)
    assert received in error.value.received
    assert str(path) in error.value.received
    assert expected in error.value.expected
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "received"),
    [
        ("", "is no JSON"),
        ("{", "is no JSON"),
        ("[]", "has no list of fields"),
        ('{"fields": []}', "has no list of fields"),
        ('{"field": []}', "has no list of fields"),
        ('{"fields": [7]}', "field 1: it is 7"),
        ('{"fields": [{"name": "a"}]}', "field 1: has no 'left'"),
    ],
)
def test_a_file_without_fields_is_refused(tmp_path: Path, content: str, received: str) -> None:
    path = tmp_path / "fields.json"
    path.write_text(content)
    with pytest.raises(UserError) as error:
        load_form(path, DIGITS)
    assert error.value.received.startswith(f"{path}")
    assert received in error.value.received


def test_two_fields_of_one_name_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two fields have this name"):
        load_form(write_fields(tmp_path / "fields.json", RIGHT, {**RIGHT, "name": "A"}), DIGITS)
    with pytest.raises(UserError, match="cannot be read"):
        load_form(tmp_path / "none.json", DIGITS)
    fields = ({**RIGHT, "length": 5}, {**RIGHT, "name": "b", "length": 6, "same_as": "a"})
    file = write_fields(tmp_path / "fields.json", *fields)
    with pytest.raises(UserError, match="no number meets the constraints of a and b"):
        load_form(file, DIGITS)


def test_a_list_is_found_beside_the_file_or_written_into_it(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text("name,number\nAnn,10433\n")
    fields = ({**RIGHT, "one_of": "customers.csv:number"}, {**RIGHT, "name": "b", "one_of": ["10433"], "length": 5})
    found = load_form(write_fields(tmp_path / "fields.json", *fields), DIGITS)
    assert found.constraints == {"a": (OneOf(["10433"]),), "b": (Length(5), OneOf(["10433"]))}


def test_fields_that_agree_are_linked_both_ways_and_through_a_third() -> None:
    found = form(RIGHT, {**RIGHT, "name": "b", "same_as": "a"}, {**RIGHT, "name": "c", "same_as": "b"})
    assert [found.same_as(name) for name in "abc"] == [("b", "c"), ("a", "c"), ("a", "b")]
