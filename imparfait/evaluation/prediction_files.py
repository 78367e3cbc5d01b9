"""Predictions of any tool, read from a table: file, predicted class, and where they are there truths and groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from imparfait.core.errors import UserError
from imparfait.core.names import from_cell
from imparfait.data.table_files import SUFFIXES, header_of, read_table

FILE_COLUMNS = ("file", "image_path", "path", "filename", "file_name", "image", "id")
PREDICTED_COLUMNS = ("prediction", "predicted", "predicted_label", "pred", "label", "class")
TRUTH_COLUMNS = ("truth", "true_label", "target", "actual", "expected", "ground_truth")
LABEL_COLUMNS = ("label", "class", *TRUTH_COLUMNS)  # of a table of truths
PROBABILITY_PREFIXES = ("p_", "prob_", "proba_", "probability_")
GROUP_COLUMN = "group"
MAX_EXCESS = 0.02  # of the sum of an image's probabilities over or under 1


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions of one model for image files, each file once."""

    path: Path
    files: tuple[str, ...]
    predicted: tuple[str, ...]
    truths: tuple[str, ...] | None
    groups: tuple[str, ...] | None
    classes: tuple[str, ...] = ()
    """Those that have a column of probabilities."""
    probabilities: Float[np.ndarray, "n classes"] | None = None

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self.path.stem


def is_predictions(name: str) -> bool:
    """Whether a name is that of a table rather than of a recipe, model or settings file."""
    return Path(name).suffix.lower() in SUFFIXES


def read_predictions(path: Path) -> Predictions:
    """The predictions in a table with a column of files, and of predicted classes or of one probability for each class.

    `predictions.csv` of a run counts with its clean images. Raises UserError where a column is missing, a file is there
    twice, or numbers are no probabilities.
    """
    header = _header(path)
    file, truth = _first(header, FILE_COLUMNS), _first(header, TRUTH_COLUMNS)
    if "corruption" in header and file is None and "source" in header:
        file = "source"  # predictions.csv of arrays
    if file is None:
        raise UserError(
            f"{path}: columns {_listed(header)}",
            expected=f"one that names the image, such as {FILE_COLUMNS[0]} or {FILE_COLUMNS[1]}",
        )
    of_class = {name: prefix for name in header for prefix in PROBABILITY_PREFIXES if name.startswith(prefix)}
    predicted = _first(header, PREDICTED_COLUMNS)
    if predicted is None and len(of_class) < 2:
        raise UserError(
            f"{path}: columns {_listed(header)}",
            expected=f"{PREDICTED_COLUMNS[0]} or label for the predicted class, or p_<class> for each class",
        )
    optional = [name for name in (predicted, truth, GROUP_COLUMN, "corruption") if name and name in header]
    columns = _columns(path, [file, *optional, *of_class])
    if "corruption" in columns:
        clean = [row for row, name in enumerate(columns["corruption"]) if name == "clean"]
        columns = {name: [values[row] for row in clean] for name, values in columns.items()}
    files = tuple(columns[file])
    _check_each_once(path, files)
    classes = tuple(from_cell(name).removeprefix(prefix).strip() for name, prefix in of_class.items())
    probabilities = _probabilities(path, [columns[name] for name in of_class]) if len(of_class) > 1 else None
    if predicted:
        labels = tuple(columns[predicted])
    else:
        assert probabilities is not None
        labels = tuple(classes[index] for index in probabilities.argmax(1))
    if "" in labels:
        raise UserError(f"{path}: no prediction for {files[labels.index('')]}", expected="a class for every file")
    return Predictions(
        path,
        files,
        labels,
        tuple(columns[truth]) if truth else None,
        tuple(columns[GROUP_COLUMN]) if GROUP_COLUMN in columns else None,
        classes,
        probabilities,
    )


def read_truths(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The label of each file in a table, and its group where there is such a column."""
    header = _header(path)
    file, label = _first(header, FILE_COLUMNS), _first(header, LABEL_COLUMNS)
    if file is None or label is None:
        raise UserError(f"{path}: columns {_listed(header)}", expected="image_path and label")
    groups = [GROUP_COLUMN] if GROUP_COLUMN in header else []
    columns = _columns(path, [file, label, *groups])
    _check_each_once(path, columns[file])
    own = dict(zip(columns[file], columns[GROUP_COLUMN], strict=True)) if groups else {}
    return dict(zip(columns[file], columns[label], strict=True)), own


def same_names(first: Sequence[str], second: Sequence[str]) -> tuple[list[str], list[str]]:
    """The files of two tables by the names under which they are compared.

    That is as written, or where no two are the same so, by the end of the path: `images/7.png` and `/data/7.png`.
    """
    if set(first) & set(second):
        return list(first), list(second)
    ends = [[PurePosixPath(name.replace("\\", "/")).name for name in names] for names in (first, second)]
    if all(len(set(names)) == len(names) for names in ends) and set(ends[0]) & set(ends[1]):
        return ends[0], ends[1]
    raise UserError(
        f"no file is in both tables: one has {first[0]!r}, the other {second[0]!r}",
        expected="the same names of files, or the same ends of their paths, each once",
    )


def _header(path: Path) -> list[str]:
    if not path.is_file():
        raise UserError(f"{path}: no such file", expected="a table of predictions, such as imparfait predict --csv")
    return header_of(path)


def _columns(path: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """Columns of a table as text, without what our own tables add to names for spreadsheets."""
    columns = read_table(path, names).columns
    return {name: [from_cell(each).strip() for each in values] for name, values in columns.items()}


def _first(header: Sequence[str], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in header), None)


def _check_each_once(path: Path, files: Sequence[str]) -> None:
    if not files:
        raise UserError(f"{path}: no rows", expected="a row for each image")
    if len(set(files)) < len(files):
        seen = set[str]()
        twice = next(name for name in files if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise UserError(f"{path}: {twice} is there more than once", expected="each file once")


def _probabilities(path: Path, columns: Sequence[Sequence[str]]) -> Float[np.ndarray, "n classes"]:
    try:
        found = np.array(columns, np.float64).T
    except ValueError as error:
        raise UserError(f"{path}: {error}", expected="numbers in the columns of probabilities") from error
    odd = ~np.isfinite(found).all(1) | (found < 0).any(1) | (abs(found.sum(1) - 1) > MAX_EXCESS)
    if odd.any():
        row = int(odd.argmax())
        raise UserError(
            f"{path}: row {row + 2} has probabilities with the sum {found[row].sum():.3g}",
            expected="numbers from 0 to 1 with the sum 1; of logits write softmax(logits)",
        )
    return found


def _listed(header: Sequence[str]) -> str:
    return ", ".join(header[:12]) + (", …" if len(header) > 12 else "") if header else "none"
