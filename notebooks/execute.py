"""Execute the notebooks' .py files and write the .ipynb beside each: `python notebooks/execute.py [--into FOLDER]`."""

import argparse
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
NAMES = ("cnn", "cnn_gru")
ONE_CELL = 1800  # seconds that a cell may take


def executed(path: Path) -> nbformat.NotebookNode:
    """The notebook of a .py file in percent format, run in an empty folder.

    With IMPARFAIT_QUICK=1 in the environment it takes seconds, without it five to fifteen minutes.
    Raises CellExecutionError when a cell fails.
    """
    notebook = jupytext.read(path)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # the same each time, so that only what changed differs
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    with tempfile.TemporaryDirectory() as empty:
        place = {"metadata": {"path": empty}}
        NotebookClient(notebook, timeout=ONE_CELL, resources=place, record_timing=False).execute()
    return notebook


def main() -> None:
    """Both notebooks, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, help=f"which notebooks: {' '.join(NAMES)}")
    parser.add_argument("--into", type=Path, default=HERE, help="where the .ipynb files go")
    given = parser.parse_args()
    for name in given.names:
        notebook = executed(HERE / f"{name}.py")
        nbformat.write(notebook, given.into / f"{name}.ipynb")
        print(f"{name}.ipynb: executed")


if __name__ == "__main__":
    main()
