"""Readings of forms as JSON lines beside their CSV file: what is done, and what a review needs."""

import base64
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO

from pydantic import BaseModel, ValidationError

from imparfait.core.errors import UserError
from imparfait.core.storage import lock, open_to_append
from imparfait.data.images.decode import Page
from imparfait.data.images.encode import image_of, png
from imparfait.inference.forms import FieldResult, FormReading
from imparfait.inference.forms.fields_file import Form, FormField

CONTEXT_SHARE = 0.4  # around the crop of an unsure field, of its region's shorter side
MAX_CROP_PIXELS = 1200  # of its longer side
JPEG_QUALITY = 85
LINE_START = b'{"'


class Header(BaseModel, frozen=True, extra="forbid"):
    """The first line: what read the forms."""

    model: str
    classes: tuple[str, ...]
    """What the model's outputs stand for."""
    fields: tuple[FormField, ...]
    folder: str
    """The absolute path of the folder of fields.json, from which lists of numbers are found."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the fields."""
        return tuple(each.name for each in self.fields)

    def reads_as(self, other: "Header") -> bool:
        """Whether readings with the other header can stand in the same file."""
        return (self.model, self.fields) == (other.model, other.fields)


class FieldRecord(BaseModel, frozen=True, extra="forbid"):
    """A field of a page; images only where it is unsure."""

    name: str
    text: str
    score: float
    confident: bool
    reason: str | None = None
    alternatives: tuple[tuple[str, float], ...] = ()
    crop: str = ""
    """Its region with some context: a JPEG file in base64."""
    region: tuple[float, float, float, float] | None = None
    """Left, top, right and bottom of the region in the crop, as fractions of its width and height."""
    digits: tuple[str, ...] = ()
    """The model's input for each digit: PNG files in base64."""


class PageRecord(BaseModel, frozen=True, extra="forbid"):
    """A line: a page of a file; or, without a page, that all of its pages are there."""

    path: str
    """Absolute, since the command may be run from another folder next time."""
    file: str
    """As it was typed."""
    stamp: str
    """Size and time of the last change."""
    page: int | None = None
    fields: tuple[FieldRecord, ...] = ()


@dataclass
class Readings:
    """All pages that were read."""

    header: Header
    pages: dict[tuple[str, int], PageRecord] = field(default_factory=dict)
    """By path and number, in the order of their first reading."""
    stamps: dict[str, str] = field(default_factory=dict)
    """Of each path."""
    done: set[str] = field(default_factory=set)
    """Paths of which all pages are there."""

    def add(self, record: PageRecord) -> None:
        """Add a page; pages of the file as it was before a change are dropped."""
        if self.stamps.get(record.path, record.stamp) != record.stamp:
            self.pages = {key: page for key, page in self.pages.items() if key[0] != record.path}
            self.done.discard(record.path)
        self.stamps[record.path] = record.stamp
        if record.page is None:
            self.done.add(record.path)
        else:
            self.pages[record.path, record.page] = record


