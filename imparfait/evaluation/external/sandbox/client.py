"""A child process for strangers' files: whatever happens in it is an array or one sentence here."""

import atexit
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ValidationError

from imparfait.core.errors import UserError
from imparfait.evaluation.external.sandbox import protocol

MOST_COLUMNS = 10_000  # numbers for one image
TO_IMPORT = 180.0  # seconds until a reader is imported: Keras takes 4, on a cold disk 10
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")  # no keys, no homes
# A process with threads can neither be forked safely nor given a network of its own; a child asks for its own number.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
PROGRAM = (
    "import sys; sys.path[:] = {path!r}; "
    "from imparfait.evaluation.external.sandbox.server import serve; serve({control}, {reader!r})"
)


@dataclass(frozen=True)
class Limits:
    """What a stranger's file may use."""

    memory: int = 4 << 30
    """Bytes, beside those that its reader takes."""
    seconds: float = 60.0
    """By the clock: to be read, and again for each question."""
    processor: int = 6 * 3600
    """Seconds of one core in all its life."""


class Said(BaseModel, frozen=True, extra="forbid", strict=True):
    """The words of a child: what the file says of itself, the array that follows, or what went wrong."""

    told: dict[str, Any] | None = None
    kind: Literal["float32", "int64"] | None = None
    shape: tuple[int, ...] = ()
    refused: str | None = None
    failed: str | None = None
    tried: str | None = None
    memory: bool = False


class SandboxServer:
    """A server that has imported one reader and forks a child for each file.

    In the child hold, before the file is opened: limits on memory, processor time and open files, none to be written
    (POSIX); no rights beyond the user's; and an audit hook that refuses Python programs, sockets, other files, native
    libraries, pickle and marshal. On Linux the kernel refuses the same to native code too: the network by a namespace
    of its own; files but the model and the installation by Landlock; sockets, programs and processes by seccomp (on
    x86-64 and ARM64). Where the kernel does not offer one of these (in some containers, before 5.13) the others hold;
    elsewhere than on Linux the hook and the limits are all there is. Nothing that comes back is unpickled: JSON of
    64 KiB at most, and an array of a shape that was asked for. Children end with the server, the server with us.
    """

    def __init__(self, reader: str) -> None:
        """Start the server of the module `reader`; raises UserError when that cannot be imported."""
        if os.name != "posix":
            raise UserError("other people's models are only opened on Linux and macOS, which can fence them in")
        self.reader = reader
        self._one_at_a_time = threading.Lock()
        self._control, theirs = socket.socketpair()
        path = [str(Path(entry).absolute()) for entry in sys.path]
        program = PROGRAM.format(path=path, control=theirs.fileno(), reader=reader)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", program],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in PASSED_ON if name in os.environ} | ONE_THREAD,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for us, who then end it
            )
        try:
            began = Started.model_validate_json(protocol.receive(self._control, time.monotonic() + TO_IMPORT))
        except (EOFError, OSError, ValidationError, protocol.NonsenseError) as error:
            self.close()
            raise UserError(f"the reader {reader} cannot be started: {error or 'it ended at once'}") from error
        if began.failed:
            self.close()
            raise UserError(f"the reader {reader} cannot be started: {printable(began.failed)}")

    @contextmanager
    def open(self, path: str | Path, limits: Limits | None = None, threads: int = 1) -> Iterator["SandboxedModel"]:
        """The file at `path`, read in a child that ends with the block; raises UserError when it cannot be read."""
        limits = limits or Limits()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            order = {"path": os.path.realpath(path), "threads": threads}
            order |= {"memory": limits.memory, "processor": limits.processor}
            pid = self._order(protocol.START, order, theirs)["pid"]
            theirs.close()
            fenced = SandboxedModel(path, ours, limits, lambda: int(self._order(protocol.END, {"pid": pid})["status"]))
            try:
                fenced._begin()
                yield fenced
            finally:
                fenced._end()

    def _order(self, kind: bytes, order: dict[str, Any], channel: socket.socket | None = None) -> Any:
        with self._one_at_a_time:
            try:
                socket.send_fds(self._control, [kind], [channel.fileno()] if channel else [])
                protocol.send(self._control, order)
                return json.loads(protocol.receive(self._control))
            except (EOFError, OSError, protocol.NonsenseError) as error:
                self.close()
                raise UserError("the process that reads other people's models has ended; try again") from error

    @property
    def is_open(self) -> bool:
        """Whether children can be had."""
        return self._control.fileno() >= 0 and self._process.poll() is None

    def close(self) -> None:
        """End the server and all its children."""
        self._control.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Started(BaseModel, frozen=True, extra="forbid"):
    """The first words of a server."""

    ready: bool = False
    failed: str | None = None


