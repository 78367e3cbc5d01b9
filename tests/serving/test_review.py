"""The local page of a review: its routes, its token, and whom it refuses."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.commands import run
from helpers.forms import file_bytes, region, sheet, write, write_fields
from helpers.server import Address, Response, local_page

from imparfait.inference.forms.decisions import read_decisions
from imparfait.inference.forms.review import Review
from imparfait.serving.local_app import new_token
from imparfait.serving.review import make_review_app
from imparfait.serving.security import POLICY

TOKEN = "secret-token"


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forms")
    page = sheet()
    write(page, "50829", 60, 60)
    (folder / "a.png").write_bytes(file_bytes(page))
    meter, date = region("meter", 50, 90, 130, 300, length="5"), region("date", 180, 40, 230, 400, required=True)
    write_fields(folder / "fields.json", meter, date)
    run("read", "--fields", folder / "fields.json", folder / "a.png", "--csv", folder / "forms.csv")
    return folder / "forms.csv"


@pytest.fixture
def review(csv: Path) -> Iterator[Review]:
    csv.with_name("forms.decisions.jsonl").unlink(missing_ok=True)
    with Review(csv) as opened:
        yield opened


@pytest.fixture
def page(review: Review) -> Iterator[Address]:
    with local_page(make_review_app(review, TOKEN)) as address:
        yield address


def post(page: Address, path: str, content: object, **headers: str) -> Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return page.request("POST", f"/{TOKEN}/{path}", body, **{"Content_Type": "application/json", **headers})


def test_the_page_its_files_and_the_fields_are_served_under_the_token(page: Address, review: Review) -> None:
    for path, kind in (("", "text/html"), ("static/review.js", "text/javascript"), ("static/page.css", "text/css")):
        response = page.request("GET", f"/{TOKEN}/{path}")
        assert response.status == 200
        assert response.headers["content-type"].startswith(kind)
        assert response.headers["content-security-policy"] == POLICY
        assert response.headers["referrer-policy"] == "no-referrer"
    fields = page.request("GET", f"/{TOKEN}/fields")
    assert fields.json == json.loads(json.dumps(review.to_json()))
    assert fields.headers["cache-control"] == "no-store"
    crop = page.request("GET", f"/{TOKEN}/crops/0")
    assert (crop.headers["content-type"], crop.body) == ("image/jpeg", review.crop(0))


def test_a_decision_is_saved_and_undone(page: Address, csv: Path) -> None:
    assert post(page, "decisions", {"field": 0, "text": "50829"}).json == {
        "text": "50829", "objection": None, "saved": True,
    }  # fmt: skip
    assert [*read_decisions(csv).values()] == ["50829"]
    assert post(page, "undo", {}).json == {"field": 0}
    assert post(page, "undo", {}).json == {"field": None}
    assert not read_decisions(csv)


def test_a_decision_that_constraints_forbid_is_asked_for_once_more(page: Address, csv: Path) -> None:
    answer = post(page, "decisions", {"field": 0, "text": "12"})
    assert answer.json == {"text": "12", "objection": "its length is not 5", "saved": False}
    assert not read_decisions(csv)
    assert post(page, "decisions", {"field": 0, "text": "12", "confirmed": True}).json["saved"]
    assert [*read_decisions(csv).values()] == ["12"]


@pytest.mark.parametrize(
    ("path", "content", "error"),
    [
        ("decisions", b"{", (422, "unprocessable")),
        ("decisions", {"field": 0}, (422, "unprocessable")),
        ("decisions", {"field": 0, "text": 7}, (422, "unprocessable")),
        ("decisions", {"field": 0, "text": "1", "path": "/etc/passwd"}, (422, "unprocessable")),
        ("decisions", {"field": 0, "text": "1" * 201}, (422, "unprocessable")),
        ("decisions", {"field": 9, "text": "1"}, (404, "not_found")),
        ("decisions", {"field": -1, "text": "1"}, (404, "not_found")),
        ("decisions", b"x" * (1 << 20) + b"x", (413, "too_large")),
        ("undo", {"field": 1}, (422, "unprocessable")),
        ("fields", {}, (405, "method_not_allowed")),
        ("nothing", {}, (404, "not_found")),
    ],
)
def test_a_wrong_request_changes_nothing(
    page: Address, csv: Path, path: str, content: object, error: tuple[int, str]
) -> None:
    assert post(page, path, content).error == error
    assert not read_decisions(csv)


@pytest.mark.parametrize("path", ["crops/9", "crops/-1"])
def test_there_are_crops_of_the_fields_only(page: Address, path: str) -> None:
    assert page.request("GET", f"/{TOKEN}/{path}").error == (404, "not_found")


def test_other_pages_and_other_names_of_this_computer_are_refused(page: Address, csv: Path) -> None:
    content = {"field": 0, "text": "50829"}
    foreign = post(page, "decisions", content, Origin="https://example.org")
    assert foreign.error == (403, "foreign_origin")
    assert post(page, "decisions", content, Host="example.org").error == (403, "foreign_host")
    assert post(page, "decisions", content, Content_Type="text/plain").error == (415, "unsupported_type")
    assert not read_decisions(csv)
    assert post(page, "decisions", content, Origin=f"http://127.0.0.1:{page.port}").json["saved"]


@pytest.mark.parametrize(
    "path", ["/", "/fields", "/static/page.css", "/other/fields", f"/{TOKEN}x/fields", "//fields", "/%C3%A9/fields"]
)
def test_without_the_token_nothing_is_served(page: Address, path: str) -> None:
    assert page.request("GET", path).error == (403, "forbidden")


def test_tokens_are_long_and_differ() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 24
