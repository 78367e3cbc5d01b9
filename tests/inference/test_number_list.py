"""Lists of allowed numbers, and mistakes in constraints."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.distributions import DIGITS, reading

from imparfait.core.errors import UserError
from imparfait.inference.ocr.automaton import accepts
from imparfait.inference.ocr.constraints import (
    AtLeast,
    Check,
    Length,
    OneOf,
    Same,
    check_possible,
    constrained,
)
from imparfait.inference.ocr.distribution import Segmentation, StringDistribution


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
    return StringDistribution.from_segmentations(("0", "1", "2", "3"), [Segmentation(1.0, np.full((1, 4), 0.25))])
