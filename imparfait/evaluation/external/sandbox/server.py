"""The sandbox's server process: it imports one loader and forks a restricted child for each model file."""

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
from imparfait.evaluation.external.sandbox.audit import AuditHook, installation

MAX_OPEN_FILES = 64
THREAD_BYTES = 128 << 20  # address space that a thread's stack and heap reserve, mostly without using it
MAX_ERROR_CHARACTERS = 1000
EXIT_CODE_FAILED = 70  # of a child that could not be set up: EX_SOFTWARE of sysexits.h
# What ONNX Runtime and PyTorch look up about the computer, and C libraries that are loaded late.
SYSTEM_PATHS = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/proc/cpuinfo", "/proc/meminfo",
    "/sys/devices/system", "/dev/null", "/dev/urandom",
)  # fmt: skip
OUT_OF_MEMORY = re.compile(r"bad.?alloc|(can't|cannot|failed to|unable to) allocate", re.IGNORECASE)


@runtime_checkable
class Loader(Protocol):
    """A module that loads one file format."""

    def prepare(self) -> None:
        """Import and do once what every child would otherwise do again."""

    def load(self, path: str, threads: int) -> tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]:
        """What the file at `path` declares, and its function from images to outputs."""


@runtime_checkable
class Conversation(Protocol):
    """A module that answers requests of its own kind, such as to decode images, in which no Python code can be."""

    def prepare(self) -> None:
        """Import and do once what every child would otherwise do again."""

    def converse(self, channel: socket.socket) -> None:
        """Answer what comes on the channel until it is closed."""


def serve(control: int, name: str) -> None:
    """Import the loader `name`, then fork and end children as ordered on the socket `control`, until it is closed."""
    linux.isolate_network()
    orders = socket.socket(fileno=control)
    try:
        loader: Any = importlib.import_module(name)
        loader.prepare()
    except Exception as error:
        protocol.send(orders, {"failed": _message(error)})
        return
    protocol.send(orders, {"ready": True})
    gc.freeze()  # otherwise a collection in a child copies every page
    children: set[int] = set()
    while True:
        kind, handles, _, _ = socket.recv_fds(orders, 1, 1)
        if not kind:
            break
        order = json.loads(protocol.receive(orders))
        if kind == protocol.START_CHILD:
            child = os.fork()
            if child == 0:
                _run_child(handles[0], loader, order)
            os.close(handles[0])
            children.add(child)
            protocol.send(orders, {"pid": child})
        else:
            children.discard(order["pid"])
            protocol.send(orders, {"status": _end(order["pid"])})
    for child in children:
        _end(child)


def _end(child: int) -> int:
    """Kill a child; its wait status. One that has ended keeps its process id until it is waited for."""
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def _run_child(channel: int, loader: Loader, order: Mapping[str, Any]) -> NoReturn:
    """Restrict this process, load the file and answer requests until the channel is closed. Never returns."""
    code = EXIT_CODE_FAILED
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(null, standard)
        os.dup2(channel, 3)
        os.closerange(4, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        connection = socket.socket(fileno=3)
        if isinstance(loader, Conversation):
            _restrict(order)
            loader.converse(connection)
        else:
            _answer_requests(connection, loader, order, _with_hook(order))
        code = 0
    finally:
        os._exit(code)


def _with_hook(order: Mapping[str, Any]) -> AuditHook:
    _restrict(order)
    hook = AuditHook(order["path"])
    hook.install()
    return hook


def _restrict(order: Mapping[str, Any]) -> None:
    """Apply every restriction. Each is tried by itself: where the system lacks one, the others still hold."""
    linux.die_with_parent()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # the first process to be killed when memory is short
    data = size = 0
    with contextlib.suppress(OSError):
        pages = [int(number) * resource.getpagesize() for number in Path("/proc/self/statm").read_text().split()]
        size, data = pages[0], pages[5]
    limits = {
        resource.RLIMIT_CPU: order["cpu_seconds"],
        resource.RLIMIT_DATA: data + order["memory_bytes"],
        resource.RLIMIT_AS: size + order["memory_bytes"] + THREAD_BYTES * order["threads"],
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: MAX_OPEN_FILES,
    }
    for which, most in limits.items():
        with contextlib.suppress(OSError, ValueError):  # already lower, or not on this system
            resource.setrlimit(which, (most, most + (which == resource.RLIMIT_CPU)))  # SIGXCPU, a second later SIGKILL
    linux.drop_privileges()
    linux.restrict_files([*installation(), *SYSTEM_PATHS, order["path"]])
    linux.filter_system_calls()


def _answer_requests(channel: socket.socket, loader: Loader, order: Mapping[str, Any], hook: AuditHook) -> None:
    try:
        declared, function = loader.load(order["path"], order["threads"])
        protocol.send(channel, {"blocked": hook.blocked} if hook.blocked else {"declared": declared})
    except BaseException as error:  # sys.exit() in a loader too; it is reported, then this process ends
        protocol.send(channel, _failure(error, hook))
        return
    while True:
        try:
            request = json.loads(protocol.receive(channel))
        except EOFError:
            return
        try:
            array = protocol.receive_array(channel, request["dtype"], tuple(request["shape"]))
            outputs = function(array)
            del array  # before the next is received
        except Exception as error:
            protocol.send(channel, _failure(error, hook))
            continue
        if hook.blocked:
            protocol.send(channel, {"blocked": hook.blocked})
        else:
            protocol.send(channel, {"dtype": str(outputs.dtype), "shape": outputs.shape}, outputs)


def _failure(error: BaseException, hook: AuditHook) -> dict[str, Any]:
    """The reply that reports an exception."""
    if hook.blocked:
        return {"blocked": hook.blocked}
    if isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error)):
        return {"out_of_memory": True}
    if isinstance(error, UserError):
        return {"refused": str(error)[:MAX_ERROR_CHARACTERS]}
    return {"failed": _message(error)}


def _message(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARACTERS]
