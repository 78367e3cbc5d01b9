"""Test images under seal, and the ledger of who opened them."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from imparfait.data.dataset import LabelledImages

LEDGER = "TEST_LEDGER.csv"  # beside the runs
COLUMNS = ("date", "test_pictures", "settings", "result")


@dataclass
class TestAccess:
    """Opened test images; `result` is what the ledger will say came of it."""

    images: LabelledImages
    earlier: int
    result: str = "no result"

    @property
    def times(self) -> int:
        """How often these images have now been opened here, this time included."""
        return self.earlier + 1


@dataclass(frozen=True)
class SealedTest:
    """A data set's test images. Nothing that trains or chooses accepts one; looking inside is written down."""

    name: str
    _read: Callable[[], LabelledImages] = field(repr=False)

    @contextmanager
    def open(self, ledger: Path, settings: str) -> Iterator[TestAccess]:
        """The test images, for one scoring of the classifier whose settings have the hash `settings`.

        On leaving, whatever happened inside, one line is added to the CSV file `ledger`.
        """
        images = self._read()
        mark = images.fingerprint()
        opening = TestAccess(images, earlier=count_accesses(ledger, mark))
        try:
            yield opening
        finally:
            ledger.parent.mkdir(parents=True, exist_ok=True)
            with ledger.open("a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                if file.tell() == 0:
                    writer.writerow(COLUMNS)
                writer.writerow([datetime.now(UTC).isoformat(timespec="seconds"), mark, settings, opening.result])


def count_accesses(ledger: Path, test_pictures: str) -> int:
    """How many lines of `ledger` are about the test images with this fingerprint."""
    if not ledger.exists():
        return 0
    with ledger.open(newline="", encoding="utf-8") as file:
        return sum(row["test_pictures"] == test_pictures for row in csv.DictReader(file))
