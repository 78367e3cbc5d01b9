"""Each number of README and of docs/benchmarks.md is in the results folder that its line or its section names.

A number is found where a stored one, a share of counts, or the mean, median, spread or end of stored ones over seeds
rounds to it. So most slips are found. A number that happens to be elsewhere in the folders of its section passes.
"""

import csv
import json
import math
import re
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from imparfait.corruptions import CORRUPTIONS
from imparfait.evaluation.suite import levels_of

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
NUMBER = re.compile(r"(?<![\w.,-])−?\d(?:[\d,]*\d)?(?:\.\d+)?")
CITED = re.compile(r"^\| \[[\w-]+/[\w.-]+\]\(https://github\.com/")
"""A row of a table that is of another repository: its numbers are in no folder of ours."""
UNITS = (1, 100, 0.01, 1 / 60, 1 / 1024, 0.001)  # shares in %, counts of 10,000 in %, minutes, GiB, thousands
SETTINGS = {
    "docs/benchmarks.md": {
        "167": "an Intel family", "512": "AVX-512, and the batch of a table", "2.13": "PyTorch", "2026": "a year",
        "10,000": "validation images", "57,000": "training images: 60,000 less those for calibration",
        "280,170": "counted by a test of grand", "50,000": "training images",
        "4,000": "a chunk", "1,000": "a batch", "87,500": "saved images an epoch, in a text file of the folder",
        "330": "of results/LOG.md", "5,000": "validation images", "0.25": "a setting",
        "100,000": "files that were written", "1,434": "of benchmarks/tools/hands",
    },
    "README.md": {"3.11": "Python", "512": "AVX-512", "2026": "a year", "100": "seconds, by a stated ratio"},
}  # fmt: skip
"""Numbers that are no results, and what they are."""


def numbers_in(line: str) -> list[str]:
    """Numbers of at least three digits, outside code and addresses."""
    plain = re.sub(r"`[^`]*`|\]\([^)]*\)|https?://\S+", " ", line)
    return [found for found in NUMBER.findall(plain) if sum(map(str.isdigit, found)) >= 3]


