"""Synthetic photos of handwritten numbers on eight kinds of paper, for measuring `read`.

Shares no code with tests/helpers/lines.py, with which `read` was tuned. There, digits are enlarged by Pillow, spaced
uniformly, pushed together to touch, placed on plain, ruled or squared paper, rotated and blurred uniformly. Here, they
are resampled by a spline with the slant and weight of one hand, on a wandering baseline. Gaps follow a normal
distribution, so some digits touch by chance. Ink absorbs part of the light and varies along the line. The papers
differ, and pages are seen in perspective, under a lamp, with sensor noise.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

Random = np.random.Generator
Paper = Callable[[int, int, float, Random], np.ndarray]
"""A function of height, width and digit height that returns the reflectance of a sheet: 0..1, RGB."""

INKS = [(0.05, 0.05, 0.08), (0.08, 0.12, 0.45), (0.30, 0.30, 0.33), (0.05, 0.30, 0.18), (0.45, 0.06, 0.12)]
"""Transmittance of the inks: black, blue, pencil, green, red."""
GAP_MEAN, GAP_SD, GAP_MIN = 0.16, 0.11, -0.10  # gaps between digits, in digit heights


@dataclass(frozen=True, eq=False)
class ComposedLine:
    """An image file of a handwritten number."""

    content: bytes
    text: str
    paper: str
    digit_height: float
    """In pixels of the sheet, before it is photographed."""
    touching: int
    """Pairs of adjacent digits whose ink meets."""


def seyes(height: int, width: int, digit_height: float, random: Random) -> np.ndarray:
    """French school paper: a violet line, three paler blue ones above it, violet columns, a red margin."""
    sheet = np.full((height, width, 3), random.uniform(0.93, 1.0))
    spacing = digit_height * random.uniform(0.45, 0.7)
    y, x = np.arange(height)[:, None], np.arange(width)[None]
    start = random.uniform(0, 4 * spacing)
    for every, width_, colour in ((1, 0.02, (0.80, 0.86, 0.96)), (4, 0.035, (0.72, 0.66, 0.90))):
        sheet = _stripes(sheet, (y - start) / (every * spacing), spacing * width_ / (every * spacing), colour)
    sheet = _stripes(sheet, (x - start) / (4 * spacing), 0.009, (0.72, 0.66, 0.90))
    return _stripes(sheet, (x - 0.06 * width) / width, max(1.2, 0.03 * digit_height) / width, (0.95, 0.55, 0.6))


def millimetre(height: int, width: int, digit_height: float, random: Random) -> np.ndarray:
    """Graph paper: fine orange lines, every fifth one stronger."""
    sheet = np.full((height, width, 3), random.uniform(0.92, 1.0))
    fine = max(5.0, digit_height * random.uniform(0.12, 0.2))
    y, x = np.arange(height)[:, None], np.arange(width)[None]
    for every, dark in ((1, 0.9), (5, 0.76)):
        for along in (y, x):
            colour = (0.5 + dark / 2, dark, dark - 0.08)
            sheet = _stripes(sheet, (along - random.uniform(0, fine)) / (every * fine), 1.1 / (every * fine), colour)
    return sheet


def legal_pad(height: int, width: int, digit_height: float, random: Random) -> np.ndarray:
    """Yellow paper with blue lines and two red margin lines."""
    sheet = np.full((height, width, 3), (0.98, 0.93, 0.62))
    y, x = np.arange(height)[:, None], np.arange(width)[None]
    spacing = digit_height * random.uniform(1.1, 1.7)
    sheet = _stripes(
        sheet, (y - random.uniform(0, spacing)) / spacing, random.uniform(0.015, 0.035), (0.55, 0.68, 0.85)
    )
    for at in (0.05, 0.065):
        sheet = _stripes(sheet, (x - at * width) / width, max(1.0, 0.02 * digit_height) / width, (0.85, 0.4, 0.4))
    return sheet


def recycled(height: int, width: int, digit_height: float, random: Random) -> np.ndarray:
    """Grey paper with short fibres and specks."""
    image = Image.new("RGB", (width, height), (205, 202, 192))
    draw = ImageDraw.Draw(image)
    for _ in range(round(height * width / 260)):
        x, y, angle = random.uniform(0, width), random.uniform(0, height), random.uniform(0, np.pi)
        long, grey = random.uniform(1, 0.25 * digit_height), int(random.integers(165, 225))
        draw.line((x, y, x + long * np.cos(angle), y + long * np.sin(angle)), (grey, grey, grey - 8))
    for _ in range(round(random.uniform(0, 6))):
        x, y, r = random.uniform(0, width), random.uniform(0, height), random.uniform(0.5, 0.03 * digit_height + 0.5)
        draw.ellipse((x - r, y - r, x + r, y + r), (90, 85, 80))
    return np.asarray(image, float) / 255


def receipt(height: int, width: int, digit_height: float, random: Random) -> np.ndarray:
    """Thermal paper with darker bands."""
    y = np.linspace(0, 1, height)[:, None, None]
    bands = 0.92 + 0.05 * np.sin(2 * np.pi * (random.uniform(1, 4) * y + random.uniform()))
    return bands * np.array([1.0, 0.99, 0.97]) * np.ones((1, width, 1))


def creased(height: int, width: int, digit_height: float, random: Random) -> np.ndarray:
    """White paper folded once or twice: darker on one side of a fold, with a soft line along it."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    sheet = np.full((height, width), 0.97)
    for _ in range(int(random.integers(1, 3))):
        angle = random.uniform(0, np.pi)
        away = (x - random.uniform(0.2, 0.8)) * np.cos(angle) + (y - random.uniform(0.1, 0.5)) * np.sin(angle)
        sheet *= 1 - 0.14 / (1 + np.exp(-away / 0.01)) - 0.05 * np.exp(-((away / 0.006) ** 2))
    return sheet[..., None] * np.array([1.0, 1.0, 0.985])


