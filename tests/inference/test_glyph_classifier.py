"""The glyph classifier sees a square around each glyph of a page, whatever the page's polarity, scale and edge."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from imparfait.inference.ocr.glyph_classifier import LABELS, SIDE_PIXELS, classify_glyphs, glyph_inputs

NONE = LABELS - 1
BOX = np.array([[40.0, 30, 60, 70]])


def page(text: str, scale: int = 1, beside: str = "") -> tuple[np.ndarray, np.ndarray]:
    """A dark character on light paper with noise, perhaps another one close to its right, and the first one's box."""
    font = ImageFont.load_default(40 * scale)
    image = Image.new("L", (160 * scale, 100 * scale), 225)
    draw = ImageDraw.Draw(image)
    start = 40 * scale, 20 * scale
    draw.text(start, text, 40, font)
    left, top, right, bottom = draw.textbbox(start, text, font)
    draw.text((right + scale, start[1]), beside, 40, font)
    noise = np.random.default_rng(0).normal(0, 0.01, (image.height, image.width))
    return (np.asarray(image) / 255 + noise).astype(np.float32), np.array([[left, top, right, bottom]], float)


def test_ink_is_positive_on_light_and_on_dark_pages() -> None:
    grey, box = page("7")
    [dark], [light] = glyph_inputs(grey, box), glyph_inputs(1 - grey, box)
    np.testing.assert_allclose(dark, light, atol=0.02)
    assert dark[0].max() > 0.5 > -0.5 < dark[0].min()


def test_the_second_plane_is_where_the_glyph_is() -> None:
    [(_, inside)] = glyph_inputs(page("7")[0], BOX)
    rows, columns = inside.any(1).sum(), inside.any(0).sum()
    assert rows == pytest.approx(SIDE_PIXELS / 1.5, abs=1)
    assert columns == pytest.approx(SIDE_PIXELS / 1.5 / 2, abs=1)  # the box is twice as high as wide


@pytest.mark.parametrize("scale", [2, 5])
def test_the_size_on_the_page_does_not_matter(scale: int) -> None:
    small, large = (glyph_inputs(*page("7", times))[0, 0].ravel() for times in (1, scale))
    assert np.corrcoef(small, large)[0, 1] > 0.9


@pytest.mark.parametrize("box", [[-9.0, -9, 4, 4], [150.0, 90, 190, 130], [5.0, 5, 5, 5], [0.0, 0, 160, 100]])
def test_boxes_may_leave_the_page_be_empty_or_be_all_of_it(box: list[float]) -> None:
    inputs = glyph_inputs(np.full((100, 160), 0.9, np.float32), np.array([box]))
    assert inputs.shape == (1, 2, SIDE_PIXELS, SIDE_PIXELS)
    assert np.abs(inputs[0, 0]).max() == 0  # paper without ink


@pytest.mark.parametrize("digit", range(10))
def test_a_printed_digit_is_that_digit_alone_and_between_others(digit: int) -> None:
    for beside in ("", "8"):
        [found] = classify_glyphs(*page(str(digit), 1, beside))
        assert found.sum() == pytest.approx(1, abs=1e-4)
        assert found.argmax() == digit


@pytest.mark.parametrize("letter", "AEHKMRW")
def test_a_letter_is_none(letter: str) -> None:
    [found] = classify_glyphs(*page(letter))
    assert found.argmax() == NONE


def test_no_glyphs_have_no_probabilities() -> None:
    assert classify_glyphs(page("7")[0], np.zeros((0, 4))).shape == (0, LABELS)
