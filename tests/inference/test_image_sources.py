"""predict, read and explain take images in every form that a Python program has them, and say what they do not take."""

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.photos import a_seven
from PIL import Image

import imparfait

SEVEN = 255 - a_seven(56, 5.0)
ROOT = Path(__file__).parents[2]


def file_of(image: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


def written(path: Path) -> Path:
    path.write_bytes(file_of(SEVEN))
    return path


OPENED: list[Any] = []


def opened(file: Any) -> Any:
    OPENED.append(file)
    return file


@pytest.fixture(autouse=True)
def _closed_files() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


FORMS: dict[str, Callable[[Path], Any]] = {
    "path": lambda folder: written(folder / "seven.png"),
    "path as text": lambda folder: str(written(folder / "seven.png")),
    "bytes": lambda folder: file_of(SEVEN),
    "open file": lambda folder: opened(written(folder / "seven.png").open("rb")),
    "bytes in memory": lambda folder: io.BytesIO(file_of(SEVEN)),
    "Pillow's image": lambda folder: Image.fromarray(SEVEN),
    "Pillow's file": lambda folder: opened(Image.open(written(folder / "seven.png"))),
    "[height, width]": lambda folder: SEVEN,
    "[height, width, 1]": lambda folder: SEVEN[..., None],
    "[height, width, 3]": lambda folder: np.stack([SEVEN] * 3, 2),
    "[height, width, 4]": lambda folder: np.dstack([SEVEN] * 3 + [np.full_like(SEVEN, 255)]),
    "[1, height, width]": lambda folder: SEVEN[None],
    "[3, height, width]": lambda folder: np.stack([SEVEN] * 3),
    "float in 0..1": lambda folder: SEVEN / 255,
    "float32 in 0..1": lambda folder: (SEVEN / 255).astype(np.float32),
    "boolean": lambda folder: SEVEN > 127,
    "read-only": lambda folder: np.frombuffer(SEVEN.tobytes(), np.uint8).reshape(SEVEN.shape),
    "tensor": lambda folder: torch.tensor(SEVEN),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_the_same_label(form: str, tmp_path: Path) -> None:
    images = [FORMS[form](tmp_path) for _ in range(3)]
    assert imparfait.explain(images[0]).label == "7"
    for image in images[1:]:
        found = imparfait.predict(image)
        assert [each.label for each in found] == ["7"]
        assert found[0].score > 0.9


@pytest.mark.parametrize("form", FORMS)
def test_read_takes_it_too(form: str, tmp_path: Path) -> None:
    assert imparfait.read(FORMS[form](tmp_path)).text == "7"


def test_lists_and_arrays_of_several_have_a_result_each_in_order(tmp_path: Path) -> None:
    images = [form(tmp_path) for form in FORMS.values()]
    found = imparfait.predict(images)
    assert [each.label for each in found] == ["7"] * len(FORMS)
    assert found.names[:2] == [str(tmp_path / "seven.png")] * 2
    blank = np.full((1, 56, 56), 255, np.uint8)
    several = imparfait.predict(np.stack([blank, SEVEN[None], blank]))
    assert [each.confident for each in several] == [False, True, False]
    readings = imparfait.read([SEVEN, blank])
    assert [each.text for each in readings] == ["7", ""]
    assert imparfait.predict([]) == []


def test_pages_of_a_file_are_named(tmp_path: Path) -> None:
    pages = [Image.fromarray(SEVEN), Image.fromarray(np.rot90(SEVEN, 2).copy())]
    pages[0].save(tmp_path / "two.tif", save_all=True, append_images=pages[1:])
    found = imparfait.predict([tmp_path / "two.tif", SEVEN])
    assert found.names == [f"{tmp_path / 'two.tif'}, page 1", f"{tmp_path / 'two.tif'}, page 2", "1"]


WRONG = {
    "[[0, 1], [1, 0]]": "a list of numbers; expected a path, bytes, an open file, an array, Pillow's image",
    "5": "a value of type int; expected a path",
    "None": "a value of type NoneType; expected a path",
    "io.StringIO('x')": "a file that was opened as text; expected bytes; write open(path, 'rb')",
    "np.zeros((7, 28, 28), np.uint8)": "an array of shape (7, 28, 28); expected [height, width]",
    "np.zeros((28, 30, 28), np.uint8)": "for several images, give a list of them",
    "np.zeros((0, 3), np.uint8)": "an array of shape (0, 3)",
    "np.full((28, 28), 9)": "an array of int64 in 9..9; expected uint8, or floats in 0..1; write image.astype('uint8')",
    "np.full((28, 28), 200.0)": "an array of float64 in 200..200; expected uint8, or floats in 0..1",
    "np.full((28, 28), np.nan)": "an array of float64 with NaN or infinity",
    "[np.zeros((9, 9), np.uint8), np.zeros(3)]": "image 1 of the list: an array of shape (3,)",
    "'nowhere.png'": "nowhere.png: cannot be read",
    "b'no image'": "the image",
}


def test_what_is_no_image_is_said_in_a_sentence() -> None:
    """In a process of its own: there the types of arguments are not checked for the tests."""
    program = (
        "import io, sys, imparfait, numpy as np\n"
        "for text in sys.argv[1:]:\n"
        "    for call in (imparfait.predict, imparfait.read):\n"
        "        try:\n"
        "            call(eval(text))\n"
        "        except imparfait.UserError as error:\n"
        "            print(str(error).replace(chr(10), '#'))\n"
        "        else:\n"
        "            print('accepted')\n"
        "for progress in (0, 'yes'):\n"
        "    try:\n"
        "        imparfait.predict([], progress=progress)\n"
        "    except imparfait.UserError as error:\n"
        "        print(error)\n"
        "try:\n"
        "    imparfait.predict(np.zeros((28, 28), np.uint8), lambda images: images)\n"
        "except imparfait.UserError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", program, *WRONG]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert not done.stderr
    lines = done.stdout.splitlines()
    for place, said in enumerate(WRONG.values()):
        for line in lines[2 * place : 2 * place + 2]:
            assert said.removeprefix("image 1 of the list: ") in line
    for line, progress in zip(lines[2 * len(WRONG) :], ("0", "'yes'"), strict=False):
        assert line.startswith(f"progress={progress}; expected True, False, or a function")
    assert "a model of type function" in lines[-1]
