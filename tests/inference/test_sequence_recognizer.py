"""A field is cut out of a page as a level strip, whatever its slope, size, polarity and place, and read as a whole."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from imparfait.inference.ocr.ctc import strings_by_length
from imparfait.inference.ocr.sequence_recognizer import STRIP_PIXELS, Strip, field_strip, recognise_sequence

Written = tuple[np.ndarray, np.ndarray]


def written(
    text: str, size: int = 40, at: tuple[int, int] = (60, 60), apart: float = 0.0, degrees: float = 0
) -> Written:
    """A page with a number, its digits so many pixels closer than the font has them, and their boxes."""
    image, font = Image.new("L", (400, 240), 225), ImageFont.load_default(size)
    draw, boxes, (x, y) = ImageDraw.Draw(image), [], at
    for character in text:
        draw.text((x, y), character, 40, font)
        boxes.append(draw.textbbox((x, y), character, font))
        x += draw.textlength(character, font) - apart
    found = np.array(boxes, float)
    if degrees:
        image = image.rotate(-degrees, Image.Resampling.BICUBIC, fillcolor=225)
        angle, centre = np.radians(degrees), np.array([200.0, 120])
        middles = (found[:, :2] + found[:, 2:]) / 2 - centre
        middles = middles @ [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]] + centre
        half = (found[:, 2:] - found[:, :2]) / 2
        found = np.concatenate([middles - half, middles + half], 1)
    noise = np.random.default_rng(0).normal(0, 0.01, (image.height, image.width))
    return (np.asarray(image) / 255 + noise).astype(np.float32), found


def read(page: np.ndarray, boxes: np.ndarray) -> str:
    return "".join(map(str, strings_by_length(recognise_sequence(field_strip(page, boxes).planes))[0].rows.argmax(1)))


@pytest.mark.parametrize("text", ["0123456789", "77", "2001", "11", "5"])
@pytest.mark.parametrize("size", [16, 40])
def test_a_printed_number_is_read(text: str, size: int) -> None:
    assert read(*written(text, size)) == text


@pytest.mark.parametrize("degrees", [-20, -5, 5, 20])
def test_the_slope_of_a_field_does_not_matter(degrees: float) -> None:
    assert read(*written("40723", degrees=degrees)) == "40723"


def test_digits_that_touch_are_read_by_the_box_around_both() -> None:
    page, boxes = written("4072", apart=4)
    around = np.array([[*boxes[:, :2].min(0), *boxes[:, 2:].max(0)]])
    assert read(page, around) == "4072"


def test_a_digit_beside_the_boxes_is_read_too() -> None:
    page, boxes = written("4072")
    assert read(page, boxes[1:]) == "4072"


def test_light_digits_on_dark_are_as_dark_ones_on_light() -> None:
    page, boxes = written("4072")
    np.testing.assert_allclose(field_strip(page, boxes).planes, field_strip(1 - page, boxes).planes, atol=0.02)


@pytest.mark.parametrize("at", [(0, 60), (330, 60), (60, 0), (60, 215), (-20, -20), (350, 220)])
def test_fields_may_reach_beyond_the_page(at: tuple[int, int]) -> None:
    strip = field_strip(*written("407", at=at))
    assert strip.planes.shape[:2] == (2, STRIP_PIXELS)
    assert np.isfinite(strip.planes).all()
    assert np.abs(strip.planes[0]).max() <= 1


@pytest.mark.parametrize("box", [[5.0, 5, 5, 5], [0.0, 0, 400, 240], [0.0, 100, 400, 101], [100.0, 0, 101, 240]])
def test_boxes_may_be_empty_flat_or_the_whole_page(box: list[float]) -> None:
    strip = field_strip(np.full((240, 400), 0.9, np.float32), np.array([box]))
    assert np.abs(strip.planes[0]).max() == 0  # paper without ink
    assert recognise_sequence(strip.planes).shape[1] == 11


@pytest.mark.parametrize("degrees", [0, 15])
def test_digits_are_found_again_on_the_page(degrees: float) -> None:
    page, boxes = written("4072", degrees=degrees)
    strip: Strip = field_strip(page, boxes)
    [found, *_] = strings_by_length(recognise_sequence(strip.planes))
    middles = (strip.boxes(found.frames)[:, :2] + strip.boxes(found.frames)[:, 2:]) / 2
    np.testing.assert_allclose(middles, (boxes[:, :2] + boxes[:, 2:]) / 2, atol=4)
