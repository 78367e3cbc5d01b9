"""Client of the image workers: untrusted images are decoded and read in child processes that end at their limits."""

# A small image of a common format is decoded in the calling process: it takes milliseconds and little memory, whatever
# it holds. All others go to a worker: a child process with a limit of memory, of processor time per file and of
# wall-clock time, without files, network and programs (Linux). A worker that reaches a limit is killed, and another
# is forked from a process that has imported everything, which takes some milliseconds. On Windows all is decoded in
# the calling process.

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.types import Pixels, Probabilities
from imparfait.data.images.decode import Page, read_content, read_pages
from imparfait.data.images.input_format import InputFormat
from imparfait.data.images.limits import FAST_FORMATS, LimitError, Limits, format_of
from imparfait.data.images.normalize import NormalizedImage, read_normalized
from imparfait.data.images.pdf import read_document
from imparfait.evaluation.external.sandbox.client import SandboxLimits, SandboxServer
from imparfait.inference.image_workers.tensors import parse_request
from imparfait.inference.image_workers.worker import Worker, WorkerLimits, too_much_memory
from imparfait.inference.predictor import Predictor

if TYPE_CHECKING:  # imported late: classifying needs no OCR
    from imparfait.inference.ocr import Reading
    from imparfait.inference.ocr.constraints import Constraint

PROGRAM = "imparfait.inference.image_workers.program"
ISOLATED = os.name == "posix"
PACKAGE = str(Path(__file__).parents[2])
CPU_SECONDS_OF_A_WORKER = 3600  # a limit of the system besides the exact one of WorkerLimits
SMALL_BYTES = 1 << 16  # a drawing has 2,000, a photo a million
SMALL = Limits(bytes=SMALL_BYTES, pixels=1 << 18, side=4096, pages=1, scanned=1 << 21)
"""Limits of an image that is decoded in the calling process, besides FAST_FORMATS."""


