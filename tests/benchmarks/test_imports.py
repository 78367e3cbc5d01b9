"""Benchmarks import names that the package has: they run rarely, so a renamed function would be found late."""

import ast
import importlib.util
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FILES = sorted(BENCHMARKS.rglob("*.py"))


def imported_names(path: Path) -> list[tuple[str, str]]:
    """Modules of the package and the names that a file takes from them, at its top or late."""
    return [
        (node.module or "", alias.name)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "imparfait"
        for alias in node.names
    ]


def is_there(module: str, name: str) -> bool:
    found = importlib.import_module(module)
    is_package = hasattr(found, "__path__")
    return hasattr(found, name) or (is_package and importlib.util.find_spec(f"{module}.{name}") is not None)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(BENCHMARKS)))
def test_each_name_that_a_benchmark_imports_exists(path: Path) -> None:
    missing = []
    for module, name in imported_names(path):
        try:
            if not is_there(module, name):
                missing.append(f"{module}.{name}")
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("imparfait"):
                missing.append(f"{module}.{name}")
            # else a package of an extra, which the benchmark says to install
    assert missing == []


def test_a_name_that_is_gone_is_found() -> None:
    assert not is_there("imparfait.core.storage", "as_png")
    assert is_there("imparfait.core", "storage")
