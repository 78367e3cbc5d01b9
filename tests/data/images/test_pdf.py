"""PDF pages: drawn at 200 dpi within the limits; broken, encrypted and huge files are refused in one sentence."""

import importlib.util
import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.data.images.decode import read_pages
from imparfait.data.images.limits import Limits
from imparfait.data.images.pdf import DPI, read_document


def scanned(*pages: np.ndarray, dpi: float = DPI) -> bytes:
    """A PDF of images, as a scanner makes it."""
    buffer = io.BytesIO()
    first, *others = (Image.fromarray(page) for page in pages)
    first.save(buffer, "PDF", save_all=True, append_images=others, resolution=dpi)
    return buffer.getvalue()


def empty(count: int, width: float = 200, height: float = 100) -> bytes:
    """A PDF of empty pages, in points."""
    document = pypdfium2.PdfDocument.new()
    for _ in range(count):
        document.new_page(width, height)
    buffer = io.BytesIO()
    document.save(buffer)
    document.close()
    return buffer.getvalue()


def square(side: int = 60, colour: bool = False) -> np.ndarray:
    pixels = np.full((120, 200, 3), 255, np.uint8)
    pixels[30 : 30 + side, 40 : 40 + side] = (200, 30, 30) if colour else 20
    return pixels


def test_pages_are_drawn_upright_in_their_order() -> None:
    pages = list(read_document(scanned(square(60), square(20))))
    assert [(page.number, page.pages, page.format, page.reduced) for page in pages] == [
        (1, 2, "PDF", 1), (2, 2, "PDF", 1),
    ]  # fmt: skip
    for page, side in zip(pages, (60, 20), strict=True):
        height, width = page.size  # PDFium rounds up
        assert page.pixels.shape == (height, width, 1)
        assert (height - 120, width - 200) in {(0, 0), (1, 0), (0, 1), (1, 1)}
        np.testing.assert_allclose(page.pixels[35 : 25 + side, 45 : 35 + side], 20 / 255, atol=0.02)
        assert page.pixels[:25].min() > 0.95


def test_colours_stay_colours() -> None:
    (page,) = read_document(scanned(square(colour=True)))
    np.testing.assert_allclose(page.pixels[60, 60], np.array([200, 30, 30]) / 255, atol=0.03)


def test_a_large_page_is_drawn_with_as_many_pixels_as_are_kept() -> None:
    (page,) = read_document(empty(1, 2000, 1000), limits=Limits(kept=100_000))
    assert 90_000 < page.pixels.shape[0] * page.pixels.shape[1] <= 101_000
    assert page.size == page.pixels.shape[:2]


def broken() -> dict[str, tuple[bytes, str]]:
    whole = scanned(square())
    return {
        "cut off": (whole[: len(whole) // 3], "is a broken PDF"),
        "only a head": (b"%PDF-1.7\n", "is a broken PDF"),
        "no page": (empty(0), "pages; expected 1 to 100"),
        "10,000 pages": (empty(10_000), "has 10,000 pages; expected 1 to 100; split it"),
        "huge": (empty(1, 14_400, 14_400), "has 200×200 inches; expected at most 50,000,000 pixels at 200 dpi"),
        "thin": (empty(1, 0.001, 100), "expected a page with an area"),
    }


@pytest.mark.parametrize("name", broken())
def test_a_bad_file_is_one_sentence(name: str) -> None:
    content, message = broken()[name]
    with pytest.raises(UserError) as error:
        list(read_document(content, "form.pdf"))
    assert str(error.value).startswith("form.pdf")
    assert "\n" not in str(error.value)
    if name != "no page":  # PDFium refuses some of these already
        assert message in str(error.value)


def test_an_encrypted_file_is_named_as_such() -> None:
    trailer = b"""%%PDF-1.4
1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj
2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj
3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>> endobj
4 0 obj <</Filter/Standard/V 1/R 2/P -4/O<%s>/U<%s>>> endobj
trailer <</Root 1 0 R/Encrypt 4 0 R/ID[<00><00>]>>
""" % (b"11" * 32, b"22" * 32)
    with pytest.raises(UserError, match="is encrypted; expected a PDF that opens without a password"):
        list(read_document(trailer))


def test_damaged_bytes_never_raise_anything_else() -> None:
    whole, random = scanned(square()), np.random.default_rng(0)
    for _ in range(60):
        content = bytearray(whole)
        for place in random.integers(8, len(content), 20):
            content[place] = random.integers(256)
        with suppress(UserError):
            assert all(0 <= page.pixels.min() <= page.pixels.max() <= 1 for page in read_document(bytes(content)))


def test_other_files_are_read_as_images_and_the_limit_of_bytes_holds(tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    Image.fromarray(square()).save(path)
    (page,) = read_document(path)
    assert page.format == "PNG"
    with pytest.raises(UserError, match="expected at most 10"):
        list(read_document(scanned(square()), limits=Limits(bytes=10)))


def test_without_pypdfium2_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError) as error:
        list(read_document(scanned(square()), "form.pdf"))
    assert error.value.hint == install_hint("pdf")


def test_what_the_http_service_reads_takes_no_pdf() -> None:
    with pytest.raises(UserError, match="is a PDF; export its pages as PNG"):
        list(read_pages(scanned(square())))
