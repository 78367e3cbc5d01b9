"""Class folders of image files: what cannot be read, mixed sizes and colours, the order of classes."""

from pathlib import Path

import numpy as np
import pytest
from helpers.image_modes import COLOUR, GREY, write
from PIL import Image

import imparfait
from imparfait.core.errors import UserError
from imparfait.data.image_files import MAX_NAMED
from imparfait.data.images.decode import SUFFIXES, read_pages
from imparfait.data.load import load_data


def test_every_file_that_cannot_be_read_is_counted_in_one_error(tmp_path: Path) -> None:
    for number in range(24):
        write(tmp_path / f"class {number % 2}" / f"{number}", GREY, "L")
    broken = sorted(tmp_path.rglob("*.png"))[:14]
    for path in broken:
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=rf"14 of 24 files cannot be read: .* and {14 - MAX_NAMED} more") as error:
        load_data(tmp_path)
    assert sum(f"{path.parent.name}/{path.name}" in str(error.value) for path in broken) == MAX_NAMED


def test_a_pipe_in_a_class_folder_is_rejected(tmp_path: Path) -> None:
    import os

    for number in range(4):
        write(tmp_path / f"class {number % 2}" / f"{number}", GREY, "L")
    os.mkfifo(tmp_path / "class 0" / "pipe.png")
    with pytest.raises(UserError, match=r"pipe\.png: is no regular file"):
        load_data(tmp_path)


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def test_folders_of_mixed_sizes_need_a_size_and_report_the_normalization(tmp_path: Path) -> None:
    for number, (height, width) in enumerate([(8, 8), (16, 16), (20, 10), (10, 10)]):
        for name in ("yes", "no"):
            save(tmp_path / name / f"{number}.png", np.full((height, width), 9, np.uint8))
    with pytest.raises(UserError, match=r"16×16 pixels; expected 8×8 as of the first image; .* --size 8"):
        load_data(tmp_path)
    data = load_data(tmp_path, size=10)
    assert data.train.pixels.shape == (8, 1, 10, 10)
    assert data.remark.startswith("normalization letterbox; train: 8 images of 10×10 pixels (")
    assert all(count in data.remark for count in ("2 unchanged", "2 enlarged", "4 reduced"))


def test_one_colour_image_makes_all_of_them_colour(tmp_path: Path) -> None:
    for number, image in enumerate([GREY, GREY, COLOUR, GREY]):
        save(tmp_path / f"class {number % 2}" / f"{number}.png", image)
    data = load_data(tmp_path).train
    assert data.pixels.shape == (4, 3, 10, 12)
    assert np.array_equal(data.pixels[2], COLOUR.transpose(2, 0, 1)) or np.array_equal(
        data.pixels[1], COLOUR.transpose(2, 0, 1)
    )


def test_colour_test_images_of_grey_training_images_become_grey(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for number in range(3):
            save(tmp_path / "train" / name / f"{number}.png", GREY)
        save(tmp_path / "test" / name / "0.png", COLOUR)
    with load_data(tmp_path).test.open(tmp_path / "ledger.csv", "x") as opening:
        lightness = np.asarray(Image.fromarray(COLOUR).convert("L")).astype(int)
        assert abs(opening.images.pixels[0, 0].astype(int) - lightness).max() <= 1


def test_classes_are_sorted_as_people_sort_them(tmp_path: Path) -> None:
    for name in ("10", "9", "1", "a2", "a10"):
        for number in range(2):
            save(tmp_path / name / f"{number}.png", GREY)
    (tmp_path / ".cache").mkdir()
    (tmp_path / "1" / "notes.txt").write_text("not an image, and not said to be one")
    assert load_data(tmp_path).train.classes == ("1", "9", "10", "a2", "a10")


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_every_searched_suffix_can_be_decoded(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix.upper()}"
    Image.fromarray(GREY).save(path)
    assert next(read_pages(path)).size == (10, 12)
    assert imparfait.predict(path)
