"""Write the exercise and the solution, in English and French, from lesson.py: `python notebooks/classroom/make.py`.

lesson.py is the solution. Text cells have a language; a line that ends in `# blank 3` has its right-hand side replaced
by `...` in the exercise. The notebooks have no outputs.
"""

import re
from pathlib import Path

import jupytext
import nbformat

HERE = Path(__file__).parent
NAMES = {"en": ("exercise", "solution"), "fr": ("exercice", "corrige")}
"""Of the exercise and of the solution, by language."""
BLANK = re.compile(r"(?m)^(\w+) = .+?(  # blank (\d+))$")
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def empty_blanks(code: str) -> str:
    """The code with `...` in each of its blanks."""
    return BLANK.sub(r"\1 = ...\2", code)


def notebooks() -> dict[str, nbformat.NotebookNode]:
    """The four notebooks by name."""
    lesson = jupytext.read(HERE / "lesson.py")
    made = {}
    for language, names in NAMES.items():
        for name, change in zip(names, (empty_blanks, str), strict=True):
            cells = [cell for cell in lesson.cells if cell.metadata.get("lang", language) == language]
            made[name] = nbformat.v4.new_notebook(metadata=KERNEL)
            for number, cell in enumerate(cells):
                new = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
                made[name].cells.append(new(change(cell.source), id=f"cell-{number}"))
    return made


def main() -> None:
    """Write them beside this file."""
    for name, notebook in notebooks().items():
        nbformat.write(notebook, HERE / f"{name}.ipynb")


if __name__ == "__main__":
    main()