class ImageWorkers:
    """A worker for each file that needs one, at most `count` at once; `close` or a `with` block ends them."""

    def __init__(self, count: int = 1, limits: WorkerLimits | None = None) -> None:
        self.limits = limits or WorkerLimits()
        self._places = threading.Semaphore(count)
        self._server: SandboxServer | None = None
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> "ImageWorkers":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the process that workers are forked from; otherwise the first image waits for it.

        A failure is reported with the first image.
        """
        with contextlib.suppress(UserError):
            self._forker()

    def normalized(
        self, source: bytes | str | Path, form: InputFormat, name: str | None = None, limits: Limits | None = None
    ) -> Iterator[NormalizedImage]:
        """As `read_normalized`, within the limits."""
        content, name, limits = _opened(source, name, limits)
        if not ISOLATED:
            yield from read_normalized(content, form, name, limits)
        elif (small := small_normalized(content, form, name, limits)) is not None:
            yield small
        else:
            yield from self._run("normalize", content, name, limits, form=form.model_dump())

    def pages(
        self, source: bytes | str | Path, name: str | None = None, limits: Limits | None = None, pdf: bool = True
    ) -> Iterator[Page]:
        """As `read_document`, within the limits; without `pdf` as `read_pages`."""
        content, name, limits = _opened(source, name, limits)
        if ISOLATED:
            yield from self._run("pages", content, name, limits, pdf=pdf)
        else:
            yield from (read_document if pdf else read_pages)(content, name, limits)

    def tensor(self, content: bytes, shape: tuple[int, int, int], name: str) -> tuple[str | None, Pixels]:
        """As `parse_request`, within the limits where the content is not small."""
        if not ISOLATED or len(content) <= SMALL_BYTES:
            return parse_request(content, shape)
        (found,) = self._run("tensor", content, name, Limits(), shape=[*shape])
        return found[0], found[1]

    def readings(
        self,
        source: bytes | str | Path,
        predictor: Predictor,
        name: str | None = None,
        limits: Limits | None = None,
        constraints: "Sequence[Constraint]" = (),
    ) -> "Iterator[tuple[Page, Reading]]":
        """As `imparfait.inference.ocr.read_file`, within the limits; the predictor runs in this process."""
        from imparfait.inference.ocr import constrained_reading
        from imparfait.inference.ocr.constraints import Pattern, check_possible

        check_possible(constraints, predictor.classes)
        content, name, limits = _opened(source, name, limits)
        join = any(isinstance(each, Pattern) for each in constraints)
        for page, reading in self._read(content, predictor, name, limits, join, with_pages=True, pdf=True):
            yield page, constrained_reading(reading, constraints)

    def readings_json(
        self, content: bytes, predictor: Predictor, name: str, limits: Limits, with_inputs: bool = False
    ) -> Iterator[tuple[dict[str, Any], list[Pixels]]]:
        """The digits on each page of an image file, as `Reading.to_json` gives them.

        `with_inputs`: with the model's input for each digit, [1, channels, height, width]; else with an empty list.
        """
        yield from self._read(
            content, predictor, name, limits, join=False, with_pages=False, pdf=False, with_inputs=with_inputs
        )

    def _read(
        self,
        content: bytes,
        predictor: Predictor,
        name: str,
        limits: Limits,
        join: bool,
        with_pages: bool,
        pdf: bool,
        with_inputs: bool = False,
    ) -> Iterator[Any]:
        if not ISOLATED:
            from imparfait.inference.image_workers.program import inputs_of
            from imparfait.inference.ocr import read_page

            for page in (read_document if pdf else read_pages)(content, name, limits):
                reading = read_page(page, predictor, join_separators=join)
                inputs = inputs_of(reading) if with_inputs else []
                yield (page, reading) if with_pages else (reading.to_json(), inputs)
            return
        job = {
            "model": predictor.name, "classes": [*predictor.classes], "form": predictor.input_format.model_dump(),
            "join_separators": join, "with_pages": with_pages, "with_inputs": with_inputs,
            "pdf": pdf,
        }  # fmt: skip
        yield from self._run("read", content, name, limits, predictor.predict_proba, **job)

    def _run(
        self,
        kind: str,
        content: bytes,
        name: str,
        limits: Limits,
        predict: Callable[[Pixels], Probabilities] | None = None,
        **job: Any,
    ) -> Iterator[Any]:
        if 2 * len(content) > self.limits.memory_bytes:  # it is there twice before it is decoded
            raise too_much_memory(name, self.limits)
        job |= {"name": name, "limits": asdict(limits), "content": np.frombuffer(content, np.uint8)}
        with self._worker() as worker:
            yield from worker.run(kind, job, name, predict)

    @contextmanager
    def _worker(self) -> "Iterator[Worker]":
        """A new worker: no file meets what another has left in memory."""
        with self._places:
            worker = Worker(*self._forker().start(PACKAGE, _sandbox_limits(self.limits)), self.limits)
            try:
                yield worker
            finally:
                worker.end()

    def _forker(self) -> SandboxServer:
        with self._lock:
            if self._closed:
                raise UserError("the image workers have ended")
            if self._server is None or not self._server.is_open:
                self._server = SandboxServer(PROGRAM)
            return self._server

    def close(self) -> None:
        """End all workers, also those at work."""
        with self._lock:  # not while their server starts
            self._closed = True
            if self._server is not None:
                self._server.kill()


def small_normalized(content: bytes, form: InputFormat, name: str, limits: Limits) -> NormalizedImage | None:
    """The image, where it is small and of a common format, so that it can be decoded in this process; else None."""
    if len(content) > SMALL_BYTES or format_of(content, name) not in FAST_FORMATS:
        return None
    least = replace(SMALL, pixels=min(SMALL.pixels, limits.pixels))
    try:
        (image,) = read_normalized(content, form, name, least)
    except UserError as error:
        if isinstance(error.__cause__, LimitError):  # by the limits of small images, or by the file's
            return None
        raise
    return image


def _opened(source: bytes | str | Path, name: str | None, limits: Limits | None) -> tuple[bytes, str, Limits]:
    limits = limits or Limits()
    content = source if isinstance(source, bytes) else read_content(source, limits)
    return content, name or ("the image" if isinstance(source, bytes) else str(source)), limits


def _sandbox_limits(limits: WorkerLimits) -> SandboxLimits:
    return SandboxLimits(limits.memory_bytes, limits.seconds, CPU_SECONDS_OF_A_WORKER)
