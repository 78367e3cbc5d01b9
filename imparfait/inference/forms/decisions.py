"""Decisions of a review, in a file beside the CSV file, and the rows of CSV that follow from them."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from pydantic import BaseModel, ValidationError

from imparfait.core.errors import UserError
from imparfait.core.names import as_cell
from imparfait.core.storage import atomic_write, open_to_append
from imparfait.inference.forms.readings_file import FieldRecord, PageRecord, Readings

Key = tuple[str, str, int, str]
"""Path, stamp, page, name of the field."""


class Decision(BaseModel, frozen=True, extra="forbid"):
    """A line: what a person decided on a field; without a text, that an earlier decision is undone."""

    path: str
    stamp: str
    page: int
    name: str
    text: str | None

    @property
    def key(self) -> Key:
        """The field it is about; a page that has changed since is another."""
        return self.path, self.stamp, self.page, self.name


class DecisionsFile:
    """The decisions beside a CSV file; new ones are appended. Raises UserError where the file holds something else.

    Open it only while the ReadingsFile is open, which has the lock.
    """

    def __init__(self, csv: Path) -> None:
        self.path = decisions_path(csv)
        self.texts: dict[Key, str] = {}
        self._file: IO[bytes] = open_to_append(self.path)
        try:
            self._load()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "DecisionsFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, decision: Decision) -> None:
        """Write a decision; it is in the file when this returns."""
        self._file.write(json.dumps(decision.model_dump()).encode() + b"\n")
        self._file.flush()
        self._apply(decision)

    def _apply(self, decision: Decision) -> None:
        self.texts.pop(decision.key, None)
        if decision.text is not None:
            self.texts[decision.key] = decision.text  # the newest is the last

    def _load(self) -> None:
        self._file.seek(0)
        end = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break  # torn
            try:
                self._apply(Decision.model_validate(json.loads(line)))
            except (ValidationError, ValueError) as error:
                raise UserError(f"{self.path}: holds something else than decisions", hint="move it away") from error
            end += len(line)
        self._file.truncate(end)


def decisions_path(csv: Path) -> Path:
    """Where the decisions on a CSV file are."""
    return csv.with_name(f"{csv.stem}.decisions.jsonl")


def read_decisions(csv: Path) -> dict[Key, str]:
    """The texts decided so far; none where there was no review."""
    if not decisions_path(csv).exists():
        return {}
    with DecisionsFile(csv) as file:
        return file.texts


def key_of(record: PageRecord, each: FieldRecord) -> Key:
    """What a decision calls a field of a page."""
    assert record.page is not None
    return record.path, record.stamp, record.page, each.name


def write_csv(path: Path, readings: Readings, texts: dict[Key, str]) -> None:
    """Write the CSV file again, atomically: a row for each page, with the decided texts."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("file", "page", *readings.header.columns, "unsure"))
    writer.writerows(_rows(readings, texts))
    atomic_write(path, buffer.getvalue().encode("utf-8", "backslashreplace"))


def _rows(readings: Readings, texts: dict[Key, str]) -> Iterator[list[str]]:
    for record in readings.pages.values():
        fields = {each.name: texts.get(key_of(record, each), each.text) for each in record.fields}
        unsure = [each.name for each in record.fields if not each.confident and key_of(record, each) not in texts]
        cells = [record.file, str(record.page), *(fields[name] for name in readings.header.columns), ", ".join(unsure)]
        yield [as_cell(cell) for cell in cells]
