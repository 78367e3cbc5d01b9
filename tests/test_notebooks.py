"""The notebooks run from start to end, are in step with their .py files, use the public API only, and stay short."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
every_notebook = pytest.mark.parametrize("name", ["cnn", "cnn_gru"])


def read_script(name: str) -> nbformat.NotebookNode:
    return jupytext.read(NOTEBOOKS / f"{name}.py")


def read_notebook(name: str) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def errors(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in code(notebook) for output in cell.outputs if output.output_type == "error"]


@every_notebook
def test_a_notebook_runs_from_start_to_end(name: str, tmp_path: Path) -> None:
    environment = os.environ | {"IMPARFAIT_QUICK": "1", "IPYTHONDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    shutil.copy(NOTEBOOKS / f"{name}.py", tmp_path)
    for command in (
        ["jupytext", "--to", "ipynb", f"{name}.py"],
        ["jupyter", "execute", "--inplace", f"{name}.ipynb"],
    ):
        words = [sys.executable, "-m", *command]
        process = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert process.returncode == 0, process.stderr
    executed = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
    assert [cell.execution_count for cell in code(executed)] == list(range(1, len(code(executed)) + 1))
    assert not errors(executed)


@every_notebook
def test_a_notebook_and_its_script_are_in_step(name: str) -> None:
    """`make notebooks` writes the .ipynb from the .py."""
    assert [(cell.cell_type, cell.source) for cell in read_notebook(name).cells] == [
        (cell.cell_type, cell.source) for cell in read_script(name).cells
    ]


@every_notebook
def test_a_committed_notebook_has_outputs_without_paths_or_warnings(name: str) -> None:
    notebook = read_notebook(name)
    assert not errors(notebook)
    assert all(cell.execution_count for cell in code(notebook))
    kinds = [set(output.get("data", ())) for cell in code(notebook) for output in cell.outputs]
    assert any("image/png" in output_kinds for output_kinds in kinds)
    assert any("text/html" in output_kinds for output_kinds in kinds)
    streams = [output.get("name") for cell in code(notebook) for output in cell.outputs]
    assert "stderr" not in streams
    without_images = re.sub(r'"image/png": "[^"]*"', "", nbformat.writes(notebook))
    assert not re.search(r"(?<![\w.<])/(home|root|tmp|work|usr|opt|Users)/", without_images)
    assert str(Path.home()) not in without_images


@every_notebook
def test_a_notebook_is_short_and_its_headings_are_french_and_english(name: str) -> None:
    cells = read_script(name).cells
    assert len(cells) < 15
    headings = [
        line for cell in cells if cell.cell_type == "markdown" for line in cell.source.splitlines() if line[:1] == "#"
    ]
    assert len(headings) > 4
    for heading in headings:
        assert re.fullmatch(r"##? \S[^/]* / \S[^/]*", heading), heading


@every_notebook
def test_a_notebook_uses_public_names_only_and_leaves_the_test_set_sealed(name: str) -> None:
    import imparfait

    text = "\n".join(cell.source for cell in code(read_script(name)))
    names = set(re.findall(r"\bimparfait\.(\w+)", text))
    assert names
    assert names <= set(imparfait.__all__)
    assert "from imparfait" not in text
    assert not re.search(r"\.(test|sealed|open)\b", text)
