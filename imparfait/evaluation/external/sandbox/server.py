"""The process that has imported a reader, and forks a child for each file to be read."""

import contextlib
import gc
import importlib
import json
import os
import re
import resource
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, Protocol, runtime_checkable

import numpy as np

from imparfait.core.errors import UserError
from imparfait.evaluation.external.sandbox import linux, protocol
from imparfait.evaluation.external.sandbox.audit import Watch, installation

OPEN_FILES = 64
THREAD = 128 << 20  # bytes of address space a thread's stack and heap reserve, mostly without using them
# What ONNX Runtime and PyTorch look up of the computer they are on, and C libraries to be loaded late.
ALSO_READ = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/proc/cpuinfo", "/proc/meminfo",
    "/sys/devices/system", "/dev/null", "/dev/urandom",
)  # fmt: skip
NO_MEMORY = re.compile(r"bad.?alloc|(can't|cannot|failed to|unable to) allocate", re.IGNORECASE)


@runtime_checkable
class Reader(Protocol):
    """A module that reads one format."""

    def prepare(self) -> None:
        """Import and do once what each child would do anew."""

    def load(self, path: str, threads: int) -> tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]:
        """What the file at `path` says of itself, and the function that is in it."""


def serve(control: int, name: str) -> None:
    """Import the reader `name`, then fork children as the socket `control` asks, until it is closed."""
    linux.leave_network()
    orders = socket.socket(fileno=control)
    try:
        reader: Any = importlib.import_module(name)
        reader.prepare()
    except Exception as error:
        protocol.send(orders, {"failed": _told(error)})
        return
    protocol.send(orders, {"ready": True})
    gc.freeze()  # else collections in the children would copy every page
    children: set[int] = set()
    while True:
        kind, files, _, _ = socket.recv_fds(orders, 1, 1)
        if not kind:
            break
        order = json.loads(protocol.receive(orders))
        if kind == protocol.START:
            child = os.fork()
            if child == 0:
                _become_child(files[0], reader, order)
            os.close(files[0])
            children.add(child)
            protocol.send(orders, {"pid": child})
        else:
            children.discard(order["pid"])
            protocol.send(orders, {"status": _end(order["pid"])})
    for child in children:
        _end(child)


def _end(child: int) -> int:
    os.kill(child, signal.SIGKILL)  # where it has ended already, it keeps its number until it is waited for
    return os.waitpid(child, 0)[1]


def _become_child(channel: int, reader: Reader, order: Mapping[str, Any]) -> NoReturn:
    """Behind all walls, read the file and answer questions about it, until the channel is closed. Never returns."""
    code = 70
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(null, standard)
        os.dup2(channel, 3)
        os.closerange(4, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        _answer(socket.socket(fileno=3), reader, order, _shut_in(order))
        code = 0
    finally:
        os._exit(code)


def _shut_in(order: Mapping[str, Any]) -> Watch:
    """Put up the walls. Each is tried by itself: what the system does not have, the others make up for."""
    linux.end_with_parent()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # where memory is short, this process is to go first
    data = size = 0
    with contextlib.suppress(OSError):
        pages = [int(number) * resource.getpagesize() for number in Path("/proc/self/statm").read_text().split()]
        size, data = pages[0], pages[5]
    limits = {
        resource.RLIMIT_CPU: order["processor"],
        resource.RLIMIT_DATA: data + order["memory"],
        resource.RLIMIT_AS: size + order["memory"] + THREAD * order["threads"],
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: OPEN_FILES,
    }
    for which, most in limits.items():
        with contextlib.suppress(OSError, ValueError):  # already lower, or not on this system
            resource.setrlimit(which, (most, most + (which == resource.RLIMIT_CPU)))  # SIGXCPU, a second later SIGKILL
    linux.give_up_rights()
    linux.only_read([*installation(), *ALSO_READ, order["path"]])
    linux.forbid_calls()
    watch = Watch(order["path"])
    watch.begin()
    return watch


def _answer(channel: socket.socket, reader: Reader, order: Mapping[str, Any], watch: Watch) -> None:
    try:
        told, function = reader.load(order["path"], order["threads"])
        protocol.send(channel, {"tried": watch.tried} if watch.tried else {"told": told})
    except BaseException as error:  # sys.exit() in a reader too; it is told, then this process ends
        protocol.send(channel, _failure(error, watch))
        return
    while True:
        try:
            asked = json.loads(protocol.receive(channel))
        except EOFError:
            return
        array = protocol.receive_array(channel, asked["kind"], tuple(asked["shape"]))
        try:
            result = function(array)
        except Exception as error:
            protocol.send(channel, _failure(error, watch))
            continue
        if watch.tried:
            protocol.send(channel, {"tried": watch.tried})
        else:
            protocol.send(channel, {"kind": str(result.dtype), "shape": result.shape}, result)


def _failure(error: BaseException, watch: Watch) -> dict[str, Any]:
    if watch.tried:
        return {"tried": watch.tried}
    if isinstance(error, MemoryError) or NO_MEMORY.search(str(error)):
        return {"memory": True}
    return {"refused": str(error)[:1000]} if isinstance(error, UserError) else {"failed": _told(error)}


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:1000]
