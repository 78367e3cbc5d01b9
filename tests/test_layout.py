"""The layout: which package may import which, file lengths and docstrings."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "imparfait"
# Evaluation stands before training, unlike in most descriptions: a run folder holds scores and a calibration, so the
# code that writes one needs both, while evaluation knows classifiers as functions and nothing of how they were trained.
ORDER = (
    *("core", "corruptions", "transforms", "data", "models", "evaluation", "training", "selection", "inference"),
    *("interop", "export", "serving", "reports", "study", "cli"),
)
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path not in (PACKAGE / "__init__.py", PACKAGE / "__main__.py"))


def package_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_packages(path: Path) -> set[str]:
    packages = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "imparfait":
            _, *rest = (node.module or "").split(".")
            packages |= {rest[0]} if rest else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            packages |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("imparfait.")}
        elif isinstance(node, ast.Constant) and re.fullmatch(r"imparfait(\.\w+)+", str(node.value)):
            packages.add(node.value.split(".")[1])  # imported late, by its name
    return packages


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_import_only_from_earlier_ones(path: Path) -> None:
    for package in imported_packages(path):
        assert ORDER.index(package) <= ORDER.index(package_of(path)), f"{path} imports {package}, a later one"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_name_their_module(path: Path) -> None:
    """Relative imports and the bare package would escape the order above."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}:{node.lineno}: relative import"
        if isinstance(node, ast.Import):
            assert all(alias.name != "imparfait" for alias in node.names), f"{path}:{node.lineno}: import imparfait"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_are_short_and_have_a_docstring(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    assert len((ast.get_docstring(ast.parse(text)) or "").splitlines()) == 1


def test_the_layout_test_sees_the_imports_it_judges() -> None:
    assert imported_packages(PACKAGE / "training" / "loop.py") >= {"core", "data", "models", "training"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_is_imported_that_could_run_code_from_a_file(path: Path) -> None:
    names = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert not names & {"pickle", "joblib", "dill", "shelve", "marshal"}
