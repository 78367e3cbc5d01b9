"""The access log: a line of JSON for each request, with statistics of its images but never their contents."""

import json
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from imparfait.core.errors import UserError
from imparfait.core.storage import printable
from imparfait.data.images.normalize import NormalizedImage
from imparfait.evaluation.observations import PROPERTY_DIGITS, SCORE_DIGITS, ZOOM, properties_of
from imparfait.inference.predictor import Prediction

MAX_PATH = 200  # characters of a path that are logged


class AccessLog:
    """A file of JSON lines, or stderr.

    Each line is one write at the file's end, so that the lines of several workers do not mix.
    """

    def __init__(self, target: str) -> None:
        """`target`: a file, "-" for stderr, or empty for no log. Raises UserError where it cannot be written."""
        self._lock = threading.Lock()
        self._file: TextIO | None = None
        if target == "-":
            self._file = sys.stderr
        elif target:
            try:
                self._file = Path(target).open("a", encoding="utf-8")  # noqa: SIM115  until the server ends
            except OSError as error:
                raise UserError(f"--log {target}: {error.strerror or error}", expected="a file to write to") from error

    def write(self, **entry: Any) -> None:
        """Add a line; a log that cannot be written stops no request."""
        if self._file is None:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, **entry}, ensure_ascii=True, separators=(",", ":"))
        with self._lock:
            try:
                self._file.write(line + "\n")
                self._file.flush()
            except (OSError, ValueError):
                return

    @property
    def is_on(self) -> bool:
        """Whether there is a log."""
        return self._file is not None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None and self._file is not sys.stderr:
            self._file.close()


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
