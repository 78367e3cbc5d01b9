"""Fields drawn on an example page: tried on it at once, and saved as fields.json."""

import io
import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from imparfait.core.errors import UserError
from imparfait.core.storage import atomic_write
from imparfait.data.images.decode import Page
from imparfait.data.images.encode import image_of
from imparfait.data.images.pdf import read_document
from imparfait.inference.forms import read_form
from imparfait.inference.forms.fields_file import FieldsFile, Form, FormField, load_form, make_form, parse_fields
from imparfait.inference.predictor import Predictor

JPEG_QUALITY = 85


class FieldsEditor:
    """An example page, and the file for the fields that are drawn on it.

    Raises UserError where the example has no such page, or the file exists and has no fields.
    """

    def __init__(self, example: Path, out: Path, predictor: Predictor, number: int = 1) -> None:
        self.out, self.predictor = out, predictor
        self.page = _page(example, number)
        self.fields: tuple[FormField, ...] = load_form(out, predictor.classes).fields if out.exists() else ()
        """Those that are saved."""

    def to_json(self) -> dict[str, Any]:
        """The saved fields, for the page."""
        height, width = self.page.pixels.shape[:2]
        return {
            "out": str(self.out).encode("utf-8", "backslashreplace").decode(), "height": height, "width": width,
            "fields": [_as_written(each) for each in self.fields],
        }  # fmt: skip

    def jpeg(self) -> bytes:
        """The example page, upright, as a JPEG file."""
        buffer = io.BytesIO()
        image_of(self.page.pixels).save(buffer, "JPEG", quality=JPEG_QUALITY)
        return buffer.getvalue()

    def read(self, content: bytes) -> dict[str, Any]:
        """What is read in the fields of a fields.json; raises UserError where it is wrong."""
        return read_form(self.page, self._form(content), self.predictor).to_json()

    def save(self, content: bytes) -> None:
        """Write a fields.json; raises UserError where it is wrong, and leaves the file as it was."""
        fields = self._form(content).fields
        self.out.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(self.out, fields_json(fields).encode())
        self.fields = fields

    def _form(self, content: bytes) -> Form:
        parsed = parse_fields(content, self.out.name)
        return make_form(parsed, self.out.parent, self.predictor.classes, self.out.name)


def fields_json(fields: Sequence[FormField]) -> str:
    """The text of a fields.json: one field in each line, without what is left open."""
    lines = ",\n".join(f"  {json.dumps(_as_written(each), ensure_ascii=False)}" for each in fields)
    text = f'{{"fields": [\n{lines}\n]}}\n'
    assert parse_fields(text.encode(), "fields.json") == FieldsFile(fields=tuple(fields))
    return text


def _as_written(field: FormField) -> dict[str, Any]:
    return field.model_dump(mode="json", exclude_defaults=True)


def _page(example: Path, number: int) -> Page:
    page = next(islice(read_document(example), number - 1, None), None)
    if page is None:
        raise UserError(f"{example}: has no page {number}", hint="leave out --page for the first")
    return page
