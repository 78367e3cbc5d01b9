"""Forms in many files: read one after the other, resumed where an earlier run stopped."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imparfait.core.errors import UserError
from imparfait.data.images.decode import Page
from imparfait.inference.forms import FormReading, read_form
from imparfait.inference.forms.fields_file import Form
from imparfait.inference.forms.readings_file import PageRecord, ReadingsFile, page_record, pages_left, stamp_of
from imparfait.inference.image_workers.client import ImageWorkers
from imparfait.inference.predictor import Predictor


@dataclass(frozen=True, eq=False)
class FormResult:
    """A page of a file that was read, or why the rest of the file could not be."""

    file: str
    finished: int
    """Files that are done, with those of earlier runs."""
    page: Page | None = None
    reading: FormReading | None = None
    error: str | None = None

    def to_json(self, model: str) -> dict[str, Any]:
        """One line of `read --fields --json`."""
        if not self.page or not self.reading:
            return {"file": self.file, "model": model, "error": self.error}
        height, width = self.reading.size
        number = {"page": self.page.number} if self.page.pages > 1 else {}
        return {
            "file": self.file, **number, "model": model, "width": width, "height": height, **self.reading.to_json(),
        }  # fmt: skip


def read_forms(
    files: Sequence[str], form: Form, predictor: Predictor, store: ReadingsFile | None = None
) -> Iterator[FormResult]:
    """The pages of each file that `store` does not have yet; each is in there when it is yielded.

    Leaving the loop loses nothing. A file that has changed since is read again.
    """
    waiting = pages_left(store.readings, files) if store else list(files)
    before = len(files) - len(waiting)
    with ImageWorkers() as workers:
        for number, file in enumerate(waiting, before):
            try:
                for page, reading in _pages(file, form, predictor, store, workers):
                    yield FormResult(file, number, page, reading)
            except UserError as error:  # of one file among many; its earlier pages are kept
                yield FormResult(file, number, error=str(error).removeprefix(f"{file}: "))


def _pages(
    file: str, form: Form, predictor: Predictor, store: ReadingsFile | None, workers: ImageWorkers
) -> Iterator[tuple[Page, FormReading]]:
    """The pages of a file that are not in `store`."""
    path = Path(file)
    stamp = stamp_of(path)
    readings = store.readings if store else None
    key = str(path.absolute())
    same = readings is not None and readings.stamps.get(key) == stamp
    for page in workers.pages(file):
        if same and readings and (key, page.number) in readings.pages:
            continue
        reading = read_form(page, form, predictor)
        if store:
            store.add(page_record(file, stamp, page, reading))
        yield page, reading
    if store:
        store.add(PageRecord(path=key, file=file, stamp=stamp))
