"""A contact sheet of corruptions: some images, a row per corruption and severity, as a PNG."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from imparfait.core.counts import counted
from imparfait.core.storage import atomic_write
from imparfait.data.corrupted import corrupt
from imparfait.data.dataset import LabelledImages
from imparfait.reports.figures.drawing import as_file
from imparfait.reports.figures.runs import contact_sheet

SEVERITIES = (0.2, 0.4, 0.6, 0.8, 1.0)
MANY, CATALOGUED_IMAGES = 3, 2  # with more corruptions than MANY: one row each, of so many images at all severities


def write_sheet(
    path: Path, data: LabelledImages, names: Sequence[str], severities: Sequence[float], seed: int, images: int
) -> str:
    """Write the sheet of `corruption_sheet` as a PNG; returns a sentence on its rows and where it is."""
    png, sentence = corruption_sheet(data, names, severities, seed, images)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, png)
    return f"{sentence}: {path}"


def corruption_sheet(
    data: LabelledImages, names: Sequence[str], severities: Sequence[float], seed: int, images: int
) -> tuple[bytes, str]:
    """The sheet of at most `images` images, all classes in turn; also a sentence on its rows."""
    part = data.select(_classes_in_turn(data.labels, len(data.classes), images))
    if len(names) > MANY:
        part = part.select(np.arange(min(len(part), CATALOGUED_IMAGES)))
        rows = {
            name: np.stack([corrupt(part, name, severity, seed).pixels for severity in severities], 1).reshape(
                -1, *part.pixels.shape[1:]
            )
            for name in names
        }
        levels = ", ".join(f"{severity:g}" for severity in severities)
        sentence = (
            f"{counted(len(names), 'corruption')}, a row each: {counted(len(part), 'image')} at severities {levels}"
        )
    else:
        rows = {"clean": part.pixels}
        for name in names:
            rows |= {f"{name} {severity:g}": corrupt(part, name, severity, seed).pixels for severity in severities}
        sentence = f"{counted(len(part), 'image')}, a row for each of {', '.join(rows)}"
    return as_file(contact_sheet(rows), "png"), sentence


def _classes_in_turn(labels: Int64[np.ndarray, " n"], classes: int, images: int) -> Int64[np.ndarray, " m"]:
    """Indices of the first image of each class, then of the second of each, and so on."""
    rank = np.zeros(len(labels), np.int64)
    for label in range(classes):
        rows = np.flatnonzero(labels == label)
        rank[rows] = np.arange(len(rows))
    return np.lexsort((labels, rank))[:images]
