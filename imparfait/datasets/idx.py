"""IDX files, the format MNIST is published in."""

import gzip
import lzma
import math
import zlib
from pathlib import Path

import numpy as np

from imparfait.errors import UserError

UNSIGNED_BYTE = 0x08
PARTS = {
    "train": ("train-images", "train-labels"),
    "test": ("t10k-images", "t10k-labels"),
}


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array an IDX file holds (plain, .gz or .xz), of the shape its header says.

    Raises UserError when the header and the bytes disagree.
    Source: the format as described on MNIST's page: 0, 0, type, dimensions, sizes (big-endian uint32), values.
    """
    try:
        content = _unpacked(path)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE or not 1 <= content[3] <= 4:
        raise UserError(f"{path}: not an IDX file of bytes; its first four bytes are {content[:4].hex() or 'missing'}")
    start = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:start], ">u4") if len(content) >= start else np.array([], ">u4")
    wanted = math.prod(shape.tolist())
    if len(content) < start or len(content) - start != wanted:
        said = " x ".join(map(str, shape.tolist())) or "nothing"
        raise UserError(
            f"{path}: the header says {said} = {wanted} values, the file holds {max(0, len(content) - start)}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape.tolist()).copy()  # torch wants it writable


def _unpacked(path: Path) -> bytes:
    packed = path.read_bytes()
    return {".gz": gzip.decompress, ".xz": lzma.decompress}.get(path.suffix, bytes)(packed)


def find_idx(folder: Path, part: str) -> Path | None:
    """The file of `folder` that holds `part` ("train-images", …), whichever of the usual names it has."""
    found = sorted(path for path in folder.iterdir() if path.name.startswith(part) and path.is_file())
    return found[0] if found else None
