"""Answers to many images in a file, which is gone on with where it was left."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from imparfait.core.errors import UserError
from imparfait.inference.batch import FileResult
from imparfait.inference.predictor import TOP

COLUMNS = (
    "file", "page", "model", "label", "score", "sure", "reason",
    *(f"{what}{place}" for place in range(2, TOP + 1) for what in ("label", "score")), "said", "error",
)  # fmt: skip

HEADING = (",".join(COLUMNS) + "\n").encode()
BEGINS = b'{"file": '
"""How a line of a .jsonl file begins."""


def as_row(predicted: FileResult, model: str) -> list[Any]:
    """A page's answer in COLUMNS."""
    answer = predicted.answer
    best: list[Any] = [value for pair in (answer.predictions if answer else ()) for value in pair]
    best = [round(value, 6) if isinstance(value, float) else value for value in best]
    best += [""] * (2 * TOP - len(best))
    sure = [str(answer.sure).lower(), answer.reason or ""] if answer else ["", ""]
    page = predicted.page or ""
    return [predicted.file, page, model, *best[:2], *sure, *best[2:], predicted.said, predicted.error or ""]


class ResultsWriter:
    """Answers in a .jsonl or .csv file: those of `done` files are in it already, others are added to them.

    What a crash left half-written is cut off. Raises UserError when the file holds something else, or answers of
    another model.
    """

    def __init__(self, path: Path, model: str) -> None:
        if path.suffix not in (".jsonl", ".csv"):
            raise UserError(f"{path}: answers go into a file that ends in .jsonl or .csv")
        self.path, self.model, self.done = path, model, set[str]()
        self.as_csv = path.suffix == ".csv"
        end = self._found() if path.exists() else 0
        self._file: IO[str] = path.open("r+" if path.exists() else "w", encoding="utf-8", newline="")
        self._file.truncate(end)
        self._file.seek(end)
        self._csv = csv.writer(self._file, lineterminator="\n")
        if self.as_csv and not end:
            self._csv.writerow(COLUMNS)

    def __enter__(self) -> "ResultsWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, predicted: Sequence[FileResult]) -> None:
        """Write these answers; they are in the file when this returns."""
        for each in predicted:
            if self.as_csv:
                self._csv.writerow(as_row(each, self.model))
            else:
                self._file.write(json.dumps(each.to_json(self.model), ensure_ascii=False) + "\n")
        self._file.flush()

    def _found(self) -> int:
        """Take note of what is there; the place where it ends, without its last file, which may lack a page."""
        with self.path.open("rb") as content:
            heading = content.read(len(HEADING)) if self.as_csv else b""
            if self.as_csv and heading != HEADING:
                if HEADING.startswith(heading):
                    return 0
                raise self._not_ours()
            end = begins = len(heading)
            last = None
            for stop, file in self._entries(_Counted(content, end)):
                if file != last:
                    begins, last = end, file
                self.done.add(file)
                end = stop
        self.done.discard(last or "")
        return begins

    def _entries(self, lines: "_Counted") -> Iterator[tuple[int, str]]:
        """Where each answer ends, and its file's name; not of one that was not written to its end."""
        rows: Iterable[Any] = csv.reader(lines, strict=True) if self.as_csv else map(json.loads, lines)
        try:
            for row in rows:
                told = dict(zip(COLUMNS, row, strict=True)) if self.as_csv else row
                file, model = told["file"], told["model"]
                if not lines.whole:
                    return
                if model != self.model:
                    raise UserError(
                        f"{self.path}: holds answers of {str(model)[:100]}, these would be of {self.model}; "
                        "name another file"
                    )
                yield lines.place, str(file)
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            torn = not lines.whole and (self.as_csv or lines.last[: len(BEGINS)] == BEGINS[: len(lines.last)])
            if not torn:
                raise self._not_ours() from error

    def _not_ours(self) -> UserError:
        return UserError(f"{self.path}: holds something else than answers; name another file")


class _Counted:
    """Lines of a file as text, of which the place is known up to which they were taken."""

    def __init__(self, content: IO[bytes], place: int) -> None:
        self._content = content
        self.place, self.whole, self.last = place, True, b""

    def __iter__(self) -> Iterator[str]:
        for line in self._content:
            self.last, self.whole = line, line.endswith(b"\n")
            self.place += len(line)
            yield line.decode("utf-8")
