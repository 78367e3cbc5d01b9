"""A malicious loader for tests of the sandbox: its files name the attack to run while loading or predicting."""

import ctypes
import faulthandler
import importlib
import marshal
import os
import pickle
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# Looked up before the sandbox restricts the process: calls through them are what native code in a library would do,
# which no audit hook sees.
LIBC = ctypes.CDLL(None, use_errno=True)
OPEN, SOCKET, FORK, SYSTEM, KILL, UNLINK = LIBC.open, LIBC.socket, LIBC.fork, LIBC.system, LIBC.kill, LIBC.unlink
CHANNEL = 3
PRLIMIT, TGKILL, CHMOD, CHOWN, SETXATTR = LIBC.prlimit, LIBC.tgkill, LIBC.chmod, LIBC.chown, LIBC.setxattr
UTIME, TRUNCATE, SHMGET, MSGGET, SEMGET = LIBC.utimensat, LIBC.truncate, LIBC.shmget, LIBC.msgget, LIBC.semget
SETPRIORITY, INOTIFY, AFFINITY, MKFIFO = LIBC.setpriority, LIBC.inotify_init, LIBC.sched_setaffinity, LIBC.mkfifo
OLD_LIMIT = ctypes.create_string_buffer(16)  # made here, for the hook refuses it later
IPC_PRIVATE, IPC_CREAT, RLIMIT_CPU, PRIO_PROCESS, PRIO_PGRP, AT_FDCWD = 0, 0o1600, 0, 0, 1, -100


def prepare() -> None:
    pass


def load(path: str, threads: int) -> tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]:
    name, _, argument = Path(path).read_text().partition(" ")
    if name in WHILE_LOADING:
        WHILE_LOADING[name](argument)

    def predict(images: np.ndarray) -> np.ndarray:
        if name in WHILE_PREDICTING:
            return np.asarray(WHILE_PREDICTING[name](images))
        return images.reshape(len(images), -1)[:, :3] * 2

    return {"argument": argument, "threads": threads}, predict


def hang(_: object) -> None:
    while True:
        time.sleep(1)


def nonsense(_: object) -> None:
    os.write(CHANNEL, b"GET / HTTP/1.1\r\n\r\n")
    hang(_)


def reply(content: bytes) -> Callable[[object], None]:
    """Send a message of the attacker's own instead of the sandbox's reply."""

    def write(_: object) -> None:
        os.write(CHANNEL, len(content).to_bytes(4, "big") + content)
        hang(_)

    return write


def swallowed(argument: str) -> None:
    """An attempt that catches the exception of the audit hook."""
    try:
        socket.create_connection(("127.0.0.1", int(argument)))
    except OSError:
        return


def native(result: int) -> None:
    raise RuntimeError("native code was allowed" if result >= 0 else "native code was refused")


def allowed(result: int) -> None:
    if result < 0:
        raise RuntimeError(f"refused: {os.strerror(ctypes.get_errno())}")


def later_raise_once(images: np.ndarray) -> np.ndarray:
    if len(images) == 1:
        raise ValueError("once")
    return images[:, :3]


def leak(_: str) -> None:
    raise ValueError(f"\x1b[31mred\x07 and long {'x' * 5000}\nand more")


