"""Client of the sandbox: untrusted model files are loaded and run in child processes with restricted rights."""

# A server process imports one loader (ONNX or Keras) once, and forks a child for each file. In the child, before the
# file is opened, the following hold. Each restriction is tried by itself; where a system lacks one, the others hold.
#
# Protected against, on every POSIX system:
#   - code in the file: pickle, marshal, programs, sockets, native libraries and signals are blocked by an audit hook
#   - reading other files than the model and Python's installation, and writing any file (audit hook, RLIMIT_FSIZE)
#   - bombs and endless loops: limits on memory, CPU time and open files; a time limit for each call
#   - crashes: a signal in the child is one error message here; children end with the server, the server with us
#   - malicious replies: JSON of at most 64 KiB, checked against a schema, and one array of the requested shape; nothing
#     that comes back is unpickled
# On Linux, against native code too (a bug in ONNX Runtime, PyTorch or HDF5 that a file exploits):
#   - the network: an empty network namespace
#   - files: Landlock (Linux 5.13 and later) allows reading the model and the installation, and nothing else
#   - sockets, programs, new processes, other processes' memory: seccomp (x86-64 and ARM64)
#   - privileges: no capabilities, no_new_privs
#
# NOT covered:
#   - bugs in the kernel; side channels such as timing and caches; slowing down other processes within the limits
#   - native code on macOS, in containers that forbid namespaces, and before Linux 5.13: there the hook and the limits
#     are all there is (Windows has neither, so no model file is opened there)
#   - what the child may read: Python's installation and a few system files, which the model's outputs could encode
#   - wrong outputs: a model may return anything that has the right shape

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
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from imparfait.core.errors import UserError
from imparfait.evaluation.external.sandbox import protocol
from imparfait.evaluation.external.sandbox.protocol import Reply, Started

MAX_CLASSES = 10_000  # numbers returned for one image
START_SECONDS = 180.0  # until a loader is imported: Keras takes 4 s, on a cold disk 10 s
MAX_PRINTED_CHARACTERS = 300  # of a message from the sandbox
PASSED_ENV = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")  # no HOME, no keys
# A process with threads can neither be forked safely nor enter a network namespace; each child sets its own number.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
PROGRAM = (
    "import sys; sys.path[:] = {path!r}; "
    "from imparfait.evaluation.external.sandbox.server import serve; serve({control}, {loader!r})"
)


@dataclass(frozen=True)
class SandboxLimits:
    """The resources that an external model may use."""

    memory_bytes: int = 4 << 30
    """In addition to what its loader uses."""
    seconds: float = 60.0
    """Wall-clock time to load, and again for each call."""
    cpu_seconds: int = 6 * 3600
    """Of one core, in the child's whole life."""


class OutOfMemoryError(UserError):
    """A model needs more memory than it may use; with fewer images it may need less."""


class KilledError(UserError):
    """The system has killed a model's process, as it does when it is out of memory."""


