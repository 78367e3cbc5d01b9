"""The ledger of test accesses: a CSV file to which lines are only added, each with the hash of the one before."""

import csv
import hashlib
import io
from pathlib import Path

from imparfait.core.errors import UserError
from imparfait.core.storage import atomic_write, folder_lock

LEDGER = "TEST_LEDGER.csv"
COLUMNS = ("date", "test_images", "settings", "result", "chain")
BEGUN = "begun, no result yet"  # the first line of an access; its result is a second line with the same date

Row = tuple[str, str, str, str]
"""date, sha256 of the test images, hash of the settings, result."""


def ledger_for(out: Path) -> Path:
    """The ledger for results in the folder `out`: the one there, in a folder above or in `runs`; else a new one.

    So another `--out` of the same project does not begin to count again.
    """
    folders = (out, *out.resolve().parents, Path("runs"))
    return next((folder / LEDGER for folder in folders if (folder / LEDGER).is_file()), out / LEDGER)


def add(ledger: Path, row: Row) -> int:
    """Add a line, on disk when this returns; the number of accesses to the same images that were recorded before.

    Raises UserError where a line was changed, removed or put in, and adds nothing then.
    """
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with folder_lock(ledger.parent):
        rows = read(ledger)
        atomic_write(ledger, _encoded([*rows, row]))
    return _accesses(rows, row[1])


def count_accesses(ledger: Path, test_images: str) -> int:
    """How many accesses `ledger` records to the test images with this sha256."""
    return _accesses(read(ledger), test_images)


def read(ledger: Path) -> list[Row]:
    """The lines of a ledger, none where there is no file. Lines of before version 0.2 have no hash.

    Raises UserError where a line does not follow from those before it.
    """
    if not ledger.exists():
        return []
    found = list(csv.reader(io.StringIO(ledger.read_text(encoding="utf-8"), newline="")))[1:]
    rows: list[Row] = [(row[0], row[1], row[2], row[3]) for row in found if len(row) >= 4]
    for number, (row, chain) in enumerate(zip(found, _chains(rows), strict=False), 2):
        if row[4:] not in ([], [chain]):
            raise UserError(
                f"{ledger}: line {number} does not follow from the lines before it",
                expected="lines as imparfait has added them",
                hint="restore the file, such as from version control, or move it away and say so in the report",
            )
    return rows


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