def lines_with_folders(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each line, with the results folders it names; where it names none, those of its section."""
    for section in re.split(r"\n(?=##)", text):
        of_section = tuple(sorted(set(re.findall(r"results/([\w-]+)(?![\w.-])", section))))
        for line in section.splitlines():
            own = tuple(sorted(set(re.findall(r"results/([\w-]+)(?![\w.-])", line))))
            yield line, own or of_section


def collect(value: Any, path: tuple[str, ...], found: dict[tuple[str, ...], list[float]]) -> None:
    """All numbers of a JSON value by where they are; elements of a list with a name are told apart by it."""
    if isinstance(value, bool):
        return
    if isinstance(value, int | float) and math.isfinite(value):
        found.setdefault(path, []).append(float(value))
    elif isinstance(value, str):
        for text in NUMBER.findall(value):
            found.setdefault(path, []).append(as_number(text))
    elif isinstance(value, list):
        if len(value) == 2 and all(isinstance(each, int) for each in value) and value[1]:  # correct, of so many
            found.setdefault((*path, "share"), []).append(value[0] / value[1])
        for element in value:
            keys = [
                key for key in ("corruption", "condition", "severity") if isinstance(element, dict) and key in element
            ]
            collect(element, (*path, *(str(element[key]) for key in keys)) if keys else (*path, "*"), found)
    elif isinstance(value, dict):
        plain = [float(each) for each in value.values() if isinstance(each, int | float) and not isinstance(each, bool)]
        if len(plain) > 1:
            found.setdefault((*path, "mean"), []).append(statistics.mean(plain))
        for part in ("correct", "right"):
            for whole in ("total", "of", "images", "pictures"):
                if isinstance(value.get(part), int) and isinstance(value.get(whole), int) and value[whole]:
                    found.setdefault((*path, "share"), []).append(value[part] / value[whole])
        for key, each in value.items():
            collect(each, (*path, key), found)


def typed(row: dict[str, str]) -> dict[str, Any]:
    """A row of a CSV file with its numbers as numbers."""
    values: dict[str, Any] = {}
    for key, text in row.items():
        is_number = re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", text or "")
        values[key] = (float(text) if re.search(r"[.e]", text) else int(text)) if is_number else text
    return values


@cache
def stored(folder: str) -> frozenset[float]:
    """The numbers of a results folder, and their means, medians, spreads and ends over seeds."""
    found: dict[tuple[str, ...], list[float]] = {}
    for path in sorted((RESULTS / folder).rglob("*")):
        if path.suffix == ".json" and path.name != "environment.json":
            collect(json.loads(path.read_text()), (path.name,), found)
        elif path.suffix == ".jsonl":
            collect([json.loads(line) for line in path.read_text().splitlines()], (path.name,), found)
        elif path.suffix == ".csv":
            with path.open(newline="") as file:
                rows = [typed(row) for row in csv.DictReader(file)]
            collect(rows, (str(path.relative_to(RESULTS)),), found)
            if shares := shares_by_condition(rows):
                found[str(path), "shares"] = [*shares.values()]
                found[str(path), "suite"] = suite_means(shares)
    values = {value for group in found.values() for value in group}
    for group in found.values():
        if len(group) > 1:
            values |= {statistics.mean(group), statistics.median(group), statistics.stdev(group)}
    return frozenset(values)


def shares_by_condition(rows: list[dict[str, Any]]) -> dict[tuple[str, float], float]:
    """The accuracy of each condition from counts, which may be by class; records before November have other words."""
    if not rows or "total" not in rows[0] or "severity" not in rows[0]:
        return {}
    name = "corruption" if "corruption" in rows[0] else "alteration"
    count = "correct" if "correct" in rows[0] else "right"
    sums: dict[tuple[str, float], list[int]] = {}
    for row in rows:
        each = sums.setdefault((row[name].removesuffix("-like"), float(row["severity"])), [0, 0])
        each[0] += row[count]
        each[1] += row["total"]
    return {condition: correct / total for condition, (correct, total) in sums.items()}


def suite_means(shares: dict[tuple[str, float], float]) -> list[float]:
    """The mean over corruptions of each one's mean over its severities, and MNIST-C's and the core suite's."""
    levels = levels_of(shares)
    means = [statistics.mean(statistics.mean(shares[name, level] for level in own) for name, own in levels.items())]
    for attribute in ("mnist_c", "protocol"):
        wanted = {(name, getattr(known, attribute)) for name, known in CORRUPTIONS.items() if getattr(known, attribute)}
        wanted |= {("clean", 0.0)} if attribute == "protocol" else set()
        if wanted <= shares.keys():
            means.append(statistics.mean(shares[condition] for condition in wanted))
    return means


def as_number(text: str) -> float:
    return float(text.replace(",", "").replace("−", "-"))


def rounds_to(value: float, text: str) -> bool:
    """Whether `value`, rounded to the digits of `text`, is that number."""
    number, decimals = as_number(text), len(text.partition(".")[2])
    zeros = len(text) - len(text.rstrip("0")) if "," in text and not decimals else 0  # 19,700 is rounded to hundreds
    return bool(abs(value - number) <= 0.5 * 10 ** (zeros - decimals) + 1e-9)


def is_stored(text: str, folders: tuple[str, ...]) -> bool:
    """Whether a number of these folders, in one of the units, rounds to it."""
    return any(rounds_to(value * unit, text) for name in folders for value in stored(name) for unit in UNITS)


def missing(page: str) -> list[str]:
    """The numbers of a page that its folders do not have, with the line."""
    lines = lines_with_folders((ROOT / page).read_text(encoding="utf-8"))
    return [
        f"{text} in: {line.strip()[:100]}; {', '.join(folders) or 'no folder'}"
        for line, folders in lines
        for text in numbers_in(line)
        if not CITED.match(line)
        if text not in SETTINGS[page] and not is_stored(text, folders)
    ]


def test_each_number_of_the_benchmarks_is_in_its_folder() -> None:
    assert missing("docs/benchmarks.md") == []


def test_each_number_of_the_readme_is_in_the_benchmarks_or_in_the_study() -> None:
    """README names no folders; the pages that it links to do."""
    pages = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("benchmarks.md", "founding-study.md")]
    known = {as_number(text) for page in pages for text in NUMBER.findall(page)}
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    numbers = [text for line in lines for text in numbers_in(line) if text not in SETTINGS["README.md"]]
    assert [text for text in numbers if not any(rounds_to(value, text) for value in known)] == []


FOLDERS = {name for _, own in lines_with_folders((ROOT / "docs/benchmarks.md").read_text()) for name in own}


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_the_folders_that_the_benchmarks_name_exist_with_command_and_environment(folder: str) -> None:
    names = {path.name for path in (RESULTS / folder).rglob("*")}
    assert "environment.json" in names
    assert any(name.startswith("command") or name == "README.md" for name in names)


def test_only_rows_that_begin_with_another_repository_are_cited() -> None:
    lines = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8").splitlines()
    assert [line.split("]")[0] for line in lines if CITED.match(line)] == [
        "| [Matuzas77/MNIST-0.17",
        "| [cdeotte/MNIST-CNN-99.75",
    ]


def test_a_number_that_was_changed_is_found() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if "results/quick-validation" in line)
    number = numbers_in(row)[0]
    assert is_stored(number, ("quick-validation",))
    changed = f"{float(number) - 0.37:.2f}"
    assert not is_stored(changed, ("quick-validation",))
