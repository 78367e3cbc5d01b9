"""The French README says what the English one says: same commands, same programs, same images, same figures."""

import re
from collections import Counter
from itertools import zip_longest
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENGLISH, FRENCH = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.fr.md"))
SECTIONS = zip_longest(*(re.split(r"\n(?=#+ )", text) for text in (ENGLISH, FRENCH)), fillvalue="# none\n")
section_by_section = pytest.mark.parametrize(("english", "french"), list(SECTIONS))
NUMBER = r"[−±]?(?:\d+(?:\.\d+){2,}|\d*\.?\d+)"  # of three parts or more: a version or an address, kept as it is
CODE = r"(?ms)```.*?```|^    .*?$|`[^`]*`|\]\([^)]*\)|<[^>]*>"  # blocks, outputs, names, addresses, tags
VERSION = r"(?:Python|PyTorch|Keras|TensorFlow|BY-SA|Apache)[ -][\d.]+"


def commands(text: str) -> list[str]:
    """The lines of command blocks, then those of outputs; without comments."""
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.S) for line in block.splitlines()]
    outputs = re.findall(r"(?m)^    .*$", re.sub(r"(?s)```.*?```", "", text))
    return [re.split(r"\s+# ", line)[0] for line in lines + outputs]


def numbers(text: str) -> Counter[str]:
    return Counter(re.sub(r"^([−±]?)\.", r"\g<1>0.", number) for number in re.findall(NUMBER, text))


def test_commands_and_outputs_are_the_same() -> None:
    assert commands(FRENCH) == commands(ENGLISH)


@pytest.mark.parametrize(
    "what", ["(?s)```python\n.*?```", "(?s)```toml\n.*?```", r"!\[[^]]*\]\((.*?)\)", r'src(?:set)?="(.*?)"', "(?m)^#+ "]
)
def test_programs_settings_images_and_headings_are_the_same(what: str) -> None:
    assert re.findall(what, FRENCH) == re.findall(what, ENGLISH) != []


@section_by_section
def test_tables_have_the_same_rows_and_columns(english: str, french: str) -> None:
    tables = [[row.count("|") for row in re.findall(r"(?m)^\|.*$", text)] for text in (english, french)]
    assert tables[0] == tables[1]


@section_by_section
def test_figures_are_the_same(english: str, french: str) -> None:
    """An English comma that was left in the French becomes a decimal one here, and differs."""
    french = re.sub(r"(?<=\d),(?=\d)", ".", re.sub(r"(?<=\d)\u202f(?=\d{3})", "", french))
    assert numbers(french) == numbers(re.sub(r"(?<=\d),(?=\d{3})", "", english))


def test_french_has_decimal_commas_and_no_space_that_breaks_where_none_may() -> None:
    prose = re.sub(VERSION, "", re.sub(CODE, "x", FRENCH))
    assert not re.findall(r".*(?<![\d.])\d+\.\d+(?![\d.]).*", prose)
    assert not re.findall(r".*(?:[^\u00a0\u202f.][:;!?%»](?:[\s)*]|$)|«[^\u00a0]|\d \d{3}).*", prose)
