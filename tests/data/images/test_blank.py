"""What is called blank: images of nothing are, drawn strokes are not, however faint a corruption makes them."""

import numpy as np
import pytest
from helpers.bars import draw_bars

from imparfait.corruptions import CORRUPTIONS
from imparfait.data.corrupted import corrupt
from imparfait.data.dataset import LabelledImages
from imparfait.data.images.blank import accepts, is_blank
from imparfait.data.ood import OOD_SETS


def digits(n: int, side: int = 28) -> LabelledImages:
    """Strokes as thin as digits' get (1 to 3 pixels) in white: an arc, a bar in any direction, or both."""
    random = np.random.default_rng(side)
    y, x = np.mgrid[:side, :side] + 0.0
    pixels = np.zeros((n, 1, side, side), np.uint8)
    for index, image in enumerate(pixels):
        row, column = random.uniform(0.4 * side, 0.6 * side, 2)
        half, ink = random.uniform(0.5, 1.5), np.zeros((side, side))
        if index % 3 != 1:
            radius, start, span = random.uniform(0.15, 0.3) * side, random.uniform(0, 6.28), random.uniform(2.5, 6.2)
            away = np.abs(np.hypot(x - column, y - row) - radius)
            inside = (np.arctan2(y - row, x - column) - start) % 6.2832 < span
            ink = np.maximum(ink, (half + 0.5 - away).clip(0, 1) * inside)
        if index % 3 != 0:
            angle, length = random.uniform(0, 3.14), random.uniform(0.2, 0.35) * side
            across = np.abs((x - column) * np.sin(angle) - (y - row) * np.cos(angle))
            along = np.abs((x - column) * np.cos(angle) + (y - row) * np.sin(angle))
            ink = np.maximum(ink, (half + 0.5 - across).clip(0, 1) * (along < length))
        image[0] = (255 * ink / ink.max()).round()
    return LabelledImages(pixels, np.arange(n) % 3, np.arange(n), ("arc", "bar", "both"), "strokes", "validation")


def blanks(data: LabelledImages) -> int:
    return int(is_blank(data.pixels.astype(np.float32) / 255).sum())


@pytest.mark.parametrize(("side", "channels"), [(28, 1), (16, 1), (40, 3), (64, 1)])
def test_images_without_content_are_blank(side: int, channels: int) -> None:
    pixels = OOD_SETS["blank"].draw(2000, side, side, channels, seed=5)
    assert pixels is not None
    assert is_blank(pixels.astype(np.float32) / 255).mean() >= 0.999


@pytest.mark.parametrize("name", ["contrast", "brightness", "fog", "uneven_light", "invert"])
def test_strokes_are_not_blank_in_any_light(name: str) -> None:
    for data in (digits(60), digits(40, side=16), digits(20, side=40)):
        for severity in (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0):
            assert blanks(corrupt(data, name, severity)) == 0, severity


@pytest.mark.parametrize("name", [name for name, known in CORRUPTIONS.items() if known.family != "light"])
def test_other_corruptions_do_not_make_digits_blank(name: str) -> None:
    data = digits(40)
    for severity in (0.4, 1.0):
        assert blanks(corrupt(data, name, severity)) <= 1, severity  # 1: turned out of the image, or worn away


def test_no_other_ood_set_is_blank() -> None:
    for name, nothing in OOD_SETS.items():
        pixels = nothing.draw(400, 28, 28, 1, seed=3)
        if pixels is not None and name not in ("blank", "other_noise"):  # of these, specks may be no more than noise
            assert is_blank(pixels.astype(np.float32) / 255).mean() < 0.01, name


@pytest.mark.parametrize("grey", [0, 1, 128, 255])
def test_one_grey_is_blank_and_so_it_is_with_a_few_pixels_rounded_another_way(grey: int) -> None:
    pixels = np.full((1, 1, 28, 28), grey, np.uint8)
    assert is_blank(pixels.astype(np.float32) / 255).all()
    pixels[0, 0, 3:6, 7] = abs(grey - 1)
    assert is_blank(pixels.astype(np.float32) / 255).all()


def test_a_dot_is_not_a_sensors_noise() -> None:
    pixels = np.zeros((1, 1, 28, 28), np.float32)
    pixels[0, 0, 14, 14:16] = 1
    assert not is_blank(pixels).any()


def test_strong_noise_is_not_blank() -> None:
    random = np.random.default_rng(0)
    images = (0.5 + 0.1 * random.standard_normal((50, 1, 28, 28))).clip(0, 1).astype(np.float32)
    assert not is_blank(images).any()


def test_an_image_does_not_depend_on_its_neighbours_in_the_batch() -> None:
    nothing = OOD_SETS["blank"].draw(30, 28, 28, 1, seed=0)
    assert nothing is not None
    both = np.concatenate([nothing, digits(30).pixels]).astype(np.float32) / 255
    assert np.array_equal(is_blank(both), [is_blank(each[None])[0] for each in both])
    assert np.array_equal(is_blank(both), is_blank(both.repeat(3, 1)))


def test_confident_images_that_are_not_blank_are_accepted() -> None:
    images = draw_bars(4).pixels.astype(np.float32) / 255
    images[3] = 0.5
    sure = np.array([0.2, 0.8, 0.9, 1.0])
    assert accepts(images, sure, 0.8).tolist() == [False, True, True, False]
    assert accepts(images, sure, 0.0).tolist() == [True, True, True, False]
    assert not accepts(images, sure, 1.1).any()