def form(height: int, width: int, digit_height: float, random: Random) -> np.ndarray:
    """A form field: a pale tint and a line to write on."""
    sheet = np.full((height, width, 3), (0.90, 0.95, 0.98))
    y = np.arange(height)[:, None] * np.ones((1, width))
    at = height / 2 + digit_height * random.uniform(0.45, 0.75)
    return _stripes(sheet, (y - at) / height, max(1.5, 0.03 * digit_height) / height, (0.35, 0.4, 0.5))


def desk(height: int, width: int, digit_height: float, random: Random) -> np.ndarray:
    """A white sheet on a dark desk that shows at the edges."""
    y, x = np.arange(height)[:, None], np.arange(width)[None]
    grain = (
        0.28
        + 0.05 * np.sin(x / 9 + 3 * np.sin(y / 37))
        + ndimage.gaussian_filter(random.normal(0, 0.3, (height, width)), 2)
    )
    sheet = grain[..., None] * np.array([1.0, 0.75, 0.5])
    top, left, bottom, right = (round(digit_height * random.uniform(0.15, 0.45)) for _ in range(4))
    sheet[top : height - bottom, left : width - right] = random.uniform(0.9, 1.0)
    return sheet


PAPERS: dict[str, Paper] = {
    paper.__name__: paper for paper in (seyes, millimetre, legal_pad, recycled, receipt, creased, form, desk)
}


def _stripes(sheet: np.ndarray, phase: np.ndarray, share: float, colour: tuple[float, ...]) -> np.ndarray:
    """Soft-edged lines where the phase is near an integer; `share` is line width over spacing."""
    phase = np.broadcast_to(phase, sheet.shape[:2])
    distance = np.abs(phase - np.rint(phase))
    step = np.abs(np.gradient(phase, axis=0)) + np.abs(np.gradient(phase, axis=1))
    cover = np.clip((share / 2 - distance) / np.maximum(step, 1e-9) + 0.5, 0, 1)[..., None]
    return sheet * (1 - cover) + cover * np.array(colour)


