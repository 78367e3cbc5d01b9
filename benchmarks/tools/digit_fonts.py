"""Digits drawn with free fonts: handwriting, printed type and segment displays, split into fit, choose and test.

python benchmarks/tools/digit_fonts.py FOLDER

downloads the fonts of digit_fonts.json, which pins every package and font file. Faces whose digits are the same drawing
share a design. A design belongs to one split, so no drawing is in both training and test. Needs npm, fonttools and
brotli; the fonts of Debian 12 also need apt-get and dpkg-deb.
"""

import argparse
import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFont
from pydantic import BaseModel, ConfigDict

from imparfait.core.errors import UserError

Kind = Literal["handwriting", "printed", "segment"]
Split = Literal["fit", "choose", "test"]

MANIFEST = Path(__file__).with_suffix(".json")
PACKAGES_PER_CALL = 16  # npm starts slowly, and one missing package stops a call
OVERSAMPLING = 4  # drawn at four times the height, then averaged: free of hinting, and the height is exact


class FontFile(BaseModel):
    """One font file of the manifest: what it shows and where it comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    family: str
    kind: Kind
    split: Split
    design: int  # faces with the same drawings of the digits share it
    upstroke_1: bool  # the 1 begins with an upstroke, as in most of Europe
    barred_7: bool  # the 7 has a bar across its stem
    licence: str
    source: Literal["npm", "debian"]
    package: str
    version: str
    file: str  # inside the package
    sha256: str  # of that file, before conversion

    @property
    def is_web_font(self) -> bool:
        """True for woff2, which Pillow may not read."""
        return self.file.endswith(".woff2")

    def path(self, folder: Path) -> Path:
        """Where `fetch` puts this font: web fonts become TrueType files."""
        return folder / (self.name + (".ttf" if self.is_web_font else Path(self.file).suffix.lower()))


@dataclass(frozen=True)
class Face:
    """One font that draws ten digits."""

    name: str
    family: str
    design: int
    kind: Kind
    split: Split
    path: Path
    licence: str
    upstroke_1: bool
    barred_7: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    try:
        fetch(folder)
    except UserError as error:
        raise SystemExit(str(error)) from None
    print(f"{len(manifest())} fonts in {folder}")


@lru_cache(maxsize=1)
def manifest() -> tuple[FontFile, ...]:
    """Every font of the collection, sorted by source and package."""
    return tuple(FontFile.model_validate(entry) for entry in json.loads(MANIFEST.read_text(encoding="utf-8")))


def fetch(folder: Path) -> None:
    """Download the fonts that `folder` lacks, check each against its sha256 and convert web fonts to TrueType."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [font for font in manifest() if not font.path(folder).exists()]
    with tempfile.TemporaryDirectory() as temporary:
        for font, content in _downloaded(missing, Path(temporary)):
            digest = hashlib.sha256(content).hexdigest()
            if digest != font.sha256:
                raise UserError(
                    f"{font.file} of {font.package} {font.version} has sha256 {digest}", expected=font.sha256
                )
            partial = font.path(folder).with_suffix(".partial")
            partial.write_bytes(_truetype(content) if font.is_web_font else content)
            partial.replace(font.path(folder))


def load(folder: Path, split: Split, kind: Kind) -> list[Face]:
    """The faces of one split and kind; their fonts must be in `folder` already."""
    fonts = [font for font in manifest() if (font.split, font.kind) == (split, kind)]
    absent = [font.name for font in fonts if not font.path(folder).exists()]
    if absent:
        raise UserError(
            f"{folder} lacks {len(absent)} fonts, such as {absent[0]}",
            hint=f"run python benchmarks/tools/{Path(__file__).name} {folder}",
        )
    return [
        Face(
            name=font.name,
            family=font.family,
            design=font.design,
            kind=font.kind,
            split=font.split,
            path=font.path(folder),
            licence=font.licence,
            upstroke_1=font.upstroke_1,
            barred_7=font.barred_7,
        )
        for font in fonts
    ]


def glyph(face: Face, digit: int, height_px: int) -> NDArray[np.uint8]:
    """Coverage (0..255) of one digit, [height_px, width], cropped to its foreground."""
    drawn = _drawn(face.path, digit, OVERSAMPLING * height_px)
    width = max(1, round(drawn.width * height_px / drawn.height))
    return np.asarray(drawn.resize((width, height_px), Image.Resampling.BOX), np.uint8)


def _drawn(path: Path, digit: int, height: int) -> Image.Image:
    """The cropped digit, about `height` pixels tall."""
    reference = _font(path, 256)
    _, top, _, bottom = reference.getbbox(str(digit))
    mask = _font(path, max(1, round(256 * height / (bottom - top)))).getmask(str(digit), mode="L")
    image = Image.frombytes("L", mask.size, bytes(mask))
    return image.crop(image.getbbox())


@lru_cache(maxsize=1024)
def _font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def _downloaded(fonts: Sequence[FontFile], temporary: Path) -> Iterator[tuple[FontFile, bytes]]:
    """Each font with the content of its file, package by package."""
    grouped = [
        (key, list(group)) for key, group in groupby(fonts, lambda font: (font.source, font.package, font.version))
    ]
    from_npm = [(package, version, group) for (source, package, version), group in grouped if source == "npm"]
    for start in range(0, len(from_npm), PACKAGES_PER_CALL):
        some = from_npm[start : start + PACKAGES_PER_CALL]
        names = [f"{package}@{version}" for package, version, _ in some]
        _run(["npm", "pack", "--loglevel=error", *names], temporary, "npm packages")
        for package, version, group in some:
            archive = temporary / f"{package.removeprefix('@').replace('/', '-')}-{version}.tgz"
            with tarfile.open(archive) as opened:
                for font in group:
                    member = opened.extractfile(f"package/{font.file}")
                    assert member is not None  # a link: then the sha256 could not have been taken
                    yield font, member.read()
            archive.unlink()
    for (source, package, version), group in grouped:
        if source == "debian":
            hint = "these versions are in Debian 12; elsewhere take the fonts from a Debian 12 system"
            _run(["apt-get", "download", "--quiet", f"{package}={version}"], temporary, "Debian packages", hint)
            (archive,) = temporary.glob(f"{package}_*.deb")
            unpacked = temporary / package
            _run(["dpkg-deb", "--extract", str(archive), str(unpacked)], temporary, "Debian packages")
            for font in group:
                yield font, (unpacked / font.file).read_bytes()


def _run(command: list[str], folder: Path, content: str, hint: str = "") -> None:
    """Run a package client in `folder`; raises UserError with the last line it wrote."""
    try:
        result = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C"}
        )
    except FileNotFoundError:
        raise UserError(f"{command[0]} is not installed", expected=f"{command[0]}, to download {content}") from None
    if result.returncode:
        written = (result.stderr or result.stdout).strip().splitlines()
        raise UserError(
            f"{' '.join(command[:2])} exited with code {result.returncode}: {written[-1] if written else 'no output'}",
            hint=hint or f"check that {command[0]} reaches its registry",
        )


def _truetype(web_font: bytes) -> bytes:
    """The same font without woff2's compression."""
    try:
        import brotli  # noqa: F401  (fontTools needs it for woff2)
        from fontTools.ttLib import TTFont
    except ImportError:
        raise UserError(
            "fonttools or brotli is not installed",
            expected="both, to read web fonts",
            hint="pip install fonttools brotli",
        ) from None
    font = TTFont(io.BytesIO(web_font), recalcTimestamp=False)
    font.flavor = None
    converted = io.BytesIO()
    font.save(converted)
    return converted.getvalue()


if __name__ == "__main__":
    main()
