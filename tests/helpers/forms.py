"""Forms drawn with digits of MNIST's training set, and their fields.json."""

import io
import json
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

import imparfait
from helpers.lines import row
from imparfait.data.images.decode import Page, page_of
from imparfait.inference.forms.fields_file import FieldsFile, Form, make_form

HEIGHT, WIDTH = 400, 600
DIGITS = tuple("0123456789")


@lru_cache
def training() -> tuple[np.ndarray, np.ndarray]:
    images = imparfait.load_data("mnist").train
    return images.pixels[:3000, 0], images.labels[:3000]


def sheet() -> np.ndarray:
    """Paper with a little noise."""
    return 238 + np.random.default_rng(0).normal(0, 2, (HEIGHT, WIDTH))


def write(page: np.ndarray, text: str, top: int, left: int, tall: int = 44, first: int = 0) -> None:
    """Draw a number about `tall` pixels high; another `first` is another hand."""
    pixels, labels = training()
    digits = [pixels[np.flatnonzero(labels == int(label))[first + index]] for index, label in enumerate(text)]
    foreground, _, _ = row(np.stack(digits), tall, np.random.default_rng(first), touch=0)
    foreground = foreground[round(tall / 2) :]
    part = page[top : top + foreground.shape[0], left : left + foreground.shape[1]]
    np.minimum(part, 240 - 210 * foreground[: part.shape[0], : part.shape[1]], out=part)


def frame(page: np.ndarray, top: int, left: int, bottom: int, right: int) -> None:
    """A printed frame, two pixels thick."""
    page[top : bottom + 2, [left, left + 1, right, right + 1]] = 90
    page[[top, top + 1, bottom, bottom + 1], left : right + 2] = 90


def image(page: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(page), 0, 255).astype(np.uint8))


def decoded(page: np.ndarray) -> Page:
    return page_of(image(page))


def file_bytes(*pages: np.ndarray, kind: str = "PNG") -> bytes:
    """An image file, or a TIFF or PDF of several pages."""
    buffer = io.BytesIO()
    first, *others = map(image, pages)
    first.save(buffer, kind, **({"save_all": True, "append_images": others} if kind in ("TIFF", "PDF") else {}))
    return buffer.getvalue()


def region(name: str, top: int, left: int, bottom: int, right: int, **more: object) -> dict[str, object]:
    """A field of fields.json, by pixels of the sheet."""
    place = {"left": left / WIDTH, "top": top / HEIGHT}
    return {"name": name, **place, "width": (right - left) / WIDTH, "height": (bottom - top) / HEIGHT, **more}


def form(*fields: dict[str, object], folder: Path = Path()) -> Form:
    return make_form(FieldsFile.model_validate({"fields": fields}), folder, DIGITS, "fields.json")


def write_fields(path: Path, *fields: dict[str, object]) -> Path:
    path.write_text(json.dumps({"fields": fields}))
    return path
