"""Any image file becomes the pages that a person sees, or one sentence."""

import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers.fuzz_images import BOMBS, FORMAT, glyph_image, outcome, tiff
from helpers.image_variants import COMPRESSIONS, ORIENTATIONS, Variant, variants
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.data.images.decode import read_pages
from imparfait.data.images.limits import Limits
from imparfait.data.images.normalize import read_normalized

GREY = np.arange(0, 240, 2, dtype=np.uint8).reshape(10, 12)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], 2)
EVERY = list(variants((1, 3)))


def encoded(image: Image.Image, kind: str = "PNG", **more: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **more)
    return buffer.getvalue()


def levels(content: bytes, **limits: int) -> np.ndarray:
    return np.rint(next(read_pages(content, limits=Limits(**limits))).pixels * 255)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_colours_come_back_as_they_were(kind: str) -> None:
    more = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(levels(encoded(Image.fromarray(COLOUR), kind, **more)), COLOUR)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_an_image_is_rotated_by_its_exif_orientation(orientation: int, kind: str, compression: str) -> None:
    file = Variant(kind, "RGB", False, orientation, 1, True, compression).store(GREY)
    page = next(read_pages(file))
    assert np.array_equal(np.rint(page.pixels[..., 0] * 255), GREY)
    assert (page.orientation, page.size) == (orientation, (10, 12))


