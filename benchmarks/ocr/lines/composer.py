"""One line: a number of one hand on a page, as a file and with what is known of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from ocr.lines import camera, paper, pen, row
from ocr.lines.hands import SHARES, Hands, Source, one_hand
from ocr.lines.paper import Layout
from ocr.lines.pen import Ink
from PIL import Image, ImageDraw, ImageFont

LENGTHS = (2, 12)
HEIGHTS_PX = (14, 160)
PEN = (0.045, 0.19)  # width of the stroke, times the height of the digits
MAX_SLOPE = 12.0  # degrees
SPACING = {"wide": 0.2, "normal": 0.25, "tight": 0.2, "touching": 0.35}
TOUCHING_PAIRS = 0.55  # of the neighbours on a line with touching digits
WORDS_SHARE = 0.16  # of lines with a printed word
BEFORE = ("No.", "Total", "Ref.", "Zip", "Menge", "Code", "Date:", "Client", "Stand", "Nr.", "Tel.", "Summe:")
BEHIND = ("EUR", "kg", "km", "kWh", "pages", "mm", "CHF", "ml", "units")


@dataclass(frozen=True)
class ComposedLine:
    """A file, the digits on it and how it was drawn."""

    number: int
    text: str
    kind: str
    """The ground, of `paper.KINDS`."""
    source: str
    """Whose digits, of `hands.SHARES`."""
    spacing: str
    """Of SPACING, or `cells`."""
    height_px: float
    slope: float
    """Degrees; positive rises."""
    touching: int
    """Pairs of neighbours whose ink meets."""
    words: bool
    """Whether there are printed letters beside the digits."""
    light_on_dark: bool
    margin: float
    """The smallest distance of ink from the frame, times the height of the digits."""
    content: bytes = field(repr=False)


def compose(number: int, hands: Hands, fonts: Sequence[Path] = (), seed: int = 0) -> ComposedLine:
    """Line `number` of a seed: a function of both. `fonts` are for printed words; without them there are none."""
    rng = np.random.default_rng([seed, number, 0x11E5])
    text = "".join(map(str, rng.integers(0, 10, rng.integers(LENGTHS[0], LENGTHS[1] + 1))))
    kind = choice(paper.KINDS, rng)
    name = choice({each: SHARES[each] for each in hands}, rng)
    hand = hands[name]
    height = float(np.exp(rng.uniform(np.log(HEIGHTS_PX[0]), np.log(min(HEIGHTS_PX[1], hand.max_height_px)))))
    digits = glyphs(text, hand, height, rng)
    spacing = "cells" if kind in paper.CELLS else choice(SPACING, rng)
    places = in_cells(digits, height, rng) if spacing == "cells" else in_a_row(digits, spacing, height, rng)
    written = row.placed(digits, *places)
    turned = float(np.clip(rng.normal(0, 4), -MAX_SLOPE, MAX_SLOPE))  # the page in the image
    climbs = 0.0 if spacing == "cells" else float(rng.normal(0, 1.5))  # the line on the page
    climbs = float(np.clip(turned + climbs, -MAX_SLOPE, MAX_SLOPE)) - turned
    words = words_around(written.ink.shape, height, fonts, rng) if rng.random() < WORDS_SHARE else None
    layout = layout_of(written, digits, height, places if spacing == "cells" else None, rng)
    ground, colour = paper.colours(kind, rng)
    page, margin = page_of(written.ink, words, (turned, climbs), kind, (ground, colour), layout, rng)
    if kind != "screen" and rng.random() < 0.6:
        page = camera.lit(page, rng)
    page = camera.noisy(camera.blurred(page, height, rng), height, rng)
    return ComposedLine(
        number, text, kind, name, spacing, round(height, 1), round(turned + climbs, 2), sum(written.touching),
        words is not None, bool((colour - ground) @ paper.BRIGHTNESS > 0), round(margin / height, 3),
        camera.file_of(page, height, rng),
    )  # fmt: skip


def choice(shares: dict[str, float], rng: np.random.Generator) -> str:
    """A name, as often as its share says."""
    weights = np.array(list(shares.values()))
    return list(shares)[rng.choice(len(weights), p=weights / weights.sum())]


def glyphs(text: str, hand: Source, height: float, rng: np.random.Generator) -> list[Ink]:
    """The digits of a line, of one hand and one pen."""
    width = max(1.2, height * np.exp(rng.uniform(*np.log(PEN))))
    narrow, slant = rng.uniform(0.85, 1.15), rng.normal(0.03, 0.1)
    square, square_1 = rng.uniform(0.5, 0.85), rng.uniform(0.25, 0.5)  # undoes Semeion's stretching
    drawn = []
    for digit, image in zip(text, one_hand(hand, text, rng), strict=True):
        aspect = narrow * rng.uniform(0.93, 1.07) * ((square_1 if digit == "1" else square) if hand.square else 1)
        drawn.append(
            pen.drawn(
                image, max(8.0, height * rng.uniform(0.86, 1.08)), width * rng.uniform(0.92, 1.08),
                aspect=aspect, slant=slant + rng.normal(0, 0.03), smoothing=hand.smoothing, thinnest=hand.thinnest,
            )
        )  # fmt: skip
    return drawn


def in_a_row(digits: list[Ink], spacing: str, height: float, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Left and top of each digit on a wandering baseline."""
    gap = {"wide": (0.3, 0.65), "normal": (0.1, 0.28), "tight": (0.02, 0.1), "touching": (0.02, 0.16)}[spacing]
    mean, wander = rng.uniform(*gap), rng.uniform(0, 0.07)
    baseline = np.cumsum(rng.normal(0, wander, len(digits))) * height
    baseline = np.clip(baseline - baseline.mean(), -0.2 * height, 0.2 * height)
    together = rng.random(len(digits)) < TOUCHING_PAIRS
    together[rng.integers(1, len(digits))] = True
    lefts, tops = [0], [round(baseline[0]) - digits[0].shape[0]]
    for index in range(1, len(digits)):
        top = round(baseline[index]) - digits[index].shape[0]
        if spacing == "touching" and together[index]:
            deeper = rng.uniform(0, 0.12) * (rng.random() < 0.6)
            pair = digits[index - 1], digits[index]
            left = row.touching_left(pair, (lefts[-1], tops[-1]), top, deeper)
        else:
            least = 2 if height > 24 else 1
            left = lefts[-1] + digits[index - 1].shape[1]
            left += max(least, round(height * mean * rng.uniform(0.6, 1.4)))
        lefts.append(left)
        tops.append(top)
    return lefts, tops


