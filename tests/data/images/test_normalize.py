"""Images as people have them become what a model was trained on, and it is said what was done."""

import io

import numpy as np
import pytest
from helpers.image_variants import Variant, variants
from helpers.normalized import DIGIT, SEVEN, alike, decoded, input_format
from helpers.photos import SCENES, file, page
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imparfait.data.images.input_format import InputFormat, Normalization, is_like_mnist
from imparfait.data.images.normalize import read_normalized
from imparfait.data.load import load_data

WAYS = list(variants())


@pytest.mark.parametrize("way", [way for way in WAYS if way.lossless][::6], ids=str)
def test_a_training_image_survives_lossless_storage_bit_for_bit(way: Variant) -> None:
    got = decoded(way.store(SEVEN))
    assert np.array_equal(got.pixels[0], SEVEN)
    assert got.unchanged
    assert got.polarity == ("dark on light" if way.dark else "light on dark")
    assert got.scale == 1 / way.times
    assert got.preprocessing.startswith("inverted") == way.dark


@pytest.mark.parametrize(
    ("mode", "channels", "said"),
    [
        ("L", 1, "unchanged"),
        ("RGB", 3, "unchanged"),
        ("I;16", 1, "16 bits to 8"),
        ("RGBA", 3, "without its alpha channel"),
        ("RGB", 1, "colour to grey"),
        ("RGBA", 1, "without its alpha channel, colour to grey"),
    ],
)
def test_what_was_converted_is_not_called_unchanged(mode: str, channels: int, said: str) -> None:
    rng = np.random.default_rng(0)
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, (9, 9), dtype=np.uint16))
    else:
        image = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    form = InputFormat(channels=channels, height=9, width=9, normalization="none")
    assert decoded(buffer.getvalue(), form).preprocessing == said


@pytest.mark.parametrize("way", [way for way in WAYS if not way.lossless][::4], ids=str)
def test_a_training_image_survives_lossy_storage_approximately(way: Variant) -> None:
    assert alike(decoded(way.store(SEVEN)).pixels) > 0.97


@given(st.integers(0, 2**32 - 1), st.sampled_from(WAYS))
@settings(max_examples=150, deadline=None)
def test_any_image_on_an_empty_background_survives_bit_for_bit(seed: int, way: Variant) -> None:
    if not way.lossless or way.mode in ("ink", "tRNS"):  # there a ground of its own is guessed
        return
    random = np.random.default_rng(seed)
    height, width = random.integers(6, 40, 2)
    image = np.zeros((height, width), np.uint8)
    image[1:-1, 1:-1] = random.integers(0, 256, (height - 2, width - 2)) * (
        random.random((height - 2, width - 2)) < 0.5
    )
    image[height // 2, width // 2] = 255
    assert np.array_equal(decoded(way.store(image), input_format(int(height), int(width))).pixels[0], image)


def test_preprocessing_is_reported_in_the_pixels_of_the_file() -> None:
    image = page(SEVEN, 300, 400, (0, 0, 0), (255, 255, 255), at=(20, 170), side=200)
    got = decoded(file(image, "PNG"))
    rows, columns = (np.flatnonzero((image[..., 0] < 128).any(axis)) for axis in (1, 0))
    expected = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert np.abs(np.subtract(got.box, expected)).max() <= 1
    assert got.polarity == "dark on light"
    assert got.scale == pytest.approx(20 / (rows[-1] + 1 - rows[0]), rel=0.02)
    assert got.preprocessing.startswith(
        f"dark on light; cropped to {got.box[2] - got.box[0]}×{got.box[3] - got.box[1]} pixels at"
    )


def test_the_box_of_a_rotated_file_is_in_displayed_coordinates() -> None:
    ink = np.zeros((120, 90), np.uint8)
    ink[10:60, 20:24] = 255
    got = decoded(Variant("PNG", "L", True, 6, 1, True).store(ink))
    assert got.box == (20, 10, 24, 60)
    assert got.preprocessing.endswith("turned by its EXIF orientation")


def test_the_background_is_reported_and_the_box_of_a_large_image_is_in_its_pixels() -> None:
    image = SCENES["a sheet on a desk"](SEVEN, np.random.default_rng(0))
    large = image.repeat(4, 0).repeat(4, 1)
    small, got = (decoded(file(each)) for each in (image, large))
    assert "of a sheet" in got.preprocessing
    assert np.abs(np.array(small.box) * 4 - got.box).max() <= 12
    assert got.scale == pytest.approx(small.scale / 4, rel=0.03)
    assert alike(got.pixels, small.pixels[0]) > 0.97


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from([1, 3]))
@settings(max_examples=80, deadline=None)
def test_any_levels_are_decoded(height: int, width: int, seed: int, channels: int) -> None:
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (height, width, 3)) * (random.random((height, width, 1)) < random.random())
    form = input_format(20, 24, channels, "digit" if channels == 1 else "letterbox")
    got = decoded(file(image, "PNG"), form)
    assert got.pixels.shape == (channels, 20, 24)
    left, top, right, bottom = got.box
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


