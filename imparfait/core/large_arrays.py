"""Arrays that may be larger than memory: beyond a limit they are files that the system maps into it."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.storage import user_cache

SHARE_OF_MEMORY = 1 / 8  # of one array: three are alive at once, of all images, of those to fit on and to validate on
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
PART_BYTES = 1 << 24  # copied at a time
UINT8 = np.dtype(np.uint8)


def new_array(shape: tuple[int, ...], dtype: np.dtype = UINT8) -> np.ndarray:
    """Zeros in memory, or in a file where they would be over an eighth of it.

    The file is in the user's cache folder, has no name, and is gone with the array. The system writes its pages to
    disk when memory is short, and reads them back. Raises UserError when the disk is too full.
    """
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size <= limit_bytes():
        return np.zeros(shape, dtype)
    folder = user_cache("images")
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)  # a hole could not be filled later: that ends the process
        except OSError as error:
            raise UserError(
                f"{folder}: {error.strerror} for {size / 1e9:.1f} GB of numbers, which are too many for memory",
                hint="free some, set XDG_CACHE_HOME to another disk, or use fewer or smaller images",
            ) from error
        return np.memmap(file, dtype, "r+", shape=shape)


def rows_of(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """A copy of the rows at these places, or where a mask is true; in a file where they are too large for memory."""
    places = np.flatnonzero(rows) if rows.dtype == bool else rows
    if array.dtype != UINT8 or array[:1].nbytes * len(places) <= limit_bytes():
        return np.asarray(array[places])
    found = new_array((len(places), *array.shape[1:]))
    step = _rows_at_a_time(array)
    for start in range(0, len(places), step):
        found[start : start + step] = array[places[start : start + step]]
    return found


def joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Several arrays one after the other; in a file where they are too large for memory."""
    if arrays[0].dtype != UINT8 or sum(array.nbytes for array in arrays) <= limit_bytes():
        return np.concatenate(arrays)
    found = new_array((sum(map(len, arrays)), *arrays[0].shape[1:]))
    start = 0
    for array in arrays:
        found[start : start + len(array)] = array
        start += len(array)
    return found


def in_three_channels(images: np.ndarray, count: int) -> np.ndarray:
    """An array for as many colour images as `images`, of which the first `count` are filled with these grey ones."""
    found = new_array((len(images), 3, *images.shape[2:]))
    step = _rows_at_a_time(found)
    for start in range(0, count, step):
        found[start : min(start + step, count)] = images[start : min(start + step, count)]
    return found


def limit_bytes() -> int:
    """Bytes of an array that may be in memory: an eighth of the machine's, or of what this process may have."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        allowed = CGROUP_LIMIT.read_text(encoding="ascii").strip()
    except OSError:
        allowed = "max"
    if allowed.isdecimal():
        memory = min(memory, int(allowed))
    return int(memory * SHARE_OF_MEMORY)


def _rows_at_a_time(array: np.ndarray) -> int:
    return max(1, PART_BYTES // max(1, array[:1].nbytes))
