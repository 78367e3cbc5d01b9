"""OOD images for training and calibration; they share no font, photograph or rule with those for testing."""

import math

import numpy as np
import torch
from PIL import Image, ImageDraw

from imparfait.core.errors import UserError
from imparfait.core.rng import CounterRng
from imparfait.core.types import Pixels
from imparfait.data.dataset import LabelledImages
from imparfait.data.ood.base import Grey, as_grey, between
from imparfait.data.ood.glyphs import FINER, UNLIKE_DIGITS, rendered
from imparfait.data.ood.photos import pieces

OTHER_FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSans-Oblique.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Bold.ttf",
    "DejaVuSerif-Italic.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSansMono-BoldOblique.ttf",
)
OTHER_PHOTOGRAPHS = ("matplotlib/mpl-data/sample_data/grace_hopper.jpg",)
SIGNS = "ΓΔΛΞΠΣΦΨΩγηλμξπφψωЖЩЮЯДФЫЪЦжщюядфыъцԱԲԳԴԺՀՃՄՊՋՎՓאבגחטכלמעצקשجخسصضعغكهي∑∏∫√∞≈≠±⊕∇∈∀∃←↑→↓↔♠♣♥♦★☂☎✂✈"
"""All in DejaVu Sans, as shipped with the tested version of matplotlib."""
SYMBOLS = "+?#*=%&@€£×÷"
"""Signs beside digits on a page, none shaped like a digit."""
PIECES = 4  # tiles per side: 16 tiles of 7 by 7 pixels of an MNIST digit


def other_noise(rng: CounterRng, height: int, width: int) -> Grey:
    """A quarter each of specks, stripes, mosaics of grey rectangles, and gradients."""
    kind, one, two, three = rng.uniform("kind, one, two, three", 4).numpy().T
    pixels = rng.uniform("pixels", height, width).numpy()
    specks = rng.uniform("specks", height, width).numpy() * (pixels < between(0.02, 0.5, one))
    angle, rows, columns = between(0, 2 * math.pi, two), np.arange(height)[:, None], np.arange(width)
    way = rows * np.sin(angle) + columns * np.cos(angle)
    stripes = 0.5 + 0.5 * np.sin(2 * math.pi * (way / between(2.5, 14, one) + between(0, 1, three)))
    steps = (way - way.min((1, 2), keepdims=True)) / np.ptp(way, (1, 2), keepdims=True)
    slow = between(0, 1, one) + (between(0, 1, three) - between(0, 1, one)) * steps
    # A rectangle of the mosaic takes its grey from the pixel whose index is the rectangle's number.
    tall, wide = (2 + np.floor(8 * side).astype(int) for side in (one, two))
    at = (np.arange(height) + tall[:, None]) // tall[:, None] % height
    along = (np.arange(width) + wide[:, None]) // wide[:, None] % width
    mosaic = pixels[np.arange(len(pixels))[:, None, None], at[:, :, None], along[:, None]]
    which = np.floor(4 * kind)[:, None, None]
    return as_grey(np.select([which == 0, which == 1, which == 2], [specks, stripes, mosaic], slow))


def other_letters(rng: CounterRng, height: int, width: int) -> Grey:
    """Letters unlike any digit, in other fonts than those for testing."""
    return rendered(rng, height, width, UNLIKE_DIGITS, OTHER_FONTS)


def signs(rng: CounterRng, height: int, width: int) -> Grey:
    """Letters of other scripts and mathematical symbols, none shaped like a digit."""
    return rendered(rng, height, width, SIGNS, OTHER_FONTS[:1])


def symbols(rng: CounterRng, height: int, width: int) -> Grey:
    """Signs that stand beside digits on a page."""
    return rendered(rng, height, width, SYMBOLS, OTHER_FONTS)


def other_photographs(rng: CounterRng, height: int, width: int) -> Grey:
    """Crops of a portrait of Grace Hopper."""
    return pieces(rng, height, width, OTHER_PHOTOGRAPHS)


def blobs(rng: CounterRng, height: int, width: int) -> Grey:
    """Three to six merged filled ellipses of random positions, sizes and directions."""
    n, most, side = len(rng.sources), 6, min(height, width)
    row, column, long, short, turn = rng.uniform("ellipses", 5, most, 1, 1).numpy().transpose(1, 0, 2, 3, 4)
    down, right = (
        np.arange(height)[:, None] - height * (0.15 + 0.7 * row),
        np.arange(width) - width * (0.15 + 0.7 * column),
    )
    cos, sin = np.cos(math.pi * turn), np.sin(math.pi * turn)
    radii = side * (0.08 + 0.2 * long), side * (0.05 + 0.1 * short)
    distance = np.hypot((cos * right + sin * down) / radii[0], (cos * down - sin * right) / radii[1])
    edge = (1 - distance) * radii[1] + 0.5  # in pixels, approximately: an anti-aliased outline
    there = np.arange(most) < 3 + np.floor(4 * rng.uniform("how many").numpy().reshape(n, 1))
    return as_grey(np.where(there[:, :, None, None], edge, 0).max(1))


