"""Limits on image files, checked on their structure before anything is decoded."""

# Pillow limits pixels, but a small file can still ask for hours or gigabytes: a million chunks, thousands of scans,
# run lengths decoded in Python, tags that claim more than the file holds. Each format's structure is walked first.

import re
import struct
import zlib
from dataclasses import dataclass

from imparfait.core.errors import UserError

MAX_PIXELS = 50_000_000  # 50 megapixels, as of a camera; in colour 150 MB
MAX_PARTS = 100_000  # chunks, segments or strips: walking them takes 30 ms, Pillow needs a second
MAX_SLOW_BYTES = 2 << 20  # of a run-length BMP or a PPM in text, which Pillow decodes in Python in a second
MAX_WEBP_PIXELS = 16_000_000  # Pillow decodes WebP whole, with 17 bytes a pixel: 270 MB; phones have 12 megapixels
MAX_SCANNED_PIXELS = 10 * MAX_PIXELS  # pixels times scans of a progressive JPEG; ten scans are usual
THUMBNAIL, STRIPS, TILES = 254, 273, 324  # TIFF tags
TAG_BYTES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)  # by TIFF's value type

FAST_FORMATS = frozenset(("PNG", "JPEG", "BMP"))  # whose headers bound the memory and time that pixels take

PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type

SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"GIF8": "GIF",
    b"RIFF": "WEBP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    **{b"P%d" % kind: "PPM" for kind in range(1, 7)},
}
OTHER_SIGNATURES = {
    b"%PDF": "pdf",
    b"<svg": "svg",
    b"<?xm": "xml",
    b"PK\x03\x04": "zip",
    b"8BPS": "psd",
    b"\0\0\1\0": "icon",
}
"""Kinds of files that are no images for us, by their first bytes, and what to do about each."""
ADVICE = {
    "pdf": "is a PDF; export its pages as PNG",
    "svg": "is an SVG drawing; export it as PNG",
    "xml": "is an XML text; if it is a drawing, export it as PNG",
    "zip": "is a zip archive; unpack it first",
    "psd": "is a Photoshop file; export it as PNG",
    "icon": "is an icon file; save it as PNG",
    "phone": "is an HEIC, HEIF or AVIF image; export it as JPEG or PNG",
    "empty": "is empty",
    "text": "is not an image: it looks like text",
    "unknown": "is not an image of a known format",
}
BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF", b"msf1": "HEIF", b"avif": "AVIF", b"avis": "AVIF"}


@dataclass(frozen=True)
class Limits:
    """Limits of one image file."""

    bytes: int = 160 << 20
    """50 megapixels in colour, uncompressed, have 150 million."""
    pixels: int = MAX_PIXELS
    """Of each page, by its header."""
    side: int = 65_535
    """Of a page, in pixels, as in JPEG: a line of 50 million pixels takes ten seconds to reduce."""
    pages: int = 100
    kept: int = 4_000_000
    """Pixels of a decoded page; a larger one is reduced by a whole factor."""
    scanned: int = MAX_SCANNED_PIXELS
    """Pixels times scans of a progressive JPEG."""


class LimitError(ValueError):
    """A file exceeds its limits, or claims more than it holds."""


class TooLargeError(LimitError):
    """A file has more pixels or pages than its limits allow."""


def format_of(content: bytes, name: str) -> str:
    """The format by a file's first bytes, by Pillow's name. Raises UserError for others, with advice where known."""
    known = _known_format(content)
    if known:
        return known
    kind = other_kind(content)
    advice = ADVICE[kind].replace("HEIC, HEIF or AVIF", BRANDS.get(content[8:12], ""))
    formats = list(dict.fromkeys(SIGNATURES.values()))
    expected = f"{', '.join(formats[:-1])} or {formats[-1]}" if kind in ("empty", "text", "unknown") else ""
    raise UserError(f"{name}: {advice}", expected=expected)


def other_kind(content: bytes) -> str:
    """What a file is that is no image for us, one of ADVICE, by its first bytes; empty for a known format."""
    if _known_format(content):
        return ""
    if content[4:8] == b"ftyp" and content[8:12] in BRANDS:
        return "phone"
    kinds = (kind for start, kind in OTHER_SIGNATURES.items() if content.lstrip()[:8].startswith(start))
    return next(kinds, "empty" if not content else "text" if _is_text(content) else "unknown")


def _known_format(content: bytes) -> str:
    """The format by a file's first bytes, by Pillow's name; empty for others."""
    for start, kind in SIGNATURES.items():
        webp, ppm = content[8:12] == b"WEBP", content[2:3].isspace()
        if content.startswith(start) and (kind != "WEBP" or webp) and (kind != "PPM" or ppm):
            return kind
    return ""


def _is_text(content: bytes) -> bool:
    """Whether the first bytes are letters, signs and spaces."""
    start = content[:64].decode("utf-8", "ignore")
    return bool(start) and all(letter.isprintable() or letter.isspace() for letter in start)


def count_pages(content: bytes, limits: Limits) -> int:
    """The number of pages in a TIFF file, by its structure.

    Raises ValueError for none, and LimitError or struct.error as `check_structure` does.
    """
    pages = _check_tiff(content, limits)
    if not pages:
        raise ValueError("it has no page")
    return pages


def check_structure(content: bytes, kind: str) -> None:
    """Raises LimitError or struct.error where a file's parts are too many, or claim more than the file holds.

    A file of format `kind`; of TIFF, `count_pages` does it.
    """
    if kind == "PNG":
        _check_png(content)
    elif kind == "JPEG":
        _check_jpeg(content)
    elif kind == "GIF":
        _check_gif(content)
    elif kind == "PPM":
        _check_ppm(content)
    elif kind == "WEBP":
        _check_webp(content)
    elif kind == "BMP" and content[30:31] in (b"\1", b"\2") and len(content) > MAX_SLOW_BYTES:
        raise LimitError(f"{len(content):,} bytes of runs; expected at most {MAX_SLOW_BYTES:,}")


