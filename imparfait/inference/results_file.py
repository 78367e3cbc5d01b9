"""Results of predictions as text, as rows of CSV, and as JSON lines that can be resumed."""

import contextlib
import csv
import io
import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from imparfait.core.errors import UserError
from imparfait.core.names import as_cell
from imparfait.core.storage import lock, open_to_append, printable
from imparfait.inference.batch import Batch
from imparfait.inference.file_results import FileResult
from imparfait.inference.predictor import TOP

COLUMNS = (
    "file", "page", "model", "label", "score", "confident", "reason",
    *(f"{what}{rank}" for rank in range(2, TOP + 1) for what in ("label", "score")), "preprocessing", "error",
)  # fmt: skip
LINE_START = b'{"file": '
WRITTEN_TOGETHER = 256  # results
LONGEST_NAME = 4096  # characters of a file's name or label that are printed


def result_text(result: FileResult, verbose: bool = False) -> str:
    """A result for people: label, probability, file and other labels; below, why it is unsure.

    The preprocessing is shown where it may explain an unsure prediction, and always if `verbose`.
    """
    prediction = result.prediction
    assert prediction
    labels = [(printable(label, LONGEST_NAME), score) for label, score in prediction.predictions]
    others = ", ".join(f"{label} {score:.1%}" for label, score in labels[1:] if score >= 0.001)
    name = printable(result.file, LONGEST_NAME) + (f", page {result.page}" if result.page else "")
    if prediction.blank:
        return f"{'–':>4}  {'':6}  {name}\n       {prediction.doubt}"
    label = labels[0][0] if prediction.confident else f"({labels[0][0]})"
    shown = verbose or not prediction.confident
    preprocessing = f"\n       {result.preprocessing}" if shown else ""
    doubt = "" if prediction.confident else f"\n       {prediction.doubt}"
    others = f"   or {others}" if others else ""
    return f"{label:>4}  {_percent(prediction.score):>6}  {name}{others}{preprocessing}{doubt}"


def _percent(probability: float) -> str:
    """A probability for people: none that leaves room for doubt becomes 100 %."""
    return ">99.9%" if 0.9995 <= probability < 1 else f"{probability:.1%}"


def json_line(content: dict[str, Any]) -> str:
    """One line of JSON; what is no UTF-8 in a file's name is escaped."""
    line = json.dumps(content, ensure_ascii=False)
    return line if line.isprintable() else json.dumps(content)


def csv_lines(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Lines of CSV, the headings first, for lines of JSON."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="")
    for row in chain([COLUMNS], map(csv_row, rows)):
        writer.writerow(row)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def csv_row(content: dict[str, Any]) -> list[Any]:
    """The values of COLUMNS for one line of JSON."""
    best = [
        value for prediction in content.get("predictions", ()) for value in (prediction["label"], prediction["score"])
    ]
    best += [""] * (2 * TOP - len(best))
    confident = str(content["confident"]).lower() if "confident" in content else ""
    start = [content["file"], content.get("page", ""), content["model"], *best[:2], confident]
    end = [content.get(name, "") for name in ("preprocessing", "error")]
    cells = [*start, content.get("reason", ""), *best[2:], *end]
    return [as_cell(cell) if isinstance(cell, str) else cell for cell in cells]


def read_results(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of JSON in a results file."""
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


class ResultsWriter:
    """Results in a .jsonl file: those of the files in `done` are there already, others are appended.

    What a crash left half-written is cut off. Raises UserError when the file holds something else, or results of
    another model.
    """

    def __init__(self, path: Path, model: str) -> None:
        if path.suffix != ".jsonl":
            raise UserError(
                f"{path}: results can be resumed only as JSON lines",
                expected="a name that ends in .jsonl",
                hint="for CSV write: imparfait predict … --csv > results.csv",
            )
        self.path, self.model, self.done = path, model, set[str]()
        self.failed: dict[str, str] = {}
        """The files in `done` that could not be read, and why."""
        self._file: IO[bytes] = open_to_append(path)
        try:
            lock(self._file.fileno(), path, "writing results")
            self._file.truncate(self._resume())
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "ResultsWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # of a full disk, which `add` has raised
            self._file.close()

    def add(self, results: Sequence[FileResult]) -> None:
        """Write these results; they are in the file when this returns."""
        try:
            for result in results:
                self._file.write(json_line(result.to_json(self.model)).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            error.filename = str(self.path)  # a write does not know its name
            raise

    def _resume(self) -> int:
        """Fill `done`; the byte at which to go on: before the last file's first line, where it may lack a page."""
        start = end = 0
        last, may_lack_a_page = None, False
        self._file.seek(0)
        for line, result in self._lines(self._file):
            if result["file"] != last:
                start, last = end, result["file"]
            if result["model"] != self.model:
                raise UserError(
                    f"{self.path}: holds results of {result['model'][:100]}, these would be of {self.model}",
                    hint="name another file",
                )
            self.done.add(result["file"])
            may_lack_a_page = "page" in result
            if result.get("error"):
                self.failed.setdefault(result["file"], str(result["error"]))
            end += len(line)
        if not may_lack_a_page:
            return end
        self.done.discard(last or "")
        self.failed.pop(last or "", None)
        return start

    def _lines(self, content: IO[bytes]) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Each whole line and what it holds. Raises UserError where it is no result."""
        for line in content:
            if not line.endswith(b"\n") and line[: len(LINE_START)] == LINE_START[: len(line)]:
                return  # torn
            try:
                result = json.loads(line)
                if not isinstance(result["file"], str) or not isinstance(result["model"], str):
                    raise TypeError
            except (KeyError, TypeError, ValueError) as error:
                raise UserError(f"{self.path}: holds something else than results", hint="name another file") from error
            yield line, result


def resume_results(path: Path, files: Sequence[str], batch: Batch) -> Generator[int, None, None]:
    """Append the results of those of `files` that are not in `path` yet; leaving the loop loses none.

    Yields the number of files done: first those of an earlier command, whose errors count again. Raises UserError as
    `ResultsWriter` does, and when `path` is one of the files.
    """
    if any(Path(file).resolve() == path.resolve() for file in files):
        raise UserError(f"{path}: is one of the images", hint="name another file for the results")
    with ResultsWriter(path, batch.predictor.name) as writer:
        waiting = [file for file in files if file not in writer.done]
        earlier = (file for file in files if file in writer.failed)
        batch.failed += [FileResult(file, error=writer.failed[file]) for file in earlier]
        done = len(files) - len(waiting)
        yield done
        results = batch.predict(waiting)
        while chunk := list(islice(results, WRITTEN_TOGETHER)):
            writer.add(chunk)
            done += len({result.file for result in chunk})
            yield min(done, len(files))
