"""The class's notebooks: each is lesson.py in one language, and its blanks can be filled in one after the other."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import matplotlib as mpl
import nbformat
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks" / "classroom"
BLANKS = 6


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make", FOLDER / "make.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cells_of(name: str, kind: str) -> list[str]:
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    return [cell.source for cell in notebook.cells if cell.cell_type == kind]


def test_the_notebooks_are_those_of_the_lesson(make: ModuleType) -> None:
    for name, notebook in make.notebooks().items():
        assert nbformat.read(FOLDER / f"{name}.ipynb", as_version=4) == notebook, (
            f"run notebooks/classroom/make.py: {name}"
        )


@pytest.mark.parametrize(("exercise", "solution"), [("exercise", "solution"), ("exercice", "corrige")])
def test_an_exercise_is_its_solution_with_empty_blanks(exercise: str, solution: str) -> None:
    assert cells_of(exercise, "markdown") == cells_of(solution, "markdown")
    empty = "\n".join(cells_of(exercise, "code")).splitlines()
    filled = "\n".join(cells_of(solution, "code")).splitlines()
    assert len(empty) == len(filled)
    changed = [(one, other) for one, other in zip(empty, filled, strict=True) if one != other]
    assert [one.split("# blank ")[1] for one, _ in changed] == [str(number) for number in range(1, BLANKS + 1)]
    for one, other in changed:
        assert re.fullmatch(r"(\w+) = \.\.\.  # blank \d", one)
        assert one.split(" = ")[0] == other.split(" = ")[0]


@pytest.mark.parametrize(("exercise", "word"), [("exercise", "Blank"), ("exercice", "Trou")])
def test_every_blank_is_explained_before_it(exercise: str, word: str) -> None:
    explained = re.findall(rf"\*\*{word} (\d)\.\*\*", "\n".join(cells_of(exercise, "markdown")))
    assert explained == [str(number) for number in range(1, BLANKS + 1)]


def test_both_languages_have_the_same_code_and_as_many_texts() -> None:
    assert cells_of("solution", "code") == cells_of("corrige", "code")
    assert len(cells_of("solution", "markdown")) == len(cells_of("corrige", "markdown"))


def test_an_empty_or_wrong_blank_stops_its_own_cell_and_the_solution_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cell by cell: first as in the exercise, then with a wrong answer, then as in the solution."""
    monkeypatch.setenv("IMPARFAIT_QUICK", "1")
    mpl.use("agg")
    names: dict[str, object] = {}
    reached = []
    for empty, filled in zip(cells_of("exercise", "code"), cells_of("solution", "code"), strict=True):
        if found := re.search(r"# blank (\d)", empty):
            reached.append(int(found[1]))
            if reached[-1] != 2:  # its cell trains before its check
                wrong = re.sub(r"= \.\.\.(  # blank)", r"= -1\1", empty)
                with pytest.raises(ValueError, match=f"blank {found[1]} is not right yet"):
                    exec(wrong, names)
            with pytest.raises(ValueError, match=f"blank {found[1]} is still empty"):
                exec(empty, names)
        exec(filled, names)
    assert reached == list(range(1, BLANKS + 1))
    printed = capsys.readouterr().out
    for number in reached:
        assert f"blank {number}: correct" in printed


def test_the_lesson_uses_public_names_only_and_leaves_the_test_set_sealed() -> None:
    import imparfait

    text = "\n".join(cells_of("solution", "code"))
    names = set(re.findall(r"\bimparfait\.(\w+)", text))
    assert names <= set(imparfait.__all__)
    assert "from imparfait" not in text
    assert not re.search(r"\.(test|sealed|open)\b", text)