def check_scans(content: bytes, pixels: int, most: int) -> None:
    """Raises LimitError for a JPEG with too many scans: an empty one has ten bytes."""
    scans = content.count(b"\xff\xda")  # within pixel data, 255 is never followed by this
    if scans > 1 and scans * pixels > most:
        raise LimitError(f"{scans:,} scans over {pixels:,} pixels")


def check_rows(content: bytes) -> None:
    """Raises LimitError where a PNG's compressed rows end before its last row: Pillow leaves the rest black."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", content, 16)
    missing = height * (1 + (width * depth * PNG_CHANNELS.get(colour, 1) + 7) // 8)
    inflate, place = zlib.decompressobj(), 8
    while missing > 0 and not interlaced and not inflate.eof:
        size = int.from_bytes(content[place : place + 4], "big")
        if content[place + 4 : place + 8] == b"IDAT":
            rows = content[place + 8 : place + 8 + size]
            while rows:
                missing -= len(inflate.decompress(rows, 1 << 20))
                rows = inflate.unconsumed_tail
        place += 12 + size
        if place >= len(content):
            break
    if missing > 0 and not interlaced:
        raise LimitError(f"its compressed rows end {missing:,} bytes before its image does")


def _check_png(content: bytes) -> None:
    place, parts, end = 8, 0, len(content) - 8
    while place <= end:
        place += 12 + int.from_bytes(content[place : place + 4], "big")
        parts += 1
        if parts > MAX_PARTS:
            raise LimitError(f"more than {MAX_PARTS:,} chunks")


def _check_jpeg(content: bytes) -> None:
    place, parts = 2, 0
    while content[place : place + 1] == b"\xff" and content[place + 1 : place + 2] != b"\xda":
        filled = content[place + 1 : place + 2] == b"\xff"  # a byte of padding
        place += 1 if filled else 2 + int.from_bytes(content[place + 2 : place + 4], "big")
        parts += 1
        if parts > MAX_PARTS // 10:
            raise LimitError(f"more than {MAX_PARTS // 10:,} segments before its pixels")


def _check_gif(content: bytes) -> None:
    flags = content[10] if len(content) > 10 else 0
    place, parts = 13 + (3 << (flags & 7) + 1 if flags & 128 else 0), 0
    while content[place : place + 1] == b"!":
        place += 2
        while place < len(content) and content[place]:
            place += 1 + content[place]
            parts += 1
            if parts > MAX_PARTS:
                raise LimitError(f"more than {MAX_PARTS:,} blocks before its pixels")
        place += 1


def _check_ppm(content: bytes) -> None:
    """Pixels in text, or with an unusual white, are limited in number: Pillow decodes them in Python."""
    head = b"".join(re.split(rb"#[^\n]*\n", content[:10_000])).split(None, 4)
    fast = head[0] == b"P4" or (head[0], *head[3:4]) in ((b"P5", b"255"), (b"P5", b"65535"), (b"P6", b"255"))
    if not fast and len(content) > MAX_SLOW_BYTES:
        raise LimitError(f"{len(content):,} bytes of {head[0].decode()}; expected at most {MAX_SLOW_BYTES:,}")


def _check_webp(content: bytes) -> None:
    """The canvas is limited: a file of 2 KB can hold 50 megapixels."""
    chunk, head = content[12:16], content[20:30]
    if chunk == b"VP8X":
        width, height = (1 + int.from_bytes(head[place : place + 3], "little") for place in (4, 7))
    elif chunk == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (int.from_bytes(head[place : place + 2], "little") & 0x3FFF for place in (6, 8))
    if width * height > MAX_WEBP_PIXELS:
        raise TooLargeError(f"{width}×{height} pixels; expected at most {MAX_WEBP_PIXELS:,} in WebP")


def _check_tiff(content: bytes, limits: Limits) -> int:
    """The number of its directories; each is a page."""
    order = "<" if content[:1] == b"I" else ">"
    big = content[2:4] in (b"+\0", b"\0+")
    counted, entry, link = ("Q", "HHQQ", "Q") if big else ("H", "HHLL", "L")
    (place,) = struct.unpack_from(order + link, content, 8 if big else 4)
    seen: set[int] = set()
    entries = claimed = 0
    while place and place not in seen:
        seen.add(place)
        if len(seen) > limits.pages:
            raise TooLargeError(f"more than {limits.pages} pages")
        (count,) = struct.unpack_from(order + counted, content, place)
        place += struct.calcsize(order + counted)
        entries += count
        if entries > MAX_PARTS // 10:
            raise LimitError(f"more than {MAX_PARTS // 10:,} tags")
        for tag, kind, values, _ in struct.iter_unpack(
            order + entry, content[place : place + count * struct.calcsize(order + entry)]
        ):
            claimed += values * (TAG_BYTES[kind] if kind < len(TAG_BYTES) else 0)
            if tag in (STRIPS, TILES) and values > MAX_PARTS:
                raise LimitError(f"{values:,} strips or tiles; expected at most {MAX_PARTS:,}")
        if claimed > len(content) + 8 * entries:  # a value of up to 8 bytes is in its tag
            raise LimitError(f"tags of {claimed:,} bytes in a file of {len(content):,}")
        (place,) = struct.unpack_from(order + link, content, place + count * struct.calcsize(order + entry))
    return len(seen)
