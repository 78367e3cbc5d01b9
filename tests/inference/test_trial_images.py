"""How a model takes its input is tried on no image for the test, or the ledger says so first."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.bars import CLASSES, draw_bars
from PIL import Image

from imparfait.data.dataset import LabelledImages
from imparfait.data.load import Dataset, load_data
from imparfait.data.test_ledger import BEGUN, LEDGER, read
from imparfait.evaluation.external.input_spec import SpecHint
from imparfait.inference.open_model import open_model

SIDE = 16


def marked_bars(count: int, first: int) -> LabelledImages:
    """Bars, no two of them equal: the number of each is in its corner."""
    data = draw_bars(count, SIDE, first_source=first)
    data.pixels[:, 0, 0, :3] = np.stack(np.unravel_index(data.sources, (24, 16, 16)), 1)
    return data


def write_split(folder: Path, count: int, first: int) -> set[bytes]:
    """Bars as PNG files in class folders; their pixels."""
    data = marked_bars(count, first)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
    for index, (image, label) in enumerate(zip(data.pixels[:, 0], data.labels, strict=True)):
        Image.fromarray(image).save(folder / CLASSES[label] / f"{index}.png")
    return {image.tobytes() for image in data.pixels}


def one_folder(home: Path) -> tuple[Any, set[bytes]]:
    write_split(home / "a" / "train", 60, 0)
    write_split(home / "a" / "val", 30, 1000)
    return home / "a", write_split(home / "a" / "test", 30, 2000)


def two_folders(home: Path) -> tuple[Any, set[bytes]]:
    data, first = one_folder(home)
    write_split(home / "b" / "train", 30, 3000)
    return f"{data}+{home / 'b'}", first | write_split(home / "b" / "test", 30, 4000)


def one_of_two(home: Path) -> tuple[Any, set[bytes]]:
    write_split(home / "c" / "train", 60, 0)
    write_split(home / "b" / "train", 30, 3000)
    return f"{home / 'c'}+{home / 'b'}", write_split(home / "b" / "test", 30, 4000)


def arrays(home: Path) -> tuple[Any, set[bytes]]:
    train, test = marked_bars(90, 0), marked_bars(30, 1000)
    data = {"train": (train.pixels, train.labels), "test": (test.pixels, test.labels)}
    return data, {image.tobytes() for image in test.pixels}


def opened_on(dataset: Dataset, out: Path) -> tuple[set[bytes], list[int]]:
    """The images that a function of bars gets while it is opened, and the accesses in the ledger at each call."""
    seen, accesses = set[bytes](), list[int]()

    def predict(images: np.ndarray) -> np.ndarray:
        seen.update(np.rint(image * 255).astype(np.uint8).tobytes() for image in images)
        accesses.append(lines_of(out))
        rows, columns = images.mean((1, 3)).max(1), images.mean((1, 2)).max(1)
        return np.stack([rows > columns, columns > rows, rows == columns], 1).astype(np.float32)

    stated = SpecHint("nchw", "1", "light", "logits", CLASSES if dataset.files else None)
    with open_model(predict, dataset, spec=stated, out=out):
        return seen, accesses


def lines_of(out: Path) -> int:
    path = out / LEDGER
    return len(read(path))


@pytest.mark.parametrize("make", [one_folder, two_folders, one_of_two, arrays])
def test_no_image_for_the_test_is_used_where_there_are_others(make: Any, tmp_path: Path) -> None:
    data, for_test = make(tmp_path)
    dataset = load_data(data, whole=True)
    assert for_test < {image.tobytes() for image in dataset.train.pixels}
    seen, accesses = opened_on(dataset, tmp_path / "out")
    assert seen
    assert not seen & for_test
    assert set(accesses) == {0}


def test_where_all_are_for_the_test_the_ledger_says_so_before(tmp_path: Path) -> None:
    write_split(tmp_path / "data" / "test", 60, 0)
    dataset = load_data(tmp_path / "data", whole=True)
    seen, accesses = opened_on(dataset, tmp_path / "out")
    assert seen
    assert set(accesses) == {1}
    assert [row[3] for row in read(tmp_path / "out" / LEDGER)] == [BEGUN, "tried how the model takes its input"]


def test_skipped_files_do_not_shift_which_are_for_the_test(tmp_path: Path) -> None:
    data, for_test = one_folder(tmp_path)
    for path in sorted((data / "train" / CLASSES[0]).glob("*.png"))[:5]:
        path.write_bytes(b"no image")
    dataset = load_data(data, whole=True, skip_unreadable=True)
    seen, _ = opened_on(dataset, tmp_path / "out")
    assert len(seen) == 85
    assert not seen & for_test
