"""The ledger of test accesses: a CSV file to which lines are only added, each with the hash of the one before."""

import csv
import hashlib
import io
import os
from itertools import zip_longest
from pathlib import Path

from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.core.storage import atomic_write, folder_lock, read_regular

LEDGER = "TEST_LEDGER.csv"
COLUMNS = ("date", "test_images", "settings", "result", "chain")
MAX_BYTES = 64 << 20  # a line has about 300
RESTORE = "restore the file, such as from version control, or move it away and say so in the report"
BEGUN = "begun, no result yet"  # the first line of an access; its result is a second line with the same date

Row = tuple[str, str, str, str]
"""date, sha256 of the test images, hash of the settings, result."""


def ledger_for(out: Path, *models: Path) -> Path:
    """The ledger for results in the folder `out`: the one there, in a folder above it or above `models`, or in `runs`.

    A new one in `out` where there is none. So another `--out` or another working directory does not begin to count
    again.
    """
    above = (folder for each in (out, *models) for folder in (each, *each.resolve().parents))
    return next((folder / LEDGER for folder in (*above, Path("runs")) if (folder / LEDGER).exists()), out / LEDGER)


def add(ledger: Path, row: Row) -> int:
    """Add a line, on disk when this returns; the number of accesses to the same images that were recorded before.

    Raises UserError where a line was changed, removed or put in, and adds nothing then. A ledger of before version 0.2
    gets its hashes, and a line that says so.
    """
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with folder_lock(ledger.parent):
        rows, chained = _read(ledger)
        if rows and not chained:
            rows.append((row[0], "", "", f"the {counted(len(rows), 'line')} above had no hashes until now"))
        atomic_write(ledger, _encoded([*rows, row]))
    return _accesses(rows, row[1])


def count_accesses(ledger: Path, test_images: str) -> int:
    """How many accesses `ledger` records to the test images with this sha256."""
    return _accesses(read(ledger), test_images)


def read(ledger: Path) -> list[Row]:
    """The lines of a ledger, none where there is no file. Lines of before version 0.2 have no hash.

    Raises UserError where a line does not follow from those before it, and for what is no ledger.
    """
    return _read(ledger)[0]


def _read(ledger: Path) -> tuple[list[Row], bool]:
    """The lines, and whether they have hashes: all have, or none."""
    if not os.path.lexists(ledger):
        return [], True
    content = read_regular(ledger, MAX_BYTES, "the ledger of test accesses", RESTORE)
    try:
        head, *found = list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{ledger}: no ledger of test accesses ({error})", hint=RESTORE) from error
    chained = head == list(COLUMNS)
    if not chained and head != list(COLUMNS[:-1]):
        raise UserError(f"{ledger}: its first line names no columns of a ledger", hint=RESTORE)
    rows: list[Row] = [(row[0], row[1], row[2], row[3]) for row in found if len(row) >= 4]
    for number, (row, chain) in enumerate(zip_longest(found, _chains(rows)), 2):
        if row is None or len(row) != len(head) or (chained and row[4] != chain):
            raise UserError(
                f"{ledger}: line {number} does not follow from the lines before it",
                expected="lines as imparfait has added them",
                hint=RESTORE,
            )
    return rows, chained


def _accesses(rows: list[Row], test_images: str) -> int:
    return len({row[:3] for row in rows if row[1] == test_images})


def _encoded(rows: list[Row]) -> bytes:
    buffer = io.StringIO()
    chained = [(*row, chain) for row, chain in zip(rows, _chains(rows), strict=True)]
    csv.writer(buffer, lineterminator="\n").writerows([COLUMNS, *chained])
    return buffer.getvalue().encode()


def _chains(rows: list[Row]) -> list[str]:
    """Of each line the sha256 of the hash before it and its own fields."""
    chains, last = [], ""
    for row in rows:
        last = hashlib.sha256("\x1f".join((last, *row)).encode()).hexdigest()
        chains.append(last)
    return chains
