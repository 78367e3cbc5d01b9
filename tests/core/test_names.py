"""Names of models, classes and data as parts of the names of files, and as cells of CSV."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imparfait.core.names import FORMULA, as_cell, as_file_name, from_cell

ODD = st.text(st.sampled_from("'\\@=+-7eaxuU0d\n\t\x1b\u200d\udce9\U000e0001é ") | st.characters(exclude_categories=()))


@pytest.mark.parametrize("text", ["数" * 80, "a" * 300, "é" * 121, "a/b", "😀" * 40, "caf\udce9" * 50], ids=ascii)
def test_a_part_of_a_files_name_has_few_bytes_and_no_slash(text: str) -> None:
    shown = as_file_name(text, 80)
    assert 0 < len(shown.encode()) <= 80
    assert "/" not in shown
    assert shown[:3] == text[:3].replace("/", "-")


@given(ODD)
@example("@home")
@example("'@home")
@example("''-x")
@example(r"\x0a")
@example("\\\n")
@example(r"\\u200d")
@example("\\\\\u200dx0a")
def test_the_text_of_a_cell_is_read_back_exactly(text: str) -> None:
    cell = as_cell(text)
    assert from_cell(cell) == text
    assert cell.isprintable()
    assert not cell.startswith(FORMULA) or re.fullmatch(r"[-+=@]|[+-]?[0-9.][0-9 .,:/-]*(e[+-]?[0-9]+)?", cell)


@pytest.mark.parametrize(
    "text", [r"\tau", r"\nu", r"C:\new\table.png", r"\\server\x41.png", "it's", "'7", "a@b", "caf\u00e9"]
)
def test_other_text_is_as_it_was_in_a_cell_and_is_read_so(text: str) -> None:
    assert as_cell(text) == from_cell(text) == text
