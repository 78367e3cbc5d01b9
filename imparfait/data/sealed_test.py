"""The sealed test set: every access is recorded in a ledger."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from imparfait.data import test_ledger
from imparfait.data.dataset import LabelledImages


@dataclass
class TestAccess:
    """One access to the test set; `result` is what the ledger records of it."""

    images: LabelledImages
    earlier: int
    ledger: Path
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

        Before the block begins, a line is on disk in the CSV file `ledger`; on leaving it, even by an error, a second
        line has the result. A process that is killed in between leaves the first alone. Raises UserError for a ledger
        whose lines were changed.
        """
        images = self._read()
        begun = (datetime.now(UTC).isoformat(timespec="microseconds"), images.fingerprint(), settings)
        access = TestAccess(images, test_ledger.add(ledger, (*begun, test_ledger.BEGUN)), ledger)
        try:
            yield access
        finally:
            test_ledger.add(ledger, (*begun, access.result))

    def read_again(self) -> LabelledImages:
        """The images of an access that the ledger records, to draw the report of its scores."""
        return self._read()
