"""One image in every file format, colour mode and orientation; benchmarks/ocr uses them too."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from PIL import Image

ORIENTATIONS = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, 1),
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: np.rot90(image, -1),
}
"""How a camera stores what it has turned so, by EXIF's number."""

LOSSLESS = {"PNG": {}, "BMP": {}, "GIF": {}, "WEBP": {"lossless": True, "exact": True}, "TIFF": {}}
LOSSY = {"JPEG": {"quality": 85}, "WEBP": {"quality": 80}}
COMPRESSIONS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")
MODES = {
    "PNG": ("L", "P", "RGB", "RGBA", "LA", "16", "shifted", "ink", "tRNS"),
    "BMP": ("L", "P", "RGB", "RGBA"),
    "GIF": ("L", "P", "tRNS"),
    "WEBP": ("RGB", "RGBA", "ink"),
    "TIFF": ("L", "P", "RGB", "RGBA", "LA", "16", "32", "real", "CMYK", "ink"),
    "JPEG": ("L", "RGB", "CMYK"),
}
"""How a pixel is stored: "16" and "shifted" are 8 bits in 16, times 257 and 256; "32" and "real" are TIFF's 32-bit
numbers; "ink" is one colour whose alpha is the ink; "tRNS" a palette whose ground is transparent."""


@dataclass(frozen=True)
class Variant:
    """One way to store an image."""

    kind: str
    mode: str
    dark: bool
    """Whether the ink is dark, on a light ground."""
    orientation: int
    times: int
    """Each pixel becomes a square of so many a side."""
    lossless: bool
    compression: str = "raw"

    def __str__(self) -> str:
        ground = "dark-on-light" if self.dark else "light-on-dark"
        kept = self.compression if self.kind == "TIFF" else "lossless" if self.lossless else "lossy"
        return f"{self.kind}-{self.mode}-{ground}-exif{self.orientation}-x{self.times}-{kept}"

    def store(self, ink: np.ndarray) -> bytes:
        """The file of an image in which 0 is ground and 255 is ink."""
        ink = ORIENTATIONS[self.orientation](ink).repeat(self.times, 0).repeat(self.times, 1)
        image = _image(np.ascontiguousarray(255 - ink if self.dark else ink), np.ascontiguousarray(ink), self)
        more = dict((LOSSLESS if self.lossless else LOSSY)[self.kind])
        if self.kind == "TIFF" and self.compression != "raw":
            more["compression"] = self.compression
        if self.kind in ("GIF", "PNG") and self.mode == "tRNS":
            more["transparency"] = 255 if self.dark else 0
        if self.orientation != 1:
            exif = Image.Exif()
            exif[0x0112] = self.orientation
            more["exif"] = exif
        buffer = io.BytesIO()
        image.save(buffer, self.kind, **more)
        return buffer.getvalue()


def _image(grey: np.ndarray, ink: np.ndarray, variant: Variant) -> Image.Image:
    match variant.mode:
        case "16" | "shifted":
            return Image.fromarray(grey.astype(np.uint16) * (257 if variant.mode == "16" else 256))
        case "32":
            return Image.fromarray(grey.astype(np.int32))
        case "real":
            return Image.fromarray(grey.astype(np.float32) / 255)
        case "ink":
            colour = np.full_like(ink, 0 if variant.dark else 255)
            return Image.merge("RGBA", [Image.fromarray(each) for each in (colour, colour, colour, ink)])
        case "P" | "tRNS":
            image = Image.fromarray(grey).convert("P")  # the greys, in their order
            image.putpalette([level for level in range(256) for _ in range(3)])
            return image
        case mode:
            return Image.fromarray(grey).convert("RGB" if mode == "CMYK" else mode).convert(mode)


def variants(model_args: tuple[int, ...] = (1, 2, 5)) -> Iterator[Variant]:
    """All of them: formats × modes × grounds × orientations × sizes × compressions."""
    for kind in MODES:
        orientations = (1,) if kind in ("BMP", "GIF") else tuple(ORIENTATIONS)
        for mode, dark, orientation, times in product(MODES[kind], (False, True), orientations, model_args):
            if kind in LOSSLESS:
                for compression in COMPRESSIONS if kind == "TIFF" else ("raw",):
                    yield Variant(kind, mode, dark, orientation, times, True, compression)
            if kind in LOSSY and mode != "ink":
                yield Variant(kind, mode, dark, orientation, times, False)
