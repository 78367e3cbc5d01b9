"""A review of the unsure fields in a CSV file: what to show of each, and decisions that are saved one by one."""

import base64
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from imparfait.core.errors import UserError
from imparfait.inference.forms.decisions import Decision, DecisionsFile, key_of, write_csv
from imparfait.inference.forms.fields_file import FieldsFile, Form, make_form
from imparfait.inference.forms.objections import as_printed, objection
from imparfait.inference.forms.readings_file import FieldRecord, Header, PageRecord, ReadingsFile, unsure_fields

MAX_TEXT = 200  # characters of a decision


@dataclass(frozen=True)
class Saved:
    """What became of a decision."""

    text: str
    objection: str | None
    """Why the field's constraints forbid it; None where they do not."""
    saved: bool


class Review:
    """The unsure fields of a CSV file in order, and the decisions on them; locked while it is open.

    Raises UserError where there is no such file, or another process has it.
    """

    def __init__(self, csv: Path) -> None:
        self.csv = csv
        self._store = ReadingsFile(csv)
        try:
            self._decisions = DecisionsFile(csv)
        except BaseException:
            self._store.__exit__(None, None, None)
            raise
        self.fields: list[tuple[PageRecord, FieldRecord]] = list(unsure_fields(self._store.readings))
        self._keys = {key_of(*each): index for index, each in enumerate(self.fields)}
        self._pages = Counter(path for path, _ in self._store.readings.pages)
        self.form, self.remark = form_of(self._store.readings.header)

    def __enter__(self) -> "Review":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._decisions.__exit__(kind, error, trace)
        self._store.__exit__(kind, error, trace)

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of the model that read the forms."""
        return self._store.readings.header.classes

    def decided(self, index: int) -> str | None:
        """What was decided on a field; None where nothing was."""
        return self._decisions.texts.get(key_of(*self.fields[index]))

    @property
    def left(self) -> int:
        """The number of fields without a decision."""
        return sum(self.decided(index) is None for index in range(len(self.fields)))

    def to_json(self) -> dict[str, Any]:
        """All fields, for the page."""
        return {"csv": _shown(str(self.csv)), "fields": [self._field_json(index) for index in range(len(self.fields))]}

    def _field_json(self, index: int) -> dict[str, Any]:
        page, each = self.fields[index]
        several = self._pages[page.path] > 1
        alternatives = [{"text": text, "score": score} for text, score in each.alternatives]
        return {
            "name": each.name, "file": _shown(page.file), "page": page.page if several else None, "reason": each.reason,
            "text": each.text, "alternatives": alternatives, "region": each.region, "decided": self.decided(index),
        }  # fmt: skip

    def crop(self, index: int) -> bytes:
        """A field's region with some context, as a JPEG file."""
        return base64.b64decode(self.fields[index][1].crop)

    def decide(self, index: int, text: str, confirmed: bool = False) -> Saved:
        """Save a decision in its file, then the CSV file; not one that constraints forbid, unless it is confirmed.

        Digits get the separators of the field's pattern. Raises UserError for a text that is no cell of a table.
        """
        page, each = self.fields[index]
        text = " ".join(text.split())
        if len(text) > MAX_TEXT or not text.isprintable():
            raise UserError(
                f"a text of {len(text):,} characters", expected=f"at most {MAX_TEXT}, all of them printable"
            )
        text = as_printed(self.form, each.name, text)
        problem = objection(self.form, each.name, text, self._others(page, each))
        if problem and not confirmed:
            return Saved(text, problem, saved=False)
        self._save(index, text)
        return Saved(text, problem, saved=True)

    def undo(self) -> int | None:
        """Take back the newest decision and return its field's index; None where nothing is decided."""
        index = next((self._keys[key] for key in reversed(self._decisions.texts) if key in self._keys), None)
        if index is not None:
            self._save(index, None)
        return index

    def _save(self, index: int, text: str | None) -> None:
        path, stamp, page, name = key_of(*self.fields[index])
        self._decisions.add(Decision(path=path, stamp=stamp, page=page, name=name, text=text))
        write_csv(self.csv, self._store.readings, self._decisions.texts)

    def _others(self, page: PageRecord, each: FieldRecord) -> dict[str, str]:
        """The texts of the page's other fields that are decided or confident."""
        texts = self._decisions.texts
        known = {
            other.name: texts.get(key_of(page, other), other.text if other.confident else None) for other in page.fields
        }
        return {name: text for name, text in known.items() if text is not None and name != each.name}


def form_of(header: Header) -> tuple[Form, str]:
    """The form whose readings have this header, and a remark where its constraints cannot be checked."""
    try:
        return make_form(FieldsFile(fields=header.fields), Path(header.folder), header.classes, "fields.json"), ""
    except UserError as error:  # a list of numbers is not where it was
        return Form(header.fields, {}, Path(header.folder)), f"constraints are not checked: {error}"


def _shown(path: str) -> str:
    """A path as text that UTF-8 can hold."""
    return path.encode("utf-8", "backslashreplace").decode()
