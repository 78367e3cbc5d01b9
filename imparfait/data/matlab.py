"""SVHN's MATLAB files: images X [height, width, channels, n] and labels y [n, 1], of which 10 is the digit 0."""

import math
import struct
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from imparfait.core.errors import UserError
from imparfait.data.arrays import Arrays
from imparfait.data.idx import MAX_DENSITY, check_size

EXPECTED = "SVHN's train_32x32.mat and test_32x32.mat, with images X [height, width, channels, n] and labels y"
BROKEN = (
    OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, MemoryError, OverflowError,
    NotImplementedError, struct.error, zlib.error,
)  # fmt: skip
"""What SciPy raises for broken files."""


def read_matlab(path: Path) -> Arrays:
    """The images [n, height, width, channels] and labels of a .mat file such as SVHN's.

    Raises UserError when it is another file, before anything large is read.
    """
    from scipy.io import loadmat, whosmat
    from scipy.io.matlab import MatReadError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shapes = {name: (shape, kind) for name, shape, kind in whosmat(str(path), appendmat=False)}
            _check(path, shapes)
            found = loadmat(str(path), appendmat=False, variable_names=["X", "y"])
            images, labels = found["X"], found["y"]
    except (*BROKEN, MatReadError) as error:
        raise UserError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}", expected=EXPECTED) from error
    if labels.dtype.kind not in "uif" or (labels != np.rint(labels)).any():
        raise UserError(f"{path}: its labels are {labels.dtype}", expected="whole numbers")
    labels = labels.reshape(-1).astype(np.int64)
    if labels.size and labels.min() >= 1 and labels.max() == 10:
        labels %= 10  # SVHN's label of the digit 0 is 10
    return np.moveaxis(images, 3, 0), labels


def _check(path: Path, shapes: Mapping[str, tuple[tuple[int, ...], str]]) -> None:
    """Raises UserError where X or y is missing, of a type that holds no images, or too large for the file."""
    if not {"X", "y"} <= set(shapes):
        raise UserError(f"{path}: the variables {', '.join(shapes) or 'of no name'}", expected=EXPECTED)
    (shape, kind), (_, of_labels) = shapes["X"], shapes["y"]
    if len(shape) != 4 or kind != "uint8":
        raise UserError(f"{path}: X of {kind}, shape {shape}", expected=f"uint8; {EXPECTED}")
    if of_labels in ("cell", "struct", "object", "char", "function", "opaque"):
        raise UserError(f"{path}: y is of {of_labels}", expected="whole numbers")
    size = path.stat().st_size * MAX_DENSITY[".gz"]
    check_size(path, math.prod(shape), " x ".join(map(str, shape)), size)
    check_size(path, 8 * math.prod(shapes["y"][0]), " x ".join(map(str, shapes["y"][0])), size)
