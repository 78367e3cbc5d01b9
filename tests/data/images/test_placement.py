"""A glyph is placed in a model's input as MNIST's digits are framed."""

import io

import numpy as np
import pytest
from helpers.fuzz_images import glyph_image
from helpers.normalized import SEVEN, decoded, input_format
from helpers.photos import a_seven, file, page
from PIL import Image

from imparfait.data.images.foreground import find_foreground
from imparfait.data.images.input_format import MNIST_SHARE
from imparfait.data.images.placement import areas, place, resized, stroke_width, thickened


@pytest.mark.parametrize(("height", "width"), [(28, 28), (16, 16), (40, 32), (64, 64)])
def test_a_digit_fills_its_share_of_any_input_and_its_mass_lies_in_the_middle(height: int, width: int) -> None:
    content = file(page(SEVEN, 300, 400, (0, 0, 0), (255, 255, 255), at=(20, 170), side=200))
    check_framing(decoded(content, input_format(height, width)).pixels[0], MNIST_SHARE)


@pytest.mark.parametrize(("height", "width", "share"), [(16, 16, 0.75), (40, 32, 0.5), (64, 64, 0.7)])
def test_a_glyph_is_placed_with_any_share(height: int, width: int, share: float) -> None:
    large = np.asarray(Image.fromarray(SEVEN).resize((200, 200), Image.Resampling.BICUBIC), np.float32) / 255
    found = find_foreground(large[..., None])
    assert found is not None
    plane, _ = place(found.pixels, found.edges, height, width, share)
    check_framing(np.rint(plane * 255), share)


def check_framing(pixels: np.ndarray, share: float) -> None:
    height, width = pixels.shape
    tall, wide = (np.ptp(np.flatnonzero((pixels > 60).any(axis))) + 1 for axis in (1, 0))
    assert max(tall / (share * height), wide / (share * width)) == pytest.approx(
        1, abs=1.5 / (share * min(height, width))
    )
    for axis, side in ((1, height), (0, width)):
        mass = pixels.sum(axis, dtype=float)
        assert abs(mass @ np.arange(side) / mass.sum() - side / 2) <= 0.55


def test_areas_are_averaged_exactly() -> None:
    plane = np.random.default_rng(0).random((30, 42)).astype(np.float32)
    assert np.allclose(resized(plane, 10, 6), plane.reshape(10, 3, 6, 7).mean((1, 3)), atol=1e-6)
    for side, start, scale in ((7, 0.0, 0.4), (20, 1.3, 0.37), (9, 2.0, 1.0)):
        assert areas(side, start, scale).sum(0) == pytest.approx(np.full(side, scale))


def test_thin_strokes_are_thickened_and_others_are_not() -> None:
    plain, thin = (a_seven(280, pen).astype(np.float32) / 255 for pen in (2.4, 0.5))
    edges = (80.0, 50.0, 200.0, 230.0)
    assert thickened(plain, edges)[0] is plain
    widths = [stroke_width(each > 0.5) for each in (plain, thickened(thin, edges)[0])]
    assert widths[1] == pytest.approx(widths[0], rel=0.25)
    assert place(thin, edges, 28, 28)[0].max() > 0.9


@pytest.mark.parametrize("dark", [True, False])
def test_a_digit_that_reaches_the_border_is_framed_as_others_are(dark: bool) -> None:
    close = np.asarray(Image.fromarray(SEVEN).crop((6, 4, 22, 24)).resize((28, 28), Image.Resampling.BICUBIC)).copy()
    close[:, [0, 27]] = 0
    buffer = io.BytesIO()
    Image.fromarray(255 - close if dark else close).save(buffer, "PNG")
    got = decoded(buffer.getvalue())
    rows = np.flatnonzero(got.pixels[0].max(1) > 100)
    assert 17 <= rows[-1] - rows[0] + 1 <= 21
    assert got.polarity == ("dark on light" if dark else "light on dark")


def test_a_glyph_is_normalised_to_the_size_of_the_model() -> None:
    cross = decoded(file(255 - glyph_image(64), "PNG"), input_format(64, 64)).pixels
    assert np.array_equal(cross[0], glyph_image(64))
