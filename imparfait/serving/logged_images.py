"""The images that an access log tells of, read in constant memory from files of any length."""

import gzip
import math
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from random import Random
from typing import IO, Any

import numpy as np
from jaxtyping import Float64
from pydantic_core import from_json

from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.core.storage import open_regular, printable
from imparfait.evaluation.image_properties import PROPERTIES
from imparfait.evaluation.observations import ZOOM, Observations

MOST_IMAGES = 100_000  # that are kept of a model, drawn at random: more would change no conclusion
MAX_LINE = 1 << 16  # bytes
MAX_NAMES = 100_000  # of addresses and classes that are told apart
MAX_MODELS = 20
MIN_BLOCKS = 10  # effective number, from which on the variance over blocks is estimated
SPANS = {"address and day": 86_400, "address and hour": 3600, "address and minute": 60}  # seconds
REQUEST = "request"
EXPECTED = "a log that imparfait serve --log wrote"
VALUES = (*PROPERTIES, ZOOM)
COLUMNS = ("time", "address", "request", "label", "score", "unsure", *VALUES)


@dataclass(frozen=True, eq=False)
class LoggedImages:
    """The images that one model predicted, as a log tells."""

    model: str
    """Empty in logs of earlier versions, which do not have it."""
    observations: Observations
    images: int
    """How many there were; of many, `observations` is a random sample."""
    first: float
    last: float
    """Times of the first and last, in seconds since 1970."""
    block: str
    """What images have in common that count as one block: a key of SPANS, or "request"."""


@dataclass(eq=False)
class LogContent:
    """What is in one or several log files: the images by model, and how many lines are something else."""

    images: dict[str, LoggedImages] = field(default_factory=dict)
    earlier: dict[str, LoggedImages] = field(default_factory=dict)
    """Those before `since`."""
    requests: int = 0
    """Lines of requests, those without a prediction included."""
    unreadable: int = 0
    """Lines that are cut off, or no line of such a log."""


def read_logs(files: Sequence[Path], since: float | None = None) -> LogContent:
    """The images in these log files, plain or gzip, in any order.

    A line that is cut off or damaged is counted and left out. Raises UserError for a file that is no log of the server,
    and where no line has a prediction.
    """
    reader = _Reader(since)
    if len({file.resolve() for file in files}) < len(files):
        raise UserError("a LOG is given twice", hint="give each once")
    for file in files:
        reader.read(file)
    found = reader.content()
    if not found.requests:
        raise UserError(f"{_named(files)}: is empty", expected=EXPECTED)
    if not (found.images or found.earlier):
        count = counted(found.requests, "request")
        raise UserError(
            f"{_named(files)}: has {count} and no prediction", hint="only /v1/predict leaves statistics of images"
        )
    return found


def _named(files: Sequence[Path]) -> str:
    return str(files[0]) if len(files) == 1 else f"{files[0]} and {counted(len(files) - 1, 'other file')}"


class _Reader:
    """The state of reading: names told apart, a reservoir by model and side of `since`, and counts."""

    def __init__(self, since: float | None) -> None:
        self.since = since
        self.kept: dict[tuple[str, bool], _Reservoir] = {}
        self.addresses: dict[str, int] = {}
        self.labels: dict[str, int] = {}
        self.requests = self.unreadable = 0

    def read(self, file: Path) -> None:
        """Add the lines of a file; raises UserError where none is of a server's log."""
        before = self.requests, self.unreadable
        for line in _lines(file):
            entry = _entry(line)
            if entry is None:
                self.unreadable += 1
                continue
            self.requests += 1
            if "pages" in entry:
                self._add(entry)
        if self.unreadable > before[1] and self.requests == before[0]:
            raise UserError(f"{file}: no line is of a server's log", expected=EXPECTED)

    def _add(self, entry: dict[str, Any]) -> None:
        try:
            time = datetime.fromisoformat(entry["time"]).timestamp()
            address = _numbered(self.addresses, str(entry.get("address", "")))
            model = printable(str(entry.get("model", "")))
            rows = [
                [time, address, self.requests, self._label(page["label"]), *_values(page)]
                for page in entry["pages"]
            ]
        except (KeyError, TypeError, ValueError, AttributeError):
            self.unreadable += 1
            self.requests -= 1
            return
        side = (model, self.since is None or time >= self.since)
        if side not in self.kept and len(self.kept) >= 2 * MAX_MODELS:
            raise UserError(f"the log has more than {MAX_MODELS} models", hint="keep a log of each server")
        reservoir = self.kept.setdefault(side, _Reservoir())
        for row in rows:
            reservoir.add(row)

    def _label(self, name: Any) -> int:
        if not isinstance(name, str) or (name not in self.labels and len(self.labels) >= MAX_NAMES):
            raise ValueError
        return self.labels.setdefault(name, len(self.labels))

    def content(self) -> LogContent:
        """What was read."""
        names = np.array(list(self.labels) or [""])
        found = LogContent(requests=self.requests, unreadable=self.unreadable)
        for (model, is_new), reservoir in self.kept.items():
            (found.images if is_new else found.earlier)[model] = reservoir.logged(model, names)
        return found


