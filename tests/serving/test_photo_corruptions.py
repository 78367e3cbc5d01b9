"""A server of a model for photographs offers the corruptions of photographs, at their published levels."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from helpers.server import serving
from playwright.sync_api import Page, expect

from imparfait.corruptions import CORRUPTIONS, PHOTO_CORRUPTIONS
from imparfait.data.images.input_format import InputFormat, Normalization
from imparfait.inference.predictor import Predictor
from imparfait.serving import schemas
from imparfait.serving.models import LoadedModel

pytest_plugins = ("helpers.browser",)

OpenPage = Callable[..., Page]
CLASSES = ("rose", "lily", "iris")


def colour_model(normalization: Normalization = "resize", channels: int = 3) -> dict[str, LoadedModel]:
    """A model of 16×16 images whose classes are the colours."""

    def function(pixels: np.ndarray) -> np.ndarray:
        means = pixels.mean((2, 3)).repeat(3 // channels, 1).astype(np.float32) + 1
        return means / means.sum(1, keepdims=True)

    form = InputFormat(channels=channels, height=16, width=16, normalization=normalization)
    return {"model": (Predictor("flowers", CLASSES, form, None, function), None)}


def red(side: int = 16) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 90, (3, side, side), dtype=np.uint8)
    pixels[0] += 120
    return schemas.png(pixels)


LONG = "linear-probe-efficientnet_lite0-s0-435cd2"
WIDE = ("a", "a rose is a rose is a rose is a rose", "Donaudampfschifffahrtsgesellschaftskapitän")


@pytest.mark.parametrize("width", [360, 1280])
def test_long_names_of_runs_and_classes_stay_inside_and_bars_begin_at_one_place(
    open_page: OpenPage, width: int
) -> None:
    models = colour_model()
    known = models["model"][0]
    model = Predictor(LONG, WIDE, known.input_format, None, known.run)
    with serving({"model": (model, None)}) as server:
        page = open_page(
            f"http://127.0.0.1:{server.port}",
            sweep=True,
            viewport={"width": width, "height": 800},
            is_mobile=width < 500,
        )
        page.set_input_files("input[type=file]", {"name": "red.png", "mimeType": "image/png", "buffer": red()})
        marks = page.locator("#corruptions .row .curve").first.locator("i")
        expect(marks.first).to_have_attribute("style", re.compile(r"--score: 0\.[3-9]"))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        parts = ".result[data-side=model], .result[data-side=model] > *, #slider"
        inside = page.evaluate(
            """parts => {
                const panel = document.querySelector("#curves").getBoundingClientRect();
                return [...document.querySelectorAll(parts)].every(
                    (each) => each.getBoundingClientRect().right <= panel.right + 2);
            }""",
            parts,
        )
        assert inside
        lefts = page.evaluate(
            "[...document.querySelectorAll('#bars .bar')].map((bar) => bar.getBoundingClientRect().left)"
        )
        assert len(lefts) == 3
        assert max(lefts) - min(lefts) < 1


@pytest.mark.parametrize(("normalization", "channels"), [("resize", 3), ("letterbox", 1), ("none", 3), ("digit", 1)])
def test_corruptions_are_those_that_the_input_can_have(normalization: Normalization, channels: int) -> None:
    photo = [name for name, known in PHOTO_CORRUPTIONS.items() if channels == 3 or not known.only_colour]
    expected = list(CORRUPTIONS) if normalization == "digit" else photo
    severities = [step / 10 for step in range(11)] if normalization == "digit" else [0, 0.2, 0.4, 0.6, 0.8, 1]
    with serving(colour_model(normalization, channels)) as server:
        listed = server.request("GET", "/v1/corruptions").json
        schemas.CorruptionList.model_validate(listed, strict=True)
        assert [row["name"] for row in listed["corruptions"]] == expected
        swept = server.post(red(), "/v1/robustness").json
        schemas.RobustnessResponse.model_validate(swept, strict=True)
        assert swept["severities"] == listed["severities"] == severities
        assert [row["name"] for row in swept["corruptions"]] == expected
        for row in swept["corruptions"]:
            assert len(row["model"]["labels"]) == (len(severities) if row["graded"] else 1)
        corrupted = server.post(red(), f"/v1/corrupt?name={expected[0]}&severity=1").json
        assert corrupted["corrupted"].startswith("data:image/png")


def test_the_page_of_a_colour_model_shows_them_with_its_own_classes(open_page: OpenPage) -> None:
    with serving(colour_model()) as server:
        page = open_page(f"http://127.0.0.1:{server.port}", sweep=True)
        expect(page.locator("#corruptions .row")).to_have_count(len(PHOTO_CORRUPTIONS))
        page.set_input_files("input[type=file]", {"name": "red.png", "mimeType": "image/png", "buffer": red()})
        expect(page.locator(".result[data-side=model] .label").first).to_have_text("rose")
        names = page.locator("#corruptions .row .name").all_text_contents()
        assert {"fog", "white balance", "jpeg compression"} <= set(names)
        assert not any("photo." in name for name in names)
        marks = page.locator("#corruptions .row .curve").first.locator("i")
        expect(marks).to_have_count(6)
        expect(marks.first).to_have_attribute("style", re.compile(r"--score: 0\.[3-9]"))
