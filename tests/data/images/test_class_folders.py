"""Any image file a person has becomes the pixels that person sees."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.data.images.pictures import SUFFIXES, decode, read_picture, to_size
from imparfait.data.load import load_data

GREY = np.arange(0, 240, 2, dtype=np.uint8).reshape(10, 12)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], 2)


def encoded(image: Image.Image, kind: str = "PNG", **more: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **more)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "GIF", "WEBP"])
def test_grey_and_colour_come_back_as_they_were(kind: str) -> None:
    more = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(decode(encoded(Image.fromarray(GREY), kind, **more), "x"), GREY[None])
    if kind != "GIF":  # which has 256 colours
        assert np.array_equal(decode(encoded(Image.fromarray(COLOUR), kind, **more), "x"), COLOUR.transpose(2, 0, 1))


def test_a_colour_file_without_colour_is_grey() -> None:
    assert decode(encoded(Image.fromarray(GREY).convert("RGB")), "x").shape == (1, 10, 12)
    assert decode(encoded(Image.fromarray(GREY).convert("P")), "x").shape == (1, 10, 12)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    deep = (GREY.astype(np.uint16) * 257)[None]
    assert np.array_equal(decode(encoded(Image.fromarray(deep[0])), "x"), GREY[None])
    assert np.array_equal(decode(encoded(Image.fromarray(deep[0]), "TIFF"), "x"), GREY[None])


def test_one_bit_is_black_and_white() -> None:
    assert set(np.unique(decode(encoded(Image.fromarray(GREY > 100)), "x"))) == {0, 255}


def test_a_photograph_is_turned_as_its_camera_was() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned a quarter
    assert decode(encoded(Image.fromarray(COLOUR), "JPEG", exif=exif), "x").shape == (3, 12, 10)


@pytest.mark.parametrize(("ink", "ground"), [(0, 255), (255, 0)], ids=["black ink", "white ink"])
def test_ink_on_nothing_stays_visible(ink: int, ground: int) -> None:
    image = np.zeros((6, 6, 4), np.uint8)
    image[2:4, 2:4] = (ink, ink, ink, 255)
    seen = decode(encoded(Image.fromarray(image)), "x")[0]
    assert seen[2, 2] == ink
    assert seen[0, 0] == ground


def test_cmyk_and_palettes_are_read_as_colours() -> None:
    cmyk = decode(encoded(Image.fromarray(COLOUR).convert("CMYK"), "JPEG", quality=100), "x")
    assert abs(cmyk.astype(int) - COLOUR.transpose(2, 0, 1)).mean() < 4
    assert decode(encoded(Image.fromarray(COLOUR).quantize(64)), "x").shape == (3, 10, 12)


def test_of_an_animation_the_first_picture_is_read() -> None:
    first, second = Image.fromarray(GREY), Image.fromarray(255 - GREY)
    assert np.array_equal(decode(encoded(first, "GIF", save_all=True, append_images=[second]), "x")[0], GREY)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "mine.png: no image in one of the formats PNG, .*; its first bytes are missing"),
        (b"GIF", "its first bytes are 474946"),
        (encoded(Image.fromarray(COLOUR))[:60], r"mine\.png: a broken image \(.*\); its first bytes are 89504e47"),
        (encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), "floating-point pixels, expected whole"),
        (encoded(Image.new("1", (9000, 9000))), r"9000×9000 pixels; the most that is read is 50,000,000"),
    ],
    ids=["empty", "no image", "torn", "fractions", "too large"],
)
def test_what_is_no_picture_is_one_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as error:
        decode(content, "mine.png")
    assert "\n" not in str(error.value)


@given(st.binary(max_size=200) | st.sampled_from([b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"\xff\xd8\xff"]))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_picture_or_a_sentence(content: bytes) -> None:
    try:
        assert decode(content, "x").ndim == 3
    except UserError as error:
        assert str(error).startswith("x: ")  # noqa: PT017 - both outcomes are right


@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from([1, 3]), st.integers(8, 40))
@settings(max_examples=60, deadline=None)
def test_every_shape_comes_to_a_square_without_losing_its_own(
    height: int, width: int, channels: int, size: int
) -> None:
    square = to_size(np.full((channels, height, width), 200, np.uint8), size)
    assert square.shape == (channels, size, size)
    assert (square == 200).all()  # beside it lies the colour of its border


def test_reducing_averages_areas() -> None:
    coarse = GREY[None, :8, :8] // 4
    fine = np.kron(coarse, np.array([[[0, 2], [2, 0]]], np.uint8))
    assert np.array_equal(to_size(fine, 8), coarse)


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def test_folders_of_mixed_sizes_need_a_size_and_say_what_was_done(tmp_path: Path) -> None:
    for number, (height, width) in enumerate([(8, 8), (16, 16), (20, 10), (10, 10)]):
        for name in ("yes", "no"):
            save(tmp_path / name / f"{number}.png", np.full((height, width), 9, np.uint8))
    with pytest.raises(UserError, match="16×16 pixels, the first image has 8×8; write --size 8"):
        load_data(tmp_path)
    data = load_data(tmp_path, size=10)
    assert data.train.pixels.shape == (8, 1, 10, 10)
    assert data.remark == "8 images brought to 10×10: 4 reduced, 2 enlarged, 2 padded to a square"


def test_one_colour_picture_makes_all_of_them_colour(tmp_path: Path) -> None:
    for number, image in enumerate([GREY, GREY, COLOUR, GREY]):
        save(tmp_path / f"class {number % 2}" / f"{number}.png", image)
    data = load_data(tmp_path).train
    assert data.pixels.shape == (4, 3, 10, 12)
    assert np.array_equal(data.pixels[2], COLOUR.transpose(2, 0, 1)) or np.array_equal(
        data.pixels[1], COLOUR.transpose(2, 0, 1)
    )


def test_colour_test_pictures_of_grey_training_pictures_become_grey(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for number in range(3):
            save(tmp_path / "train" / name / f"{number}.png", GREY)
        save(tmp_path / "test" / name / "0.png", COLOUR)
    with load_data(tmp_path).test.open(tmp_path / "ledger.csv", "x") as opening:
        lightness = np.asarray(Image.fromarray(COLOUR).convert("L")).astype(int)
        assert abs(opening.images.pixels[0, 0].astype(int) - lightness).max() <= 1


def test_classes_are_sorted_as_people_sort_them(tmp_path: Path) -> None:
    for name in ("10", "9", "1", "a2", "a10"):
        for number in range(2):
            save(tmp_path / name / f"{number}.png", GREY)
    (tmp_path / ".cache").mkdir()
    (tmp_path / "1" / "notes.txt").write_text("not an image, and not said to be one")
    assert load_data(tmp_path).train.classes == ("1", "9", "10", "a2", "a10")


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_every_suffix_that_is_looked_for_can_be_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix.upper()}"
    Image.fromarray(GREY).save(path)
    assert read_picture(path).shape[1:] == (10, 12)
