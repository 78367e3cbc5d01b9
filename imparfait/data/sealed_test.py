"""The sealed test set: every access is recorded in a ledger."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from imparfait.core.storage import atomic_write, folder_lock
from imparfait.data.dataset import LabelledImages

LEDGER = "TEST_LEDGER.csv"  # in the folder of the runs
COLUMNS = ("date", "test_images", "settings", "result")
BEGUN = "begun, no result yet"  # of an access under way, or whose process was killed


@dataclass
class TestAccess:
    """One access to the test set; `result` is what the ledger records of it."""

    images: LabelledImages
    earlier: int
    result: str = "no result"

    @property
    def times(self) -> int:
        """How many accesses to these images the ledger records, this one included."""
        return self.earlier + 1


@dataclass(frozen=True)
class SealedTest:
    """A data set's test images. Nothing that trains or selects accepts one; every access is recorded."""

    name: str
    _read: Callable[[], LabelledImages] = field(repr=False)

    @contextmanager
    def open(self, ledger: Path, settings: str) -> Iterator[TestAccess]:
        """The test images, for one evaluation of the classifier whose settings have the hash `settings`.

        Before the block begins, a line is on disk in the CSV file `ledger`; on leaving it, even by an error, the line
        gets its result. A process that is killed in between leaves the line with the result BEGUN.
        """
        images = self._read()
        sha256 = images.fingerprint()
        ledger.parent.mkdir(parents=True, exist_ok=True)
        row = [datetime.now(UTC).isoformat(timespec="microseconds"), sha256, settings, BEGUN]
        with folder_lock(ledger.parent):
            earlier = count_accesses(ledger, sha256)
            _write(ledger, [*_rows(ledger), row])
        access = TestAccess(images, earlier)
        try:
            yield access
        finally:
            with folder_lock(ledger.parent):
                _write(ledger, [[*row[:-1], access.result] if known == row else known for known in _rows(ledger)])

    def read_again(self) -> LabelledImages:
        """The images of an access that the ledger records, to draw the report of its scores."""
        return self._read()


def count_accesses(ledger: Path, test_images: str) -> int:
    """How many accesses `ledger` records to the test images with this sha256."""
    return sum(test_images in row[1:2] for row in _rows(ledger))


def _rows(ledger: Path) -> list[list[str]]:
    """Without the headings."""
    if not ledger.exists():
        return []
    return list(csv.reader(io.StringIO(ledger.read_text(encoding="utf-8"), newline="")))[1:]


def _write(ledger: Path, rows: list[list[str]]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([COLUMNS, *rows])
    atomic_write(ledger, buffer.getvalue().encode())
