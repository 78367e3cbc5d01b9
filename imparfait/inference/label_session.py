"""Labels of a person, saved one by one: a CSV file to train on, and beside it what was chosen, labelled and skipped."""

import csv
import io
import json
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from pydantic import BaseModel, ValidationError, model_validator

from imparfait.core.errors import UserError
from imparfait.core.storage import atomic_write, lock

COLUMNS = ("image_path", "label")


class Entry(BaseModel, frozen=True, extra="forbid"):
    """A line of the file beside the CSV file: images that were chosen together, or what became of one of them.

    Paths are as in the CSV file. An image without a label that is not skipped is undone.
    """

    chosen: tuple[str, ...] | None = None
    image: str | None = None
    label: str | None = None
    skipped: bool = False

    @model_validator(mode="after")
    def _is_one_of_two(self) -> "Entry":
        if (self.chosen is None) == (self.image is None):
            raise ValueError("expected chosen images, or one image")
        return self


class LabelSession:
    """The labels in a CSV file, and the images that were chosen last; locked while it is open.

    Raises UserError where the CSV file is another's or was changed, and while another process has it open.
    """

    def __init__(self, table: Path) -> None:
        if table.suffix != ".csv":
            raise UserError(f"{table}: labels are written as CSV", expected="a name that ends in .csv")
        self.table, self.path = table, session_path(table)
        if table.exists() and not self.path.exists():
            raise UserError(f"{table}: exists, and was not written by imparfait label", hint="name another file")
        self.images: tuple[str, ...] = ()
        """Chosen last, by their paths as a command would write them."""
        self.labels: dict[str, str] = {}
        """Of these and of images chosen before; the newest is the last."""
        self.skipped: dict[str, None] = {}
        self._steps: dict[str, None] = {}  # images labelled or skipped and not undone, the newest last
        table.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = self.path.open("a+b")
        try:
            lock(self._file.fileno(), self.path, "labelling")
            self._load()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "LabelSession":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._file.tell():
            self.path.unlink()  # nothing was chosen
        self._file.close()

    def is_open(self, image: str) -> bool:
        """Whether an image is neither labelled nor skipped."""
        return image not in self.labels and image not in self.skipped

    def unlabelled(self, files: Iterable[str], others: Collection[str] = ()) -> list[str]:
        """Those of `files` that are neither labelled, nor skipped, nor one of `others`, and that a table can name."""
        known = {os.path.realpath(image) for image in (*self.labels, *self.skipped, *others)}
        return [file for file in files if _is_plain(file) and os.path.realpath(file) not in known]

    def start(self, images: Sequence[str]) -> None:
        """Make these the images to label."""
        self._add(Entry(chosen=tuple(map(self._written, images))))

    def decide(self, image: str, label: str) -> None:
        """Save the label of an image."""
        self._add(Entry(image=self._written(image), label=label))
        self._write_table()

    def skip(self, image: str) -> None:
        """Leave an image without a label; it is not chosen again."""
        self._add(Entry(image=self._written(image), skipped=True))
        self._write_table()

    @property
    def newest(self) -> str | None:
        """The image that was labelled or skipped last; None where there is none."""
        return next(reversed(self._steps), None)

    def undo(self) -> None:
        """Take back the newest step, if there is one."""
        if self.newest is not None:
            self._add(Entry(image=self._written(self.newest)))
            self._write_table()

    def _written(self, image: str) -> str:
        """A path as in the CSV file: relative to its folder for images in there, else absolute."""
        folder, path = os.path.abspath(self.table.parent), os.path.abspath(image)  # noqa: PTH100
        return os.path.relpath(path, folder) if path.startswith(os.path.join(folder, "")) else path  # noqa: PTH118

    def _known(self, written: str) -> str:
        """A path in the CSV file as a command would write it."""
        return str(self.table.parent / written)

    def _add(self, entry: Entry) -> None:
        self._file.write(json.dumps(entry.model_dump(exclude_defaults=True), ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._apply(entry)

    def _apply(self, entry: Entry) -> None:
        if entry.chosen is not None:
            self.images = tuple(map(self._known, entry.chosen))
            return
        assert entry.image is not None
        image = self._known(entry.image)
        self.labels.pop(image, None)
        self.skipped.pop(image, None)
        self._steps.pop(image, None)
        if entry.label is not None:
            self.labels[image] = entry.label
        elif entry.skipped:
            self.skipped[image] = None
        if entry.label is not None or entry.skipped:
            self._steps[image] = None

    def _content(self) -> bytes:
        """The CSV file."""
        buffer = io.StringIO()
        rows = csv.writer(buffer, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows((self._written(image), label) for image, label in self.labels.items())
        return buffer.getvalue().encode()

    def _write_table(self) -> None:
        atomic_write(self.table, self._content())

    def _load(self) -> None:
        self._file.seek(0)
        end, entries = 0, list[Entry]()
        for line in self._file:
            if not line.endswith(b"\n"):
                break  # torn
            try:
                entries.append(Entry.model_validate(json.loads(line)))
            except (ValidationError, ValueError) as error:
                raise UserError(f"{self.path}: holds something else than labels", hint="move it away") from error
            end += len(line)
        for entry in entries[:-1]:
            self._apply(entry)
        before = self._content()  # a crash leaves the table one step behind
        for entry in entries[-1:]:
            self._apply(entry)
        self._file.truncate(end)
        written = self.table.read_bytes() if self.table.exists() else before
        if written not in (before, self._content()):
            raise UserError(
                f"{self.table}: was changed since imparfait label wrote it",
                hint=f"rename it, and remove {self.path.name} to begin again",
            )
        if written != self._content():
            self._write_table()


def _is_plain(path: str) -> bool:
    """Whether a CSV file keeps a path: it is UTF-8, and has no space at either end."""
    return path == path.strip() and path.encode("utf-8", "replace").decode() == path


def session_path(table: Path) -> Path:
    """Where it is kept what was chosen, labelled and skipped for a CSV file."""
    return table.with_name(f"{table.stem}.session.jsonl")
