"""Labels that are text, in an .npz file, a folder of .npy files or memory: the classes have their names."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars
from helpers.data_files import npy, npy_with_header, write_npz

from imparfait.core.errors import UserError
from imparfait.data.load import load_data

BARS = draw_bars(30)
NAMES = np.array(["crane 10", "crane 2", "épée"])
ORDER = ("crane 2", "crane 10", "épée")  # as tables and folders have it: numbers by their value
LABELS = NAMES[BARS.labels]

every_form = pytest.mark.parametrize("form", [
    lambda labels: labels, lambda labels: labels.astype(">U12"), lambda labels: labels[:, None],
    lambda labels: np.char.encode(labels, "utf-8"), lambda labels: np.char.add(labels, "  "),
], ids=["little-endian", "big-endian", "column", "bytes", "spaces"])  # fmt: skip


@every_form
@pytest.mark.parametrize("folder", [False, True])
def test_labels_of_files_may_be_text(form: Callable[[np.ndarray], np.ndarray], folder: bool, tmp_path: Path) -> None:
    arrays = {"x_train": BARS.pixels[:, 0], "y_train": form(LABELS), "x_test": BARS.pixels[:6, 0]}
    arrays["y_test"] = form(LABELS[:6])
    if folder:
        for name, array in arrays.items():
            (tmp_path / f"{name}.npy").write_bytes(npy(array))
    path = tmp_path if folder else write_npz(tmp_path / "bars", {name: npy(array) for name, array in arrays.items()})
    dataset = load_data(path)
    assert dataset.train.classes == ORDER
    assert [ORDER[label] for label in dataset.train.labels] == LABELS.tolist()
    assert np.array_equal(dataset.train.pixels, BARS.pixels)
    assert dataset.sealed


def test_labels_in_memory_have_the_same_order() -> None:
    data = load_data((BARS.pixels, LABELS)).train
    assert data.classes == ORDER
    assert [ORDER[label] for label in data.labels] == LABELS.tolist()


@pytest.mark.parametrize(("labels", "words"), [
    (npy_with_header(np.arange(30), (30,), "|O"), "its values are object; expected whole numbers, or text"),
    (npy(np.array([{}] * 30, object)), "its values are object"),
    (npy_with_header(np.full(30, 2**31 - 1, np.uint32), (30,), "<U1"), "2147483647 is no character"),
    (npy(np.array([b"a", b"\xff", b"c"])[BARS.labels]), "a label is not text: 'utf-8' codec can't decode"),
    (npy(np.array(["", "b", "c"])[BARS.labels]), "a class is called ''"),
    (npy(np.full(30, "")), "a class is called ''"),
    (npy_with_header(np.zeros(0, np.uint8), (30,), "<U0"), "all its values are empty"),
    (npy(np.array(["a\x1b[2J", "b", "c"])[BARS.labels]), "a class is called 'a\\x1b[2J'"),
    (npy(np.array(["Cat", "cat", "c"])[BARS.labels]), "two classes of one name, 'Cat' and 'cat'"),
    (npy(np.array(["a" * 201, "b", "c"])[BARS.labels]), "of 201 characters"),
    (npy(np.full(30, "only")), "have 1 class, only with 30 images"),
    (npy_with_header(np.zeros(30, np.uint32), (2**40,), "<U1"), "the header says"),
    (npy(np.linspace(0, 1, 30)), "its values are float64; expected whole numbers, or text"),
])  # fmt: skip
def test_other_labels_are_user_errors_and_nothing_is_unpickled(labels: bytes, words: str, tmp_path: Path) -> None:
    path = write_npz(tmp_path / "bars", {"x_train": npy(BARS.pixels[:, 0]), "y_train": labels})
    with pytest.raises(UserError) as error:
        load_data(path)
    assert words in str(error.value)
    assert "bars.npz" in str(error.value)
    assert "\n" not in str(error.value)


def test_images_that_are_text_are_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "bars", {"x_train": npy(np.full((30, 8, 8), "a")), "y_train": npy(BARS.labels)})
    with pytest.raises(UserError, match=r"its values are <U1; expected whole numbers \(images uint8"):
        load_data(path)


def test_test_labels_of_another_type_or_class_are_user_errors(tmp_path: Path) -> None:
    train = {"x_train": npy(BARS.pixels[:, 0]), "y_train": npy(LABELS), "x_test": npy(BARS.pixels[:, 0])}
    for labels, words in ((BARS.labels, "test labels of int64; expected"), (np.full(30, "x"), "a test label is x")):
        dataset = load_data(write_npz(tmp_path / "bars", train | {"y_test": npy(labels)}))
        assert dataset.sealed
        with pytest.raises(UserError, match=words):
            dataset.sealed.read_again()
