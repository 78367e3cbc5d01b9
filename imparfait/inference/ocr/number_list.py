"""Lists of the numbers that a field may be, from a text file or a column of a CSV file."""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path

from imparfait.core.errors import UserError, lookup
from imparfait.inference.ocr.automaton import MAX_LENGTH

DELIMITERS = ",;\t"  # of CSV files; Excel writes ; where , is the decimal sign


def without_separators(text: str) -> str:
    """Letters and digits, without spaces, points, hyphens and other characters."""
    return re.sub(r"[\W_]+", "", text)


@dataclass(frozen=True)
class OneOf:
    """The numbers of a list; leading zeros count, separators do not."""

    numbers: frozenset[str]

    def __init__(self, numbers: Iterable[str]):
        cleaned = frozenset(map(without_separators, numbers)) - {""}
        longest = max(cleaned, key=len, default="")
        if not cleaned or len(longest) > MAX_LENGTH:
            received = f"the number {longest}" if cleaned else "a list without numbers"
            raise UserError(received, expected=f"numbers of at most {MAX_LENGTH} digits")
        object.__setattr__(self, "numbers", cleaned)

    @classmethod
    def from_file(cls, source: str) -> "OneOf":
        """From `FILE`, with a number in each line, or `FILE:COLUMN`, a column of a CSV file with a head line.

        Raises UserError for a missing or empty file, a column that is not there, and entries with letters.
        """
        path, _, column = (source, "", "") if Path(source).exists() else source.rpartition(":")
        file = Path(path or source)
        if not file.is_file():
            raise UserError(f"{file}: there is no such file", hint="write a text file, or FILE.csv:COLUMN")
        try:
            text = file.read_text(encoding="utf-8-sig")
            entries = list(_column(file, text, column) if column else _lines(file, text))
        except (UnicodeDecodeError, csv.Error):
            raise UserError(f"{file}: is no text file", expected="text or CSV in UTF-8") from None
        if not entries:
            raise UserError(f"{file}: has no numbers", expected="one in each line")
        return cls(entries)

    @cached_property
    def _beginnings(self) -> dict[int, frozenset[str]]:
        """The beginnings of the numbers of each length."""
        beginnings: dict[int, set[str]] = {}
        for number in self.numbers:
            of_length = beginnings.setdefault(len(number), set())
            of_length.update(number[:end] for end in range(len(number) + 1))
        return {length: frozenset(each) for length, each in beginnings.items()}

    def start(self, length: int) -> str | None:
        """The beginning so far: empty, where the list has numbers of this length."""
        return "" if length in self._beginnings else None

    def step(self, state: str, character: str, left: int) -> str | None:
        """Rejects a beginning that no number of the length has."""
        longer = state + character
        return longer if longer in self._beginnings[len(longer) + left] else None

    def accepts(self, state: str) -> bool:
        """True: a whole number."""
        return True


def _lines(file: Path, text: str) -> Iterator[str]:
    """One number in each line; a head line without digits is left out."""
    for number, line in enumerate(text.splitlines(), 1):
        if number == 1 and not re.search("[0-9]", line):
            continue
        if any(delimiter in line for delimiter in DELIMITERS):
            hint = f"name the column: {file}:COLUMN"
            raise UserError(f"{file}, line {number}: has several columns", expected="one number", hint=hint)
        yield from _entry(file, number, line)


def _column(file: Path, text: str, column: str) -> Iterator[str]:
    """The entries of a column of a CSV file."""
    reader = csv.reader(StringIO(text), delimiter=max(DELIMITERS, key=text.partition("\n")[0].count))
    head = [name.strip() for name in next(reader, [])]
    if not head:
        raise UserError(f"{file}: is empty", expected="a CSV file with a head line")
    lookup(f"column of {file}", column, dict.fromkeys(head))
    index = head.index(column)
    for row in reader:
        if index < len(row):
            yield from _entry(file, reader.line_num, row[index])


def _entry(file: Path, number: int, text: str) -> Iterator[str]:
    cleaned = without_separators(text)
    if cleaned and not re.fullmatch("[0-9]+", cleaned):
        raise UserError(f"{file}, line {number}: {text.strip()[:40]!r}", expected="digits, which are all that is read")
    if cleaned:
        yield cleaned
