"""Numbers written on eight kinds of paper and photographed, to score reading on.

Nothing is shared with tests/composed.py, with which reading was tuned. There digits are enlarged by Pillow, put beside
each other at gaps drawn evenly, pushed together where they are to touch, laid over plain, ruled or squared sheets,
turned and blurred evenly. Here they are resampled by a spline with a slant and a weight of the whole hand, on a
baseline that wanders, at gaps drawn from a bell curve (so that some touch, as they happen to); ink takes a share of the
light and varies along the line; other papers; seen in perspective under a lamp, with a sensor's noise.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

Random = np.random.Generator
Paper = Callable[[int, int, float, Random], np.ndarray]
"""The light that a sheet (height, width, how tall its digits are) sends back: 0..1, in three colours."""

INKS = [(0.05, 0.05, 0.08), (0.08, 0.12, 0.45), (0.30, 0.30, 0.33), (0.05, 0.30, 0.18), (0.45, 0.06, 0.12)]
"""What share of the light goes through: black, blue, pencil, green, red."""
GAP, SPREAD, LEAST = 0.16, 0.11, -0.10  # heights between two digits: the bell curve's middle and width, and its end


@dataclass(frozen=True, eq=False)
class Written:
    """An image file with a number on it."""

    content: bytes
    text: str
    paper: str
    tall: float
    """Of its digits, in pixels of the sheet, before it is photographed."""
    touching: int
    """Pairs of neighbours whose ink meets."""


def seyes(height: int, width: int, tall: float, random: Random) -> np.ndarray:
    """French school paper: a violet line, three paler blue ones above it, violet columns, a red margin."""
    sheet = np.full((height, width, 3), random.uniform(0.93, 1.0))
    apart = tall * random.uniform(0.45, 0.7)
    y, x = np.arange(height)[:, None], np.arange(width)[None]
    start = random.uniform(0, 4 * apart)
    for every, width_, colour in ((1, 0.02, (0.80, 0.86, 0.96)), (4, 0.035, (0.72, 0.66, 0.90))):
        sheet = _stripes(sheet, (y - start) / (every * apart), apart * width_ / (every * apart), colour)
    sheet = _stripes(sheet, (x - start) / (4 * apart), 0.009, (0.72, 0.66, 0.90))
    return _stripes(sheet, (x - 0.06 * width) / width, max(1.2, 0.03 * tall) / width, (0.95, 0.55, 0.6))


def millimetre(height: int, width: int, tall: float, random: Random) -> np.ndarray:
    """Graph paper: fine orange lines, every fifth a stronger one."""
    sheet = np.full((height, width, 3), random.uniform(0.92, 1.0))
    fine = max(5.0, tall * random.uniform(0.12, 0.2))
    y, x = np.arange(height)[:, None], np.arange(width)[None]
    for every, dark in ((1, 0.9), (5, 0.76)):
        for along in (y, x):
            colour = (0.5 + dark / 2, dark, dark - 0.08)
            sheet = _stripes(sheet, (along - random.uniform(0, fine)) / (every * fine), 1.1 / (every * fine), colour)
    return sheet


def legal_pad(height: int, width: int, tall: float, random: Random) -> np.ndarray:
    """Yellow, with blue lines and two red ones down the left."""
    sheet = np.full((height, width, 3), (0.98, 0.93, 0.62))
    y, x = np.arange(height)[:, None], np.arange(width)[None]
    apart = tall * random.uniform(1.1, 1.7)
    sheet = _stripes(sheet, (y - random.uniform(0, apart)) / apart, random.uniform(0.015, 0.035), (0.55, 0.68, 0.85))
    for at in (0.05, 0.065):
        sheet = _stripes(sheet, (x - at * width) / width, max(1.0, 0.02 * tall) / width, (0.85, 0.4, 0.4))
    return sheet


def recycled(height: int, width: int, tall: float, random: Random) -> np.ndarray:
    """Grey, with short fibres and specks."""
    image = Image.new("RGB", (width, height), (205, 202, 192))
    draw = ImageDraw.Draw(image)
    for _ in range(round(height * width / 260)):
        x, y, angle = random.uniform(0, width), random.uniform(0, height), random.uniform(0, np.pi)
        long, grey = random.uniform(1, 0.25 * tall), int(random.integers(165, 225))
        draw.line((x, y, x + long * np.cos(angle), y + long * np.sin(angle)), (grey, grey, grey - 8))
    for _ in range(round(random.uniform(0, 6))):
        x, y, r = random.uniform(0, width), random.uniform(0, height), random.uniform(0.5, 0.03 * tall + 0.5)
        draw.ellipse((x - r, y - r, x + r, y + r), (90, 85, 80))
    return np.asarray(image, float) / 255


def receipt(height: int, width: int, tall: float, random: Random) -> np.ndarray:
    """Thermal paper with darker bands across, and a perforated edge's shade."""
    y = np.linspace(0, 1, height)[:, None, None]
    bands = 0.92 + 0.05 * np.sin(2 * np.pi * (random.uniform(1, 4) * y + random.uniform()))
    return bands * np.array([1.0, 0.99, 0.97]) * np.ones((1, width, 1))


