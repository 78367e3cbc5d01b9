"""Digits of decided fields as class folders of PNG files, to train on."""

import base64
import re
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from imparfait.core.errors import UserError
from imparfait.core.storage import atomic_write
from imparfait.inference.forms.decisions import key_of
from imparfait.inference.forms.readings_file import FieldRecord, PageRecord
from imparfait.inference.forms.review import Review
from imparfait.inference.ocr.number_list import without_separators

MIN_OF_EACH = 2  # images of a class that a training needs: one to train on, one to validate


def export_corrections(review: Review, folder: Path) -> Counter[str]:
    """Write the digits of decided fields into class folders, such as `3/NAME.png`; returns how many of each class.

    Fields whose decided text has another number of digits than the reading are left out: it is unknown which is which.
    A later export brings the same files up to date; other files stay. Raises UserError where `folder` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file", expected="a folder, or a new name")
    counts: Counter[str] = Counter()
    before = _files_by_name(folder, review.classes)
    for name, label, content in _digits(review):
        path = folder / label / name if label else None
        for old in before.get(name, ()):
            if old != path:
                _remove(old)
        if path and label:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, content)
            counts[label] += 1
    return counts


def _digits(review: Review) -> Iterator[tuple[str, str | None, bytes]]:
    """File name, class and PNG of each digit of the unsure fields; None for the class where it is unknown."""
    for index, (page, each) in enumerate(review.fields):
        text = review.decided(index)
        labels = list(without_separators(text or ""))
        known = len(labels) == len(each.digits) and set(labels) <= set(review.classes)
        for number, digit in enumerate(each.digits):
            yield _name(page, each, number), labels[number] if known else None, base64.b64decode(digit)


def _name(page: PageRecord, each: FieldRecord, number: int) -> str:
    """The same in every export, and of no other digit."""
    mark = sha256(repr(key_of(page, each)).encode("utf-8", "backslashreplace")).hexdigest()[:8]
    readable = re.sub(r"[^\w-]+", "_", f"{Path(page.file).stem[:60]}-{page.page}-{each.name}")
    return f"{readable}-{number + 1}-{mark}.png"


def _files_by_name(folder: Path, classes: tuple[str, ...]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for label in classes:
        for path in (folder / label).glob("*.png"):
            found.setdefault(path.name, []).append(path)
    return found


def _remove(path: Path) -> None:
    """Remove a file, and its folder when that is empty: a class without images is refused in training."""
    path.unlink()
    if not any(path.parent.iterdir()):
        path.parent.rmdir()