def test_a_broken_orientation_is_none() -> None:
    content = encoded(Image.fromarray(GREY), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert np.array_equal(levels(content)[..., 0], GREY)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_reach_from_black_to_white(bits: int) -> None:
    image = Image.fromarray(np.arange(2**bits, dtype=np.uint8)[None]).convert("P")
    image.putpalette([round(level * 255 / (2**bits - 1)) for level in range(2**bits) for _ in range(3)])
    assert levels(encoded(image, bits=bits))[0, :, 0].tolist() == np.rint(np.linspace(0, 255, 2**bits)).tolist()


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    deep = np.array([[0, 1000, 40_000, 65_535]], np.uint16)
    for kind in ("PNG", "TIFF"):
        page = next(read_pages(encoded(Image.fromarray(deep), kind)))
        assert page.pixels[0, :, 0] == pytest.approx(deep[0] / 65_535, abs=1e-6)


def test_of_zeros_and_ones_in_eight_bits_ones_are_white() -> None:
    assert set(np.unique(levels(encoded(Image.fromarray((GREY > 100).astype(np.uint8)))))) == {0, 255}


@pytest.mark.parametrize("worst", [np.nan, np.inf, -1.0])
def test_values_that_are_not_grey_levels_are_rejected(worst: float) -> None:
    odd = np.full((3, 3), 0.5, np.float32)
    odd[1, 1] = worst
    with pytest.raises(UserError, match="a broken image"):
        levels(encoded(Image.fromarray(odd), "TIFF"))


def test_a_tiff_file_has_all_its_pages_and_no_thumbnails() -> None:
    first, second = Image.fromarray(GREY), Image.fromarray(255 - GREY)
    small = Image.fromarray(GREY[:5, :6])
    small.encoderinfo = {"tiffinfo": {254: 1}}
    content = encoded(first, "TIFF", save_all=True, append_images=[small, second])
    pages = list(read_pages(content))
    assert [(page.number, page.pages, page.size) for page in pages] == [(1, 3, (10, 12)), (3, 3, (10, 12))]
    assert np.array_equal(np.rint(pages[1].pixels[..., 0] * 255), 255 - GREY)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation_is_decoded(kind: str) -> None:
    more = {"lossless": True} if kind == "WEBP" else {}
    second = Image.fromarray(255 - GREY)
    pages = list(read_pages(encoded(Image.fromarray(GREY), kind, save_all=True, append_images=[second], **more)))
    assert len(pages) == 1
    assert np.array_equal(np.rint(pages[0].pixels[..., 0] * 255), GREY)


@pytest.mark.parametrize("ink", [0, 255])
@pytest.mark.parametrize("hidden", [0, 255])
def test_a_transparent_background_becomes_paper(ink: int, hidden: int) -> None:
    image = np.full((8, 8, 4), hidden, np.uint8)
    image[..., 3] = 0
    image[2:6, 2:6] = (ink, ink, ink, 255)
    page = next(read_pages(encoded(Image.fromarray(image))))
    assert page.backdrop == ("white" if ink == 0 else "black")
    assert page.pixels[0, 0, 0] == (ink == 0)
    assert page.pixels[3, 3, 0] == ink / 255


def test_a_fully_transparent_image_is_decoded_without_its_alpha() -> None:
    image = np.dstack([COLOUR, np.zeros_like(GREY)])
    assert np.array_equal(levels(encoded(Image.fromarray(image))), COLOUR)


def test_cmyk_of_photoshop_is_not_turned_inside_out() -> None:
    content = encoded(Image.fromarray(COLOUR).convert("CMYK"), "JPEG", quality=100)
    assert b"Adobe" in content
    assert abs(levels(content) - COLOUR).mean() < 4


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
def test_what_has_more_pixels_than_are_kept_is_averaged_down(kind: str, mode: str) -> None:
    if kind == "JPEG" and mode in ("RGBA", "I;16"):
        return
    small = glyph_image(40).astype(np.uint16)
    large = small.repeat(4, 0).repeat(4, 1)
    image = Image.fromarray(large * 257) if mode == "I;16" else Image.fromarray(large.astype(np.uint8)).convert(mode)
    page = next(read_pages(encoded(image, kind), limits=Limits(kept=1600)))
    assert (page.size, page.reduced) == ((160, 160), 4)
    assert abs(page.pixels[..., 0] * 255 - small).mean() < (2 if kind == "JPEG" else 0.01)


def test_errors_about_limits_name_the_limit_and_the_value(tmp_path: Path) -> None:
    content = encoded(Image.fromarray(GREY))
    path = tmp_path / "mine.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"mine\.png: has \d+ bytes; expected at most 50"):
        next(read_pages(path, limits=Limits(bytes=50)))
    with pytest.raises(UserError, match=r"mine\.png: 12×10 pixels; expected at most 99"):
        next(read_pages(path, limits=Limits(pixels=99)))
    pages = encoded(Image.fromarray(GREY), "TIFF", save_all=True, append_images=[Image.fromarray(GREY)] * 3)
    with pytest.raises(UserError, match="the image: more than 3 pages"):
        next(read_pages(pages, limits=Limits(pages=3)))
    assert len(list(read_pages(pages, limits=Limits(pages=4)))) == 4


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "x: is empty; expected PNG, JPEG, BMP, GIF, WEBP, TIFF or PPM"),
        (b"hello", "it looks like text"),
        (b"%PDF-1.7", "x: is a PDF; export its pages as PNG"),
        (b"\0\0\0\x18ftypheic", "x: is an HEIC image; export it as JPEG or PNG"),
        (b"\n <svg>", "x: is an SVG drawing"),
        (encoded(Image.fromarray(COLOUR))[:60], r"x: a broken image \(.*\); save or copy it again"),
        (encoded(Image.fromarray(COLOUR), "JPEG")[:-40], r"x: a broken image"),
        (tiff([(256, 4, 1, 9)], 8), r"x: a broken image \(its header makes no sense\)"),
    ],
)
def test_a_file_that_is_not_an_image_is_a_user_error(content: bytes, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        list(read_pages(content, "x"))


def test_a_torn_page_is_named() -> None:
    content = encoded(Image.fromarray(GREY), "TIFF", save_all=True, append_images=[Image.fromarray(GREY)])
    pages = read_pages(content[:-40], "x")
    with pytest.raises(UserError, match=r"^x(, page 2)?: a broken image"):
        list(pages)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, sentence in (("pipe", "is no regular file"), ("none", "cannot be read: No such file"), ("", "is no reg")):
        with pytest.raises(UserError, match=sentence):
            next(read_pages(tmp_path / name))


@pytest.mark.parametrize("bomb", BOMBS)
def test_files_that_would_cost_hours_or_gigabytes_are_rejected(bomb: str) -> None:
    with pytest.raises(UserError) as error:
        list(read_normalized(BOMBS[bomb](), FORMAT, "bomb"))
    assert str(error.value).isprintable()


def test_a_damaged_file_is_decoded_or_a_user_error(fuzz_cases: range) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for index in fuzz_cases:
            _, sentence = outcome(index)
            assert sentence == "works" or (sentence.startswith("broken") and sentence.isprintable())


@pytest.mark.parametrize(
    ("index", "reason"),
    [(4324, "no page"), (5518, "no page"), (15648, "not fit together"), (17862, "not fit together")],
)
def test_an_empty_image_is_a_user_error(index: int, reason: str) -> None:
    assert reason in outcome(index)[1]


def test_a_truncated_file_is_rejected_or_complete() -> None:
    """Truncated is refused: what still works has lost only what stands after its pixels."""
    ink = glyph_image()
    for variant in EVERY[:: len(EVERY) // 40]:
        content = variant.store(ink)
        for end in range(0, len(content), len(content) // 6 + 1):
            try:
                page = next(read_pages(content[:end], "x"))
            except UserError:
                continue
            assert np.array_equal(page.pixels, next(read_pages(content)).pixels), variant