def creased(height: int, width: int, tall: float, random: Random) -> np.ndarray:
    """White, folded once or twice: on one side of a fold it is darker, along it there is a soft line."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    sheet = np.full((height, width), 0.97)
    for _ in range(int(random.integers(1, 3))):
        angle = random.uniform(0, np.pi)
        away = (x - random.uniform(0.2, 0.8)) * np.cos(angle) + (y - random.uniform(0.1, 0.5)) * np.sin(angle)
        sheet *= 1 - 0.14 / (1 + np.exp(-away / 0.01)) - 0.05 * np.exp(-((away / 0.006) ** 2))
    return sheet[..., None] * np.array([1.0, 1.0, 0.985])


def form(height: int, width: int, tall: float, random: Random) -> np.ndarray:
    """A field of a form: a pale tint, and a line to write on."""
    sheet = np.full((height, width, 3), (0.90, 0.95, 0.98))
    y = np.arange(height)[:, None] * np.ones((1, width))
    at = height / 2 + tall * random.uniform(0.45, 0.75)
    return _stripes(sheet, (y - at) / height, max(1.5, 0.03 * tall) / height, (0.35, 0.4, 0.5))


def desk(height: int, width: int, tall: float, random: Random) -> np.ndarray:
    """A white sheet on a dark desk, of which a margin is seen."""
    y, x = np.arange(height)[:, None], np.arange(width)[None]
    grain = (
        0.28
        + 0.05 * np.sin(x / 9 + 3 * np.sin(y / 37))
        + ndimage.gaussian_filter(random.normal(0, 0.3, (height, width)), 2)
    )
    sheet = grain[..., None] * np.array([1.0, 0.75, 0.5])
    top, left, bottom, right = (round(tall * random.uniform(0.15, 0.45)) for _ in range(4))
    sheet[top : height - bottom, left : width - right] = random.uniform(0.9, 1.0)
    return sheet


PAPERS: dict[str, Paper] = {
    each.__name__: each for each in (seyes, millimetre, legal_pad, recycled, receipt, creased, form, desk)
}


def _stripes(sheet: np.ndarray, phase: np.ndarray, share: float, colour: tuple[float, ...]) -> np.ndarray:
    """Lines where a phase is near a whole number, `share` of their distance wide, with soft edges."""
    phase = np.broadcast_to(phase, sheet.shape[:2])
    away = np.abs(phase - np.rint(phase))
    step = np.abs(np.gradient(phase, axis=0)) + np.abs(np.gradient(phase, axis=1))
    cover = np.clip((share / 2 - away) / np.maximum(step, 1e-9) + 0.5, 0, 1)[..., None]
    return sheet * (1 - cover) + cover * np.array(colour)


def written(digits: np.ndarray, labels: np.ndarray, paper: str, random: Random) -> Written:
    """These digits [n, 28, 28] as one number on a sheet of this paper, photographed."""
    tall = float(np.clip(np.exp(random.normal(np.log(52), 0.45)), 20, 130))
    ink, touching = _hand(digits, tall, random)
    above, beside = (round(tall * each) for each in random.uniform(0.7, 1.8, 2))
    height, width = ink.shape[0] + 2 * above, ink.shape[1] + 2 * beside
    sheet = PAPERS[paper](height, width, tall, random)
    cover = np.zeros((height, width))
    cover[above : above + ink.shape[0], beside : beside + ink.shape[1]] = ink
    pen = np.array(INKS[random.integers(len(INKS))])
    pressed = 1 - 0.25 * np.abs(np.sin(np.linspace(0, random.uniform(1, 9), width)))[None]
    light = sheet * (1 - (cover * pressed)[..., None] * (1 - pen))
    page = _photographed(light, random)
    return Written(_stored(page, random), "".join(map(str, labels)), paper, tall, touching)


def _hand(digits: np.ndarray, tall: float, random: Random) -> tuple[np.ndarray, int]:
    """Ink (0..1) of digits in one hand, and how many neighbours meet."""
    slant, weight = random.normal(0, 0.1), random.normal(0, 0.06)
    high = round(2.2 * tall)
    canvas = np.zeros((high, round(len(digits) * 2.2 * tall)))
    x, touching, wander = 0.2 * tall, 0, random.uniform(0, 2 * np.pi)
    for number, digit in enumerate(digits):
        scale = 20 / tall * np.clip(random.normal(1, 0.05), 0.85, 1.15)  # MNIST's are 20 pixels high or wide
        side = round(30 / scale)
        matrix = np.array([[scale, 0], [slant * scale, scale]])
        smooth = ndimage.gaussian_filter(digit / 255, 0.25)
        ink = ndimage.affine_transform(smooth, matrix, 13.5 - matrix @ [side / 2, side / 2], (side, side), order=3)
        ink = np.clip((ink - 0.5 + weight) * min(2.5, 1.2 / scale) + 0.5, 0, 1)
        columns, rows = np.flatnonzero((ink > 0.3).any(0)), np.flatnonzero((ink > 0.3).any(1))
        ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        top = round(
            high / 2 + tall / 2 - ink.shape[0] + tall * (0.07 * np.sin(wander + 1.3 * number) + random.normal(0, 0.03))
        )
        top = min(max(top, 0), high - ink.shape[0])
        if number:
            x += max(LEAST, random.normal(GAP, SPREAD)) * tall
        left = max(0, round(x))
        part = canvas[top : top + ink.shape[0], left : left + ink.shape[1]]
        clear = ndimage.binary_dilation(part > 0.5, np.ones((3, 3)))
        touching += bool((clear & (ink > 0.5)).any())
        part[:] = 1 - (1 - part) * (1 - ink)
        x = left + ink.shape[1]
    return canvas[:, : round(x + 0.2 * tall)], touching


def _photographed(light: np.ndarray, random: Random) -> np.ndarray:
    """Seen a little from the side, under a lamp, with a sensor's noise; 0..255, without what lies beside the sheet."""
    height, width = light.shape[:2]
    shift = random.uniform(-0.035, 0.035, (4, 2)) * [width, height]
    angle = np.radians(np.clip(random.normal(0, 1.8), -5, 5))
    corners = np.array([[0, 0], [0, height], [width, height], [width, 0]], float) + shift
    middle = np.array([width / 2, height / 2])
    corners = (corners - middle) @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + middle
    room = np.ptp(np.concatenate([corners, [[0, 0], [width, height]]]), 0) - [width, height]
    padded = np.pad(light, ((int(room[1]) + 2,) * 2, (int(room[0]) + 2,) * 2, (0, 0)), "edge")
    image = Image.fromarray(np.clip(padded * 255, 0, 255).astype(np.uint8))
    quad = (corners + np.array([int(room[0]) + 2, int(room[1]) + 2])).ravel().tolist()
    seen = np.asarray(image.transform((width, height), Image.Transform.QUAD, quad, Image.Resampling.BICUBIC), float)
    y, x = np.mgrid[:height, :width] / max(height, width)
    lamp = random.uniform(-0.2, 1.2, 2)
    lit = random.uniform(0.65, 1.0) / (
        1 + random.uniform(0, 1.2) * ((x - lamp[0]) ** 2 + (y - lamp[1] * height / width) ** 2)
    )
    if random.random() < 0.2:  # somebody's shadow
        away = (x - random.uniform(0, 1)) * np.cos(angle + 1) + y * np.sin(angle + 1)
        lit = lit * (1 - random.uniform(0.15, 0.4) / (1 + np.exp(-away / random.uniform(0.005, 0.03))))
    page = ndimage.gaussian_filter(seen, (*(random.uniform(0.2, 0.9),) * 2, 0)) * lit[..., None]
    grains = random.uniform(200, 4000)
    page = random.poisson(np.maximum(page, 0) / 255 * grains) / grains * 255
    return page + random.normal(0, random.uniform(0, 2.5), (height, 1, 1))


def _stored(page: np.ndarray, random: Random) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(np.clip(np.rint(page), 0, 255).astype(np.uint8))
    if random.random() < 0.2:
        image.save(buffer, "WEBP", quality=int(random.integers(50, 95)))
    else:
        image.save(buffer, "JPEG", quality=int(random.integers(40, 95)))
    return buffer.getvalue()