def compose(digits: np.ndarray, labels: np.ndarray, paper: str, random: Random) -> ComposedLine:
    """Compose digits [n, 28, 28] into one number on a sheet of paper and photograph it."""
    digit_height = float(np.clip(np.exp(random.normal(np.log(52), 0.45)), 20, 130))
    ink, touching = _handwriting(digits, digit_height, random)
    top, left = (round(digit_height * margin) for margin in random.uniform(0.7, 1.8, 2))
    height, width = ink.shape[0] + 2 * top, ink.shape[1] + 2 * left
    sheet = PAPERS[paper](height, width, digit_height, random)
    cover = np.zeros((height, width))
    cover[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    pen = np.array(INKS[random.integers(len(INKS))])
    pressure = 1 - 0.25 * np.abs(np.sin(np.linspace(0, random.uniform(1, 9), width)))[None]
    light = sheet * (1 - (cover * pressure)[..., None] * (1 - pen))
    photo = _photograph(light, random)
    return ComposedLine(_encode(photo, random), "".join(map(str, labels)), paper, digit_height, touching)


def _handwriting(digits: np.ndarray, digit_height: float, random: Random) -> tuple[np.ndarray, int]:
    """Ink (0..1) of digits in one hand, and the number of touching neighbours."""
    slant, weight = random.normal(0, 0.1), random.normal(0, 0.06)
    canvas_height = round(2.2 * digit_height)
    canvas = np.zeros((canvas_height, round(len(digits) * 2.2 * digit_height)))
    x, touching, wander = 0.2 * digit_height, 0, random.uniform(0, 2 * np.pi)
    for number, digit in enumerate(digits):
        # MNIST's digits are 20 pixels high or wide.
        scale = 20 / digit_height * np.clip(random.normal(1, 0.05), 0.85, 1.15)
        side = round(30 / scale)
        matrix = np.array([[scale, 0], [slant * scale, scale]])
        smooth = ndimage.gaussian_filter(digit / 255, 0.25)
        ink = ndimage.affine_transform(smooth, matrix, 13.5 - matrix @ [side / 2, side / 2], (side, side), order=3)
        ink = np.clip((ink - 0.5 + weight) * min(2.5, 1.2 / scale) + 0.5, 0, 1)
        columns, rows = np.flatnonzero((ink > 0.3).any(0)), np.flatnonzero((ink > 0.3).any(1))
        ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        top = round(
            canvas_height / 2
            + digit_height / 2
            - ink.shape[0]
            + digit_height * (0.07 * np.sin(wander + 1.3 * number) + random.normal(0, 0.03))
        )
        top = min(max(top, 0), canvas_height - ink.shape[0])
        if number:
            x += max(GAP_MIN, random.normal(GAP_MEAN, GAP_SD)) * digit_height
        left = max(0, round(x))
        part = canvas[top : top + ink.shape[0], left : left + ink.shape[1]]
        near = ndimage.binary_dilation(part > 0.5, np.ones((3, 3)))
        touching += bool((near & (ink > 0.5)).any())
        part[:] = 1 - (1 - part) * (1 - ink)
        x = left + ink.shape[1]
    return canvas[:, : round(x + 0.2 * digit_height)], touching


def _photograph(light: np.ndarray, random: Random) -> np.ndarray:
    """Photograph a sheet in slight perspective, under a lamp, with sensor noise; 0..255, cropped to the sheet."""
    height, width = light.shape[:2]
    shift = random.uniform(-0.035, 0.035, (4, 2)) * [width, height]
    angle = np.radians(np.clip(random.normal(0, 1.8), -5, 5))
    corners = np.array([[0, 0], [0, height], [width, height], [width, 0]], float) + shift
    centre = np.array([width / 2, height / 2])
    corners = (corners - centre) @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + centre
    overhang = np.ptp(np.concatenate([corners, [[0, 0], [width, height]]]), 0) - [width, height]
    padded = np.pad(light, ((int(overhang[1]) + 2,) * 2, (int(overhang[0]) + 2,) * 2, (0, 0)), "edge")
    image = Image.fromarray(np.clip(padded * 255, 0, 255).astype(np.uint8))
    quad = (corners + np.array([int(overhang[0]) + 2, int(overhang[1]) + 2])).ravel().tolist()
    view = np.asarray(image.transform((width, height), Image.Transform.QUAD, quad, Image.Resampling.BICUBIC), float)
    y, x = np.mgrid[:height, :width] / max(height, width)
    lamp = random.uniform(-0.2, 1.2, 2)
    lit = random.uniform(0.65, 1.0) / (
        1 + random.uniform(0, 1.2) * ((x - lamp[0]) ** 2 + (y - lamp[1] * height / width) ** 2)
    )
    if random.random() < 0.2:  # a person's shadow
        away = (x - random.uniform(0, 1)) * np.cos(angle + 1) + y * np.sin(angle + 1)
        lit = lit * (1 - random.uniform(0.15, 0.4) / (1 + np.exp(-away / random.uniform(0.005, 0.03))))
    photo = ndimage.gaussian_filter(view, (*(random.uniform(0.2, 0.9),) * 2, 0)) * lit[..., None]
    photons = random.uniform(200, 4000)
    photo = random.poisson(np.maximum(photo, 0) / 255 * photons) / photons * 255
    return photo + random.normal(0, random.uniform(0, 2.5), (height, 1, 1))


def _encode(photo: np.ndarray, random: Random) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(np.clip(np.rint(photo), 0, 255).astype(np.uint8))
    if random.random() < 0.2:
        image.save(buffer, "WEBP", quality=int(random.integers(50, 95)))
    else:
        image.save(buffer, "JPEG", quality=int(random.integers(40, 95)))
    return buffer.getvalue()