def in_cells(digits: list[Ink], height: float, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Left and top of each digit in cells of equal width, more or less in the middle."""
    pitch = max(height * rng.uniform(0.85, 1.4), 0.92 * max(ink.shape[1] for ink in digits))
    lefts = [
        round(index * pitch + (pitch - ink.shape[1]) / 2 + rng.normal(0, 0.05) * pitch)
        for index, ink in enumerate(digits)
    ]
    return lefts, [round(rng.normal(0, 0.05) * height) - ink.shape[0] for ink in digits]


def layout_of(
    written: row.Row,
    digits: list[Ink],
    height: float,
    places: tuple[list[int], list[int]] | None,
    rng: np.random.Generator,
) -> Layout:
    """The baseline and the cells, from the middle of the layer."""  # fmt: skip
    rows, columns = written.ink.shape
    bottoms = [top + ink.shape[0] for ink, (_, top) in zip(digits, written.places, strict=True)]
    baseline = float(np.median(bottoms)) - rows / 2
    cells: tuple[tuple[float, float], ...] = ()
    if places:
        middles = [x + ink.shape[1] / 2 - columns / 2 for ink, (x, _) in zip(digits, written.places, strict=True)]
        slope, first = np.polyfit(np.arange(len(middles)), middles, 1)
        inset = slope * rng.choice([0.5, 0.5, 0.44])  # boxes share a wall, or stand apart
        cells = tuple((first + slope * index - inset, first + slope * index + inset) for index in range(len(middles)))
    room = rng.uniform(0.06, 0.3) * height
    return Layout(height, baseline, cells, baseline - height - room, baseline + room)


def words_around(size: tuple[int, int], height: float, fonts: Sequence[Path], rng: np.random.Generator) -> Ink | None:
    """A layer with a printed word before or behind the digits, its middle the middle of theirs."""
    if not fonts:
        return None
    font = ImageFont.truetype(str(fonts[rng.integers(len(fonts))]), max(9, round(height * rng.uniform(0.4, 0.85))))
    before = rng.random() < 0.6
    word = (BEFORE if before else BEHIND)[rng.integers(len(BEFORE if before else BEHIND))]
    left, top, right, bottom = font.getbbox(word)
    gap = height * rng.uniform(0.5, 1.2)
    reach = round(right - left + gap + 2)
    layer = Image.new("L", (size[1] + 2 * reach, size[0] + round(height)), 0)
    x = reach - gap - (right - left) if before else reach + size[1] + gap
    y = layer.height / 2 + size[0] / 2 - 0.1 * height - (bottom - top)
    ImageDraw.Draw(layer).text((x - left, y - top), word, 255, font)
    return np.asarray(layer, float) / 255


def page_of(
    ink: Ink,
    words: Ink | None,
    degrees: tuple[float, float],
    kind: str,
    colours: tuple[Ink, Ink],
    layout: Layout,
    rng: np.random.Generator,
) -> tuple[Ink, float]:
    """The page with everything on it, cut to a frame, and the smallest margin in pixels."""  # fmt: skip
    turned, climbs = degrees
    ground, colour = colours
    layers = [rotated(ink, turned + climbs)] + ([rotated(words, turned)] if words is not None else [])
    height, width = (max(layer.shape[axis] for layer in layers) for axis in (0, 1))
    layers = [centred(layer, (height, width)) for layer in layers]
    covered = np.maximum.reduce(layers) > 0.1
    (top, bottom), (left, right) = (np.flatnonzero(covered.any(axis))[[0, -1]] for axis in (1, 0))
    margins = [
        0 if rng.random() < 0.12 else round(layout.height_px * rng.exponential(0.45) + 1) for _ in range(4)
    ]  # left, top, right, bottom
    size = int(bottom - top + 1 + margins[1] + margins[3]), int(right - left + 1 + margins[0] + margins[2])
    offset = margins[0] - left, margins[1] - top
    page = paper.drawn(kind, ground, size, (width / 2 + offset[0], height / 2 + offset[1]), turned, layout, rng)
    grain = 1 - rng.uniform(0, 0.35) * rng.random(size) * (rng.random() < 0.4)  # pencil, chalk, a dry pen
    inked = cut(layers[0], size, offset) * rng.uniform(0.75, 1) * grain
    page = paper.painted(page, inked, colour)
    if len(layers) > 1:
        printed = np.full(3, rng.uniform(0.05, 0.3)) if kind not in paper.DARK else np.full(3, 0.85)
        page = paper.painted(page, cut(layers[1], size, offset), printed)
    return page, float(min(margins))


def rotated(layer: Ink, degrees: float) -> Ink:
    """The layer turned counterclockwise about its middle, made larger so that nothing is lost."""
    image = Image.fromarray(layer.astype(np.float32))
    return np.clip(np.asarray(image.rotate(degrees, Image.Resampling.BICUBIC, expand=True), float), 0, 1)


def centred(layer: Ink, size: tuple[int, int]) -> Ink:
    """The layer in the middle of a larger one."""
    top, left = ((whole - part) // 2 for whole, part in zip(size, layer.shape, strict=True))
    larger = np.zeros(size)
    larger[top : top + layer.shape[0], left : left + layer.shape[1]] = layer
    return larger


def cut(layer: Ink, size: tuple[int, int], offset: tuple[int, int]) -> Ink:
    """The part of the layer in a frame of `size`; `offset` (x, y) is where its corner is in the frame."""
    framed = np.zeros(size)
    x, y = offset
    left, top = max(0, x), max(0, y)
    part = layer[max(0, -y) : size[0] - y, max(0, -x) : size[1] - x]
    framed[top : top + part.shape[0], left : left + part.shape[1]] = part
    return framed


@lru_cache
def word_fonts(folder: Path) -> tuple[Path, ...]:
    """Held-out printed fonts for words; none where they were not downloaded."""
    import digit_fonts

    faces = digit_fonts.load(folder, "test", "printed") if folder.exists() else []
    return tuple(face.path for face in faces)
