"""Values on a socket between a process and its image workers: JSON, then the bytes of arrays; nothing is unpickled."""

import json
import math
import socket
import struct
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import numpy as np

from imparfait.data.images.decode import Page
from imparfait.data.images.normalize import NormalizedImage
from imparfait.evaluation.external.sandbox.protocol import ProtocolError, receive_array, receive_exactly, set_timeout

# A page has 48 MB, and 28,000 digits take 30 MB of JSON.
MAX_JSON_BYTES, MAX_ARRAY_BYTES = 64 << 20, 256 << 20
DTYPES = {"uint8", "float32", "float64", "int64", "bool"}
PART, PREDICT, PROBABILITIES = "part", "predict", "probabilities"
DONE, REFUSED, OUT_OF_MEMORY, FAILED = "done", "refused", "out of memory", "failed"
"""Kinds of messages, besides the kinds of jobs: parts of a result and calls of the classifier; how a job ended."""
ARRAY, TUPLE, MAPPING, DATACLASS = "a", "t", "m", "d"  # JSON objects have exactly one of these keys


@cache
def types() -> dict[str, type]:
    """The only classes that a message may hold, by name: dataclasses whose creation runs no other code."""
    from imparfait.inference.ocr import Digit, Field, Line, Reading  # late: only who reads pays for the import
    from imparfait.inference.ocr.distribution import SameLength, StringDistribution

    shared = (Page, NormalizedImage, Reading, Line, Field, Digit, StringDistribution, SameLength)
    return {each.__name__: each for each in shared}


def send(channel: socket.socket, kind: str, value: Any = None, deadline: float | None = None) -> None:
    """Send a message of this kind; raises TimeoutError after `deadline` (of time.monotonic)."""
    arrays: list[np.ndarray] = []
    encoded = _encoded(value, arrays)
    headers = [(str(array.dtype), array.shape) for array in arrays]
    content = json.dumps([kind, encoded, headers]).encode()
    set_timeout(channel, deadline)
    channel.sendall(struct.pack(">I", len(content)) + content)
    for array in arrays:
        set_timeout(channel, deadline)
        channel.sendall(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def receive(channel: socket.socket, deadline: float | None = None) -> tuple[str, Any]:
    """The kind and the value of the next message.

    Raises EOFError where the other side has closed, TimeoutError after `deadline`, ProtocolError for nonsense.
    """
    (length,) = struct.unpack(">I", receive_exactly(channel, bytearray(4), deadline))
    if length > MAX_JSON_BYTES:
        raise ProtocolError
    try:
        kind, encoded, headers = json.loads(receive_exactly(channel, bytearray(length), deadline))
        left = MAX_ARRAY_BYTES
        for dtype, shape in headers:
            size = math.prod(shape) * np.dtype(dtype).itemsize
            left -= size
            if dtype not in DTYPES or min(shape, default=0) < 0 or left < 0:
                raise ProtocolError
        arrays = [receive_array(channel, dtype, tuple(shape), deadline) for dtype, shape in headers]
        return str(kind), _decoded(encoded, arrays)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise ProtocolError from error


def _encoded(value: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {ARRAY: len(arrays) - 1}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return {TUPLE: [_encoded(item, arrays) for item in value]}
    if isinstance(value, list):
        return [_encoded(item, arrays) for item in value]
    if isinstance(value, dict):
        return {MAPPING: [[key, _encoded(item, arrays)] for key, item in value.items()]}
    if is_dataclass(value) and not isinstance(value, type):
        return {
            DATACLASS: [type(value).__name__, [_encoded(getattr(value, each.name), arrays) for each in fields(value)]]
        }
    return value  # None, a string or a number


def _decoded(content: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(content, list):
        return [_decoded(item, arrays) for item in content]
    if not isinstance(content, dict):
        return content
    ((kind, held),) = content.items()
    if kind == ARRAY:
        return arrays[held]
    if kind == TUPLE:
        return tuple(_decoded(item, arrays) for item in held)
    if kind == MAPPING:
        return {str(key): _decoded(item, arrays) for key, item in held}
    name, values = held
    kinds = {each.__name__: each for each in (Page, NormalizedImage)}
    return (kinds.get(name) or types()[name])(*(_decoded(item, arrays) for item in values))
