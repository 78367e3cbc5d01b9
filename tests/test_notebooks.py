"""The notebooks: they run from beginning to end, what is committed is what they say, and they stay short."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
NAMES = ("cnn", "cnn_gru")


def text_of(name: str) -> nbformat.NotebookNode:
    return jupytext.read(NOTEBOOKS / f"{name}.py")


def committed(name: str) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def errors(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in code(notebook) for output in cell.outputs if output.output_type == "error"]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_from_beginning_to_end(name: str, tmp_path: Path) -> None:
    here = os.environ | {"IMPARFAIT_QUICK": "1", "IPYTHONDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, NOTEBOOKS / "execute.py", name, "--into", tmp_path]
    ended = subprocess.run(words, env=here, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    executed = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
    assert [cell.execution_count for cell in code(executed)] == list(range(1, len(code(executed)) + 1))
    assert not errors(executed)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_and_its_text_are_in_step(name: str) -> None:
    """Those who edit one forget the other; `make notebooks` writes the .ipynb anew."""
    assert [(cell.cell_type, cell.source) for cell in committed(name).cells] == [
        (cell.cell_type, cell.source) for cell in text_of(name).cells
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_notebook_shows_its_results_and_nothing_of_the_machine(name: str) -> None:
    notebook = committed(name)
    assert not errors(notebook)
    assert all(cell.execution_count for cell in code(notebook))
    shown = [set(output.get("data", ())) for cell in code(notebook) for output in cell.outputs]
    assert any("image/png" in kinds for kinds in shown)
    assert any("text/html" in kinds for kinds in shown)
    streams = [output.get("name") for cell in code(notebook) for output in cell.outputs]
    assert "stderr" not in streams
    without_pictures = re.sub(r'"image/png": "[^"]*"', "", nbformat.writes(notebook))
    assert not re.search(r"(?<![\w.<])/(home|root|tmp|work|usr|opt|Users)/", without_pictures)
    assert str(Path.home()) not in without_pictures


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_short_and_its_headings_are_french_and_english(name: str) -> None:
    cells = text_of(name).cells
    assert len(cells) < 15
    headings = [
        line for cell in cells if cell.cell_type == "markdown" for line in cell.source.splitlines() if line[:1] == "#"
    ]
    assert len(headings) > 4
    for heading in headings:
        assert re.fullmatch(r"##? \S[^/]* / \S[^/]*", heading), heading


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_uses_public_names_only_and_leaves_the_test_sealed(name: str) -> None:
    import imparfait

    text = "\n".join(cell.source for cell in code(text_of(name)))
    used = set(re.findall(r"\bimparfait\.(\w+)", text))
    assert used
    assert used <= set(imparfait.__all__)
    assert "from imparfait" not in text
    assert not re.search(r"\.(test|sealed|open)\b", text)
