"""Messages on a socket between processes: JSON of bounded length, followed by the bytes of at most one array."""

import json
import math
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

MAX_MESSAGE_BYTES = 1 << 16  # of JSON
SKIPPED_AT_ONCE = 1 << 16  # bytes of an array that there is no memory for
START_CHILD, END_CHILD = b"+", b"-"  # one byte before each order to the server


class ProtocolError(Exception):
    """The bytes received are no message, or not the one expected."""


class Reply(BaseModel, frozen=True, extra="forbid", strict=True):
    """A child's message: what the file declares, the array that follows, or what went wrong."""

    declared: dict[str, Any] | None = None
    dtype: Literal["float32", "int64"] | None = None
    shape: tuple[int, ...] = ()
    refused: str | None = None
    """The loader's own error about the file."""
    failed: str | None = None
    """Any other exception."""
    blocked: str | None = None
    """The action that the audit hook blocked."""
    out_of_memory: bool = False


class Started(BaseModel, frozen=True, extra="forbid"):
    """A server's first message."""

    ready: bool = False
    failed: str | None = None


def send(
    channel: socket.socket,
    message: Mapping[str, Any],
    array: np.ndarray | None = None,
    deadline: float | None = None,
) -> None:
    """Send a message and an array; raises TimeoutError after `deadline` (of time.monotonic)."""
    content = json.dumps(message).encode()
    set_timeout(channel, deadline)
    channel.sendall(struct.pack(">I", len(content)) + content)
    if array is not None:
        set_timeout(channel, deadline)
        channel.sendall(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def receive(channel: socket.socket, deadline: float | None = None) -> bytes:
    """The JSON of the next message, not yet parsed.

    Raises EOFError where the other side has closed, TimeoutError after `deadline`, ProtocolError when it is too long.
    """
    (length,) = struct.unpack(">I", receive_exactly(channel, bytearray(4), deadline))
    if length > MAX_MESSAGE_BYTES:
        raise ProtocolError
    return bytes(receive_exactly(channel, bytearray(length), deadline))


def receive_array(
    channel: socket.socket, dtype: str, shape: tuple[int, ...], deadline: float | None = None
) -> np.ndarray:
    """The array that follows. It is allocated first, so the caller has checked `dtype` and `shape`.

    Raises MemoryError where there is no room for it; its bytes are then taken from the channel all the same.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    try:
        buffer = bytearray(size)
    except MemoryError:
        for start in range(0, size, SKIPPED_AT_ONCE):
            receive_exactly(channel, bytearray(min(SKIPPED_AT_ONCE, size - start)), deadline)
        raise
    return np.frombuffer(receive_exactly(channel, buffer, deadline), dtype).reshape(shape)


def receive_exactly(channel: socket.socket, buffer: bytearray, deadline: float | None) -> bytearray:
    """Fill `buffer`; raises EOFError where the other side has closed, TimeoutError after `deadline`."""
    missing = memoryview(buffer)
    while missing:
        set_timeout(channel, deadline)
        if not (count := channel.recv_into(missing)):
            raise EOFError
        missing = missing[count:]
    return buffer


def set_timeout(channel: socket.socket, deadline: float | None) -> None:
    """Limit the next read or write on `channel` to the time left."""
    seconds = None if deadline is None else deadline - time.monotonic()
    if seconds is not None and seconds <= 0:
        raise TimeoutError
    channel.settimeout(seconds)
