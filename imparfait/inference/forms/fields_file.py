"""fields.json: the regions of a form that hold numbers, as fractions of the page, and the constraints on each."""

import difflib
import re
import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from imparfait.core.errors import UserError, lookup
from imparfait.core.storage import printable, read_regular
from imparfait.inference.ocr.constraints import KINDS, Constraint, OneOf, check_possible
from imparfait.inference.ocr.number_list import without_separators

MAX_BYTES = 1 << 20  # of fields.json: a list of numbers belongs in a file of its own
MAX_FIELDS = 200
ROUNDING = 1e-6  # by which left + width may exceed 1
NAME = r"^[^\W\d_][\w -]{0,59}$"  # begins with a letter: a spreadsheet takes no such heading for a formula
RESERVED = ("file", "page", "unsure")  # columns of the CSV file
EXPECTED = {
    "name": "a letter, then up to 59 letters, digits, spaces, - and _",
    "left": "a fraction of the page's width, in 0..1",
    "top": "a fraction of the page's height, in 0..1",
    "width": "a fraction of the page's width, above 0 and at most 1",
    "height": "a fraction of the page's height, above 0 and at most 1",
    "one_of": "FILE, FILE:COLUMN or a list of numbers",
    "required": "true or false",
    "fields": f'{{"fields": […]}} with 1 to {MAX_FIELDS} fields',
}

Start = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Extent = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class FormField(BaseModel, frozen=True, extra="forbid", coerce_numbers_to_str=True):
    """A field of a form: its name, its region on the upright page, and its constraints, as the flags of `read`."""

    name: str = Field(pattern=NAME)
    left: Start
    top: Start
    width: Extent
    height: Extent
    length: str | None = None
    one_of: str | tuple[str, ...] | None = None
    """A path from the folder of fields.json, with `:COLUMN` for a CSV file, or the numbers themselves."""
    check: str | None = None
    pattern: str | None = None
    at_least: str | None = None
    same_as: str | None = None
    """The name of another field, which has the same number."""
    required: bool = False
    """Whether an empty region is unsure."""


class FieldsFile(BaseModel, frozen=True, extra="forbid"):
    """The content of fields.json."""

    fields: tuple[FormField, ...] = Field(min_length=1, max_length=MAX_FIELDS)


@dataclass(frozen=True)
class Form:
    """Fields with their constraints, ready to read."""

    fields: tuple[FormField, ...]
    constraints: dict[str, tuple[Constraint, ...]]
    """By a field's name, in the order of KINDS; without those of `same_as`."""
    folder: Path
    """Of fields.json."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the fields, in order."""
        return tuple(field.name for field in self.fields)

    def same_as(self, name: str) -> tuple[str, ...]:
        """The other fields that have the same number, directly or through a third."""
        links = [{field.name, field.same_as} for field in self.fields if field.same_as]
        found = {name}
        for _ in links:
            found = found.union(*(link for link in links if link & found))
        return tuple(each for each in self.names if each in found and each != name)


def load_form(path: Path, classes: tuple[str, ...]) -> Form:
    """The form described in a fields.json, for a model with these classes.

    Raises UserError where the file is missing or wrong, or constraints contradict each other.
    """
    hint = f"draw them on an example: imparfait fields EXAMPLE --out {shlex.quote(str(path))}"
    content = read_regular(path, MAX_BYTES, "the fields of a form, as JSON", hint)
    return make_form(parse_fields(content, str(path)), path.parent, classes, str(path))


def parse_fields(content: bytes, where: str) -> FieldsFile:
    """The content of fields.json; raises UserError, which begins with `where`."""
    try:
        return FieldsFile.model_validate_json(content)
    except ValidationError as error:
        raise _user_error(error.errors()[0], content, where) from error


def make_form(content: FieldsFile, folder: Path, classes: tuple[str, ...], where: str, confined: bool = False) -> Form:
    """The form of a fields.json in `folder`. Raises UserError, which begins with `where`.

    With `confined`, lists of numbers are read from `folder` and below only: for fields that come over HTTP.
    """
    names = [field.name for field in content.fields]
    taken = Counter(name.casefold() for name in names)
    constraints: dict[str, tuple[Constraint, ...]] = {}
    for field in content.fields:
        here = f"{where}, field {field.name!r}"
        if field.name.casefold() in RESERVED:
            raise UserError(f"{here}: is the name of a column", expected=f"none of {', '.join(RESERVED)}")
        if taken[field.name.casefold()] > 1:
            raise UserError(f"{here}: two fields have this name", hint="rename one of them")
        for start, extent in (("left", "width"), ("top", "height")):
            end = getattr(field, start) + getattr(field, extent)
            if end > 1 + ROUNDING:
                raise UserError(f"{here}: {start} + {extent} is {end:g}", expected="a region that ends on the page")
        if field.same_as is not None:
            try:
                lookup("field", field.same_as, dict.fromkeys(name for name in names if name != field.name))
            except UserError as error:
                raise UserError(f"{here}, same_as: {error.received}", hint=error.hint) from error
        constraints[field.name] = _constraints(field, folder, classes, here, confined)
    form = Form(content.fields, constraints, folder)
    for name in names:
        linked = [name, *form.same_as(name)]
        together = [each for other in linked for each in constraints[other]]
        if len(linked) > 1 and together:
            check_possible(together, classes, f"the constraints of {' and '.join(linked)} in {where}")
    return form


def _constraints(
    field: FormField, folder: Path, classes: tuple[str, ...], here: str, confined: bool
) -> tuple[Constraint, ...]:
    """The constraints of one field. Raises UserError."""
    found: list[Constraint] = []
    key = ""
    try:
        for key, make in KINDS.items():
            value = getattr(field, key)
            if isinstance(value, tuple):
                letters = [number for number in value if not re.fullmatch("[0-9]*", without_separators(number))]
                if letters:
                    raise UserError(f"the number {letters[0][:40]!r}", expected="digits, which are all that is read")
                found.append(OneOf(value))
            elif key == "one_of" and value is not None:
                path = folder / value
                if confined and not path.resolve().is_relative_to(folder.resolve()):
                    raise UserError(value, expected=f"a file in {folder}", hint="move it there")
                found.append(make(str(path)))
            elif value is not None:
                found.append(make(value))
        key = "constraints"
        if found:
            check_possible(found, classes)
    except UserError as error:
        raise UserError(f"{here}, {key}: {error.received}", expected=error.expected, hint=error.hint) from error
    return tuple(found)


def _user_error(error: Any, content: bytes, where: str) -> UserError:
    """Pydantic's first error in the words of fields.json."""
    if error["type"] == "json_invalid":
        problem = printable(str(error["ctx"]["error"]))
        return UserError(f"{where}: is no JSON ({problem})", expected=EXPECTED["fields"])
    place = error["loc"]
    if len(place) < 2 or place[0] != "fields":
        return UserError(f"{where}: has no list of fields", expected=EXPECTED["fields"])
    here = f"{where}, field {place[1] + 1}"
    key = str(place[2]) if len(place) > 2 else ""
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, FormField.model_fields, n=1)
        hint = f"did you mean {near[0]!r}?" if near else ""
        known = ", ".join(FormField.model_fields)
        return UserError(f"{here}: has an unknown key {printable(key)!r}", expected=known, hint=hint)
    if error["type"] == "missing":
        return UserError(f"{here}: has no {key!r}", expected=EXPECTED.get(key, "this key"))
    received = printable(repr(error["input"]), 60)
    return UserError(f"{here}: {key or 'it'} is {received}", expected=EXPECTED.get(key, "text, in quotation marks"))
