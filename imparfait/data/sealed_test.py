"""The sealed test set: every access is recorded in a ledger."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from imparfait.data.dataset import LabelledImages

LEDGER = "TEST_LEDGER.csv"  # in the folder of the runs
COLUMNS = ("date", "test_images", "settings", "result")


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

        On leaving the block, even by an error, a line is added to the CSV file `ledger`.
        """
        images = self._read()
        sha256 = images.fingerprint()
        access = TestAccess(images, earlier=count_accesses(ledger, sha256))
        try:
            yield access
        finally:
            ledger.parent.mkdir(parents=True, exist_ok=True)
            with ledger.open("a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                if file.tell() == 0:
                    writer.writerow(COLUMNS)
                writer.writerow([datetime.now(UTC).isoformat(timespec="seconds"), sha256, settings, access.result])


def count_accesses(ledger: Path, test_images: str) -> int:
    """How many accesses `ledger` records to the test images with this sha256."""
    if not ledger.exists():
        return 0
    with ledger.open(newline="", encoding="utf-8") as file:
        return sum(row["test_images"] == test_images for row in csv.DictReader(file))
