"""Frames on a socket between processes: JSON of bounded length, and after it the bytes of one array."""

import json
import math
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

MOST_WORDS = 1 << 16  # bytes of JSON
START, END = b"+", b"-"  # what a server is ordered to do: fork a child, end one


class NonsenseError(Exception):
    """What came is no frame, or not the one that was asked for."""


def send(
    channel: socket.socket, words: Mapping[str, Any], array: np.ndarray | None = None, by: float | None = None
) -> None:
    """Write a frame, until the time `by` (of time.monotonic) at most; raises TimeoutError after it."""
    content = json.dumps(words).encode()
    _wait(channel, by)
    channel.sendall(struct.pack(">I", len(content)) + content)
    if array is not None:
        _wait(channel, by)
        channel.sendall(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def receive(channel: socket.socket, by: float | None = None) -> bytes:
    """The JSON of the next frame, not yet parsed.

    Raises EOFError where the other side has gone, TimeoutError after the time `by`, NonsenseError when it is too long.
    """
    (length,) = struct.unpack(">I", _exactly(channel, bytearray(4), by))
    if length > MOST_WORDS:
        raise NonsenseError
    return bytes(_exactly(channel, bytearray(length), by))


def receive_array(channel: socket.socket, kind: str, shape: tuple[int, ...], by: float | None = None) -> np.ndarray:
    """The array that follows; memory is taken for it, so the caller has checked `kind` and `shape`."""
    size = math.prod(shape) * np.dtype(kind).itemsize
    return np.frombuffer(_exactly(channel, bytearray(size), by), kind).reshape(shape)


def _exactly(channel: socket.socket, room: bytearray, by: float | None) -> bytearray:
    left = memoryview(room)
    while left:
        _wait(channel, by)
        if not (count := channel.recv_into(left)):
            raise EOFError
        left = left[count:]
    return room


def _wait(channel: socket.socket, by: float | None) -> None:
    """Let the next read or write on `channel` take no longer than until `by`."""
    left = None if by is None else by - time.monotonic()
    if left is not None and left <= 0:
        raise TimeoutError
    channel.settimeout(left)
