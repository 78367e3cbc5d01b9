"""NumPy's files: an .npz archive, or a folder of .npy files such as MNIST-C's."""

import math
import re
import sys
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.lib import format as npy

from imparfait.core.errors import UserError
from imparfait.data.dataset import Split
from imparfait.data.idx import MAX_DENSITY, check_size

IMAGES = ("x", "images", "image", "imgs", "data", "features")
LABELS = ("y", "labels", "label", "targets", "target")
SPLITS: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training", ""),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""Words of the names of arrays, before or after those of images and labels, in any case: x_train, train_images, …

Keras's mnist.npz, MedMNIST and MNIST-C have such names, and a set without splits has images and labels.
"""


def find_arrays(names: set[str], split: Split) -> tuple[str, str] | None:
    """The names of a split's images and labels among `names`."""
    by_key = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in sorted(names, reverse=True)}
    for word in SPLITS[split]:
        images, labels = (
            next((by_key[key] for kind in kinds for key in (kind + word, word + kind) if key in by_key), None)
            for kinds in (IMAGES, LABELS)
        )
        if images and labels:
            return images, labels
    return None


def names_in(path: Path) -> set[str]:
    """The arrays in an .npz file, or in a folder of .npy files."""
    if path.is_dir():
        return {file.stem for file in path.glob("*.npy") if file.is_file()}
    if not path.is_file():  # reading a pipe would wait for ever
        raise UserError(f"{path}: is no regular file; expected an .npz file")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise UserError(f"{path}: not an .npz file: {error}") from error
    if len(names) != len(set(names)):
        raise UserError(f"{path}: two arrays of one name in it")
    return {name.removesuffix(".npy") for name in names if name.endswith(".npy")}


def read_array(path: Path, name: str, *, or_text: bool = False) -> np.ndarray:
    """The array `name` of an .npz file or a folder of .npy files: whole numbers, or where it may be, text.

    Raises UserError when it is not what its header says, before anything large is read. Nothing is unpickled.
    """
    if path.is_dir():
        file = path / f"{name}.npy"
        with file.open("rb") as stream:
            return _read(file, stream, file.stat().st_size, or_text)
    inside = Path(f"{path}[{name}]")
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as stream:
            info = archive.getinfo(f"{name}.npy")
            dense = 1 if info.compress_type == zipfile.ZIP_STORED else MAX_DENSITY[".gz"]
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                dense = MAX_DENSITY[".xz"]
            held = min(info.compress_size, path.stat().st_size) * dense
            return _read(inside, stream, min(info.file_size, held), or_text)
    except UserError:
        raise
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, KeyError) as error:
        raise UserError(f"{inside}: cannot be read: {error}") from error


@runtime_checkable
class Readable(Protocol):
    """Anything bytes can be read from."""

    def read(self, size: int = ..., /) -> bytes:
        """The next `size` bytes, or fewer where it ends."""
        ...


def _read(path: Path, stream: Readable, size: int, or_text: bool) -> np.ndarray:
    try:
        version = npy.read_magic(stream)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, kind = header(stream)
    except (ValueError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: not a file of NumPy's: {reason}") from error
    is_text = kind.kind in "US" and or_text
    if not is_text and (kind.kind not in "ui" or kind.hasobject):
        wanted = "whole numbers, or text" if or_text else "whole numbers (images uint8, 0 to 255)"
        raise UserError(f"{path}: its values are {kind}; expected {wanted}")
    if is_text and not kind.itemsize:
        raise UserError(f"{path}: all its values are empty", expected="whole numbers, or text")
    if any(type(length) is not int or length < 0 for length in shape):  # True is an int too
        raise UserError(f"{path}: the header says shape {shape}; expected lengths from 0")
    expected = math.prod(shape) * kind.itemsize
    described = f"{' x '.join(map(str, shape))} of {kind}"
    check_size(path, expected, described, size)
    content = bytearray(stream.read(expected))  # an array on it can be written to
    content += stream.read(1)
    if len(content) != expected:
        held = "more" if len(content) > expected else str(len(content))
        raise UserError(f"{path}: the header says {described} = {expected} bytes, the file holds {held}")
    values = np.frombuffer(content, kind)
    values = _as_text(path, values) if is_text else values
    return values.reshape(shape[::-1]).T if fortran else values.reshape(shape)


def _as_text(path: Path, values: np.ndarray) -> np.ndarray:
    """Labels in Unicode or bytes as Unicode, without spaces around them."""
    try:
        if values.dtype.kind == "U":  # checked first: NumPy raises SystemError for what is no character
            codes = values.view(np.dtype("u4").newbyteorder(values.dtype.byteorder))
            if codes.size and codes.max() > sys.maxunicode:
                raise ValueError(f"{codes.max()} is no character")
        found, places = np.unique(values, return_inverse=True)
        names = [value.decode() if isinstance(value, bytes) else str(value) for value in found]
    except ValueError as error:
        raise UserError(f"{path}: a label is not text: {error}", expected="text in UTF-8, or whole numbers") from error
    return np.array([name.strip() for name in names], np.str_)[places]
