"""The images that an access log tells of, read in constant memory from files of any length."""

import gzip
import math
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64
from pydantic_core import from_json

from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.core.storage import open_regular, printable
from imparfait.evaluation.image_properties import PROPERTIES
from imparfait.evaluation.observations import ZOOM, Observations

MOST_REQUESTS = 20_000  # that are kept of a model, drawn at random: a share is then known to within 1 point
MAX_LINE = 1 << 16  # bytes
MAX_NAMES = 100_000  # of addresses and classes that are kept apart
MAX_MODELS = 20
MAX_PROPERTY, YEAR_3000 = 1e6, 32_503_680_000.0  # the latter in seconds since 1970
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
    """The state of reading: numbered names, a reservoir by model and side of `since`, and counts."""

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
            try:
                self._add(line)
                self.requests += 1
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
                self.unreadable += 1
        if self.unreadable > before[1] and self.requests == before[0]:
            raise UserError(f"{file}: no line is of a server's log", expected=EXPECTED)

    def _add(self, line: bytes) -> None:
        """Count a line, and keep its images if they are drawn; raises an error of Python for any other line."""
        seen = _glance(line) or _parsed(line)
        if not seen.images:
            return
        time = datetime.fromisoformat(seen.time).timestamp()
        if not 0 <= time <= YEAR_3000:
            raise ValueError
        side = (seen.model, self.since is None or time >= self.since)
        if side not in self.kept and len({model for model, _ in self.kept} | {seen.model}) > MAX_MODELS:
            raise UserError(f"the log has more than {MAX_MODELS} models", hint="keep a log of each server")
        reservoir = self.kept.get(side) or _Reservoir()
        slot = reservoir.slot()
        if slot is not None:  # only these are parsed in full
            entry = _entry(line)
            start = [time, _numbered(self.addresses, str(entry.get("address", ""))), self.requests]
            rows = [[*start, self._label(page["label"]), *_values(page)] for page in entry["pages"]]
            reservoir.keep(slot, rows)
        reservoir.count(time, seen.images)
        self.kept[side] = reservoir

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
    if not 0 <= score <= 1 or any(abs(value) > MAX_PROPERTY for value in values):
        raise ValueError
    return [float(score), 1.0 - bool(page["confident"]), *values]


class _Seen(NamedTuple):
    """What decides whether a line is drawn."""

    time: str = ""
    model: str = ""
    images: int = 0


def _glance(line: bytes) -> _Seen | None:
    """What a line tells that is written as `AccessLog` writes it, without parsing all of it; None for any other.

    No string of JSON has an unescaped quote, so the keys that are searched for are keys.
    """
    status = line.find(b',"status":')
    if status < 0 or not (line.startswith(b'{"time":"') and line.endswith(b"}\n")):
        return None
    pages = line.find(b',"pages":[{', status)
    if pages < 0:
        return None if b'"pages"' in line else _Seen()
    model = line.find(b',"model":"', status, pages)
    name = line[model + 10 : pages - 1] if model >= 0 else b""
    if b"\\" in name or b'"' in name:
        return None
    time = line[9 : line.index(b'"', 9)]
    images = line.count(b'"label":', pages)
    return _Seen(time.decode(), name.decode(), images) if images else None


def _parsed(line: bytes) -> _Seen:
    """The same, from a line in any form of JSON; raises ValueError where it is none of the server's log."""
    entry = _entry(line)
    pages = entry.get("pages", [])
    return _Seen(str(entry["time"]), printable(str(entry.get("model", ""))), len(pages))


def _entry(line: bytes) -> dict[str, Any]:
    entry = from_json(line)
    if not (isinstance(entry, dict) and {"time", "path", "status"} <= entry.keys()):
        raise ValueError
    return entry


def _lines(file: Path) -> Iterator[bytes]:
    """The lines of a file, without empty ones; one that is too long is cut off, as is a gzip file that ends early."""
    with ExitStack() as stack:
        raw = stack.enter_context(os.fdopen(open_regular(file, EXPECTED), "rb"))
        assert isinstance(raw, BufferedReader)
        source: BufferedReader | gzip.GzipFile = raw
        if raw.peek(2)[:2] == b"\x1f\x8b":
            source = stack.enter_context(gzip.GzipFile(fileobj=raw))
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
    """A random sample of requests, of constant size (Vitter's algorithm R), and counts of all."""

    def __init__(self) -> None:
        self.rows: list[list[list[float]]] = []
        self.requests = self.images = 0
        self.first, self.last = math.inf, -math.inf
        self.random = Random(0)

    def slot(self) -> int | None:
        """Where the next request is kept; None where it is not drawn."""
        if self.requests < MOST_REQUESTS:
            return len(self.rows)
        at = int(self.random.random() * (self.requests + 1))
        return at if at < MOST_REQUESTS else None

    def keep(self, slot: int, rows: list[list[float]]) -> None:
        """Keep the images of a request."""
        self.rows[slot : slot + 1] = [rows]

    def count(self, time: float, images: int) -> None:
        """Count a request, drawn or not."""
        self.requests += 1
        self.images += images
        self.first, self.last = min(self.first, time), max(self.last, time)

    def logged(self, model: str, labels: np.ndarray) -> LoggedImages:
        """The sample as observations."""
        table = np.array([row for rows in self.rows for row in rows], float).reshape(-1, len(COLUMNS))
        columns = dict(zip(COLUMNS, table.T, strict=True))
        block, blocks = blocks_of(columns["time"], columns["address"], columns["request"])
        observations = Observations(
            properties={name: columns[name] for name in VALUES},
            labels=labels[columns["label"].astype(int)],
            scores=columns["score"],
            unsure=columns["unsure"] > 0,
            blocks=blocks,
            times=columns["time"],
        )
        return LoggedImages(model, observations, self.images, self.first, self.last, block)


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
