"""The local page that draws fields: its routes and whom it refuses."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.forms import file_bytes, region, sheet, write
from helpers.server import Address, Response, local_page

from imparfait.inference.forms.fields_editor import FieldsEditor
from imparfait.inference.loading import load_predictor
from imparfait.serving.fields import make_fields_app

METER = region("meter", 50, 40, 130, 300, length="5")


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> FieldsEditor:
    folder, page = tmp_path_factory.mktemp("fields"), sheet()
    write(page, "50829", 60, 60)
    (folder / "form.png").write_bytes(file_bytes(page))
    return FieldsEditor(folder / "form.png", folder / "fields.json", load_predictor("digits"))


@pytest.fixture(scope="module")
def page(editor: FieldsEditor) -> Iterator[Address]:
    with local_page(make_fields_app(editor, "token")) as address:
        yield address


@pytest.fixture
def out(editor: FieldsEditor) -> Path:
    editor.out.unlink(missing_ok=True)
    return editor.out


def post(page: Address, path: str, content: object, **headers: str) -> Response:
    body = json.dumps(content).encode()
    return page.request("POST", f"/token/{path}", body, **{"Content_Type": "application/json", **headers})


def test_the_page_the_example_and_its_fields_are_served(page: Address, editor: FieldsEditor) -> None:
    for path, kind in (("", "text/html"), ("static/fields.js", "text/javascript"), ("page", "image/jpeg")):
        response = page.request("GET", f"/token/{path}")
        assert response.status == 200
        assert response.headers["content-type"].startswith(kind)
    assert page.request("GET", "/token/fields").json == editor.to_json()


def test_fields_are_read_and_saved(page: Address, out: Path) -> None:
    (field,) = post(page, "read", {"fields": [METER]}).json["fields"]
    assert (field["text"], field["confident"]) == ("50829", True)
    assert not out.exists()
    assert post(page, "save", {"fields": [METER]}).json == {"fields": 1}
    assert json.loads(out.read_text()) == {"fields": [METER]}


@pytest.mark.parametrize("path", ["read", "save"])
def test_a_wrong_field_is_one_sentence_and_writes_nothing(page: Address, out: Path, path: str) -> None:
    response = post(page, path, {"fields": [{**METER, "length": "five"}]})
    assert response.error == (422, "unprocessable")
    assert "fields.json, field 'meter', length: length 'five'" in response.json["error"]["message"]
    assert not out.exists()


def test_other_pages_are_refused(page: Address, out: Path) -> None:
    content = {"fields": [METER]}
    assert post(page, "save", content, Origin="https://example.org").error == (403, "foreign_origin")
    assert post(page, "save", content, Host="example.org").error == (403, "foreign_host")
    assert post(page, "save", content, Content_Type="text/plain").error == (415, "unsupported_type")
    assert page.request("POST", "/save", b"{}", Content_Type="application/json").error == (403, "forbidden")
    assert page.request("GET", "/page").error == (403, "forbidden")
    assert not out.exists()
