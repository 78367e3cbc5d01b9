"""Single glyphs of a page as the classifier takes them."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from imparfait.data.images.input_format import InputFormat
from imparfait.inference.loading import load_predictor
from imparfait.inference.ocr.crops import cut_out, opinions_on, with_ground
from imparfait.inference.ocr.detector import DIGITS, Glyphs

FORM = InputFormat(channels=1, height=28, width=28, normalization="digit")
BOX = np.array([40.0, 30, 60, 70])


def page(scale: int = 1, neighbour: bool = False) -> np.ndarray:
    """A dark 7 on light paper, its box `BOX` times the scale."""
    image = Image.new("L", (120 * scale, 100 * scale), 230)
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = (round(edge * scale) for edge in BOX)
    draw.line([(left + 2 * scale, top + 2 * scale), (right - 2 * scale, top + 2 * scale),
               (left + 6 * scale, bottom - 2 * scale)], 40, 4 * scale)  # fmt: skip
    if neighbour:
        draw.line([(right + 3 * scale, top), (right + 3 * scale, bottom)], 40, 4 * scale)
    return np.asarray(image, np.float32) / 255


def test_a_glyph_that_is_cut_out_is_light_on_dark_whatever_it_was() -> None:
    (dark, contrast), (light, same) = cut_out(page(), BOX, FORM), cut_out(1 - page(), BOX, FORM)
    assert contrast == pytest.approx(same, abs=0.01) == pytest.approx((230 - 40) / 255, abs=0.03)
    assert dark.shape == (1, 28, 28)
    np.testing.assert_allclose(dark.astype(int), light, atol=2)
    assert dark.max() > 200
    assert dark[0, [0, -1]].max() == 0


@pytest.mark.parametrize("scale", [1, 2, 5, 9])
def test_the_size_on_the_page_does_not_matter(scale: int) -> None:
    small, large = (cut_out(page(times), BOX * times, FORM)[0].ravel() for times in (1, scale))
    assert np.corrcoef(small, large)[0, 1] > 0.85


def test_a_neighbour_is_left_out() -> None:
    alone, beside = (cut_out(page(neighbour=there), BOX, FORM)[0].astype(int) for there in (False, True))
    assert np.abs(alone - beside).mean() < 6


@pytest.mark.parametrize("box", [BOX, np.array([-9.0, -9, 4, 4]), np.array([115.0, 95, 140, 130])])
def test_paper_without_ink_is_empty_and_boxes_may_leave_the_page(box: np.ndarray) -> None:
    paper = np.full((100, 120), 0.9, np.float32)
    assert cut_out(paper, box, FORM)[0].max() == 0
    assert with_ground(paper, box, FORM).shape == (1, 28, 28)


def test_the_classifier_is_asked_only_about_glyphs_that_may_be_digits() -> None:
    predictor = load_predictor("digits")
    scores = np.full((2, DIGITS + 1), 0.001)
    scores[0, 7] = scores[1, DIGITS] = 0.95
    empty = np.array([80.0, 30, 100, 70])
    found = opinions_on(page(), Glyphs(np.stack([BOX, empty]), scores, np.array([40.0, 40])), predictor)
    assert found.probabilities[0].argmax() == 7
    np.testing.assert_allclose(found.probabilities[1], 1 / DIGITS)
    assert found.pixels[0].max() > 0 == found.pixels[1].max()
    assert found.contrast[1] == 1
    assert len(opinions_on(page(), Glyphs(np.zeros((0, 4)), scores[:0], np.zeros(0)), predictor).pixels) == 0
