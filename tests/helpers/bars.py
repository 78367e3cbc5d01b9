"""A small data set of drawn bars: flat, steep and crossed."""

from pathlib import Path

import numpy as np

from imparfait.data.dataset import LabelledImages

CLASSES = ("flat", "steep", "cross")


def draw_bars(n: int, side: int = 16, channels: int = 1, first_source: int = 0) -> LabelledImages:
    """`n` images of a flat bar, a steep bar or both, each at another place and of another grey."""
    random = np.random.default_rng(first_source)
    pixels = np.zeros((n, channels, side, side), np.uint8)
    labels = np.arange(n) % len(CLASSES)
    for image, label in zip(pixels, labels, strict=True):
        row, column = random.integers(2, side - 4, 2)
        grey = random.integers(150, 256, (channels, 1, 1))
        if label != 1:
            image[:, row : row + 2, 1:-1] = grey
        if label != 0:
            image[:, 1:-1, column : column + 2] = grey
    sources = np.arange(first_source, first_source + n)
    return LabelledImages(pixels, labels.astype(np.int64), sources, CLASSES, "bars", "train")


def write_idx(folder: Path, train: LabelledImages, test: LabelledImages | None) -> Path:
    """A folder of IDX files, as `--data` takes it."""
    folder.mkdir()
    for part, data in (("train", train), ("t10k", test)):
        if data:
            pixels = data.pixels[:, 0] if data.channels == 1 else data.pixels.transpose(0, 2, 3, 1)
            for kind, array in (("images", pixels), ("labels", data.labels)):
                header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
                (folder / f"{part}-{kind}-idx").write_bytes(header + array.astype(np.uint8).tobytes())
    return folder
