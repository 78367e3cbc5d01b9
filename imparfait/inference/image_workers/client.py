"""Client of the image workers: untrusted images are decoded and read in child processes that end at their limits."""

# A small image of a common format is decoded in the calling process: it takes milliseconds and little memory, whatever
# it holds. All others go to a worker: a child process with a limit of memory, of processor time per file and of
# wall-clock time, without files, network and programs (Linux). A worker that reaches a limit is killed, and another
# is forked from a process that has imported everything, which takes some milliseconds. On Windows all is decoded in
# the calling process.

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.types import Pixels, Probabilities
from imparfait.data.images.decode import Page, read_content, read_pages
from imparfait.data.images.input_format import InputFormat
from imparfait.data.images.limits import FAST_FORMATS, LimitError, Limits, TooLargeError, format_of
from imparfait.data.images.normalize import NormalizedImage, read_normalized
from imparfait.data.images.pdf import read_document
from imparfait.evaluation.external.sandbox.client import SandboxLimits, SandboxServer, printable_line
from imparfait.evaluation.external.sandbox.protocol import ProtocolError
from imparfait.inference.image_workers import transfer
from imparfait.inference.predictor import Predictor

if TYPE_CHECKING:  # imported late: classifying needs no OCR
    from imparfait.inference.ocr import Reading
    from imparfait.inference.ocr.constraints import Constraint

PROGRAM = "imparfait.inference.image_workers.program"
ISOLATED = os.name == "posix"
PACKAGE = str(Path(__file__).parents[2])
CPU_SECONDS_OF_A_WORKER = 3600  # a limit of the system besides the exact one of WorkerLimits
SMALL_BYTES = 1 << 16  # a drawing has 2,000, a photo a million
SMALL = Limits(bytes=SMALL_BYTES, pixels=1 << 18, side=4096, pages=1, scanned=1 << 22)
"""Limits of an image that is decoded in the calling process, besides FAST_FORMATS."""


@dataclass(frozen=True)
class WorkerLimits:
    """What the work on one image file may use."""

    cpu_seconds: float = 20.0
    seconds: float = 120.0
    """Wall-clock time; where the computer is busy, processor time takes longer."""
    memory_bytes: int = 300 << 20
    """In addition to what the program uses."""
    of_each_page: bool = True
    """Whether the limits of time hold for each page of a file, not for the whole file."""


class WorkLimitError(UserError):
    """The work on an image has reached a limit of memory or time."""


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
        self, source: bytes | str | Path, name: str | None = None, limits: Limits | None = None
    ) -> Iterator[Page]:
        """As `read_document`, within the limits."""
        content, name, limits = _opened(source, name, limits)
        if ISOLATED:
            yield from self._run("pages", content, name, limits, pdf=True)
        else:
            yield from read_document(content, name, limits)

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
        self, content: bytes, predictor: Predictor, name: str, limits: Limits
    ) -> Iterator[dict[str, Any]]:
        """The digits on each page of an image file, as `Reading.to_json` gives them."""
        yield from self._read(content, predictor, name, limits, join=False, with_pages=False, pdf=False)

    def _read(
        self, content: bytes, predictor: Predictor, name: str, limits: Limits, join: bool, with_pages: bool, pdf: bool
    ) -> Iterator[Any]:
        if not ISOLATED:
            from imparfait.inference.ocr import read_page

            for page in (read_document if pdf else read_pages)(content, name, limits):
                reading = read_page(page, predictor, join_separators=join)
                yield (page, reading) if with_pages else reading.to_json()
            return
        job = {
            "model": predictor.name, "classes": [*predictor.classes], "form": predictor.input_format.model_dump(),
            "join_separators": join, "with_pages": with_pages, "pdf": pdf,
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
        job |= {"name": name, "limits": asdict(limits), "content": np.frombuffer(content, np.uint8)}
        with self._worker() as worker:
            yield from worker.run(kind, job, name, predict)

    @contextmanager
    def _worker(self) -> "Iterator[_Worker]":
        """A new worker: no file meets what another has left in memory."""
        with self._places:
            worker = _Worker(*self._forker().start(PACKAGE, _sandbox_limits(self.limits)), self.limits)
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

    @property
    def is_running(self) -> bool:
        """Whether workers can be started at once."""
        server = self._server
        return server is not None and server.is_open

    def close(self) -> None:
        """End all workers, also those at work."""
        with self._lock:  # not while their server starts
            self._closed = True
            if self._server is not None:
                self._server.kill()


class _Worker:
    """One child process, which works on one file."""

    def __init__(self, channel: socket.socket, end: Callable[[], int], limits: WorkerLimits) -> None:
        self._channel, self._end, self._limits = channel, end, limits
        self._is_open = True

    def run(
        self, kind: str, job: dict[str, Any], name: str, predict: Callable[[Pixels], Probabilities] | None
    ) -> Iterator[Any]:
        """The parts of the job's result; raises UserError for a file that is refused or reaches a limit."""
        limits = self._limits
        deadline, predicting = time.monotonic() + limits.seconds, 0.0
        job |= {"cpu_seconds": limits.cpu_seconds, "of_each_page": limits.of_each_page}
        try:
            transfer.send(self._channel, kind, job, deadline)
            while (answer := transfer.receive(self._channel, deadline))[0] in (transfer.PART, transfer.PREDICT):
                if answer[0] == transfer.PART:
                    yield answer[1]
                    if limits.of_each_page:
                        deadline, predicting = time.monotonic() + limits.seconds, 0.0
                elif predict:
                    start = time.thread_time()
                    probabilities = predict(answer[1])
                    predicting += time.thread_time() - start
                    if predicting > limits.cpu_seconds:
                        raise self._too_long(name)
                    transfer.send(self._channel, transfer.PROBABILITIES, probabilities, deadline)
        except TimeoutError:
            raise WorkLimitError(
                f"{name}: takes longer than {limits.seconds:g} s", hint="give a smaller image"
            ) from None
        except ProtocolError as error:
            raise UserError(f"{name}: makes its process send nonsense", hint="do not trust it") from error
        except (EOFError, OSError) as error:
            raise self._ended(name) from error
        self._check(name, *answer)

    def _check(self, name: str, kind: str, value: Any) -> None:
        """Raises UserError where a job did not end as it should."""
        if kind == transfer.REFUSED:
            received, expected, hint, too_large = value
            error = UserError(received, expected=expected, hint=hint)
            raise error from (TooLargeError(received) if too_large else None)
        if kind == transfer.OUT_OF_MEMORY:
            most = self._limits.memory_bytes >> 20
            raise WorkLimitError(
                f"{name}: needs more than {most} MiB of memory", hint="give a smaller image, or a JPEG"
            )
        if kind != transfer.DONE:
            raise UserError(f"{name}: cannot be decoded ({printable_line(str(value))})", hint="save it as PNG")

    def _too_long(self, name: str) -> WorkLimitError:
        seconds = self._limits.cpu_seconds
        return WorkLimitError(f"{name}: takes more than {seconds:g} s of processor time", hint="give a smaller image")

    def _ended(self, name: str) -> UserError:
        """Why a process is gone."""
        status = self.end()
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if number in (signal.SIGPROF, signal.SIGXCPU):
            return self._too_long(name)
        return UserError(f"{name}: ends its process (signal {number})", hint="save it as PNG")

    def end(self) -> int:
        """Kill the process; its wait status."""
        if not self._is_open:
            return 0
        self._is_open = False
        self._channel.close()
        with contextlib.suppress(UserError):  # the forking process has ended, and its children with it
            return self._end()
        return 0


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
