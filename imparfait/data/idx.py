"""IDX files, the format MNIST is published in."""

import math
from pathlib import Path

import numpy as np

from imparfait.core.errors import UserError
from imparfait.data.packed import Packed

UNSIGNED_BYTE = 0x08
PARTS = {
    "train": ("train-images", "train-labels"),
    "test": ("t10k-images", "t10k-labels"),
}


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array an IDX file holds (plain, .gz or .xz), of the shape its header says.

    Raises UserError when the header and the bytes disagree, before anything large is read.
    Source: the format as described on MNIST's page: 0, 0, type, dimensions, sizes (big-endian uint32), values.
    """
    packed = Packed(path)
    start = packed.take(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] != UNSIGNED_BYTE or not 1 <= start[3] <= 4:
        raise UserError(f"{path}: not an IDX file of bytes; its first four bytes are {start.hex() or 'missing'}")
    sizes = packed.take(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise UserError(f"{path}: the header says {start[3]} dimensions, the file ends before their sizes")
    shape: list[int] = np.frombuffer(sizes, ">u4").tolist()
    expected = math.prod(shape)
    said = " x ".join(map(str, shape))
    packed.check(expected, said)
    values = packed.take(expected)
    more = packed.take(1)
    if len(values) != expected or more:
        held = "more" if more else str(len(values))
        raise UserError(f"{path}: the header says {said} = {expected} values, the file holds {held}")
    return np.frombuffer(values, np.uint8).reshape(shape)


def find_idx(folder: Path, part: str) -> Path | None:
    """The file of `folder` that holds `part` ("train-images", …), whichever of the usual names it has."""
    found = sorted(path for path in folder.iterdir() if path.name.startswith(part) and path.is_file())
    return found[0] if found else None


def as_idx(array: np.ndarray) -> bytes:
    """An array of bytes as the content of an IDX file."""
    header = bytes([0, 0, UNSIGNED_BYTE, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + np.ascontiguousarray(array).tobytes()