class SandboxServer:
    """A process that has imported one loader and forks a restricted child for each file; see the list above."""

    def __init__(self, loader: str) -> None:
        """Start the server of the module `loader`; raises UserError when that cannot be imported."""
        if os.name != "posix":
            raise UserError("external models are only opened on Linux and macOS, where they can be sandboxed")
        self.loader = loader
        self._lock = threading.Lock()  # one order at a time
        self._control, remote = socket.socketpair()
        path = [str(Path(entry).absolute()) for entry in sys.path]
        program = PROGRAM.format(path=path, control=remote.fileno(), loader=loader)
        with remote:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", program],
                pass_fds=[remote.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in PASSED_ENV if name in os.environ} | ONE_THREAD,
                cwd="/",
                start_new_session=True,  # Ctrl-C goes to this process, which then ends the server
            )
        try:
            started = Started.model_validate_json(protocol.receive(self._control, time.monotonic() + START_SECONDS))
        except (EOFError, OSError, ValidationError, protocol.ProtocolError) as error:
            self.close()
            raise UserError(f"the loader {loader} cannot be started: {error or 'it ended at once'}") from error
        if started.failed:
            self.close()
            raise UserError(f"the loader {loader} cannot be started: {printable_line(started.failed)}")

    @contextmanager
    def open(
        self, path: str | Path, limits: SandboxLimits | None = None, threads: int = 1
    ) -> Iterator["SandboxedModel"]:
        """The file at `path`, loaded in a child that ends with the block; raises UserError when it cannot be loaded."""
        model = self.load(path, limits, threads)
        try:
            yield model
        finally:
            model.close()

    def load(self, path: str | Path, limits: SandboxLimits | None = None, threads: int = 1) -> "SandboxedModel":
        """As `open`, until the model is closed, or nothing refers to it any more."""
        limits = limits or SandboxLimits()
        model = SandboxedModel(path, *self.start(path, limits, threads), limits)
        try:
            model._load()
        except BaseException:
            model.close()
            raise
        return model

    def start(
        self, path: str | Path, limits: SandboxLimits, threads: int = 1
    ) -> tuple[socket.socket, Callable[[], int]]:
        """A new child that may read `path`: the channel to it, and what ends it and returns its wait status."""
        local, remote = socket.socketpair()
        with remote:
            order = {"path": os.path.realpath(path), "threads": threads}
            order |= {"memory_bytes": limits.memory_bytes, "cpu_seconds": limits.cpu_seconds}
            try:
                pid = self._order(protocol.START_CHILD, order, remote)["pid"]
            except UserError:
                local.close()
                raise
        return local, lambda: int(self._order(protocol.END_CHILD, {"pid": pid})["status"])

    def _order(self, kind: bytes, order: dict[str, Any], channel: socket.socket | None = None) -> Any:
        with self._lock:
            try:
                socket.send_fds(self._control, [kind], [channel.fileno()] if channel else [])
                protocol.send(self._control, order)
                return json.loads(protocol.receive(self._control))
            except (EOFError, OSError, protocol.ProtocolError) as error:
                self.close()
                raise UserError("the sandbox process has ended", hint="try again") from error

    @property
    def is_open(self) -> bool:
        """Whether children can be started."""
        return self._control.fileno() >= 0 and self._process.poll() is None

    def kill(self) -> None:
        """End the server and all its children at once, also while another thread waits for it."""
        self._process.kill()
        self._process.wait()
        self._control.close()

    def close(self) -> None:
        """End the server and all its children."""
        self._control.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class SandboxedModel:
    """The function of a model file in another process; `declared` is what the file declares about itself."""

    def __init__(self, path: str | Path, channel: socket.socket, end: Callable[[], int], limits: SandboxLimits) -> None:
        self.path = path
        # It ends the child too; no order to the server, whose lock may be held.
        weakref.finalize(self, channel.close)
        self.declared: dict[str, Any] = {}
        self._channel, self._limits = channel, limits
        self._end_child: Callable[[], int] | None = end

    @property
    def is_open(self) -> bool:
        """Whether it can be called: it was not stopped, and the block has not ended."""
        return self._end_child is not None

    def __call__(self, array: np.ndarray) -> np.ndarray:
        """The outputs for `array`, one row for each of its rows: float32 `[n, classes]` or int64 `[n]`.

        Raises a one-sentence UserError for whatever goes wrong in the child; after an exception in the model's
        function it can be called again.
        """
        doing = f"predicting {len(array)} images"
        reply = self._request(doing, {"dtype": str(array.dtype), "shape": array.shape}, array)
        if reply.dtype is None or not _fits(reply, len(array)):
            raise self._close(f"sends nonsense while {doing}", "do not trust it")
        deadline = time.monotonic() + self._limits.seconds
        try:
            return protocol.receive_array(self._channel, reply.dtype, reply.shape, deadline)
        except (EOFError, OSError) as error:
            raise self._broken(doing, error) from error

    def _load(self) -> None:
        reply = self._request("being loaded")
        if reply.declared is None:
            raise self._close("sends nonsense while being loaded", "do not trust it")
        self.declared = reply.declared

    def _request(self, doing: str, request: dict[str, Any] | None = None, array: np.ndarray | None = None) -> Reply:
        if self._end_child is None:
            raise UserError(f"{self.path}: is closed", hint="open it again")
        deadline = time.monotonic() + self._limits.seconds
        try:
            if request:
                protocol.send(self._channel, request, array, deadline)
            reply = Reply.model_validate_json(protocol.receive(self._channel, deadline))
        except (ValidationError, protocol.ProtocolError) as error:
            raise self._close(f"sends nonsense while {doing}", "do not trust it") from error
        except (EOFError, OSError) as error:
            raise self._broken(doing, error) from error
        if reply.blocked is not None:
            raise self._close(f"was stopped when it tried to {printable_line(reply.blocked)}", "do not trust it")
        if reply.out_of_memory:
            gib = self._limits.memory_bytes / 2**30
            received = f"{self.path}: needs more than {gib:.3g} GiB of memory while {doing}"
            raise OutOfMemoryError(received, hint="give a smaller model")
        if reply.refused is not None:
            raise UserError(f"{self.path}: {printable_line(reply.refused)}")
        if reply.failed is not None:
            raise UserError(f"{self.path}: fails while {doing}: {printable_line(reply.failed)}")
        return reply

    def _broken(self, doing: str, error: Exception) -> UserError:
        """The error for a child that timed out or ended."""
        if isinstance(error, TimeoutError):
            return self._close(f"was stopped after {self._limits.seconds:g} s of {doing}", "give a smaller model")
        status = self._end() or 0
        if os.WIFEXITED(status):
            return self._close(f"ends its process (code {os.WEXITSTATUS(status)}) while {doing}", "do not trust it")
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return self._close(f"was stopped after {self._limits.cpu_seconds} s of CPU time", "give a smaller model")
        if number == signal.SIGKILL:  # not by us: the system kills when it is out of memory
            self._end()
            return KilledError(f"{self.path}: was killed by the system while {doing}", hint="give a smaller model")
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        return self._close(f"crashes its process ({name}) while {doing}", "export it again")

    def _close(self, problem: str, hint: str) -> UserError:
        """End the child; the error to raise."""
        self._end()
        return UserError(f"{self.path}: {problem}", hint=hint)

    def close(self) -> None:
        """End the child."""
        self._end()
        self._channel.close()

    def _end(self) -> int | None:
        end, self._end_child = self._end_child, None
        return end() if end else None


def _fits(reply: Reply, count: int) -> bool:
    """Whether the announced array has a row for each input and at most MAX_CLASSES columns."""
    rows, *columns = reply.shape or (-1,)
    if rows != count or len(columns) > 1 or min(columns, default=1) < 1:
        return False
    return math.prod(columns) <= MAX_CLASSES and (reply.dtype == "float32") == bool(columns)


def printable_line(text: str) -> str:
    """Untrusted text as one short line without control characters, which a terminal would obey."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= MAX_PRINTED_CHARACTERS else f"{line[:MAX_PRINTED_CHARACTERS]}…"


# One running server a loader, kept until the program ends: importing Keras for each file would take seconds.
_servers: dict[str, SandboxServer] = {}
_servers_lock = threading.Lock()


def sandbox_for(loader: str) -> SandboxServer:
    """The server of the module `loader`: started once, again where it has ended, and closed when Python exits."""
    with _servers_lock:
        if loader not in _servers or not _servers[loader].is_open:
            _servers[loader] = SandboxServer(loader)
            atexit.register(_servers[loader].close)
        return _servers[loader]
