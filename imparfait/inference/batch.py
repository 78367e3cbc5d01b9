"""Predictions for image files and folders of them, in this process or on an executor."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.core.progress import ShowProgress, watch_with
from imparfait.data.images.decode import SUFFIXES, Page
from imparfait.data.images.normalize import NormalizedImage, normalize
from imparfait.data.images.sources import ImageSource, OneImage, images_of, name_of, pages_of
from imparfait.inference.file_results import FileResult, file_results
from imparfait.inference.image_workers.client import ImageWorkers
from imparfait.inference.loading import Model, as_predictor, load_predictor
from imparfait.inference.predict_jobs import PredictJob, PredictorSource, threads_of, versions_here
from imparfait.inference.predictions import Predictions
from imparfait.inference.predictor import Predictor
from imparfait.selection.executors import Executor, executor_named, run_in_order

CHUNK_FILES = 64  # files decoded before the model runs on all of them
MANY_FILES = 1000  # from which on more processes are worth the second that each takes to start

KEPT_RESULTS = 1000  # for a drawing


def predict(source: ImageSource, model: Model = "digits", *, progress: ShowProgress = False) -> Predictions:
    """The prediction for each page of an image, or of several: a list, with `to_frame()` and `plot()`.

    An image is a path, bytes, an open file, Pillow's image or an array: [height, width], [height, width, 1, 3 or 4] or
    [1 or 3, height, width], uint8 0..255, boolean, or floats in 0..1. Several are a list, or an array
    [n, channels, height, width]. `model` is a pretrained model's name, an .onnx file that imparfait exported, a run
    folder, a Predictor, or a model of `open_model`. `progress` True draws a bar over the images; a function is
    called with how many are done and the total. Raises UserError for what is no image.

    >>> import numpy as np
    >>> seven = np.full((28, 28), 255, np.uint8)
    >>> seven[5:8, 6:20] = seven[8:24, 15:18] = 0
    >>> imparfait.predict(seven)[0].label
    '7'
    >>> [each.confident for each in imparfait.predict([seven, 255 - seven])]
    [True, True]
    """
    predictor = as_predictor(model)
    images, several = images_of(source)
    found, names, waiting = [], [], list[NormalizedImage]()
    for number, image in enumerate(watch_with(progress, "predicting")(images, len(images))):
        pages = [normalize(page, predictor.input_format) for page in _pages(image, number if several else None)]
        name = name_of(image) or str(number)
        names += [name] if len(pages) == 1 else [f"{name}, page {page}" for page in range(1, len(pages) + 1)]
        waiting += pages
        if len(waiting) >= CHUNK_FILES:
            found += predictor.predict(waiting)
            waiting = []
    return Predictions([*found, *predictor.predict(waiting)], names)


def _pages(image: OneImage, number: int | None) -> Iterator[Page]:
    """The pages of an image; an error says which of several without a name it is."""
    try:
        yield from pages_of(image)
    except UserError as error:
        if number is None or name_of(image):
            raise
        raise UserError(
            f"image {number} of the list: {error.received}", expected=error.expected, hint=error.hint
        ) from error


def files_in(paths: Iterable[Path], suffixes: frozenset[str] = SUFFIXES) -> Iterator[str]:
    """The files, and in folders those with one of `suffixes`; in order, as strings. Raises UserError."""
    for path in paths:
        if not path.is_dir():
            if not path.exists():
                if path.parts[0] in ("http:", "https:"):
                    address = str(path).replace(":/", "://", 1)
                    raise UserError(f"{address}: is an address", hint="download the image, and name its file")
                raise UserError(f"{path}: there is no such file", expected="images, or folders with images")
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
            raise UserError(f"{path}: no images in there", expected=f"files that end in {', '.join(sorted(suffixes))}")


def predict_files(files: Iterable[str], predictor: Predictor) -> Iterator[FileResult]:
    """The result for each page of each file, in order; images that are not small are decoded in an image worker."""
    waiting = iter(files)
    with ImageWorkers() as workers:
        while chunk := list(islice(waiting, CHUNK_FILES)):
            yield from file_results(chunk, predictor, workers)


def predict_on(
    executor: Executor, files: Iterable[str], source: PredictorSource, threads: int = 1
) -> Generator[FileResult, None, None]:
    """As `predict_files`, where `executor` runs jobs of CHUNK_FILES files on `threads` threads; in order.

    Memory does not grow with the files. The chunk of a worker that is killed is predicted again. Raises UserError
    where the model fails, or other versions predict elsewhere.
    """
    compute, waiting = ComputeConfig(threads=threads), iter(files)

    def jobs() -> Iterator[PredictJob]:
        for number in count():
            if not (chunk := tuple(islice(waiting, CHUNK_FILES))):
                return
            yield PredictJob(number, source.sha256, chunk, compute)

    for _, found in run_in_order(jobs(), source, executor):
        yield from found.checked(versions_here(source.is_run))


class Batch:
    """Predictions for many files by one model; remembers what failed.

    `model` and `trust` are as `load_predictor` takes them. Without an `executor` it predicts in this process, and from
    MANY_FILES files on in several. `threads` are those of each job, by default 1; in this process PyTorch then has all.
    """

    def __init__(
        self, model: str, trust: bool = False, *, executor: Executor | None = None, threads: int | None = None
    ) -> None:
        self.predictor = load_predictor(model, threads or 1, trust)
        self.model, self.trust, self.executor, self.threads = model, trust, executor, threads
        self.failed: list[FileResult] = []
        self.first: list[FileResult] = []
        """The first KEPT_RESULTS, of images and of files that failed."""

    def predict(self, files: Sequence[str]) -> Generator[FileResult, None, None]:
        """The result for each page of each file, in order."""
        for result in self._results(files):
            if result.error is not None:
                self.failed.append(result)
            if len(self.first) < KEPT_RESULTS:
                self.first.append(result)
            yield result

    def _results(self, files: Sequence[str]) -> Iterator[FileResult]:
        executor = self.executor
        if executor is None and len(files) >= MANY_FILES:
            executor = executor_named(threads=self.threads or 1)
        if executor is None or executor.name == "serial":
            with threads_of(self.model, self.threads):
                yield from predict_files(files, self.predictor)
        else:
            yield from predict_on(executor, files, PredictorSource.of(self.model, self.trust), self.threads or 1)

    def to_json(self, result: FileResult) -> dict[str, Any]:
        """One line of `predict --json`."""
        return result.to_json(self.predictor.name)
