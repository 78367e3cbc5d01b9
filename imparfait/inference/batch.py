"""Image files to answers: one, or as many as a folder has."""

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from imparfait.core.compute import exit_with_parent, usable_cores
from imparfait.core.errors import UserError
from imparfait.data.images.normalize import NormalizedImage, decode
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import Prediction, Predictor

KINDS = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"))
CHUNK = 64  # files decoded before they are asked together
MANY = 1000  # files from which more than one process is worth the second that it takes to start


@dataclass(frozen=True, eq=False)
class FileResult:
    """A page of a file and what is said of it, or why the file could not be read."""

    file: str
    answer: Prediction | None = None
    said: str = ""
    """What was done to the image."""
    page: int | None = None
    """From 1, of a file with several."""
    error: str | None = None

    def to_json(self, model: str) -> dict[str, Any]:
        """One line of `predict --json`."""
        told: dict[str, Any] = {"file": self.file}
        if self.page:
            told["page"] = self.page
        if self.answer:
            return {**told, "model": model, **self.answer.to_json(), "said": self.said}
        return {**told, "model": model, "error": self.error}


def predict(source: bytes | str | Path, model: str | Predictor = "digits") -> list[Prediction]:
    """What a classifier says of each page of an image: PNG, JPEG, BMP, GIF, WebP or TIFF, as a file or its bytes.

    `model` is as `load_predictor` takes it. Raises UserError for a file that is no image.
    """
    ready = load_predictor(model) if isinstance(model, str) else model
    return ready.answers(list(decode(source, ready.frame)))


def files_in(paths: Iterable[Path]) -> Iterator[str]:
    """The files, and those in the folders that look like images; in order, as strings. Raises UserError."""
    for path in paths:
        if not path.is_dir():
            if not path.exists():
                raise UserError(f"{path}: there is no such file; expected images, or folders with images")
            yield str(path)
            continue
        found = False
        for folder, inner, files in os.walk(path):
            inner.sort()
            for name in sorted(files):
                if os.path.splitext(name)[1].lower() in KINDS and not name.startswith("."):  # noqa: PTH122 - faster
                    found = True
                    yield os.path.join(folder, name)  # noqa: PTH118
        if not found:
            raise UserError(f"{path}: no images in there; expected files that end in {', '.join(sorted(KINDS))}")


def predict_files(files: Iterable[str], ready: Predictor) -> Iterator[FileResult]:
    """What `ready` says of each file, in order, in this process."""
    waiting = iter(files)
    while chunk := list(islice(waiting, CHUNK)):
        yield from _of_chunk(chunk, ready)


def predict_many(files: Iterable[str], model: str, processes: int | None = None) -> Iterator[FileResult]:
    """As `predict_files`, in as many processes as there are cores, in order; memory does not grow with the files.

    Raises UserError when a process is killed.
    """
    workers = processes or usable_cores()
    context = multiprocessing.get_context("spawn")
    waiting = iter(files)
    with ProcessPoolExecutor(workers, context, _begin, (model,)) as pool:
        under_way: deque[Future[list[FileResult]]] = deque()
        try:
            for chunk in iter(lambda: list(islice(waiting, CHUNK)), []):
                under_way.append(pool.submit(_work, chunk))
                if len(under_way) > 4 * workers:
                    yield from under_way.popleft().result()
            while under_way:
                yield from under_way.popleft().result()
        except BrokenProcessPool as error:
            raise UserError("a process was killed, perhaps for lack of memory; give fewer or smaller images") from error
        finally:
            for future in under_way:
                future.cancel()


def _of_chunk(files: list[str], ready: Predictor) -> list[FileResult]:
    pages: list[FileResult | tuple[FileResult, NormalizedImage]] = []
    for file in files:
        found: list[NormalizedImage] = []
        error = None
        try:
            found.extend(decode(file, ready.frame))
        except UserError as problem:  # of one file among many; pages before a broken one are told
            error = str(problem)
        several = len(found) > 1 or bool(found and error)
        for number, decoded in enumerate(found, 1):
            said = FileResult(file, None, decoded.said, number if several else None)
            pages.append((said, decoded))
        if error is not None:
            pages.append(FileResult(file, error=error.removeprefix(f"{file}: ")))
    answers = iter(ready.answers([page[1] for page in pages if isinstance(page, tuple)]))
    return [replace(page[0], answer=next(answers)) if isinstance(page, tuple) else page for page in pages]


_ready: Predictor | None = None


def _begin(model: str) -> None:
    global _ready
    exit_with_parent()
    _ready = load_predictor(model)


def _work(files: list[str]) -> list[FileResult]:
    assert _ready is not None
    return _of_chunk(files, _ready)
