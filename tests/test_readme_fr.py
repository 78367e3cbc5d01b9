"""The French pages have the code of the English ones, their images and headings; and French typography."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENGLISH, FRENCH, ENGLISH_CLASS, FRENCH_CLASS = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "README.fr.md", "docs/class-kit.md", "docs/class-kit.fr.md")
)
LESSON = "\n".join(
    re.findall(
        r'(?m)^# %% \[markdown\] lang="fr"\n((?:#.*\n)+)', (ROOT / "notebooks/classroom/lesson.py").read_text("utf-8")
    )
)
"""Its French text."""
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


@pytest.mark.parametrize("text", [FRENCH, FRENCH_CLASS, LESSON], ids=["README.fr.md", "class-kit.fr.md", "lesson.py"])
def test_french_has_decimal_commas_and_no_space_that_breaks_where_none_may(text: str) -> None:
    prose = re.sub(VERSION, "", re.sub(CODE, "x", text))
    assert not re.findall(r".*(?<![\d.])\d+\.\d+(?![\d.]).*", prose)
    assert not re.findall(r".*(?:[^\u00a0\u202f.][:;!?%»](?:[\s)*]|$)|«[^\u00a0]|\d \d{3}).*", prose)


def test_the_class_page_has_the_commands_the_table_of_minutes_and_the_sections_of_the_english_one() -> None:
    for what in ("(?m)^    .*$", "(?m)^#+ ", "(?m)^- ", r"(?m)^\| \d+–\d+ ", r"(?m)^\|"):
        found = [re.findall(what, text) for text in (ENGLISH_CLASS, FRENCH_CLASS)]
        english, french = ([line.replace("exercice", "exercise") for line in lines] for lines in found)
        assert english == french != []
