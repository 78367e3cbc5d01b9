"""Malformed image files and decompression bombs, by number; benchmarks/reliability uses them too."""

import io
import struct
import zlib
from functools import cache

import numpy as np
from PIL import Image

from helpers.fuzz_models import NUMBERS, Random, damaged_bytes
from helpers.image_variants import LOSSLESS, LOSSY, MODES, Variant
from imparfait.core.errors import UserError
from imparfait.data.images.input_format import InputFormat
from imparfait.data.images.normalize import read_normalized

FORMAT = InputFormat(channels=1, height=16, width=16, normalization="digit")
KINDS = tuple(MODES)


def glyph_image(side: int = 32) -> np.ndarray:
    """A cross, 0 on the ground and 255 in ink."""
    ink = np.zeros((side, side), np.uint8)
    ink[side // 2 - 2 : side // 2 + 2, 6:-6] = 255
    ink[6:-6, side // 2 - 2 : side // 2 + 2] = 255
    return ink


@cache
def files_of(kind: str) -> tuple[bytes, ...]:
    """Good files of a format, in all its modes, turned and not."""
    found = []
    for mode in MODES[kind]:
        for orientation in (1, 6) if kind not in ("BMP", "GIF") else (1,):
            lossless = kind in LOSSLESS
            found.append(Variant(kind, mode, True, orientation, 1, lossless).store(glyph_image()))
            if kind in LOSSY and kind in LOSSLESS and mode != "ink":
                found.append(Variant(kind, mode, True, orientation, 1, False).store(glyph_image()))
            if kind == "TIFF":
                for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
                    found.append(Variant(kind, mode, True, orientation, 1, True, compression).store(glyph_image()))
    if kind in ("TIFF", "GIF", "WEBP", "PNG"):
        sides = (32, 24, 40) if kind == "TIFF" else (32, 32)
        pages = [Image.fromarray(glyph_image(side)) for side in sides]
        buffer = io.BytesIO()
        pages[0].save(buffer, kind, save_all=True, append_images=pages[1:])
        found.append(buffer.getvalue())
    if kind == "JPEG":
        buffer = io.BytesIO()
        Image.fromarray(glyph_image(64)).save(buffer, "JPEG", progressive=True)
        found.append(buffer.getvalue())
    return tuple(found)


def broken_image(index: int) -> tuple[str, bytes]:
    """The format and the content of broken file number `index`."""
    random = np.random.default_rng(index)
    kind = KINDS[index % len(KINDS)]
    good = files_of(kind)
    content = good[random.integers(len(good))]
    match random.integers(6):
        case 0:
            content = content[: random.integers(len(content))]
        case 1:  # a lie about sizes, which stand near the start, or in TIFF's directory near the end
            content = _lied(content, random)
        case 2:  # the start of one, the rest of another
            other = files_of(KINDS[random.integers(len(KINDS))])
            place = int(random.integers(4, 64))
            content = content[:place] + other[random.integers(len(other))][place:]
        case _:
            for _ in range(random.integers(1, 4)):
                content = damaged_bytes(content, random) if len(content) > 64 else content
    return kind, _checksummed(content) if kind == "PNG" and random.integers(2) else content


def outcome(index: int) -> tuple[str, str]:
    """The format of broken file number `index`, and what became of it: "works" or a sentence."""
    kind, content = broken_image(index)
    try:
        pages = list(read_normalized(content, FORMAT, "broken"))
        assert pages, "nothing was read, and nothing said"
        assert all(each.pixels.shape == (1, FORMAT.height, FORMAT.width) for each in pages)
    except UserError as error:
        return kind, str(error)
    return kind, "works"


def _lied(content: bytes, random: Random) -> bytes:
    some = bytearray(content)
    place = int(random.integers(4, 60))
    if random.integers(2):
        place = max(0, len(some) - int(random.integers(4, 200)))
    number = int(random.choice(NUMBERS))
    form = str(random.choice(["<H", ">H", "<I", ">I"]))
    size = struct.calcsize(form)
    some[place : place + size] = struct.pack(form, number % (1 << 8 * size))
    return bytes(some)


def _checksummed(content: bytes) -> bytes:
    """A PNG file whose checksums are right, so that what they would catch is read."""
    some, place = bytearray(content), 8
    while place + 12 <= len(some):
        size = int.from_bytes(some[place : place + 4], "big")
        end = place + 8 + size
        if end + 4 > len(some):
            break
        some[end : end + 4] = struct.pack(">I", zlib.crc32(some[place + 4 : end]))
        place = end + 4
    return bytes(some)


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, *between: bytes, rows: bytes = b"") -> bytes:
    """A PNG file, 8 bits grey, with chunks between its head and its compressed rows."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(between) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(tags: list[tuple[int, int, int, int]], follows: int = 0) -> bytes:
    """A TIFF file of one directory: (tag, type, count, value), and where the next directory is."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", follows)


