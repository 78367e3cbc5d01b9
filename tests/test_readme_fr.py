"""The French README has the code of the English one, its images and its headings; and French typography."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENGLISH, FRENCH = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.fr.md"))
CODE = r"(?ms)```.*?```|`[^`]*`|\]\([^)]*\)|<[^>]*>"
VERSION = r"(?:Python|PyTorch|BY-SA|Apache)[ -][\d.]+"


def code(text: str) -> list[str]:
    """The lines of code blocks, without comments."""
    blocks = re.findall(r"(?ms)^```\w+\n(.*?)^```", text)
    return [re.split(r"\s{2,}# ", line)[0] for block in blocks for line in block.splitlines()]


def test_code_blocks_are_the_same() -> None:
    assert code(FRENCH) == code(ENGLISH) != []


@pytest.mark.parametrize("what", [r"!\[[^]]*\]\((.*?)\)", "(?m)^#+ ", r"\]\((docs/[^)]*|results/[^)]*)\)"])
def test_images_headings_and_links_are_the_same(what: str) -> None:
    assert sorted(re.findall(what, FRENCH)) == sorted(re.findall(what, ENGLISH)) != []


def test_french_has_decimal_commas_and_no_space_that_breaks_where_none_may() -> None:
    prose = re.sub(VERSION, "", re.sub(CODE, "x", FRENCH))
    assert not re.findall(r".*(?<![\d.])\d+\.\d+(?![\d.]).*", prose)
    assert not re.findall(r".*(?:[^\u00a0\u202f.][:;!?%»](?:[\s)*]|$)|«[^\u00a0]|\d \d{3}).*", prose)
