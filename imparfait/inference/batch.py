"""Predictions for image files and folders of them, in one process or in several."""

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from imparfait.core.compute import exit_with_parent, usable_cores
from imparfait.core.errors import UserError
from imparfait.data.images.decode import SUFFIXES, page_of
from imparfait.data.images.normalize import NormalizedImage, normalize, read_normalized
from imparfait.inference.image_workers.client import ImageWorkers
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import Prediction, Predictor

CHUNK_FILES = 64  # files decoded before the model runs on all of them
MANY_FILES = 1000  # from which on more processes are worth the second that each takes to start

KEPT_RESULTS = 1000  # for a drawing


@dataclass(frozen=True, eq=False)
class FileResult:
    """The prediction for one page of a file, or why the file could not be decoded."""

    file: str
    prediction: Prediction | None = None
    preprocessing: str = ""
    """How the image was normalised."""
    page: int | None = None
    """From 1, of a file with several."""
    error: str | None = None

    def to_json(self, model: str) -> dict[str, Any]:
        """One line of `predict --json`."""
        content: dict[str, Any] = {"file": self.file}
        if self.page:
            content["page"] = self.page
        if self.prediction:
            return {**content, "model": model, **self.prediction.to_json(), "preprocessing": self.preprocessing}
        return {**content, "model": model, "error": self.error}


def predict(
    source: bytes | str | Path | Image.Image | np.ndarray, model: str | Path | Predictor = "digits"
) -> list[Prediction]:
    """The prediction for each page of an image: a file, its bytes, Pillow's image, or an array.

    An array is [height, width], [height, width, 3] or [1 or 3, height, width], uint8 or floats in 0..1. `model` is as
    `load_predictor` takes it. Raises UserError for what is no image.
    """
    predictor = model if isinstance(model, Predictor) else load_predictor(str(model))
    if isinstance(source, Image.Image | np.ndarray):
        return predictor.predict([normalize(page_of(source), predictor.input_format)])
    return predictor.predict(list(read_normalized(source, predictor.input_format)))


def files_in(paths: Iterable[Path], suffixes: frozenset[str] = SUFFIXES) -> Iterator[str]:
    """The files, and in folders those with one of `suffixes`; in order, as strings. Raises UserError."""
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
                if os.path.splitext(name)[1].lower() in suffixes and not name.startswith("."):  # noqa: PTH122 - faster
                    found = True
                    yield os.path.join(folder, name)  # noqa: PTH118
        if not found:
            raise UserError(f"{path}: no images in there; expected files that end in {', '.join(sorted(suffixes))}")


def predict_files(files: Iterable[str], predictor: Predictor) -> Iterator[FileResult]:
    """The result for each page of each file, in order; images that are not small are decoded in an image worker."""
    waiting = iter(files)
    with ImageWorkers() as workers:
        while chunk := list(islice(waiting, CHUNK_FILES)):
            yield from _of_chunk(chunk, predictor, workers)


def predict_many(
    files: Iterable[str], model: str, processes: int | None = None, trust: bool = False
) -> Iterator[FileResult]:
    """As `predict_files`, in as many processes as there are cores, in order; memory does not grow with the files.

    Raises UserError when a process is killed.
    """
    workers = processes or usable_cores()
    context = multiprocessing.get_context("spawn")
    waiting = iter(files)
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, context, _begin, (model, trust))
    under_way: deque[Future[list[FileResult]]] = deque()
    try:
        for chunk in iter(lambda: list(islice(waiting, CHUNK_FILES)), []):
            under_way.append(pool.submit(_work, chunk))
            if len(under_way) > 4 * workers:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()
    except BrokenProcessPool as error:
        raise UserError("a process was killed, perhaps for lack of memory; give fewer or smaller images") from error
    except BaseException:  # Ctrl-C, or no more results are wanted: what is under way is not waited for
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class Batch:
    """Predictions for many files by one model, in several processes from MANY_FILES on; remembers what failed.

    `model` and `trust` are as `load_predictor` takes them.
    """

    def __init__(self, model: str, trust: bool = False) -> None:
        self.model, self.trust = model, trust
        self.predictor = load_predictor(model, trust=trust)
        self.failed: list[FileResult] = []
        self.first: list[FileResult] = []
        """The first KEPT_RESULTS, of images and of files that failed."""

    def predict(self, files: Sequence[str]) -> Iterator[FileResult]:
        """The result for each page of each file, in order."""
        in_one = len(files) < MANY_FILES
        results = predict_files(files, self.predictor) if in_one else predict_many(files, self.model, trust=self.trust)
        for result in results:
            if result.error is not None:
                self.failed.append(result)
            if len(self.first) < KEPT_RESULTS:
                self.first.append(result)
            yield result

    def to_json(self, result: FileResult) -> dict[str, Any]:
        """One line of `predict --json`."""
        return result.to_json(self.predictor.name)


def _of_chunk(files: list[str], predictor: Predictor, workers: ImageWorkers) -> list[FileResult]:
    results: list[FileResult] = []
    images: list[NormalizedImage] = []
    for file in files:
        pages: list[NormalizedImage] = []
        error = None
        try:
            pages.extend(workers.normalized(file, predictor.input_format))
        except UserError as problem:  # of one file among many; pages before a broken one are kept
            error = str(problem).removeprefix(f"{file}: ")
        several = len(pages) > 1 or bool(pages and error)
        for number, image in enumerate(pages, 1):
            results.append(FileResult(file, None, image.preprocessing, number if several else None))
        images += pages
        if error is not None:
            results.append(FileResult(file, error=error))
    predictions = iter(predictor.predict(images))
    return [result if result.error else replace(result, prediction=next(predictions)) for result in results]


_predictor: Predictor | None = None
_workers: ImageWorkers | None = None


def _begin(model: str, trust: bool) -> None:
    global _predictor, _workers
    exit_with_parent()
    _predictor, _workers = load_predictor(model, trust=trust), ImageWorkers()


def _work(files: list[str]) -> list[FileResult]:
    assert _predictor is not None
    assert _workers is not None
    return _of_chunk(files, _predictor, _workers)
