"""/v1/explain: equal to Python, within the limits of every request; on the page, a toggle over the model's input."""

import base64
import io
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from helpers.photos import a_seven
from helpers.server import RunningServer, brightness, fake_model, grey, serving
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

import imparfait
from imparfait.evaluation.occlusion import cover_places
from imparfait.serving.explanations import ExplainResponse
from imparfait.serving.models import models_for
from imparfait.serving.schemas import png

pytest_plugins = ("helpers.browser",)
SEVEN = png(255 - a_seven(112, 5.0)[None])


@pytest.fixture(scope="module")
def digits() -> Iterator[RunningServer]:
    with serving(models_for("digits")) as server:
        yield server


def test_an_explanation_equals_pythons(digits: RunningServer) -> None:
    response = digits.post(SEVEN, "/v1/explain").json
    ExplainResponse.model_validate(response, strict=False)
    found = imparfait.explain(SEVEN)
    assert (response["model"], response["label"]) == ("digits", found.label)
    np.testing.assert_allclose(response["drops"], found.drops, atol=1e-4)
    assert response["score"] == pytest.approx(found.score, abs=1e-5)
    assert response["lowest"] == pytest.approx(found.lowest, abs=1e-4)
    shown = Image.open(io.BytesIO(base64.b64decode(response["image"].split(",")[1])))
    assert (shown.size, shown.mode) == ((28, 28), "RGB")
    (page,) = digits.post(SEVEN).json["pages"]
    assert response["prediction"]["model_input"] == page["model_input"]


def test_another_class_is_explained_and_an_unknown_one_refused(digits: RunningServer) -> None:
    response = digits.post(SEVEN, "/v1/explain?label=1").json
    assert response["label"] == "1"
    assert response["prediction"]["predictions"][0]["label"] == "7"
    assert digits.post(SEVEN, "/v1/explain?label=eleven").error == (422, "unprocessable")


@pytest.mark.parametrize(
    ("body", "query", "error"),
    [
        (b"no image", "", (422, "unprocessable")),
        (b"", "", (422, "unprocessable")),
        (b"x" * (2 << 20), "", (413, "too_large")),
        (grey(200), "?labels=1", (422, "unprocessable")),
    ],
)
def test_what_predict_refuses_is_refused(body: bytes, query: str, error: tuple[int, str]) -> None:
    with serving(megabytes=1) as server:
        assert server.post(body, f"/v1/explain{query}").error == error


def test_all_covers_are_predicted_and_a_slow_model_ends_in_the_time_limit() -> None:
    seen = []

    def counting(pixels: np.ndarray) -> np.ndarray:
        seen.append(len(pixels))
        return brightness(pixels)

    with serving(fake_model(counting)) as server:
        seen.clear()
        assert server.post(grey(200), "/v1/explain").status == 200
        assert sum(seen) == 1 + len(cover_places(8, 8))
        assert max(seen) <= 64  # so that requests of others come between

    def slow(pixels: np.ndarray) -> np.ndarray:
        if len(pixels) > 2:
            time.sleep(1)
        return brightness(pixels)

    with serving(fake_model(slow), answer_seconds=0.5) as server:
        assert server.post(grey(200), "/v1/explain").error == (503, "timeout")


def file() -> FilePayload:
    return FilePayload(name="seven.png", mimeType="image/png", buffer=SEVEN)


def test_the_toggle_draws_the_map_with_a_legend_and_takes_it_away(open_page: Callable[..., Page], address: str) -> None:
    page = open_page(address)
    button = page.get_by_role("button", name="Why?")
    expect(button).to_be_disabled()
    page.locator("#file").set_input_files(file())
    expect(button).to_be_enabled()
    button.click()
    image = page.locator("img.explanation")
    expect(image).to_be_visible()
    assert image.get_attribute("src") != page.locator("#model-input").get_attribute("src")
    expect(page.locator(".explanation-legend")).to_contain_text("lowers the probability of 7")
    expect(button).to_have_attribute("aria-pressed", "true")
    page.locator("#clear").click()
    expect(image).to_have_count(0)
    page.locator("#file").set_input_files(file())
    expect(image).to_be_visible()  # it stays switched on
    button.click()
    expect(image).to_have_count(0)
    expect(page.locator(".explanation-legend")).to_be_hidden()