def _numbered(names: dict[str, int], name: str) -> int:
    """A number for each name; names beyond the first MAX_NAMES, of addresses, share as many."""
    if name not in names and len(names) >= MAX_NAMES:
        return zlib.crc32(name.encode()) % MAX_NAMES
    return names.setdefault(name, len(names))


def _values(page: dict[str, Any]) -> list[float]:
    """The score, whether the model abstains, and the properties; NaN for those that are not there."""
    score, image = page["score"], page["image"]
    values = [float(image.get(name, math.nan)) for name in VALUES]
    if not 0 <= score <= 1 or any(map(math.isinf, values)):
        raise ValueError
    return [float(score), 1.0 - bool(page["confident"]), *values]


def _entry(line: bytes) -> dict[str, Any] | None:
    """The entry of a line; None where it is no line of the server's log."""
    try:
        entry = from_json(line)
    except ValueError:
        return None
    is_ours = isinstance(entry, dict) and {"time", "path", "status"} <= entry.keys()
    return entry if is_ours else None


def _lines(file: Path) -> Iterator[bytes]:
    """The lines of a file, without empty ones; one that is too long is cut off, as is a gzip file that ends early."""
    with os.fdopen(open_regular(file, EXPECTED), "rb") as raw:
        assert isinstance(raw, BufferedReader)
        packed = raw.peek(2)[:2] == b"\x1f\x8b"
        source: IO[bytes] = gzip.open(raw) if packed else raw  # type: ignore[assignment]
        try:
            while line := source.readline(MAX_LINE):
                whole = line
                while not whole.endswith(b"\n") and (whole := source.readline(MAX_LINE)):
                    line = b"{"  # of a line that is too long: unreadable
                if line.strip():
                    yield line
        except (EOFError, gzip.BadGzipFile, zlib.error):
            yield b"{"


class _Reservoir:
    """A random sample of rows, of constant size (Vitter's algorithm R), and the times of the first and last."""

    def __init__(self) -> None:
        self.rows = np.empty((256, len(COLUMNS)))
        self.seen, self.first, self.last = 0, math.inf, -math.inf
        self.random = Random(0)  # noqa: S311  a sample

    def add(self, row: list[float]) -> None:
        """Keep the row, or not."""
        self.first, self.last = min(self.first, row[0]), max(self.last, row[0])
        at = self.seen if self.seen < MOST_IMAGES else int(self.random.random() * (self.seen + 1))
        self.seen += 1
        if at >= MOST_IMAGES:
            return
        if at == len(self.rows):
            self.rows = np.concatenate([self.rows, np.empty_like(self.rows)])
        self.rows[at] = row

    def logged(self, model: str, labels: np.ndarray) -> LoggedImages:
        """The sample as observations."""
        columns = dict(zip(COLUMNS, self.rows[: min(self.seen, MOST_IMAGES)].T, strict=True))
        block, blocks = blocks_of(columns["time"], columns["address"], columns["request"])
        observations = Observations(
            properties={name: columns[name] for name in VALUES},
            labels=labels[columns["label"].astype(int)],
            scores=columns["score"],
            unsure=columns["unsure"] > 0,
            blocks=blocks,
            times=columns["time"],
        )
        return LoggedImages(model, observations, self.seen, self.first, self.last, block)


def blocks_of(
    times: Float64[np.ndarray, " n"], addresses: Float64[np.ndarray, " n"], requests: Float64[np.ndarray, " n"]
) -> tuple[str, np.ndarray]:
    """Which images may be alike, as they came from one address on one day, or else in one hour or minute.

    The longest span by which there are at least MIN_BLOCKS blocks, in effective number (Kish's). Where even minutes
    make fewer, only the pages of one request are a block.
    """
    for name, seconds in SPANS.items():
        pairs = np.stack([addresses, times // seconds], 1)
        _, blocks, sizes = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
        if sizes.sum() ** 2 / float((sizes.astype(float) ** 2).sum()) >= MIN_BLOCKS:
            return name, blocks.reshape(-1)
    return REQUEST, np.unique(requests, return_inverse=True)[1].reshape(-1)


def parse_since(text: str, now: datetime) -> float:
    """A point in time, in seconds since 1970: "7d" or "12h" before `now`, or a date or time as in ISO 8601, in UTC.

    Raises UserError for anything else.
    """
    units = {"d": 86_400, "h": 3600}
    if text[-1:] in units and text[:-1].isdecimal() and len(text) < 7:
        return now.timestamp() - int(text[:-1]) * units[text[-1]]
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(
            f"--since {printable(text)}: no time", expected="7d, 12h, 2026-11-30 or 2026-11-30T08:00"
        ) from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