class ReadingsFile:
    """The readings beside a CSV file, locked while it is open; what a crash left half-written is cut off.

    With `header`, new readings can be added; they must be of the same model and fields. Without, the file must exist.
    Raises UserError where it does not, holds something else, or another process has it.
    """

    def __init__(self, csv: Path, header: Header | None = None) -> None:
        if csv.suffix.lower() != ".csv":
            raise UserError(f"{csv}: no name of a CSV file", expected="a name that ends in .csv")
        self.csv, self.path = csv, readings_path(csv)
        if csv.exists() and not self.path.exists():
            raise UserError(
                f"{csv}: there are no readings beside it ({self.path.name})",
                expected="a CSV file that read --fields wrote, or a new one",
                hint="write: imparfait read --fields … --csv NEW.csv",
            )
        if header is None and not self.path.exists():
            raise UserError(f"{csv}: there is no such file", hint=f"write: imparfait read --fields … --csv {csv}")
        self._file: IO[bytes] = open_to_append(self.path)
        try:
            lock(self._file.fileno(), csv, "reading or reviewing forms")
            self.readings = self._load(header)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "ReadingsFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, record: PageRecord) -> None:
        """Write a page; it is in the file when this returns."""
        self.readings.add(record)
        self._write(record)

    def _write(self, line: BaseModel) -> None:
        self._file.write(json.dumps(line.model_dump(mode="json")).encode() + b"\n")  # ASCII: any file name
        self._file.flush()

    def _load(self, header: Header | None) -> Readings:
        self._file.seek(0)
        end, readings = 0, None
        for line in self._file:
            if not line.endswith(b"\n") and line[:2] == LINE_START[: len(line)]:
                break  # torn
            try:
                if readings is None:
                    readings = Readings(Header.model_validate_json(line))
                else:
                    readings.add(PageRecord.model_validate(json.loads(line)))
            except (ValidationError, ValueError) as error:
                raise UserError(f"{self.path}: holds something else than readings", hint="move it away") from error
            end += len(line)
        self._file.truncate(end)
        if readings is None:
            if header is None:
                raise UserError(f"{self.path}: is empty", hint="read the forms again")
            self._write(header)
            return Readings(header)
        if header and not readings.header.reads_as(header):
            different = "other fields" if readings.header.model == header.model else f"model {readings.header.model}"
            raise UserError(
                f"{self.path}: holds readings with {different}",
                expected="the same fields.json and --model as before",
                hint="name another --csv file",
            )
        return readings


def readings_path(csv: Path) -> Path:
    """Where the readings of a CSV file are."""
    return csv.with_name(f"{csv.stem}.readings.jsonl")


def header_of(form: Form, model: str, classes: tuple[str, ...]) -> Header:
    """The first line for a form that is read by a model with these classes."""
    return Header(model=model, classes=classes, fields=form.fields, folder=str(form.folder.absolute()))


def stamp_of(path: Path) -> str:
    """Size and time of the last change; raises UserError where there is no file."""
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    return f"{status.st_size}-{status.st_mtime_ns}"


def page_record(file: str, stamp: str, page: Page, reading: FormReading) -> PageRecord:
    """The line for a page that was read."""
    return PageRecord(
        path=str(Path(file).absolute()), file=file, stamp=stamp, page=page.number,
        fields=tuple(_field_record(each, page) for each in reading.fields),
    )  # fmt: skip


def _field_record(each: FieldResult, page: Page) -> FieldRecord:
    alternatives = tuple((text, round(score, 6)) for text, score in each.alternatives)
    record = FieldRecord(
        name=each.name, text=each.text, score=round(each.score, 6), confident=each.confident, reason=each.reason,
        alternatives=alternatives,
    )  # fmt: skip
    if each.confident:
        return record
    crop, region = _crop_jpeg(page, each)
    digits = tuple(base64.b64encode(png(digit.pixels[0])).decode() for digit in each.digits)
    images = {"crop": base64.b64encode(crop).decode(), "region": region, "digits": digits}
    return record.model_copy(update=images)


def _crop_jpeg(page: Page, each: FieldResult) -> tuple[bytes, tuple[float, float, float, float]]:
    """A field's region with some context, as a JPEG file, and where the region is in it, as fractions."""
    left, top, right, bottom = (edge // page.reduced for edge in each.box)
    margin = 1 + round(CONTEXT_SHARE * min(right - left, bottom - top))
    x, y = max(0, left - margin), max(0, top - margin)
    part = page.pixels[y : bottom + margin, x : right + margin]
    height, width = part.shape[:2]
    region = (left - x) / width, (top - y) / height, min(1.0, (right - x) / width), min(1.0, (bottom - y) / height)
    image = image_of(part)
    image.thumbnail((MAX_CROP_PIXELS, MAX_CROP_PIXELS))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue(), region


def unsure_fields(readings: Readings) -> Iterator[tuple[PageRecord, FieldRecord]]:
    """The fields to review, page by page."""
    for record in readings.pages.values():
        for each in record.fields:
            if not each.confident:
                yield record, each


def pages_left(readings: Readings, files: Iterable[str]) -> list[str]:
    """Those of `files` that are not read yet, or have changed since."""
    waiting = []
    for file in files:
        path = str(Path(file).absolute())
        if path not in readings.done or readings.stamps[path] != stamp_of(Path(path)):
            waiting.append(file)
    return waiting
