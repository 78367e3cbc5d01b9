"""Tables in CSV, TSV, JSON Lines and Parquet files, as columns of text."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from imparfait.core.errors import UserError
from imparfait.core.install import install_hint

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
DELIMITERS = ",;\t"
MAX_ROWS = 20_000_000
MAX_ROW = 1 << 22  # characters of a line of text
ROWS_AT_A_TIME = 1000  # of a Parquet file
MAX_PARQUET_BYTES = 8 << 30  # of columns, uncompressed

Cell = Any
"""Text; of Parquet also the content of an image."""


class Encoded(NamedTuple):
    """The bytes of an image file that a table holds, and how errors show it."""

    content: bytes
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Table:
    """Columns of equal length by their names."""

    path: Path
    columns: Mapping[str, Sequence[Cell]]


def header_of(path: Path) -> list[str]:
    """The names of a table's columns; of a CSV file the first row, whatever is in it."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return list(_parquet(path).schema_arrow.names)
    if suffix == ".jsonl":
        return list(next(_json_rows(path), {}))
    return next(_csv_rows(path), [])


def read_table(path: Path, wanted: Sequence[str], rows: int = MAX_ROWS) -> Table:
    """The columns called `wanted` of a table, of at most so many rows. Raises UserError where the file is no table."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return Table(path, _parquet_columns(path, wanted, rows))
    columns: dict[str, list[str]] = {name: [] for name in wanted}
    if suffix == ".jsonl":
        for row in islice(_json_rows(path), rows):
            for name, texts in columns.items():
                texts.append(_text(row.get(name)))
        return Table(path, columns)
    lines = _csv_rows(path)
    header = next(lines, [])
    places = [(header.index(name), values) for name, values in columns.items()]
    for number, line in enumerate(islice(lines, rows), 2):
        if len(line) != len(header):
            raise UserError(f"{path}: row {number} has {len(line)} values; expected {len(header)} as in the first row")
        for place, values in places:
            values.append(line[place].strip())
    return Table(path, columns)


def _csv_rows(path: Path) -> Iterator[list[str]]:
    """The rows of a CSV file; the first tells which delimiter it has."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = next(_lines(file), "")
            file.seek(0)
            delimiter = max(DELIMITERS, key=first.count)
            for row in csv.reader(_lines(file), delimiter=delimiter):
                if row:
                    yield row
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not text in UTF-8 ({error.reason} at byte {error.start:,})", hint="save it as UTF-8"
        ) from error
    except (csv.Error, _TooLongError) as error:
        raise UserError(f"{path}: not a CSV file: {error}") from error


class _TooLongError(ValueError):
    """A line of a text file is over MAX_ROW."""


def _lines(file: TextIO) -> Iterator[str]:
    """The lines of a text file, none of them over MAX_ROW: a file without line breaks would fill the memory."""
    number = 0
    while line := file.readline(MAX_ROW):
        number += 1
        if len(line) == MAX_ROW:
            raise _TooLongError(f"line {number:,} has more than {MAX_ROW:,} characters")
        yield line


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in _lines(file):
                number += 1
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise ValueError(f"a {type(row).__name__}, not an object")
                    yield row
    except _TooLongError as error:
        raise UserError(f"{path}: not JSON Lines: {error}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: line {number} is not JSON: {error}", expected="an object per line") from error


def _parquet(path: Path) -> Any:
    try:
        from pyarrow import ArrowException, parquet
    except ModuleNotFoundError as error:
        raise UserError(
            f"{path}: Parquet needs pyarrow, which is not installed", hint=install_hint("parquet")
        ) from error
    try:
        return parquet.ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise UserError(f"{path}: not a Parquet file: {' '.join(str(error).split())[:200]}") from error


def _parquet_columns(path: Path, wanted: Sequence[str], rows: int) -> dict[str, list[Cell]]:
    """Columns of a Parquet file: text, or images as Hugging Face stores them, as structs of bytes and path."""
    file = _parquet(path)
    metadata = file.metadata
    size = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    if metadata.num_rows > MAX_ROWS or size > MAX_PARQUET_BYTES:
        raise UserError(
            f"{path}: {metadata.num_rows:,} rows of {size:,} bytes",
            expected=f"at most {MAX_ROWS:,} rows and {MAX_PARQUET_BYTES:,} bytes",
        )
    names = _class_names(file.schema_arrow.metadata or {})
    columns: dict[str, list[Cell]] = {name: [] for name in wanted}
    from pyarrow import ArrowException

    try:
        for batch in file.iter_batches(min(rows, ROWS_AT_A_TIME), columns=list(wanted)):
            for name, values in columns.items():
                for value in batch.column(name).to_pylist():
                    own = names.get(name)
                    if own and isinstance(value, int) and 0 <= value < len(own):
                        values.append(own[value])
                    elif isinstance(value, dict) and isinstance(value.get("bytes"), bytes):
                        values.append(Encoded(value["bytes"], f"{path}, row {len(values) + 1}"))
                    elif isinstance(value, bytes):
                        values.append(Encoded(value, f"{path}, row {len(values) + 1}"))
                    else:
                        values.append(_text(value.get("path") if isinstance(value, dict) else value))
            if rows < ROWS_AT_A_TIME:
                break
    except (ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from error
    return columns


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """The names of classes that Hugging Face's data sets keep beside their numbers, by column."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
        return {
            name: [str(each) for each in feature["names"]] for name, feature in features.items() if "names" in feature
        }
    except (ValueError, AttributeError, TypeError, KeyError):
        return {}


def _text(value: object) -> str:
    """A value as text: whole numbers without a fraction, nothing for none."""
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
