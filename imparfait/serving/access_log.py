"""The access log: a line of JSON for each request, with statistics of its images but never their contents."""

import contextlib
import errno
import json
import os
import queue
import stat
import sys
import threading
from datetime import UTC, datetime
from typing import Any, TextIO

from imparfait.core.errors import UserError
from imparfait.core.storage import printable
from imparfait.data.images.normalize import NormalizedImage
from imparfait.evaluation.observations import PROPERTY_DIGITS, SCORE_DIGITS, ZOOM, properties_of
from imparfait.inference.predictor import Prediction

MAX_PATH = 200  # characters of a path that are logged
MAX_WAITING = 1000  # lines, for a pipe that stands still
CLOSE_SECONDS = 1.0


class AccessLog:
    """A file of JSON lines, or stderr.

    Each line is one write at the file's end, so that the lines of several workers do not mix. A pipe or a terminal,
    which may stand still, is written to by a thread; where MAX_WAITING lines wait for it, further ones are left out.
    """

    def __init__(self, target: str) -> None:
        """`target`: a file, "-" for stderr, or empty for no log. Raises UserError where it cannot be written."""
        self._lock = threading.Lock()
        self._file: TextIO | None = None
        self._waiting: queue.Queue[str | None] | None = None
        if target == "-":
            self._file = sys.stderr
        elif target:
            self._file = _opened(target)
        if self._file is not None and not _is_regular(self._file):
            self._waiting = queue.Queue(MAX_WAITING)
            self._thread = threading.Thread(target=self._write_waiting, daemon=True, name="access log")
            self._thread.start()

    def write(self, **entry: Any) -> None:
        """Add a line; a log that cannot be written stops no request."""
        if self._file is None:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, **entry}, ensure_ascii=True, separators=(",", ":")) + "\n"
        if self._waiting is None:
            with self._lock:
                self._put(line)
        else:
            with contextlib.suppress(queue.Full):
                self._waiting.put_nowait(line)

    def _put(self, line: str) -> None:
        assert self._file is not None
        with contextlib.suppress(OSError, ValueError):
            self._file.write(line)
            self._file.flush()

    def _write_waiting(self) -> None:
        assert self._waiting is not None
        while (line := self._waiting.get()) is not None:
            self._put(line)

    @property
    def is_on(self) -> bool:
        """Whether there is a log."""
        return self._file is not None

    def close(self) -> None:
        """Close the file, once what waits is written, or after a second."""
        if self._waiting is not None:
            with contextlib.suppress(queue.Full):
                self._waiting.put_nowait(None)
            self._thread.join(CLOSE_SECONDS)
            if self._thread.is_alive():  # closing what it writes to would wait for it
                return
        if self._file is not None and self._file is not sys.stderr:
            with contextlib.suppress(OSError):  # of what a full disk has left in the buffer
                self._file.close()


def _opened(target: str) -> TextIO:
    """The file, to add lines to; a FIFO that nobody reads is refused instead of waited for."""
    try:
        handle = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        said = "nobody reads this FIFO" if error.errno == errno.ENXIO else error.strerror or error
        raise UserError(f"--log {target}: {said}", expected="a file to write to") from error
    os.set_blocking(handle, True)
    return os.fdopen(handle, "a", encoding="utf-8")


def _is_regular(file: TextIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (OSError, ValueError):  # a stream without a file
        return True


def logged_path(path: str) -> str:
    """A path as it is logged: one line, of limited length."""
    return printable(path)[:MAX_PATH]


def image_statistics(page: NormalizedImage) -> dict[str, float]:
    """The properties of a model's input by which weak slices and drift are found; no image can be drawn from them.

    `zoom` is the pixels of the input for one of the image's.
    """
    found = {name: float(values[0]) for name, values in properties_of(page.pixels[None]).items()}
    return found | {ZOOM: round(float(page.scale), PROPERTY_DIGITS)}


def page_entry(prediction: Prediction, page: NormalizedImage) -> dict[str, Any]:
    """What the log tells of a page: the prediction, and statistics of the model's input."""
    return {
        "label": prediction.label,
        "score": round(prediction.score, SCORE_DIGITS),
        "confident": prediction.confident,
        "image": image_statistics(page),
    }
