"""The local page to label images: its routes, whom it refuses, and what it does in a browser."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.server import Address, Response, local_page
from PIL import Image
from playwright.sync_api import Page, expect

from imparfait.inference.active_learning import Candidate
from imparfait.inference.label_session import LabelSession
from imparfait.serving.label import Labelling, browser_image, make_label_app

pytest_plugins = ("helpers.browser",)

TOKEN = "secret-token"
CLASSES = ("ant", "bee", "wasp")
FLOWERS = tuple(f"{colour} {kind}" for colour in ("red", "blue", "white") for kind in ("rose", "lily", "iris", "aster"))
OpenPage = Callable[..., Page]


@pytest.fixture
def labelling(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Labelling]:
    """Three images, each predicted to be of another of the first classes with a probability of a half."""
    classes = getattr(request, "param", CLASSES)
    candidates = []
    for number in range(3):
        file = tmp_path / f"{number}.png"
        Image.new("RGB", (12, 8), (80 * number, 90, 90)).save(file)
        probabilities = np.full(len(classes), 0.5 / (len(classes) - 1), np.float32)
        probabilities[number] = 0.5
        candidates.append(Candidate(str(file), probabilities, np.zeros(1)))
    with LabelSession(tmp_path / "labels.csv") as session:
        session.start([each.file for each in candidates])
        yield Labelling(session, candidates, classes)


@pytest.fixture
def address(labelling: Labelling) -> Iterator[Address]:
    with local_page(make_label_app(labelling, TOKEN)) as address:
        yield address


def post(address: Address, path: str, content: object) -> Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return address.request("POST", f"/{TOKEN}/{path}", body, Content_Type="application/json")


def labels(labelling: Labelling) -> list[list[str]]:
    table = labelling.session.table
    return list(csv.reader(table.read_text().splitlines()))[1:] if table.exists() else []


def test_the_page_its_files_and_the_images_are_served_under_the_token(address: Address) -> None:
    for path in ("", "static/label.js", "static/label.css"):
        assert address.request("GET", f"/{TOKEN}/{path}").status == 200
    images = address.request("GET", f"/{TOKEN}/images").json
    assert images["classes"] == ["ant", "bee", "wasp"]
    assert images["images"][1]["predictions"][0] == [1, 0.5]
    assert (images["images"][1]["label"], images["images"][1]["skipped"]) == (None, False)
    image = address.request("GET", f"/{TOKEN}/images/2")
    assert image.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(image.body)).size == (12, 8)
    assert address.request("GET", "/images").error == (403, "forbidden")


def test_labels_and_skips_are_saved_and_undone(address: Address, labelling: Labelling) -> None:
    assert post(address, "labels", {"image": 0, "label": 2}).json == {"label": 2}
    assert labels(labelling) == [["0.png", "wasp"]]
    assert post(address, "skip", {"image": 1}).json == {"skipped": True}
    assert [each["skipped"] for each in address.request("GET", f"/{TOKEN}/images").json["images"]] == [
        False,
        True,
        False,
    ]
    assert [post(address, "undo", {}).json["image"] for _ in range(3)] == [1, 0, None]
    assert labels(labelling) == []


@pytest.mark.parametrize(
    ("path", "content", "error"),
    [
        ("labels", b"{", (422, "unprocessable")),
        ("labels", {"image": 0}, (422, "unprocessable")),
        ("labels", {"image": 0, "label": 3}, (422, "unprocessable")),
        ("labels", {"image": 0, "label": -1}, (422, "unprocessable")),
        ("labels", {"image": 3, "label": 0}, (404, "not_found")),
        ("labels", {"image": -1, "label": 0}, (404, "not_found")),
        ("labels", {"image": 0, "label": 0, "path": "/etc/passwd"}, (422, "unprocessable")),
        ("skip", {"image": 3}, (404, "not_found")),
        ("undo", {"image": 0}, (422, "unprocessable")),
    ],
)
def test_a_wrong_request_changes_nothing(
    address: Address, labelling: Labelling, path: str, content: object, error: tuple[int, str]
) -> None:
    assert post(address, path, content).error == error
    assert labels(labelling) == []


@pytest.mark.parametrize(("size", "kind"), [((200, 100), "image/png"), ((3000, 1500), "image/jpeg")])
def test_large_images_are_reduced_for_the_page(tmp_path: Path, size: tuple[int, int], kind: str) -> None:
    Image.new("RGB", size).save(tmp_path / "a.bmp")
    content, media_type = browser_image(str(tmp_path / "a.bmp"))
    assert media_type == kind
    assert max(Image.open(io.BytesIO(content)).size) == min(max(size), 1500)  # JPEG files are reduced in whole steps


def test_an_image_is_labelled_with_one_key_and_undone_with_another(
    address: Address, labelling: Labelling, open_page: OpenPage
) -> None:
    page = open_page(f"http://127.0.0.1:{address.port}/{TOKEN}/")
    expect(page.locator("#prediction")).to_contain_text("ant")
    page.keyboard.press("3")
    expect(page.locator("#count")).to_have_text("1 of 3 labelled")
    page.keyboard.press(" ")
    expect(page.locator("#count")).to_have_text("2 of 3 labelled")
    page.keyboard.press("s")
    expect(page.locator("#end-title")).to_have_text("1 skipped, all others labelled")
    page.keyboard.press("u")
    expect(page.locator("#prediction")).to_be_visible()
    page.keyboard.press("u")
    expect(page.locator("#count")).to_have_text("1 of 3 labelled")
    expect(page.locator("#prediction")).to_contain_text("bee")
    assert labels(labelling) == [["0.png", "wasp"]]
    page.reload()
    expect(page.locator("#count")).to_have_text("1 of 3 labelled")
    expect(page.locator("#prediction")).to_contain_text("bee")


@pytest.mark.parametrize("labelling", [FLOWERS], indirect=True)
def test_of_many_classes_one_is_found_by_its_name(address: Address, labelling: Labelling, open_page: OpenPage) -> None:
    page = open_page(f"http://127.0.0.1:{address.port}/{TOKEN}/")
    expect(page.locator("#classes li")).to_have_count(9)
    page.keyboard.press("t")
    page.keyboard.type("ast")
    expect(page.locator("#classes li")).to_have_count(3)
    page.keyboard.type("white")
    expect(page.locator("#none")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#classes li")).to_have_count(9)
    page.keyboard.press("t")
    page.keyboard.type("white a")
    page.keyboard.press("Enter")
    expect(page.locator("#count")).to_have_text("1 of 3 labelled")
    assert labels(labelling) == [["0.png", "white aster"]]


@pytest.mark.parametrize("labelling", [tuple("0123456789")], indirect=True)
def test_the_key_of_a_digit_is_the_digit(address: Address, labelling: Labelling, open_page: OpenPage) -> None:
    page = open_page(f"http://127.0.0.1:{address.port}/{TOKEN}/")
    expect(page.locator("#classes li")).to_have_count(10)
    page.keyboard.press("7")
    expect(page.locator("#count")).to_have_text("1 of 3 labelled")
    assert labels(labelling) == [["0.png", "7"]]


def test_on_a_phone_all_is_reached_by_taps_and_nothing_overflows(
    address: Address, labelling: Labelling, open_page: OpenPage
) -> None:
    phone = {"viewport": {"width": 375, "height": 667}, "has_touch": True, "is_mobile": True, "color_scheme": "dark"}
    page = open_page(f"http://127.0.0.1:{address.port}/{TOKEN}/", **phone)
    page.locator("#classes button", has_text="wasp").click()
    expect(page.locator("#count")).to_have_text("1 of 3 labelled")
    page.locator("#accept").click()
    expect(page.locator("#count")).to_have_text("2 of 3 labelled")
    page.locator("#skip").click()
    page.locator("#again").click()
    expect(page.locator("#prediction")).to_contain_text("wasp")
    box = page.locator("#tools").bounding_box()
    assert box
    assert box["y"] + box["height"] <= 667
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
