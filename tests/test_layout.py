"""The house: which room may look into which, and how large a file may grow."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "imparfait"
# figures and statistics stand before evaluation, so that a result can draw itself and carry its intervals; store
# knows nothing of what it keeps, so it stands far up and checkpoints, which know trainings, after them.
ORDER = [
    "errors",
    "settings",
    "images",
    "tensors",
    "randomness",
    "workers",
    "machine",
    "store",
    "figures",
    "statistics",
    "calibration",
    "pictures",
    "decoding",
    "alterations",
    "datasets",
    "models",
    "schedules",
    "averaging",
    "training",
    "checkpoints",
    "refusing",
    "evaluation",
    "robustness",
    "configs",
    "cards",
    "fence",
    "readers",
    "conventions",
    "strangers",
    "answering",
    "proving",
    "classifiers",
    "teaching",
    "box",
    "exporting",
    "predicting",
    "reading",
    "keeping",
    "drawing",
    "cells",
    "engines",
    "selection",
    "runs",
    "study",
    "report",
    "serving",
    "commands",
]
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path not in (PACKAGE / "__init__.py", PACKAGE / "__main__.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "imparfait":
            _, *rest = (node.module or "").split(".")
            rooms |= {rest[0]} if rest else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            rooms |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("imparfait.")}
    return rooms


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_import_only_from_earlier_ones(path: Path) -> None:
    for room in imported_rooms(path):
        assert ORDER.index(room) <= ORDER.index(room_of(path)), f"{path.name} imports {room}, which comes later"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_short_and_say_what_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    assert len((ast.get_docstring(ast.parse(text)) or "").splitlines()) == 1


def test_the_layout_test_sees_the_imports_it_judges() -> None:
    assert imported_rooms(PACKAGE / "training.py") >= {"datasets", "errors", "machine", "settings"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_that_could_run_code_from_a_file_is_imported(path: Path) -> None:
    names = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert not names & {"pickle", "joblib", "dill", "shelve", "marshal"}