class SandboxedModel:
    """A function that is in another process; what the file says of itself is in `told`."""

    def __init__(self, path: str | Path, channel: socket.socket, limits: Limits, end: Callable[[], int]) -> None:
        self.path = path
        self.told: dict[str, Any] = {}
        self._channel, self._limits = channel, limits
        self._end_child: Callable[[], int] | None = end

    def __call__(self, array: np.ndarray) -> np.ndarray:
        """The answer to `array`, one row for one row: float32 `[n, columns]` or int64 `[n]`.

        Raises UserError, in one sentence, whatever goes wrong over there; after an exception it can be asked again.
        """
        doing = f"answering {len(array)} images"
        said = self._hear(doing, {"kind": str(array.dtype), "shape": array.shape}, array)
        if said.kind is None or not _fits(said, len(array)):
            raise self._ended(f"says nonsense while {doing}; do not trust it")
        try:
            return protocol.receive_array(self._channel, said.kind, said.shape, time.monotonic() + self._limits.seconds)
        except (EOFError, OSError) as error:
            raise self._broken(doing, error) from error

    def _begin(self) -> None:
        said = self._hear("being read")
        if said.told is None:
            raise self._ended("says nonsense while being read; do not trust it")
        self.told = said.told

    def _hear(self, doing: str, words: dict[str, Any] | None = None, array: np.ndarray | None = None) -> Said:
        if self._end_child is None:
            raise UserError(f"{self.path}: is closed; open it again")
        by = time.monotonic() + self._limits.seconds
        try:
            if words:
                protocol.send(self._channel, words, array, by)
            said = Said.model_validate_json(protocol.receive(self._channel, by))
        except (ValidationError, protocol.NonsenseError) as error:
            raise self._ended(f"says nonsense while {doing}; do not trust it") from error
        except (EOFError, OSError) as error:
            raise self._broken(doing, error) from error
        if said.tried is not None:
            raise self._ended(f"was stopped when it tried to {printable(said.tried)}; do not trust it")
        if said.memory:
            gib = self._limits.memory / 2**30
            raise UserError(f"{self.path}: wants more than {gib:.3g} GiB of memory while {doing}; give a smaller one")
        if said.refused is not None:
            raise UserError(f"{self.path}: {printable(said.refused)}")
        if said.failed is not None:
            raise UserError(f"{self.path}: fails while {doing}: {printable(said.failed)}")
        return said

    def _broken(self, doing: str, error: Exception) -> UserError:
        if isinstance(error, TimeoutError):
            return self._ended(f"was stopped after {self._limits.seconds:g} s of {doing}; give a smaller one")
        status = self._end() or 0
        if os.WIFEXITED(status):
            return self._ended(f"ends its process (code {os.WEXITSTATUS(status)}) while {doing}; do not trust it")
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return self._ended(f"was stopped after {self._limits.processor} s of the processor; give a smaller one")
        if number == signal.SIGKILL:  # not by us: what a system does that has no more memory
            return self._ended(f"was killed by the system while {doing}; give a smaller one")
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        return self._ended(f"crashes its process ({name}) while {doing}; export it anew")

    def _ended(self, what: str) -> UserError:
        self._end()
        return UserError(f"{self.path}: {what}")

    def _end(self) -> int | None:
        end, self._end_child = self._end_child, None
        return end() if end else None


def _fits(said: Said, count: int) -> bool:
    """Whether the array announced is one that was asked for, and no larger."""
    rows, *columns = said.shape or (-1,)
    if rows != count or len(columns) > 1 or min(columns, default=1) < 1:
        return False
    return math.prod(columns) <= MOST_COLUMNS and (said.kind == "float32") == bool(columns)


def printable(text: str) -> str:
    """A stranger's words as one short line without control characters, which a terminal would obey."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= 300 else f"{line[:300]}…"


_servers: dict[str, SandboxServer] = {}
_starting = threading.Lock()


def sandbox_for(reader: str) -> SandboxServer:
    """The server of the module `reader`: started once, and anew where it has ended."""
    with _starting:
        if reader not in _servers or not _servers[reader].is_open:
            _servers[reader] = SandboxServer(reader)
            atexit.register(_servers[reader].close)
        return _servers[reader]