def _scans() -> bytes:
    """A progressive JPEG of 40 megapixels whose last scan is repeated: of a few hundred kilobytes, hours."""
    buffer = io.BytesIO()
    Image.new("L", (8000, 5000), 200).save(buffer, "JPEG", progressive=True, quality=10)
    content = buffer.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:-2] + content[last:-2] * 2000 + content[-2:]


def _rle() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (64, 64)).save(buffer, "BMP")
    head = bytearray(buffer.getvalue()[:1078])
    head[18:26], head[30:34] = struct.pack("<ii", 7000, 7000), struct.pack("<I", 1)
    return bytes(head) + b"\1\7" * (8 << 20)


def _zeros(name: bytes, head: bytes) -> bytes:
    return chunk(name, head + zlib.compress(bytes(20 << 20), 9))


def _tall_bmp() -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, 1, -(2**31), 1, 24, 0, 0, 0, 0, 0, 0)


def _strips() -> bytes:
    return tiff([(256, 4, 1, 1), (257, 4, 1, 10**7), (273, 4, 10**7, 8)]) + bytes(40 << 20)


BOMBS = {
    "a PNG of 4 billion pixels": lambda: png(65_535, 65_535),
    "a PNG with sides of 2 ** 31 - 1": lambda: png(2**31 - 1, 2**31 - 1),
    "a PNG of a million chunks": lambda: png(8, 8, chunk(b"tEXt", b"a\0b") * 1_000_000),
    "a PNG with 20 MB of text in 20 KB": lambda: png(8, 8, _zeros(b"zTXt", b"a\0\0")),
    "a PNG with 20 MB of a profile": lambda: png(8, 8, _zeros(b"iCCP", b"x\0\0")),
    "a PNG with less than its rows": lambda: png(5000, 5000, rows=bytes(5001)),
    "a JPEG of 2,000 scans": _scans,
    "a JPEG of a million segments": lambda: b"\xff\xd8" + b"\xff\xfe\0\2" * 1_000_000 + b"\xff\xd9",
    "a BMP of runs": _rle,
    "a BMP of 2 ** 31 rows": _tall_bmp,
    "a GIF with 60 MB of comments": lambda: b"GIF89a\1\0\1\0\0\0\0!\xfe" + (b"\1a" * (30 << 20)) + b"\0;",
    "a GIF of 65,535 squared": lambda: b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\2D\1\0;",
    "a WebP of 16,384 squared": lambda: b"RIFF\x16\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0",
    "a TIFF with tags of 16 GB": lambda: tiff([(270, 2, 2**32 - 1, 8)] * 4),
    "a TIFF of 10 million strips": _strips,
    "a TIFF whose directory follows itself": lambda: tiff([(256, 4, 1, 9), (257, 4, 1, 9)], 8),
    "a TIFF of 60,000 tags": lambda: tiff([(1000, 3, 1, 1)] * 60_000),
    "161 MB of nothing": lambda: bytes(161 << 20),
}  # fmt: skip
"""Small files that ask for hours or gigabytes, and large ones."""
