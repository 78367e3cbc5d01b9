"""Loader of the tensors in a PyTorch file of the format before 1.6, whose pickle is parsed and never run."""

# Runs in the sandbox. Such a file is five pickles (a magic number, a version, facts about the machine, the state
# dictionary, the keys of its storages) and then the values. pickletools lists the instructions of a pickle without
# following them; the few that build a state dictionary are followed here, and any other refuses the file. No name in
# the file is ever looked up, so there is nothing it could call.

import math
import pickletools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np

from imparfait.core.errors import UserError

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
ROW_VALUES = 8192  # values in one row of what the sandbox returns
ELEMENTS = {
    "torch FloatStorage": "<f4", "torch DoubleStorage": "<f8", "torch HalfStorage": "<f2", "torch LongStorage": "<i8",
}  # fmt: skip
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list}
MARK = object()


class Symbol(NamedTuple):
    """The name of a function or class in a pickle."""

    name: str


class Storage(NamedTuple):
    """An array that follows the pickles."""

    key: str
    element: str
    length: int


class Tensor(NamedTuple):
    """A part of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def prepare() -> None:
    """Nothing to import beforehand."""


def load(path: str, threads: int) -> tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]:
    """The shapes of the tensors in the file at `path`, and a function from row numbers to rows of their values.

    The values of all tensors follow each other as float32, ROW_VALUES in a row. Integers, which are counters, are left
    out. Raises UserError for any other kind of file.
    """
    tensors = read_tensors(Path(path))
    values = np.concatenate([tensor.ravel() for tensor in tensors.values()] or [np.zeros(0, np.float32)])
    rows = np.zeros((-(-len(values) // ROW_VALUES), ROW_VALUES), np.float32)
    rows.reshape(-1)[: len(values)] = values
    return {"shapes": {name: tensor.shape for name, tensor in tensors.items()}}, lambda numbers: rows[numbers]


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """The floating-point tensors of a state dictionary, by name, as float32; raises UserError as `load` does."""
    try:
        with path.open("rb") as file:
            if (_parse(file), _parse(file)) != (MAGIC, VERSION):
                raise UserError("is no PyTorch file of the format before 1.6")
            machine, state, keys = _parse(file), _parse(file), _parse(file)
            if not machine["little_endian"]:
                raise UserError("was written by a big-endian machine")
            elements = {tensor.storage.key: tensor.storage for tensor in state.values()}
            arrays = {key: _read_storage(file, elements[key]) for key in keys}
        return {name: _part(arrays, tensor) for name, tensor in state.items() if tensor.storage.element != "<i8"}
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, struct.error) as error:
        raise UserError(f"is no state dictionary of PyTorch, or a broken one: {type(error).__name__}") from error


def _read_storage(file: BinaryIO, storage: Storage) -> np.ndarray:
    (count,) = struct.unpack("<q", file.read(8))
    if count != storage.length or count < 0:
        raise ValueError
    content = file.read(count * np.dtype(storage.element).itemsize)
    return np.frombuffer(content, storage.element, count)


def _part(arrays: dict[str, np.ndarray], tensor: Tensor) -> np.ndarray:
    """The values of a tensor; raises ValueError where its storage does not have them all."""
    array, shape, strides = arrays[tensor.storage.key], tensor.shape, tensor.strides
    if len(strides) != len(shape) or min((tensor.offset, *shape, *strides)) < 0 or math.prod(shape) > len(array):
        raise ValueError
    if tensor.offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True)) >= len(array):
        raise ValueError
    steps = [stride * array.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(array[tensor.offset :], shape, steps).astype(np.float32)


def _parse(file: BinaryIO) -> Any:
    """The value of the pickle at the file's position, from plain values, storages and tensors only."""
    stack: list[Any] = []
    memory: dict[int, Any] = {}
    for instruction, given, _ in pickletools.genops(file):
        name, argument = instruction.name, cast(Any, given)
        if name == "STOP":
            return stack.pop()
        if name in LITERALS:
            stack.append(argument)
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in EMPTY:
            stack.append(EMPTY[name]())
        elif name == "MARK":
            stack.append(MARK)
        elif name == "GLOBAL":
            stack.append(Symbol(argument))
        elif name in ("BINPUT", "LONG_BINPUT"):
            memory[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memory[argument])
        elif name == "TUPLE":
            stack.append(tuple(_since_mark(stack)))
        elif name in TUPLES:
            stack[-TUPLES[name] :] = [tuple(stack[-TUPLES[name] :])]
        elif name in ("APPEND", "APPENDS"):
            values = [stack.pop()] if name == "APPEND" else _since_mark(stack)
            stack[-1].extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            values = [stack.pop(-2), stack.pop()] if name == "SETITEM" else _since_mark(stack)
            stack[-1].update(zip(values[::2], values[1::2], strict=True))
        elif name == "BINPERSID":
            stack.append(_storage(*stack.pop()))
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(_built(stack.pop(), arguments))
        elif name == "BUILD":
            stack.pop()  # attributes of the dictionary: versions of modules
        elif name != "PROTO":
            raise UserError(f"its pickle has the instruction {name}", expected="a dictionary of tensors only")
    raise ValueError


def _since_mark(stack: list[Any]) -> list[Any]:
    """What was put on the stack since the last mark, taken from it."""
    start = len(stack) - 1 - stack[::-1].index(MARK)
    values = stack[start + 1 :]
    del stack[start:]
    return values


def _storage(kind: str, symbol: Symbol, key: str, device: str, count: int, view: None) -> Storage:
    if kind != "storage" or view is not None or symbol.name not in ELEMENTS:
        raise UserError(f"holds a {kind} of {symbol.name}", expected="storages of floating-point numbers")
    return Storage(key, ELEMENTS[symbol.name], count)


def _built(symbol: Symbol, arguments: tuple[Any, ...]) -> Any:
    """What a call in the pickle makes; only the two of a state dictionary."""
    if symbol.name == "collections OrderedDict" and arguments == ():
        return {}
    if symbol.name != "torch._utils _rebuild_tensor_v2":
        raise UserError(f"its pickle would call {symbol.name}", expected="a dictionary of tensors only")
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(storage, Storage):
        raise ValueError
    return Tensor(storage, offset, shape, strides)
