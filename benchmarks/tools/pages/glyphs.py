"""Glyphs: the coverage of one character and the outline of its ink, drawn with a font or reshaped from an ink."""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageFont

Points = Float[np.ndarray, "n 2"]
"""x to the right, y downwards, in pixels; pixel edges are whole numbers."""

ANGLES = np.linspace(0, 2 * math.pi, 24, endpoint=False)
DIRECTIONS = np.stack([np.cos(ANGLES), np.sin(ANGLES)])  # 24 keep a box within 1 % of a round glyph's height
NODES = np.stack(np.meshgrid((-1.0, 0.0, 1.0), (-1.0, 0.0, 1.0)), -1)  # of the mesh that bends a glyph
ABSENT = "\U000f1234"  # a private code point that no font has: it draws the box for absent glyphs
ASCII = "".join(map(chr, range(33, 127)))
LETTERLIKE = frozenset("ABCDEFGHJKMNPQRTUVWXYabcdefghkmnprtuvwxy+-=×/%&#@?!€$£()")
"""Characters that are no digit even alone: without I, O, l, o, s, S, Z, z, q, i, j and L."""
WANTED = ASCII + "€£äöüéèàçñß²³°×÷±§№"


@dataclass(frozen=True, eq=False)
class Glyph:
    """One character, ready to be stamped: its place is relative to the pen's on the baseline."""

    mask: Image.Image
    """Coverage, mode L."""
    outline: Points
    """Extreme points of the ink within the mask."""
    left: float
    top: float
    advance: float


def outline_of(mask: UInt8[np.ndarray, "height width"]) -> Points:
    """The extreme points of an ink in 24 directions: a transform of them gives a tight box of the transformed ink."""
    ink = mask >= max(1.0, 0.4 * int(mask.max()))
    rows = np.flatnonzero(ink.any(1))
    first = ink[rows].argmax(1)
    last = ink.shape[1] - ink[rows, ::-1].argmax(1)
    x = np.concatenate([first, first, last, last])
    y = np.concatenate([rows, rows + 1, rows, rows + 1])
    points = np.stack([x, y], 1).astype(np.float32)
    return np.asarray(points[(points @ DIRECTIONS).argmax(0)])


def glyph_of(mask: Image.Image) -> Glyph:
    """A glyph of an ink that stands on the baseline."""
    return Glyph(mask, outline_of(np.asarray(mask)), 0, -mask.height, mask.width)


@lru_cache(maxsize=512)
def opened(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=1024)
def digit_height(path: Path) -> float:
    """Height of the digit 8, as a share of the font's size."""
    _, top, _, bottom = opened(path, 128).getbbox("8")
    return (bottom - top) / 128


@lru_cache(maxsize=1024)
def characters(path: Path) -> frozenset[str]:
    """The characters of WANTED that a font really draws."""
    font = opened(path, 24)
    absent = bytes(font.getmask(ABSENT))
    drawn = {character: bytes(font.getmask(character)) for character in WANTED}
    return frozenset(character for character, ink in drawn.items() if any(ink) and ink != absent)


@lru_cache(maxsize=30_000)
def font_glyph(path: Path, size: int, character: str) -> Glyph:
    """A character of a font at a size in pixels."""
    font = opened(path, size)
    mask, (left, top) = font.getmask2(character, mode="L", anchor="ls")
    width, height = mask.size
    image = Image.frombytes("L", (width, height), bytes(mask)) if width and height else Image.new("L", (1, 1))
    pixels = np.asarray(image)
    outline = outline_of(pixels) if pixels.any() else np.zeros((0, 2), np.float32)
    return Glyph(image, outline, left, top, font.getlength(character))


def size_for(path: Path, height: float) -> int:
    """The font size at which digits are about this high; steps of 6 % above 24, so that glyphs are found again."""
    size = height / digit_height(path)
    if size > 24:
        size = 24 * 1.06 ** round(math.log(size / 24, 1.06))
    return max(5, round(size))


@dataclass(frozen=True)
class Shape:
    """How a hand changes an ink: the same along a line, but for the jitter that `reshaped` adds."""

    slant: float = 0.0
    """Shift to the right per height, towards the top."""
    aspect: float = 1.0
    """Factor of the width."""
    bend: float = 0.03
    """Standard deviation of the displacement of the nodes of a mesh, in heights."""
    turn: float = 0.04
    """Standard deviation of the rotation from one digit to the next, in radians."""


def reshaped(ink: Image.Image, height: float, shape: Shape, turn: float, rng: np.random.Generator) -> Image.Image:
    """An ink (mode L) at another height, slanted, turned and bent, cropped to its foreground."""
    scale = height / ink.height
    if scale < 0.7:  # a mesh transform would skip pixels
        size = (max(1, round(ink.width * scale)), max(1, round(height)))
        ink = ink.resize(size, Image.Resampling.BOX)
        scale = height / ink.height
    slant = shape.slant + rng.normal(0, 0.03)
    angle = turn + rng.normal(0, shape.turn)
    wide, tall = scale * shape.aspect * math.exp(rng.normal(0, 0.05)), scale
    cos, sin = math.cos(angle), math.sin(angle)
    a, b, c, d = cos * wide, -(cos * slant + sin) * tall, sin * wide, (cos - sin * slant) * tall  # ink to drawing
    room = 2 * shape.bend * height + 1
    half_x = math.ceil((abs(a) * ink.width + abs(b) * ink.height) / 2 + room)
    half_y = math.ceil((abs(c) * ink.width + abs(d) * ink.height) / 2 + room)
    nodes = NODES * (half_x, half_y) + rng.normal(0, shape.bend * height, NODES.shape)
    inverse = np.array([(d, -c), (-b, a)]) / (a * d - b * c)
    source = (nodes @ inverse + (ink.width / 2, ink.height / 2)).tolist()
    mesh = [
        (
            (i * half_x, j * half_y, (i + 1) * half_x, (j + 1) * half_y),
            (*source[j][i], *source[j + 1][i], *source[j + 1][i + 1], *source[j][i + 1]),
        )
        for j in (0, 1)
        for i in (0, 1)
    ]
    drawn = ink.transform((2 * half_x, 2 * half_y), Image.Transform.MESH, mesh, Image.Resampling.BILINEAR, fillcolor=0)
    box = drawn.getbbox()
    return drawn.crop(box) if box else ink
