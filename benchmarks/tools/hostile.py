"""Images that are valid and meant to cost a lot: bombs, extreme shapes, many pieces, many scans, many pages."""

import io
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

Drawn = Callable[[Image.Image, ImageDraw.ImageDraw], None]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The content of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def page(width: int, height: int, draw: Drawn, kind: str = "PNG") -> bytes:
    """A white page with something drawn on it."""
    image = Image.new("L", (width, height), 255)
    draw(image, ImageDraw.Draw(image))
    return saved(image, kind)


def spiral(turns: int, gap: int) -> Drawn:
    """One line that fills the page."""

    def draw(image: Image.Image, pen: ImageDraw.ImageDraw) -> None:
        angle = np.linspace(0, 2 * np.pi * turns, 200 * turns)
        radius = gap * angle / (2 * np.pi)
        middle = image.width / 2
        points = np.stack([middle + radius * np.cos(angle), middle + radius * np.sin(angle)], 1)
        pen.line([tuple(point) for point in points], 0, 3)

    return draw


def pieces(step: int, size: int, shape: str) -> Drawn:
    """The page full of small pieces."""

    def draw(image: Image.Image, pen: ImageDraw.ImageDraw) -> None:
        for top in range(2, image.height - step, step):
            for left in range(2, image.width - step, step):
                if shape == "one":
                    pen.line((left + size // 2, top, left + size // 2, top + size), 0, 2)
                elif shape == "seven":
                    pen.line([(left, top), (left + size, top), (left + size // 2, top + size)], 0, 2)
                else:
                    pen.ellipse((left, top, left + size, top + size), outline=0)

    return draw


def noise(share: float, seed: int = 0) -> Drawn:
    """Black pixels at random."""

    def draw(image: Image.Image, pen: ImageDraw.ImageDraw) -> None:
        random = np.random.default_rng(seed)
        dark = random.random((image.height, image.width)) < share
        image.paste(Image.fromarray(np.where(dark, 0, 255).astype(np.uint8)))

    return draw


def grid(step: int, width: int = 1) -> Drawn:
    """Crossing lines."""

    def draw(image: Image.Image, pen: ImageDraw.ImageDraw) -> None:
        for at in range(0, image.width, step):
            pen.line((at, 0, at, image.height), 0, width)
        for at in range(0, image.height, step):
            pen.line((0, at, image.width, at), 0, width)

    return draw


def stripes(image: Image.Image, pen: ImageDraw.ImageDraw) -> None:
    """Lines of ones that touch nothing."""
    for at in range(3, image.width, 7):
        for top in range(4, image.height - 40, 48):
            pen.line((at, top, at, top + 40), 0, 2)


def snake(image: Image.Image, pen: ImageDraw.ImageDraw) -> None:
    """One line, left and right over the whole page."""
    points = []
    for number, top in enumerate(range(4, image.height - 4, 8)):
        points += [(4, top), (image.width - 4, top)][:: 1 if number % 2 == 0 else -1]
    pen.line(points, 0, 3)


def rings(image: Image.Image, pen: ImageDraw.ImageDraw) -> None:
    """Circles within circles."""
    for radius in range(4, image.width // 2, 8):
        middle = image.width // 2
        pen.ellipse((middle - radius, middle - radius, middle + radius, middle + radius), outline=0, width=2)


def png_header(width: int, height: int, rows: bytes, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG file with this header and these compressed rows."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, colour, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def flat(mode: str, width: int, height: int) -> Image.Image:
    """An image of one colour."""
    return Image.new(mode, (width, height))


def hostile_images() -> dict[str, bytes]:
    """The files by name."""
    frames = [Image.new("L", (300, 300), value % 256) for value in range(400)]
    photo = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), dtype=np.uint8)
    digits = pieces(12, 8, "seven")
    return {
        # bombs: few bytes, many pixels
        "png, 7000×7000 grey": saved(flat("L", 7000, 7000), "PNG"),
        "png, 7000×7000 colour": saved(flat("RGB", 7000, 7000), "PNG"),
        "png, 7000×7000 with alpha": saved(flat("RGBA", 7000, 7000), "PNG"),
        "png, 7000×7000 of 16 bits": saved(flat("I;16", 7000, 7000), "PNG"),
        "png, 7000×7000 black and white": saved(flat("1", 7000, 7000), "PNG"),
        "png, 1×50,000,000": png_header(1, 50_000_000, zlib.compress(bytes(100_000_000), 9)),
        "png, 50,000,000×1": png_header(50_000_000, 1, zlib.compress(bytes(50_000_001), 9)),
        "png, a header of 2^31 pixels a side": png_header(2**31 - 1, 2**31 - 1, zlib.compress(bytes(1000))),
        "png, rows that never end": png_header(100, 100, zlib.compress(bytes(200_000_000), 9)),
        "png, interlaced 6000×6000": saved(flat("L", 6000, 6000), "PNG", interlace=1),
        "webp, 7000×7000": saved(flat("RGB", 7000, 7000), "WEBP", lossless=True, method=0),
        "webp, 16383×3000": saved(flat("RGB", 16383, 3000), "WEBP", lossless=True, method=0),
        "gif, 7000×7000": saved(flat("P", 7000, 7000), "GIF"),
        "gif, 400 frames": saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "tiff, 7000×7000 deflated": saved(flat("L", 7000, 7000), "TIFF", compression="tiff_adobe_deflate"),
        "tiff, 7000×7000 float": saved(flat("F", 7000, 7000), "TIFF", compression="tiff_adobe_deflate"),
        "tiff, 400 pages": saved(frames[0], "TIFF", save_all=True, append_images=frames[1:], compression="tiff_lzw"),
        "tiff, group 4 of 9000×5000": saved(flat("1", 9000, 5000), "TIFF", compression="group4"),
        "bmp, 4000×4000": saved(flat("L", 4000, 4000), "BMP"),
        "jpeg, 7000×7000": saved(flat("L", 7000, 7000), "JPEG"),
        "jpeg, progressive noise of 4 megapixels": saved(Image.fromarray(photo), "JPEG", progressive=True, quality=95),
        "jpeg, colour of 16,000×3,000": saved(flat("RGB", 16000, 3000), "JPEG", progressive=True),
        # pages that cost the reader
        "spiral of 60 turns": page(2000, 2000, spiral(60, 16)),
        "spiral of 150 turns": page(3000, 3000, spiral(150, 9)),
        "snake": page(3000, 3000, snake),
        "rings": page(3000, 3000, rings),
        "40,000 sevens": page(2400, 2400, digits),
        "28,000 ones": page(2400, 2400, pieces(14, 10, "one")),
        "circles": page(3000, 3000, pieces(16, 12, "ring")),
        "columns of ones": page(4000, 3000, stripes),
        "noise of 1 %": page(3500, 3500, noise(0.01)),
        "noise of 10 %": page(3500, 3500, noise(0.1)),
        "noise of 50 %": page(3500, 3500, noise(0.5)),
        "grid of 8 pixels": page(3500, 3500, grid(8)),
        "grid of 30 pixels": page(3500, 3500, grid(30, 2)),
        "chequers": saved(Image.fromarray((np.indices((3000, 3000)).sum(0) % 2 * 255).astype(np.uint8)), "PNG"),
        "strip of sevens, 40,000×40": page(40_000, 40, digits),
        "strip of sevens, 40×40,000": page(40, 40_000, digits),
        "sevens of 12 megapixels as jpeg": page(4000, 3000, pieces(40, 30, "seven"), "JPEG"),
        "sevens on noise": page(3000, 3000, lambda i, p: (noise(0.03)(i, p), digits(i, ImageDraw.Draw(i)))[0]),
        "small: 60×60 noise": page(60, 60, noise(0.5)),
        "small: 120×120 grid": page(120, 120, grid(4)),
    }


def drawing() -> bytes:
    """A small digit."""
    return page(28, 28, lambda image, pen: pen.line([(8, 7), (20, 7), (13, 21)], 0, 2))
