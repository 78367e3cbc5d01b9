"""Pages of PDF files as images, drawn by PDFium (pypdfium2, an optional package)."""

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.data.images.decode import Page, page_of, read_content, read_pages
from imparfait.data.images.limits import Limits

SUFFIX = ".pdf"
SIGNATURE = b"%PDF-"
HEAD_BYTES = 1024  # in which readers look for the signature
POINTS_PER_INCH = 72
DPI = 200  # of scans of text; a page of A4 then has 3.9 megapixels, and 4 are kept


def read_document(source: bytes | str | Path, name: str | None = None, limits: Limits | None = None) -> Iterator[Page]:
    """The pages of a PDF, or of an image file as `read_pages` gives them; errors call the file `name`.

    For files of the command line and Python: the HTTP service takes no PDF. Raises UserError where pypdfium2 is not
    installed, for a broken or encrypted PDF, for too many pages and for huge ones.
    """
    limits = limits or Limits()
    name = name or ("the image" if isinstance(source, bytes) else str(source))
    content = source if isinstance(source, bytes) else read_content(Path(source), limits)
    return _pdf_pages(content, name, limits) if SIGNATURE in content[:HEAD_BYTES] else read_pages(content, name, limits)


def _pdf_pages(content: bytes, name: str, limits: Limits) -> Iterator[Page]:
    if importlib.util.find_spec("pypdfium2") is None:
        raise UserError(f"{name}: is a PDF, for which pypdfium2 is not installed", hint=install_hint("pdf"))
    import pypdfium2

    if len(content) > limits.bytes:
        raise UserError(f"{name}: has {len(content):,} bytes", expected=f"at most {limits.bytes:,}")
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise UserError(f"{name}: is encrypted", expected="a PDF that opens without a password") from error
        raise UserError(f"{name}: is a broken PDF ({_reason(error)})") from error
    try:
        pages = len(document)
        if not 1 <= pages <= limits.pages:
            raise UserError(
                f"{name}: has {pages:,} pages", expected=f"1 to {limits.pages}", hint="split it" if pages else ""
            )
        if document.get_formtype():  # so that what was typed into its fields is drawn
            document.init_forms()
        for number in range(1, pages + 1):
            yield _page(document, number, pages, name, limits)
    finally:
        document.close()


def _page(document: Any, number: int, pages: int, name: str, limits: Limits) -> Page:
    import pypdfium2

    where = name if pages == 1 else f"{name}, page {number}"
    try:
        page = document[number - 1]
        width, height = page.get_size()
        sides = [side / POINTS_PER_INCH * DPI for side in (width, height)]
        if not all(math.isfinite(side) and side >= 1 for side in sides):
            raise UserError(f"{where}: has {width:g}×{height:g} points", expected="a page with an area")
        pixels = sides[0] * sides[1]
        if pixels > limits.pixels or max(sides) > limits.side:
            size = f"{width / POINTS_PER_INCH:,.0f}×{height / POINTS_PER_INCH:,.0f} inches"
            most = f"at most {limits.pixels:,} pixels at {DPI} dpi"
            raise UserError(f"{where}: has {size}", expected=most, hint="export the page as PNG")
        # A larger page is drawn with as many pixels as are kept of an image.
        scale = DPI / POINTS_PER_INCH * min(1.0, (limits.kept / pixels) ** 0.5)
        bitmap = page.render(scale=scale, rev_byteorder=True, prefer_bgrx=False)
        levels = np.array(bitmap.to_numpy()[..., :3])
        bitmap.close()
        page.close()
    except pypdfium2.PdfiumError as error:
        raise UserError(f"{where}: is a broken page ({_reason(error)})") from error
    drawn = page_of(levels)
    return Page(drawn.pixels, drawn.size, 1, number, pages, "PDF", drawn.mode, 1, "white", where)


def _reason(error: Exception) -> str:
    """PDFium's reason, from "Failed to load document (PDFium: Data format error)."."""
    return str(error).rpartition("PDFium: ")[2].strip("().\n ").lower() or "no reason given"
