"""Lines of digits on paper for tuning OCR, on papers that the benchmark does not have."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

Random = np.random.Generator
PENS = [(20, 20, 25), (30, 45, 140), (150, 30, 40), (90, 90, 95)]
CHALKS = [(235, 235, 225), (250, 220, 120)]
PRETRAINED = 20  # of a digit's 28 pixels, that MNIST's are brought to


@dataclass(frozen=True, eq=False)
class Composed:
    """An image with numbers on it, and what they are."""

    image: np.ndarray
    """RGB, 0..255."""
    text: str
    boxes: list[tuple[float, float, float, float]]
    """Of each digit: left, top, right, bottom, before the page is turned."""
    touching: int
    """Pairs of neighbours whose ink meets."""

    def file(self, kind: str = "JPEG", quality: int = 80) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(np.clip(np.rint(self.image), 0, 255).astype(np.uint8)).save(buffer, kind, quality=quality)
        return buffer.getvalue()


def row(
    digits: np.ndarray, tall: float, random: Random, gap: tuple[float, float] = (0.05, 0.35), touch: float = 0.04
) -> tuple[np.ndarray, list[tuple[float, float, float, float]], int]:
    """Digits `tall` pixels tall beside each other in one image of ink (0..1), their boxes, and how many pairs meet.

    The gap between two is a share of `tall`; of `touch` of the pairs it is gone.
    """
    drawn = []
    for digit in digits:
        scale = tall / PRETRAINED * random.uniform(0.92, 1.08)
        side = round(28 * scale)
        ink = np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC), float) / 255
        clear = ink > 0.3
        rows, columns = np.flatnonzero(clear.any(1)), np.flatnonzero(clear.any(0))
        drawn.append(ink[max(0, rows[0] - 2) : rows[-1] + 3, max(0, columns[0] - 2) : columns[-1] + 3])
    high = round(2 * tall)
    canvas = np.zeros((high, sum(ink.shape[1] for ink in drawn) + round(tall * 2 * len(drawn))))
    boxes, touching, x = [], 0, 4
    for number, ink in enumerate(drawn):
        top = round(high / 2 - ink.shape[0] / 2 + random.uniform(-0.08, 0.08) * tall)
        if number:
            x += round(random.uniform(*gap) * tall) - 4
            if random.random() < touch:
                while x > 4 and not _meet(canvas, ink, top, x):
                    x -= 1
                x += random.integers(-2, 2)
                touching += 1
        part = canvas[top : top + ink.shape[0], x : x + ink.shape[1]]
        np.maximum(part, ink, out=part)
        boxes.append((float(x), float(top), float(x + ink.shape[1]), float(top + ink.shape[0])))
        x += ink.shape[1]
    return canvas[:, : x + 4], boxes, touching


def _meet(canvas: np.ndarray, ink: np.ndarray, top: int, x: int) -> bool:
    return bool(((canvas[top : top + ink.shape[0], x : x + ink.shape[1]] > 0.5) & (ink > 0.5)).any())


def white(height: int, width: int, apart: float, random: Random) -> np.ndarray:
    return np.full((height, width, 3), random.uniform(225, 255))


def ruled(height: int, width: int, apart: float, random: Random) -> np.ndarray:
    """Lines in pale blue to grey, one to four pixels thick."""
    sheet = np.full((height, width, 3), random.uniform(235, 255))
    return _lines(sheet, apart * random.uniform(0.8, 1.6), random, random.uniform(120, 215, 3))


def squared(height: int, width: int, apart: float, random: Random) -> np.ndarray:
    sheet = np.full((height, width, 3), random.uniform(235, 255))
    side, colour = apart * random.uniform(0.3, 1.1), random.uniform(140, 220, 3)
    return _lines(_lines(sheet, side, random, colour).swapaxes(0, 1), side, random, colour).swapaxes(0, 1)


def dark_rules(height: int, width: int, apart: float, random: Random) -> np.ndarray:
    """Lines as dark as ink."""
    sheet = np.full((height, width, 3), random.uniform(235, 255))
    return _lines(sheet, apart * random.uniform(1.0, 1.8), random, random.uniform(20, 100, 3))


def kraft(height: int, width: int, apart: float, random: Random) -> np.ndarray:
    grain = ndimage.gaussian_filter(random.normal(0, 1, (height, width)), 2) * 12
    return np.array([200, 165, 120]) + grain[..., None]


def shaded(height: int, width: int, apart: float, random: Random) -> np.ndarray:
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    tilt = random.uniform(-0.3, 0.3, 2)
    light = 0.75 + tilt[0] * y + tilt[1] * x - 0.15 * x * x
    return 250 * np.clip(light, 0.25, 1)[..., None] * np.array([1, 0.98, 0.9])


def board(height: int, width: int, apart: float, random: Random) -> np.ndarray:
    return np.array([45, 75, 60]) + ndimage.gaussian_filter(random.normal(0, 1, (height, width)), 4)[..., None] * 20


def _lines(sheet: np.ndarray, apart: float, random: Random, colour: np.ndarray) -> np.ndarray:
    sheet = sheet.copy()
    thick = max(1, round(apart * random.uniform(0.02, 0.07)))
    for y in np.arange(random.uniform(0, apart), len(sheet), apart):
        sheet[round(y) : round(y) + thick] = colour
    return sheet


PAPERS: dict[str, Callable[[int, int, float, Random], np.ndarray]] = {
    each.__name__: each for each in (white, ruled, squared, dark_rules, kraft, shaded, board)
}


def composed(digits: np.ndarray, labels: np.ndarray, paper: str, random: Random, touch: float = 0.04) -> Composed:
    """A line of these digits on a piece of paper of this kind, a little turned, with noise."""
    tall = float(np.exp(random.uniform(np.log(24), np.log(110))))
    ink, boxes, touching = row(digits, tall, random, touch=touch)
    above, beside = (round(random.uniform(0.3, 1.5) * tall) for _ in range(2))
    room = round(0.08 * (ink.shape[1] + 2 * beside)) + 1  # is cut off after turning
    above, beside = above + room, beside + room
    height, width = ink.shape[0] + 2 * above, ink.shape[1] + 2 * beside
    sheet = PAPERS[paper](height, width, tall, random)
    cover = np.zeros((height, width, 1))
    cover[above : above + ink.shape[0], beside : beside + ink.shape[1], 0] = ink
    pens = CHALKS if paper == "board" else PENS
    cover *= random.uniform(0.8, 1)
    image = cover * np.array(pens[random.integers(len(pens))]) + (1 - cover) * sheet
    turned = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).rotate(
        random.uniform(-4, 4), Image.Resampling.BICUBIC
    )
    image = np.asarray(turned, float)[room:-room, room:-room]
    image = ndimage.gaussian_filter(image, (*(random.uniform(0, 0.02 * tall),) * 2, 0))
    image = image + random.normal(0, random.uniform(0, 12), image.shape)
    moved = [(left + beside - room, top + above - room, right + beside - room, bottom + above - room)
             for left, top, right, bottom in boxes]  # fmt: skip
    return Composed(image, "".join(map(str, labels)), moved, touching)
