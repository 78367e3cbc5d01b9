"""Images as people have them become what a model was trained on, and it is said what was done."""

import io

import numpy as np
import pytest
from helpers.fuzz_images import glyph_image
from helpers.image_variants import Variant, variants
from helpers.photos import SCENES, a_seven, file, page
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from imparfait.data.images.foreground import find_foreground
from imparfait.data.images.input_format import MNIST_SHARE, InputFormat, Normalization, is_like_mnist
from imparfait.data.images.normalize import NormalizedImage, read_normalized
from imparfait.data.images.paper import find_paper
from imparfait.data.images.placement import areas, place, resized, stroke_width, thickened
from imparfait.data.load import load_data


def input_format(
    height: int = 28, width: int = 28, channels: int = 1, normalization: Normalization = "digit"
) -> InputFormat:
    return InputFormat(channels=channels, height=height, width=width, normalization=normalization)


DIGIT = input_format()
SEVEN = a_seven()
WAYS = list(variants())


def decoded(content: bytes, form: InputFormat = DIGIT) -> NormalizedImage:
    (only,) = read_normalized(content, form)
    return only


def alike(pixels: np.ndarray, expected: np.ndarray = SEVEN) -> float:
    """How far two images agree, moved by a pixel at most: 1 where they are proportional."""
    second = expected.astype(float).ravel()
    moved = [np.roll(pixels[0].astype(float), (down, across), (0, 1)) for down in (-1, 0, 1) for across in (-1, 0, 1)]
    return max(float(each.ravel() @ second / np.sqrt((each**2).sum() * (second @ second) + 1e-9)) for each in moved)


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


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_glyph_is_found_on_any_paper_in_any_ink(scene: str, kind: str) -> None:
    got = decoded(file(SCENES[scene](SEVEN, np.random.default_rng(0)), kind))
    assert alike(got.pixels) > 0.85, got.preprocessing
    assert not got.unchanged


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


@given(
    st.floats(0.25, 0.7), st.integers(60, 500), st.tuples(*[st.floats(0, 1)] * 6), st.sampled_from([1, 3]),
    st.floats(0, 1), st.floats(0, 1),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_on_a_uniform_background_the_fast_path_agrees_with_the_slow_one(
    share: float, side: int, colours: tuple[float, ...], channels: int, across: float, down: float
) -> None:
    ground, ink = np.float32(colours[:channels]), np.float32(colours[3 : 3 + channels])
    if np.abs(ground - ink).max() < 0.3:
        return
    tall = round(share * side)
    sign = np.asarray(Image.fromarray(SEVEN).resize((tall, tall), Image.Resampling.BICUBIC)) / np.float32(255)
    covered = np.zeros((side, side, 1), np.float32)
    top, left = 1 + round(down * (side - tall - 2)), 1 + round(across * (side - tall - 2))
    covered[top : top + tall, left : left + tall, 0] = sign
    levels = (ground + (ink - ground) * covered).astype(np.float32)
    quick = find_foreground(levels)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("imparfait.data.images.foreground.flat_background", lambda levels: None)
        slow = find_foreground(levels)
    assert quick
    assert slow
    assert quick.polarity == slow.polarity
    assert quick.box == pytest.approx(slow.box, abs=2 * quick.reduced)
    both = [place(each.pixels, each.edges, 28, 28)[0] for each in (quick, slow)]
    assert np.abs(both[0] - both[1]).mean() < 0.01


@pytest.mark.parametrize("height", [9, 12, 20])
@pytest.mark.parametrize("margin", [0, 2])
def test_tiny_images_are_enlarged(height: int, margin: int) -> None:
    cut = Image.fromarray(255 - SEVEN[7:28, 6:21]).resize((round(height * 0.7), height), Image.Resampling.BOX)
    image = np.pad(np.asarray(cut), margin, constant_values=255)
    assert alike(decoded(file(image, "PNG")).pixels) > 0.75


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (3, 3), (28, 28), (200, 300)])
@pytest.mark.parametrize("noise", [0, 12])
def test_an_empty_page_has_no_glyph(shape: tuple[int, int], noise: int) -> None:
    if noise and min(shape) < 9:  # a few pixels of noise are as good as a sign
        return
    image = np.random.default_rng(0).normal(128, noise, shape)
    got = decoded(file(image, "PNG"))
    assert not got.pixels.any()
    assert got.polarity is None
    assert got.preprocessing == "no foreground found"


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