@pytest.mark.parametrize("size", [(28, 28), (60, 40), (10, 30), (500, 500)])
def test_a_colour_model_gets_the_letterboxed_image(size: tuple[int, int]) -> None:
    image = np.empty((*size, 3))
    image[:] = (200, 100, 50)
    got = decoded(file(image, "PNG"), input_format(channels=3, normalization="letterbox"))
    assert (got.pixels == np.array([200, 100, 50])[:, None, None]).all()
    assert got.box == (0, 0, size[1], size[0])
    assert got.unchanged == (size == (28, 28))


def test_a_grey_image_for_a_colour_model_has_three_equal_channels() -> None:
    got = decoded(file(SEVEN, "PNG"), input_format(channels=3, normalization="letterbox"))
    assert np.array_equal(got.pixels, np.stack([SEVEN] * 3))


def test_every_page_of_a_tiff_file_is_decoded() -> None:
    buffer = io.BytesIO()
    first, second = (Image.fromarray(image) for image in (SEVEN, 255 - SEVEN.T))
    first.save(buffer, "TIFF", save_all=True, append_images=[second])
    pages = list(read_normalized(buffer.getvalue(), DIGIT))
    assert [np.array_equal(page.pixels[0], ink) for page, ink in zip(pages, (SEVEN, SEVEN.T), strict=True)] == [
        True
    ] * 2


@pytest.mark.parametrize("size", [(28, 28), (40, 60), (10, 30), (9, 9)])
@pytest.mark.parametrize("normalization", ["none", "resize", "letterbox"])
def test_whole_images_are_not_inverted_nor_cropped(size: tuple[int, int], normalization: Normalization) -> None:
    light = np.full((*size, 3), 240)
    light[:, size[1] // 2 :] = 30
    got = decoded(file(light, "PNG"), input_format(normalization=normalization)).pixels[0]
    assert abs(int(got[14, 1]) - 240) <= 1
    assert abs(int(got[14, 26]) - 30) <= 1 or normalization != "resize"
    assert 0 < got.min() <= 30  # enlarged smoothly, edges may overshoot
    assert got.shape == (28, 28)


def test_an_image_of_another_size_is_letterboxed_and_reported() -> None:
    wide = np.full((20, 60, 3), 200)
    as_stored = decoded(file(wide, "PNG"), input_format(normalization="none"))
    assert np.array_equal(as_stored.pixels, decoded(file(wide, "PNG"), input_format(normalization="letterbox")).pixels)
    assert "trained on files of 28×28 pixels" in as_stored.preprocessing
    assert not as_stored.unchanged


def test_colour_becomes_lightness_in_one_channel_and_grey_is_repeated_in_three() -> None:
    colour = np.zeros((28, 28, 3))
    colour[:] = (200, 100, 50)
    grey = decoded(file(colour, "PNG"), input_format(normalization="none"))
    assert (grey.pixels == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)).all()
    for normalization in ("none", "resize", "letterbox"):
        one, three = (
            decoded(file(SEVEN[:20], "PNG"), input_format(channels=channels, normalization=normalization))
            for channels in (1, 3)
        )
        assert np.array_equal(one.pixels.repeat(3, 0), three.pixels)


def test_digits_are_grey() -> None:
    with pytest.raises(ValueError, match="'digit' with 3 channels"):
        input_format(channels=3)


def test_what_is_framed_as_mnist_is_recognised() -> None:
    mnist = load_data("mnist").train
    assert mnist.normalization == "digit"
    few = mnist.pixels[:300]
    assert is_like_mnist(few)
    for other in (255 - few, np.roll(few, 6, 3), few[..., 3:-3, 3:-3], few.repeat(3, 1), np.zeros_like(few)):
        assert not is_like_mnist(other)
    for pixels in few[:50]:
        assert np.array_equal(decoded(file(pixels[0], "PNG")).pixels, pixels)
