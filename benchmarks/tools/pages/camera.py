"""What light, a camera and a file format do to a page."""

import io
from functools import lru_cache

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFilter

from pages.paper import Levels, enlarged, field

Pixels = UInt8[np.ndarray, "height width 3"]


def lit(page: Levels, rng: np.random.Generator) -> Levels:
    """Uneven and coloured light, vignettes, and the edges of shadows."""
    size = len(page) // 3  # light is smooth
    light = np.ones((size, size, 1))
    down, right = (np.linspace(-1, 1, size).reshape(shape) for shape in ((-1, 1, 1), (1, -1, 1)))
    if rng.random() < 0.6:
        angle = rng.uniform(0, 2 * np.pi)
        light = light + rng.uniform(0, 0.3) * (np.cos(angle) * down + np.sin(angle) * right)
    if rng.random() < 0.35:
        light = light + rng.uniform(0.03, 0.14) * field(rng, size, int(rng.integers(3, 6)))
    if rng.random() < 0.25:  # a vignette, often coloured
        far = (down - rng.normal(0, 0.3)) ** 2 + (right - rng.normal(0, 0.3)) ** 2
        light = light * (1 - (rng.uniform(0.05, 0.35) + rng.normal(0, 0.04, 3)) * far / 2)
    if rng.random() < 0.25:  # a shadow with an edge, straight or of a hand
        angle = rng.uniform(0, 2 * np.pi)
        side = np.cos(angle) * down + np.sin(angle) * right - rng.normal(0, 0.5)
        side = side + rng.uniform(0, 0.3) * field(rng, size, 4)
        soft = rng.uniform(0.01, 0.3)
        light = light * (1 - rng.uniform(0.1, 0.55) / (1 + np.exp(-np.clip(side / soft, -30, 30))))
    if rng.random() < 0.08:  # a glare
        far = (down - rng.uniform(-1, 1)) ** 2 + (right - rng.uniform(-1, 1)) ** 2
        light = light * (1 + rng.uniform(0.05, 0.4) * np.exp(-far / rng.uniform(0.02, 0.3)))
    return np.asarray(page * enlarged(np.clip(light, 0.15, 1.6).astype(np.float32), len(page)))


def exposed(page: Levels, rng: np.random.Generator) -> Image.Image:
    """The page in 8 bits: sometimes with lower contrast, another exposure, colours off or none at all."""
    image = Image.fromarray((np.clip(page, 0, 1) * np.float32(255)).astype(np.uint8))
    curve = np.repeat(np.linspace(0, 1, 256)[None], 3, 0)
    if rng.random() < 0.2:
        keep = rng.uniform(0.35, 0.9)
        curve = curve * keep + (1 - keep) * rng.uniform(0.2, 0.95)
    if rng.random() < 0.4:
        curve = curve ** rng.uniform(0.6, 1.5)
    if rng.random() < 0.3:
        curve = curve * (1 + rng.normal(0, 0.06, (3, 1)))
    image = image.point(np.clip(curve * 255, 0, 255).astype(int).ravel().tolist())
    return image.convert("L").convert("RGB") if rng.random() < 0.25 else image


def photographed(image: Image.Image, rng: np.random.Generator, detail: float) -> Pixels:
    """The file of a camera or scanner; `detail` is the height in pixels of what must stay readable."""
    kind = rng.random()
    if kind < 0.45:  # out of focus, a little or as much as can be read
        most = 0.075 * detail if rng.random() < 0.3 else 0.03 * detail
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, max(0.4, min(most, 4)))))
    elif kind < 0.55:
        image = _moved(image, rng, rng.uniform(1, max(1.5, min(0.15 * detail, 12))))
    elif kind < 0.7:  # fewer pixels
        factor = rng.uniform(1.1, max(1.2, min(detail / 8, 3)))
        small = image.resize((round(image.width / factor), round(image.height / factor)), Image.Resampling.BOX)
        image = small.resize(
            image.size, rng.choice([Image.Resampling.BILINEAR, Image.Resampling.NEAREST], p=[0.8, 0.2])
        )
    pixels = np.asarray(image)
    if rng.random() < 0.6:
        pixels = _noisy(pixels, rng)
    if rng.random() < 0.2:
        sharp = ImageFilter.UnsharpMask(rng.uniform(1, 3), int(rng.integers(50, 200)), 2)
        pixels = np.asarray(Image.fromarray(pixels).filter(sharp))
    return compressed(pixels, rng) if rng.random() < 0.7 else pixels


def _noisy(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Sensor noise: fine or of 2 pixels, grey or coloured."""
    strength = min(float(rng.exponential(0.018)), 0.09)
    side = max(pixels.shape) + NOISE_ROOM
    down, right = rng.integers(0, NOISE_ROOM, 2)
    window = (slice(down, down + pixels.shape[0]), slice(right, right + pixels.shape[1]))
    noise = noise_of(side, coarse=bool(rng.random() < 0.3))[window]
    if rng.random() < 0.5:
        noise = noise[..., :1]
    return np.clip(pixels + np.float32(strength * 255) * noise, 0, 255).astype(np.uint8)


NOISE_ROOM = 97  # a page shows a window of one field of noise, which is drawn once


@lru_cache(maxsize=4)
def noise_of(side: int, coarse: bool) -> Levels:
    """Normal noise, of one pixel or of two."""
    noise = np.random.default_rng([side, coarse]).standard_normal((side, side, 3), np.float32)
    return (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) * np.float32(0.58) if coarse else noise


def _moved(image: Image.Image, rng: np.random.Generator, length: float) -> Image.Image:
    """Motion blur: the mean of the image at a few places along a short line."""
    angle, room = rng.uniform(0, np.pi), int(np.ceil(length / 2))
    padded = np.pad(np.asarray(image, np.uint16), ((room, room), (room, room), (0, 0)), "edge")
    steps = np.linspace(-0.5, 0.5, max(2, round(length)) + 1) * length
    total = np.zeros((image.height, image.width, 3), np.uint16)
    for step in steps:
        down, right = room + round(step * np.sin(angle)), room + round(step * np.cos(angle))
        total += padded[down : down + image.height, right : right + image.width]
    return Image.fromarray((total // len(steps)).astype(np.uint8))


def compressed(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """The pixels of a JPEG file, quality 25 to 95."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=int(rng.integers(25, 96)))
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))