def test_a_thick_nought_is_no_sheet_of_paper() -> None:
    y, x = np.mgrid[-1:1:200j, -1:1:160j]
    ring = (np.hypot(x, y) < 0.95) & (np.hypot(x, y) > 0.45)
    assert find_paper(ring.astype(np.float32)) is None
    found = find_foreground(ring.astype(np.float32)[..., None])
    assert found is not None
    assert found.polarity == "light on dark"
    assert found.paper is None


def test_light_that_fades_is_no_sheet_of_paper() -> None:
    assert find_paper(np.broadcast_to(np.linspace(0.2, 0.9, 300, dtype=np.float32), (200, 300)).copy()) is None


SEGMENTS = {  # row, column, tall, wide in units of a segment's width; a gap of 2 pixels between them
    "top": (0, 1, 1, 4), "upper left": (1, 0, 4, 1), "upper right": (1, 5, 4, 1), "middle": (5, 1, 1, 4),
    "lower left": (6, 0, 4, 1), "lower right": (6, 5, 4, 1), "bottom": (10, 1, 1, 4),
}  # fmt: skip
LIT = {
    0: "top, upper left, upper right, lower left, lower right, bottom", 1: "upper right, lower right",
    2: "top, upper right, middle, lower left, bottom", 3: "top, upper right, middle, lower right, bottom",
    5: "top, upper left, middle, lower right, bottom", 8: ", ".join(SEGMENTS),
}  # fmt: skip


@pytest.mark.parametrize("digit", LIT)
@pytest.mark.parametrize("margin", [2, 30])
@pytest.mark.parametrize("dark", [True, False])
def test_a_digit_of_separate_segments_is_one_glyph(digit: int, margin: int, dark: bool) -> None:
    unit, gap = 14, 2
    segments = np.zeros((11 * unit + 2 * margin, 6 * unit + 2 * margin), np.uint8)
    for name in LIT[digit].split(", "):
        row, column, tall, wide = (margin + unit * n if i < 2 else unit * n for i, n in enumerate(SEGMENTS[name]))
        segments[row + gap : row + tall - gap, column + gap : column + wide - gap] = 255
    rows, columns = (np.flatnonzero(segments.any(axis)) for axis in (1, 0))
    buffer = io.BytesIO()
    Image.fromarray(255 - segments if dark else segments).save(buffer, "PNG")
    box = decoded(buffer.getvalue()).box
    expected = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    assert np.abs(np.subtract(box, expected)).max() <= 1


@pytest.mark.parametrize("upright", [False, True])
def test_a_digit_on_ruled_paper_is_cut_out_without_the_lines_it_crosses(upright: bool) -> None:
    paper = np.full((400, 240, 3), 235, np.uint8)
    for row in range(20, 400, 24):
        paper[row : row + 2] = (170, 185, 215)
    image = Image.fromarray(paper)
    draw = ImageDraw.Draw(image)
    draw.ellipse((95, 120, 145, 175), outline=(40, 50, 120), width=4)
    draw.line((144, 150, 140, 240), fill=(40, 50, 120), width=4)
    expected = (95, 120, 146, 241)
    if upright:
        image, expected = image.transpose(Image.Transpose.TRANSPOSE), (120, 95, 241, 146)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    assert np.abs(np.subtract(decoded(buffer.getvalue()).box, expected)).max() <= 3


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
