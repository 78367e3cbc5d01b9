"""Data sets in memory: arrays, sequences, dictionaries and tables give the same images, labels and splits."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.bars import CLASSES, draw_bars
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.data.load import load_data

TRAIN, VALIDATION, TEST = draw_bars(12), draw_bars(6, first_source=12), draw_bars(6, first_source=18)
SPLITS = {"train": TRAIN, "val": VALIDATION, "test": TEST}


def save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels[0]).save(path)
    return path


def test_data_sets_in_memory(tmp_path: Path) -> None:
    pixels, labels = TRAIN.pixels, TRAIN.labels
    names = [CLASSES[label] for label in labels]
    paths = [save(tmp_path / f"{number}.png", image) for number, image in enumerate(pixels)]
    images = [Image.fromarray(image[0]) for image in pixels]
    for data in (
        (pixels, labels), (pixels[:, 0], labels.tolist()), (pixels.transpose(0, 2, 3, 1), labels),
        (pixels / np.float32(255), np.array(names)), [(pixels, labels)][0],
        list(zip(images, labels, strict=True)), list(zip(paths, names, strict=True)),
        [[image, name] for image, name in zip(pixels, names, strict=True)],
        [{"image": image, "label": int(label)} for image, label in zip(images, labels, strict=True)],
        {"train": (pixels, labels)}, {"train": list(zip(paths, labels, strict=True))},
        pd.DataFrame({"image_path": map(str, paths), "label": names}),
        {"train": pd.DataFrame({"image": images, "label": labels})},
    ):  # fmt: skip
        found = load_data(data).train
        assert sorted(image.tobytes() for image in found.pixels) == sorted(image.tobytes() for image in pixels)
        assert len(found.classes) == 3
    dataset = load_data({split: (data.pixels, data.labels) for split, data in SPLITS.items()})
    assert dataset.validation is not None
    assert dataset.sealed


def test_a_table_says_where_each_image_belongs() -> None:
    rows = [
        {"image": Image.fromarray(image[0]), "label": CLASSES[label], "split": split, "group": f"{split}{source % 2}"}
        for split, data in SPLITS.items()
        for image, label, source in zip(data.pixels, data.labels, data.sources, strict=True)
    ]
    dataset = load_data(pd.DataFrame(rows))
    assert dataset.validation is not None
    assert [len(dataset.train), len(dataset.validation), len(dataset.test.read_again())] == [12, 6, 6]
    assert dataset.train.groups is not None
    with pytest.raises(UserError, match="a split called 'holdout'"):
        load_data(pd.DataFrame(rows).replace("train", "holdout"))
    with pytest.raises(UserError, match="expected image and label"):
        load_data(pd.DataFrame(rows).drop(columns="label"))


@pytest.mark.parametrize("data", [
    [], 3, None, [1, 2], [("a.png", "x")] * 4, np.zeros((4, 8, 8)), [(object(), "a")], [(np.zeros((8, 8)), None)],
    {"train": []}, {"holdout": []}, {}, {"test": [("a.png", "b")]}, (np.zeros((4, 8, 8), np.uint8), [0, 1, 0]),
    (np.full((4, 8, 8), 300), [0, 1, 0, 1]), [{"pixels": 1, "label": 2}], (np.zeros((2, 8, 8), np.uint8), [None, "a"]),
], ids=lambda data: re.sub("0x[0-9a-f]*", "", str(data))[:30])  # fmt: skip
def test_other_things_in_memory_are_user_errors(data: object) -> None:
    with pytest.raises(UserError) as error:
        load_data(data)
    assert "\n" not in str(error.value)