WHILE_LOADING: dict[str, Callable[[str], object]] = {
    "segfault": lambda _: faulthandler._sigsegv(),  # type: ignore[attr-defined]
    "abort": lambda _: os.abort(),
    "exit": lambda _: os._exit(3),
    "exit_politely": lambda _: os._exit(0),
    "sys_exit": lambda _: exec("raise SystemExit(4)"),
    "hang": hang,
    "spin": lambda _: exec("while True: pass"),
    "eat": lambda _: [bytearray(1 << 20) for _ in range(1 << 20)],
    "eat_at_once": lambda _: np.ones(1 << 40, np.uint8),
    "nonsense": nonsense,
    "long_reply": reply(b"[" * (1 << 16)),
    "deep_reply": reply(b'{"declared": {"a": ' + b"[" * 60_000),
    "unknown_field": reply(b'{"declared": {}, "run": "rm"}'),
    "empty_reply": reply(b""),
    "outputs_at_once": reply(b'{"dtype": "float32", "shape": [1000000, 1000000]}'),
    "raise": leak,
    "socket": lambda argument: socket.create_connection(("127.0.0.1", int(argument))),
    "swallowed_socket": swallowed,
    "program": lambda argument: subprocess.run(["touch", argument]),
    "system": lambda argument: os.system(f"touch {argument}"),
    "exec": lambda argument: os.execv("/bin/touch", ["touch", argument]),
    "spawn": lambda argument: os.posix_spawn("/bin/touch", ["touch", argument], {}),
    "fork": lambda _: os.fork(),
    "write": lambda argument: Path(argument).write_text("written"),
    "make_folder": lambda argument: Path(argument).mkdir(),
    "remove": lambda argument: Path(argument).unlink(),
    "import": importlib.import_module,
    "passwords": lambda _: Path("/etc/passwd").read_text(),
    "kill": lambda argument: os.kill(int(argument), signal.SIGTERM),
    "pickle": lambda _: pickle.loads(b"cposix\nsystem\n(S'true'\ntR."),
    "marshal": lambda _: marshal.loads(marshal.dumps(compile("1", "", "eval"))),
    "native_library": lambda _: ctypes.CDLL("libm.so.6"),
    "native_socket": lambda _: native(SOCKET(socket.AF_INET, socket.SOCK_DGRAM, 0)),
    "native_file": lambda argument: native(OPEN(argument.encode(), os.O_WRONLY | os.O_CREAT, 0o600)),
    "native_read": lambda argument: native(OPEN(argument.encode(), os.O_RDONLY)),
    "native_remove": lambda argument: native(UNLINK(argument.encode())),
    "native_fork": lambda _: native(FORK()),
    "native_program": lambda argument: native(0 if SYSTEM(f"touch {argument}".encode()) == 0 else -1),
    "native_kill": lambda argument: native(KILL(int(argument), 0)),
    "native_signal_to_thread": lambda argument: native(TGKILL(int(argument), int(argument), 0)),
    "native_limit": lambda argument: native(PRLIMIT(int(argument), RLIMIT_CPU, None, OLD_LIMIT)),
    "native_priority": lambda argument: native(SETPRIORITY(PRIO_PROCESS, int(argument), 19)),
    "native_priority_of_group": lambda _: native(SETPRIORITY(PRIO_PGRP, 0, 19)),
    "native_affinity": lambda argument: native(AFFINITY(int(argument), 8, b"\x01" + bytes(7))),
    "native_chmod": lambda argument: native(CHMOD(argument.encode(), 0o777)),
    "native_chown": lambda argument: native(CHOWN(argument.encode(), -1, -1)),
    "native_setxattr": lambda argument: native(SETXATTR(argument.encode(), b"user.a", b"1", ctypes.c_size_t(1), 0)),
    "native_utime": lambda argument: native(UTIME(AT_FDCWD, argument.encode(), None, 0)),
    "native_truncate": lambda argument: native(TRUNCATE(argument.encode(), ctypes.c_long(0))),
    "native_pipe_file": lambda argument: native(MKFIFO(argument.encode(), 0o600)),
    "native_shared_memory": lambda _: native(SHMGET(IPC_PRIVATE, ctypes.c_size_t(4096), IPC_CREAT)),
    "native_messages": lambda _: native(MSGGET(IPC_PRIVATE, IPC_CREAT)),
    "native_semaphores": lambda _: native(SEMGET(IPC_PRIVATE, 1, IPC_CREAT)),
    "native_watch": lambda _: native(INOTIFY()),
}
OF_ITS_OWN_PROCESS = {
    "own_limit": lambda _: allowed(PRLIMIT(os.getpid(), RLIMIT_CPU, None, OLD_LIMIT)),
    "own_limit_by_0": lambda _: allowed(PRLIMIT(0, RLIMIT_CPU, None, OLD_LIMIT)),
    "own_priority": lambda _: allowed(SETPRIORITY(PRIO_PROCESS, 0, 19)),
    "own_affinity": lambda _: allowed(AFFINITY(0, 8, b"\xff" * 8)),
}
"""What a library may ask of the system, so that no attack is suspected."""
WHILE_LOADING |= OF_ITS_OWN_PROCESS

WHILE_PREDICTING: dict[str, Callable[[np.ndarray], object]] = {
    "later_segfault": lambda _: faulthandler._sigsegv(),  # type: ignore[attr-defined]
    "later_hang": hang,
    "later_raise_once": later_raise_once,
    "later_raise": lambda images: np.ones((2, 2)) @ np.ones((3, 3)),
    "later_eat": lambda _: [bytearray(1 << 20) for _ in range(1 << 20)],
    "too_few": lambda images: images[1:, :3],
    "too_many": lambda images: np.zeros((len(images), 20_000), np.float32),
    "complex_dtype": lambda images: np.zeros((len(images), 3), "complex64"),
    "object_dtype": lambda images: np.array([None] * len(images)),
    "half": lambda images: reply(b'{"dtype": "float32", "shape": [2, 3]}')(None),
    "socket_later": lambda _: socket.socket(),
}
