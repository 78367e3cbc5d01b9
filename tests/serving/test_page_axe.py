"""axe-core finds nothing on the pages: light and dark, empty, drawn and with several digits, in both languages."""

from pathlib import Path

import numpy as np
import pytest
from helpers.axe import violations
from helpers.commands import run
from helpers.forms import file_bytes, region, sheet, write, write_fields
from helpers.page import SEVEN, OpenPage, digits, draw_with_mouse, expect_label
from helpers.server import local_page
from playwright.sync_api import expect

from imparfait.inference.active_learning import Candidate
from imparfait.inference.forms.fields_editor import FieldsEditor
from imparfait.inference.forms.review import Review
from imparfait.inference.label_session import LabelSession
from imparfait.inference.loading import load_predictor
from imparfait.serving.fields import make_fields_app
from imparfait.serving.label import Labelling, make_label_app
from imparfait.serving.review import make_review_app

pytest_plugins = ("helpers.browser",)


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_has_no_violations(open_page: OpenPage, address: str, language: str, scheme: str, width: int) -> None:
    page = open_page(address, locale=language, color_scheme=scheme, viewport={"width": width, "height": 860})
    expect(page.locator("#corruptions .row")).to_have_count(32)
    page.keyboard.press("Delete")
    expect_label(page, "–")
    assert violations(page) == []
    draw_with_mouse(page, SEVEN)
    expect_label(page, "7")
    assert violations(page) == []
    page.locator("#file").set_input_files(digits("3728"))
    expect(page.locator("#boxes button")).to_have_count(4)
    expect_label(page, "3")
    assert violations(page) == []
    page.locator("#share").click()
    assert violations(page) == []


@pytest.fixture
def form(tmp_path: Path) -> Path:
    """A folder with a form, its field and what was read from it."""
    page = sheet()
    write(page, "50829", 60, 60)
    (tmp_path / "a.png").write_bytes(file_bytes(page))
    write_fields(tmp_path / "fields.json", region("meter", 180, 40, 230, 400, required=True))
    run("read", "--fields", tmp_path / "fields.json", tmp_path / "a.png", "--csv", tmp_path / "forms.csv")
    return tmp_path


def check_local(open_page: OpenPage, port: int, shown: str) -> None:
    for scheme in ("light", "dark"):
        page = open_page(f"http://127.0.0.1:{port}/token/", color_scheme=scheme)
        expect(page.locator(shown)).to_be_visible()
        assert violations(page) == []


def test_the_page_for_fields_has_no_violations(open_page: OpenPage, form: Path) -> None:
    editor = FieldsEditor(form / "a.png", form / "fields.json", load_predictor("digits"))
    with local_page(make_fields_app(editor, "token")) as address:
        check_local(open_page, address.port, "#sheet .box")


def test_the_page_to_review_has_no_violations(open_page: OpenPage, form: Path) -> None:
    with Review(form / "forms.csv") as review, local_page(make_review_app(review, "token")) as address:
        check_local(open_page, address.port, "#field")


def test_the_page_to_label_has_no_violations(open_page: OpenPage, form: Path) -> None:
    file = str(form / "a.png")
    with LabelSession(form / "labels.csv") as session:
        session.start([file])
        labelling = Labelling(session, [Candidate(file, np.array([0.5, 0.5], np.float32), np.zeros(1))], ("ant", "bee"))
        with local_page(make_label_app(labelling, "token")) as address:
            check_local(open_page, address.port, "#item")
