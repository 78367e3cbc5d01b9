"""IDX files, the format MNIST is published in."""

import gzip
import io
import lzma
import math
import os
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from imparfait.core.errors import UserError

UNSIGNED_BYTE = 0x08
PARTS = {
    "train": ("train-images", "train-labels"),
    "test": ("t10k-images", "t10k-labels"),
}
MAX_DENSITY = {".gz": 1032, ".xz": 10_000}  # bytes in one byte of such a file: deflate's limit, of LZMA zeros: 7,100
NAME = re.compile(
    r"(?:(?P<set>.+)[-_.])?(?P<split>train|t10k|test)-(?P<kind>images|labels)(?:[-.]idx\d*)?(?:[-.]ubyte)?(?:\.(?:gz|xz))?",
    re.IGNORECASE,
)
"""The names of IDX files: as MNIST's, or as EMNIST's, which begin with the name of the set."""
TRANSPOSED = re.compile(r"^emnist", re.I)
"""Sets whose images are stored with rows and columns exchanged (Cohen et al. 2017, who kept MATLAB's order)."""
XZ_END = b"YZ"  # of the last stream, before zeros that fill a file up


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array an IDX file holds (plain, .gz or .xz), of the shape its header gives.

    Raises UserError when the header and the bytes disagree, before anything large is read.
    Source: the format as described on MNIST's page: 0, 0, type, dimensions, sizes (big-endian uint32), values.
    """
    try:
        with _open(path) as file:
            return _read_array(path, file)
    except (OSError, EOFError, MemoryError, lzma.LZMAError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {error or type(error).__name__}") from error


def _open(path: Path) -> io.BufferedIOBase:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return gzip.open(path)
    return lzma.open(path) if suffix == ".xz" else path.open("rb")


def _read_array(path: Path, file: io.BufferedIOBase) -> np.ndarray:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] != UNSIGNED_BYTE or not 1 <= start[3] <= 4:
        raise UserError(f"{path}: not an IDX file of bytes; its first four bytes are {start.hex() or 'missing'}")
    sizes = file.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise UserError(f"{path}: the header says {start[3]} dimensions, the file ends before their sizes")
    shape: list[int] = np.frombuffer(sizes, ">u4").tolist()
    expected = math.prod(shape)
    described = " x ".join(map(str, shape))
    check_size(path, expected, described, path.stat().st_size * MAX_DENSITY.get(path.suffix.lower(), 1))
    values = file.read(expected)
    more = file.read(1)
    if len(values) != expected or more:
        held = "more" if more else str(len(values))
        raise UserError(f"{path}: the header says {described} = {expected} values, the file holds {held}")
    if path.suffix.lower() == ".xz" and not path.read_bytes().rstrip(b"\0").endswith(XZ_END):
        raise EOFError("there are bytes after its end")
    return np.frombuffer(bytearray(values), np.uint8).reshape(shape)


def check_size(path: Path, expected: int, described: str, most: int) -> None:
    """Raises UserError when `expected` bytes, as its header says, are over `most` or half of the memory."""
    header = f"{path}: the header says {described} = {expected} bytes"
    if expected > most:
        raise UserError(f"{header}, a file of this size holds {most} at most")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 1 << 34
    if expected > memory // 2:
        raise UserError(f"{header}, more than half of this computer's memory")


def find_sets(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """The sets among files of these names: of each, by its name, the file of each of PARTS that is there.

    The name is that before `train` or `test`, so that of MNIST's files it is empty.
    """
    sets: dict[str, dict[str, str]] = {}
    for name in sorted(names):
        if found := NAME.fullmatch(name):
            split = "train" if found["split"].lower() == "train" else "t10k"
            sets.setdefault(found["set"] or "", {}).setdefault(f"{split}-{found['kind'].lower()}", name)
    return sets


def read_mapping(path: Path) -> dict[int, str]:
    """The class names of an EMNIST set: in each line a label, and the codes of the characters it stands for."""
    try:
        rows = [line.split() for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
        return {int(row[0]): chr(int(row[1])) for row in rows}
    except (OSError, ValueError, IndexError, OverflowError) as error:
        raise UserError(
            f"{path}: not a mapping of labels to characters ({error}); expected lines such as 10 65"
        ) from error


def as_idx(array: np.ndarray) -> bytes:
    """An array of bytes as the content of an IDX file."""
    header = bytes([0, 0, UNSIGNED_BYTE, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + np.ascontiguousarray(array).tobytes()