def silhouettes(rng: CounterRng, height: int, width: int) -> Grey:
    """One filled shape with a wavy outline, often symmetric; plain, shaded or striped inside."""
    n, waves = len(rng.sources), 5
    kind, size, grey, tilt, pitch = rng.uniform("silhouette", 5, 1, 1).numpy().transpose(1, 0, 2, 3)
    amount, phase = rng.uniform("waves", 2, waves, 1, 1).numpy().transpose(1, 2, 0, 3, 4) - 0.5
    down = (np.arange(height)[:, None] - (height - 1) / 2) / (height / 2)
    right = (np.arange(width) - (width - 1) / 2) / (width / 2)
    angle = np.arctan2(np.where(kind < 0.6, np.abs(right), right), down)  # symmetric
    rim = 0.45 + 0.45 * size
    for k in range(waves):
        rim = rim + 0.5 / (k + 1) * amount[k] * np.cos((k + 1) * angle + 2 * math.pi * phase[k])
    edge = (rim - np.hypot(down, right)) * (min(height, width) / 2) + 0.5
    way = 2 * math.pi * (down * np.cos(2 * math.pi * tilt) + right * np.sin(2 * math.pi * tilt))
    inside = 1 - 0.7 * grey * (0.5 + 0.5 * np.sin((0.2 + 3 * pitch) * way))
    return as_grey(edge.clip(0, 1) * inside * between(0.4, 1, rng.uniform("brightness").numpy())).reshape(
        n, height, width
    )


def leaves(rng: CounterRng, height: int, width: int) -> Grey:
    """Overlapping discs and rectangles of all sizes and grey levels.

    Source: the dead-leaves model of natural images (Lee, Mumford & Huang, IJCV 41, 2001).
    """
    n, most, side = len(rng.sources), 40, min(height, width)
    images = np.broadcast_to(rng.uniform("ground", 1, 1).numpy(), (n, height, width)).astype(np.float64)
    numbers = rng.uniform("leaves", 6, most).numpy().astype(np.float64)
    soft = between(0.4, 3, rng.uniform("focus").numpy())
    for row, column, size, grey, long, turn in numbers.transpose(2, 1, 0):
        down = np.arange(height)[:, None] - (row * (height - 1))[:, None, None]
        right = np.arange(width) - (column * (width - 1))[:, None, None]
        radius = (side * 0.05 / np.sqrt(1 - 0.99 * size))[:, None, None]  # few are large: radii r as often as 1 / r³
        cos, sin = (wave(math.pi * turn)[:, None, None] for wave in (np.cos, np.sin))
        across, along = np.abs(cos * right + sin * down), np.abs(cos * down - sin * right)
        distance = np.where((long < 0.5)[:, None, None], np.hypot(across, along), np.maximum(across, along * 2))
        cover = ((radius - distance) / soft + 0.5).clip(0, 1)
        images += cover * (grey[:, None, None] - images)
    return as_grey(images)


def scribbles(rng: CounterRng, height: int, width: int) -> Grey:
    """Two or three smooth pen strokes through random points, with more crossings than a digit has."""
    images = np.empty((len(rng.sources), height, width), np.uint8)
    points = rng.uniform("points", 3, 5, 2).numpy().astype(np.float64)
    numbers = rng.uniform("how many, thickness", 2).tolist()
    for image, strokes, (many, thickness) in zip(images, points, numbers, strict=True):
        large = Image.new("L", (FINER * width, FINER * height))
        pen = max(1, round(FINER * min(height, width) / 28 * (1.5 + 1.5 * thickness)))
        for stroke in strokes[: 2 + int(2 * many)]:
            _stroke(large, (0.1 + 0.8 * stroke) * [FINER * width, FINER * height], pen)
        image[:] = np.asarray(large.reduce(FINER))
    return images


def scrambled(digits: LabelledImages, seed: int) -> Pixels:
    """Each image of `digits` cut into 4 × 4 tiles in random order: a digit's strokes, but no digit.

    [n, channels, height, width]; an image depends on its source id and the seed. Raises UserError for test images.
    """
    if digits.split == "test":
        raise UserError("scrambled digits are for training", expected="training or validation images, not test images")
    n, channels, height, width = digits.pixels.shape
    tall, wide = -(-height // PIECES), -(-width // PIECES)
    more = (
        (0, 0),
        (0, 0),
        (0, PIECES * tall - height),
        (0, PIECES * wide - width),
    )  # pad to whole tiles; cropped again below
    cut = np.pad(digits.pixels, more).reshape(n, channels, PIECES, tall, PIECES, wide)
    cut = cut.transpose(0, 2, 4, 1, 3, 5).reshape(n, PIECES**2, channels, tall, wide)
    rng = CounterRng(seed, "nothing scrambled", 0, torch.from_numpy(digits.sources))
    order = rng.bits("order", PIECES**2).argsort(1).numpy()
    moved = cut[np.arange(n)[:, None], order].reshape(n, PIECES, PIECES, channels, tall, wide)
    whole = moved.transpose(0, 3, 1, 4, 2, 5).reshape(n, channels, PIECES * tall, PIECES * wide)
    return np.ascontiguousarray(whole[..., :height, :width])


def _stroke(image: Image.Image, points: np.ndarray, pen: int) -> None:
    """Draw a smooth curve through `points` (x, y) with a round pen `pen` pixels wide.

    Source: Catmull & Rom's spline, its ends doubled.
    """
    a, b, c, d = (np.concatenate([points[:1], points, points[-1:]])[k : k + len(points) - 1, None] for k in range(4))
    t = np.linspace(0, 1, 12)[:, None]
    curve = b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    places = [(float(x), float(y)) for x, y in curve.reshape(-1, 2)]
    canvas = ImageDraw.Draw(image)
    canvas.line(places, fill=255, width=pen, joint="curve")
    for x, y in (places[0], places[-1]):
        canvas.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)
