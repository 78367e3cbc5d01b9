"""Images that visitors of the page have corrected: saved in class folders, to train on."""

import shlex
import threading
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.storage import atomic_write
from imparfait.data.images.decode import Page
from imparfait.data.images.encode import image_of
from imparfait.serving.errors import ApiError
from imparfait.serving.schemas import png

MAX_IMAGES = 10_000  # in the folder: 33 classes of 300 pupils' drawings
MAX_SIDE = 1024  # pixels of a saved image; a drawing has 280
HASH_DIGITS = 24


class Collection:
    """A folder with a folder for each class; safe to use from several threads and processes.

    What is saved is the decoded image as a PNG, at most MAX_SIDE pixels wide and high: no byte of the file, and nothing
    of its metadata. A file is never overwritten.
    """

    def __init__(self, folder: Path) -> None:
        """Raises UserError where `folder` cannot be made."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            expected = "a folder that can be written"
            raise UserError(f"--collect {folder}: {error.strerror}", expected=expected, hint="name another") from error
        self.folder = folder
        self._lock = threading.Lock()

    def command(self, model: str) -> str:
        """What trains a model on the images, from the weights of this one."""
        return f"imparfait train --data {shlex.quote(str(self.folder))} --init-from {shlex.quote(model)}"

    def check(self, label: str, classes: Sequence[str]) -> None:
        """Raises ApiError where `label` is none of the classes, or cannot be a folder's name."""
        if label not in classes:
            raise ApiError(422, f"label: the model has no class {label!r}")
        if Path(label).name != label or label in (".", "..") or label.startswith(".") or "\\" in label:
            raise ApiError(422, f"label: {label!r} cannot be the name of a folder")

    def save(self, page: Page, label: str, model: str) -> dict[str, Any]:
        """Save a page under its true class; the response of /v1/collect.

        Raises ApiError where the folder is full, or cannot be written any more.
        """
        image = image_of(page.pixels)
        image.thumbnail((MAX_SIDE, MAX_SIDE))
        pixels = np.asarray(image)
        content = png(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
        name = f"{sha256(content).hexdigest()[:HASH_DIGITS]}.png"
        try:
            saved, images = self._saved(self.folder / label / name, content)
        except OSError as error:
            raise ApiError(503, f"the image could not be saved: {error.strerror}", "not_saved") from error
        return {"label": label, "saved": saved, "images": images, "command": self.command(model)}

    def _saved(self, path: Path, content: bytes) -> tuple[bool, int]:
        """Whether a file is new, and how many there are with it."""
        with self._lock:
            images = self._count()
            if path.exists():
                return False, images
            if images >= MAX_IMAGES:
                raise ApiError(413, f"the folder has {images:,} images; expected fewer than {MAX_IMAGES:,}")
            path.parent.mkdir(exist_ok=True)
            atomic_write(path, content)
            return True, images + 1

    def _count(self) -> int:
        """The files there are, which other processes add and people remove: 0.05 s for MAX_IMAGES of them."""
        return sum(len(list(each.iterdir())) for each in self.folder.iterdir() if each.is_dir())
