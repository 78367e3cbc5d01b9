"""CSV files with an image per row, as Kaggle has MNIST: a label and the pixels."""

import math
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imparfait.core.errors import UserError
from imparfait.data.arrays import Arrays
from imparfait.data.idx import TRANSPOSED

PIXEL = re.compile(r"\s*(?:pixels?|px|p|x|f|feature)?[ _.]?\d+(?:[x_]\d+)?\s*", re.I)  # pixel0, p_0, 1x1, or a value
LABELS = ("label", "labels", "class", "target", "y")
MIN_PIXELS = 16  # columns; with fewer it is another table
ROWS_AT_A_TIME = 2000  # that are parsed, as 32-bit numbers
EXPECTED = "label,pixel0,…,pixelN with a square number of pixels, or three times that in colour"


def is_pixel_table(header: Sequence[str]) -> bool:
    """Whether a CSV file with this first row has an image per row: all columns but one or none are pixels."""
    pixels = sum(bool(PIXEL.fullmatch(name)) for name in header)
    return pixels >= MIN_PIXELS and len(header) - pixels <= 1


def has_labels(header: Sequence[str]) -> bool:
    """Whether a table of pixels with this first row has labels: in a column of that name, or in its first."""
    return any(name.strip().casefold() in LABELS for name in header) or _is_unnamed(header)


def read_pixel_table(path: Path, header: Sequence[str]) -> Arrays:
    """The images [n, height, width] or [n, height, width, 3] and the labels of a CSV file with this first row.

    Without names in it, the first row is an image and the first column the labels. Memory: the pixels, and some rows.
    Raises UserError when labels are missing or a value is no pixel.
    """
    named = not _is_unnamed(header)
    column = _label_column(path, header, named)
    shape = _shape(path, len(header) - 1)
    images: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    try:
        with path.open(encoding="utf-8-sig") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a last part without rows
            if named:
                next(file)
            while True:
                rows = np.loadtxt(
                    file, np.int32, delimiter=",", ndmin=2, max_rows=ROWS_AT_A_TIME, comments=None, quotechar='"'
                )
                if not rows.size:
                    break
                if rows.shape[1] != len(header):
                    raise ValueError(f"a row of {rows.shape[1]} values; the first has {len(header)}")
                pixels = np.delete(rows, column, 1)
                if pixels.min() < 0 or pixels.max() > 255:
                    raise ValueError(f"pixels from {pixels.min()} to {pixels.max()}; expected 0 to 255")
                images.append(pixels.astype(np.uint8).reshape(-1, *shape))
                labels.append(rows[:, column])
    except (ValueError, OverflowError, MemoryError) as error:
        raise UserError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}", expected=EXPECTED) from error
    if not images:
        raise UserError(f"{path}: no rows", expected=EXPECTED)
    found = np.concatenate(images)
    return (found.swapaxes(1, 2) if TRANSPOSED.match(path.name) else found), np.concatenate(labels)


def _is_unnamed(header: Sequence[str]) -> bool:
    """Whether the first row is an image already."""
    return all(name.strip().isdigit() for name in header)


def _label_column(path: Path, header: Sequence[str], named: bool) -> int:
    if not named:
        return 0
    others = [index for index, name in enumerate(header) if not PIXEL.fullmatch(name)]
    if not others or header[others[0]].strip().casefold() not in LABELS:
        column = f" and a column {header[others[0]]!r}" if others else ""
        raise UserError(
            f"{path}: {len(header) - len(others)} pixels per row{column}, but no labels",
            expected=EXPECTED,
            hint="the labels of Kaggle's test.csv are not published: name its train.csv",
        )
    return others[0]


def _shape(path: Path, pixels: int) -> tuple[int, ...]:
    for channels in (1, 3):
        side = math.isqrt(pixels // channels)
        if channels * side * side == pixels:
            return (side, side) if channels == 1 else (side, side, 3)
    raise UserError(f"{path}: {pixels} pixels per row", expected=EXPECTED)
