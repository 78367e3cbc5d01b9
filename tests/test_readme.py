"""README: short, and each of its make and pip lines works."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from imparfait.cli.main import COMMANDS
from imparfait.training.recipes import RECIPES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
LINES = [
    line.split("  #")[0].strip()
    for text in (README, CONTRIBUTING)
    for block in re.findall(r"(?ms)^```sh\n(.*?)^```", text)
    for line in block.splitlines()
]


@pytest.mark.parametrize("name", ["README.md", "README.fr.md"])
def test_readme_has_at_most_170_lines(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 170


def test_readme_has_a_small_image() -> None:
    images = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)
    assert len(images) == 1
    assert (ROOT / images[0]).stat().st_size <= 200_000


def test_the_first_page_installs_as_the_readme_does_and_lists_every_extra_of_users() -> None:
    page = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pip_lines = r"(?m)^pip .*$"
    assert re.findall(pip_lines, page) == re.findall(pip_lines, README)
    table = re.search(r"(?ms)^\| extra \|.*?\n\n", page)
    assert table
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    rows = [line.split("|")[1] for line in table[0].strip().splitlines()[2:]]
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(set(extras) - {"dev", "docs", "interop"})


def test_readme_names_every_command_and_the_recipes_of_its_table() -> None:
    for name in COMMANDS:
        assert f"| `imparfait {name}" in README
    named = re.findall(r"(?m)^\| `(\w+)` \|", README)
    assert named == [name for name in RECIPES if name in named] == ["quick", "default", "best"]


def test_every_make_target_exists() -> None:
    targets = re.findall(r"`(make \w+)`", README) + [line for line in LINES if line.startswith("make ")]
    assert {"make docs", "make test"} <= set(targets)
    for target in targets:
        assert subprocess.run([*target.split(), "--dry-run"], cwd=ROOT, capture_output=True).returncode == 0, target


def test_every_pip_line_can_be_resolved() -> None:
    lines = [line for line in LINES if line.startswith("pip ")]
    assert lines
    for line in lines:
        words = shlex.split(line)[1:]
        result = subprocess.run(
            [sys.executable, "-m", "pip", *words, "--dry-run", "--quiet"], cwd=ROOT, capture_output=True, text=True
        )
        assert result.returncode == 0, f"{line}\n{result.stderr}"
