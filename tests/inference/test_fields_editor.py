"""Fields drawn on an example: what is read in them, and the file that is written."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from helpers.forms import DIGITS, HEIGHT, WIDTH, file_bytes, region, sheet, write, write_fields
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.inference.forms.fields_editor import FieldsEditor, fields_json
from imparfait.inference.forms.fields_file import load_form
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import Predictor

METER, DATE = region("meter", 50, 40, 130, 300, length="5"), region("date", 180, 40, 230, 400, required=True)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return load_predictor("digits")


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """Two pages; there is a number on the first."""
    page = sheet()
    write(page, "50829", 60, 60)
    path = tmp_path / "form.tif"
    path.write_bytes(file_bytes(page, sheet(), kind="TIFF"))
    return path


def content(*fields: object) -> bytes:
    return json.dumps({"fields": fields}).encode()


def test_the_fields_are_read_on_the_example_at_once(example: Path, tmp_path: Path, predictor: Predictor) -> None:
    editor = FieldsEditor(example, tmp_path / "fields.json", predictor)
    assert editor.to_json() == {
        "out": str(tmp_path / "fields.json"), "height": HEIGHT, "width": WIDTH, "fields": [],
    }  # fmt: skip
    found = editor.read(content(METER, DATE))
    assert [(each["name"], each["text"]) for each in found["fields"]] == [("meter", "50829"), ("date", "")]
    assert found["unsure"] == ["date"]
    pixels = np.asarray(Image.open(io.BytesIO(editor.jpeg())))
    assert pixels.shape[:2] == (HEIGHT, WIDTH)
    assert not (tmp_path / "fields.json").exists()


def test_saved_fields_are_those_that_read_takes_and_a_later_editor_has_them(
    example: Path, tmp_path: Path, predictor: Predictor
) -> None:
    out = tmp_path / "new" / "fields.json"
    FieldsEditor(example, out, predictor).save(content(METER, DATE))
    assert load_form(out, DIGITS).names == ("meter", "date")
    assert json.loads(out.read_text())["fields"] == [METER, DATE]
    assert out.read_text().count("\n") == 4  # a field in each line
    assert FieldsEditor(example, out, predictor).to_json()["fields"] == [METER, DATE]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (b"{", "fields.json: is no JSON"),
        (content(), "fields.json: has no list of fields"),
        (content({**METER, "length": "five"}), "fields.json, field 'meter', length: length 'five'"),
        (content(METER, METER), "fields.json, field 'meter': two fields have this name"),
        (content({**METER, "same_as": "x"}), "fields.json, field 'meter', same_as: no field is called 'x'"),
    ],
)
def test_wrong_fields_are_refused_and_the_file_stays(
    example: Path, tmp_path: Path, predictor: Predictor, fields: bytes, message: str
) -> None:
    out = write_fields(tmp_path / "fields.json", DATE)
    before = out.read_bytes()
    editor = FieldsEditor(example, out, predictor)
    for refused in (editor.read, editor.save):
        with pytest.raises(UserError) as error:
            refused(fields)
        assert str(error.value).startswith(message)
    assert out.read_bytes() == before


def test_another_page_is_chosen_and_one_that_is_missing_refused(
    example: Path, tmp_path: Path, predictor: Predictor
) -> None:
    editor = FieldsEditor(example, tmp_path / "fields.json", predictor, 2)
    assert editor.read(content(METER))["fields"][0]["text"] == ""
    with pytest.raises(UserError, match="has no page 3"):
        FieldsEditor(example, tmp_path / "fields.json", predictor, 3)


def test_a_file_without_fields_is_not_overwritten(example: Path, tmp_path: Path, predictor: Predictor) -> None:
    out = tmp_path / "fields.json"
    out.write_text('{"mine": 1}')
    with pytest.raises(UserError, match="has no list of fields"):
        FieldsEditor(example, out, predictor)


def test_all_constraints_are_written_and_read_again(tmp_path: Path) -> None:
    every = {
        **METER, "length": "2", "one_of": ["18", "12345"], "at_least": "10", "same_as": "Prüfer", "required": True,
    }  # fmt: skip
    other = {**DATE, "name": "Prüfer", "pattern": r"\d{2}", "check": "luhn"}
    form = load_form(write_fields(tmp_path / "fields.json", every, other), DIGITS)
    (tmp_path / "again.json").write_text(fields_json(form.fields), encoding="utf-8")
    assert load_form(tmp_path / "again.json", DIGITS) == load_form(tmp_path / "fields.json", DIGITS)
