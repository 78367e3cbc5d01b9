"""Paper and ink: the colours of a page, its texture and the rules printed on it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from PIL import Image

from pages.canvas import Canvas, Colour

Levels = Float[np.ndarray, "height width 3"]
"""Colours, 0..1."""

DARK_SHARE = 0.25  # of the pages: light ink on a dark ground
RULES = {"plain": 0.62, "ruled": 0.14, "squared": 0.14, "dotted": 0.05, "margin": 0.05}
PENS: dict[str, tuple[float, Colour]] = {
    "black": (0.4, (28, 28, 32)),
    "blue": (0.3, (38, 52, 140)),
    "pencil": (0.16, (88, 88, 94)),
    "red": (0.08, (176, 40, 44)),
    "green": (0.06, (30, 104, 62)),
}


@dataclass(frozen=True)
class Look:
    """Ground and inks of one page."""

    dark: bool
    clean: bool
    """Drawn in a paint program or printed to a file: flat ground, no camera."""
    ground: Colour
    ink: Colour
    second_ink: Colour
    """Of a second pen, or of print beside handwriting."""
    opacity: float
    grain: float
    """How much the ink lets the ground through at random, as pencil and chalk do."""


def random_look(rng: np.random.Generator) -> Look:
    """One page in four is dark, one in seven is clean."""
    dark, clean = bool(rng.random() < DARK_SHARE), bool(rng.random() < 0.14)
    if dark:
        level = rng.uniform(0, 90)
        tint = rng.normal(0, 12, 3) if rng.random() < 0.6 else rng.uniform(-40, 60, 3)
        ground = _colour(level + tint)
        light = [_colour(rng.uniform(level + 90, 256) + rng.normal(0, 15, 3)) for _ in range(2)]
        if rng.random() < 0.15:
            light[0] = _colour(rng.uniform(60, 255, 3))  # coloured chalk or pixels
            if sum(light[0]) < sum(ground) + 250:
                light[0] = (240, 240, 235)
        if clean and rng.random() < 0.7:
            ground, light = (0, 0, 0), [(255, 255, 255)] * 2
        return Look(True, clean, ground, light[0], light[1], rng.uniform(0.75, 1), rng.uniform(0, 0.6))
    if clean:
        inks = (_pen(rng, 0), _pen(rng, 0)) if rng.random() < 0.4 else ((0, 0, 0), (0, 0, 0))
        return Look(False, True, (255, 255, 255), *inks, 1.0, 0.0)
    level = rng.choice([rng.uniform(215, 252), rng.uniform(130, 220)])
    warm = rng.normal(0, 7)
    ground = _colour(np.array([level + warm, level, level - warm]) + rng.normal(0, 3, 3))
    if rng.random() < 0.1:  # coloured paper
        ground = _colour(level + rng.uniform(-60, 30, 3))
    name = str(rng.choice(list(PENS), p=[share for share, _ in PENS.values()]))
    grain = rng.uniform(0.3, 0.8) if name == "pencil" else rng.uniform(0, 0.3)
    opacity = rng.uniform(0.5, 0.85) if name == "pencil" else rng.uniform(0.65, 1)
    ink = _colour(np.array(PENS[name][1]) * level / 250 + rng.normal(0, 12, 3))
    return Look(False, False, ground, ink, _pen(rng, 12), opacity, grain)


def _pen(rng: np.random.Generator, spread: float) -> Colour:
    name = str(rng.choice(list(PENS), p=[share for share, _ in PENS.values()]))
    return _colour(np.array(PENS[name][1]) + rng.normal(0, spread, 3))


def _colour(levels: np.ndarray) -> Colour:
    red, green, blue = np.clip(levels, 0, 255).astype(int)
    return int(red), int(green), int(blue)


def between(one: Colour, other: Colour, share: float) -> Colour:
    """A colour on the way from one to the other."""
    return _colour(np.array(one) * (1 - share) + np.array(other) * share)


def draw_rules(canvas: Canvas, look: Look, rng: np.random.Generator) -> None:
    """Ruled, squared or dotted paper, fainter than the ink."""
    kind = str(rng.choice(list(RULES), p=list(RULES.values())))
    if kind == "plain":
        return
    towards: Colour = (90, 120, 200) if rng.random() < 0.6 else look.ink
    colour = between(look.ground, towards, rng.uniform(0.25, 0.7))
    pitch = float(np.exp(rng.uniform(np.log(8), np.log(50))))
    if kind == "ruled":
        pitch = max(pitch, 14)
    x, y = (np.arange(rng.uniform(0, pitch), side, pitch) for side in (canvas.width, canvas.height))
    width = rng.uniform(0.35, 1.2) if pitch < 25 else rng.uniform(0.5, 2)
    across = [[(0.0, row), (float(canvas.width), row)] for row in y]
    down = [[(column, 0.0), (column, float(canvas.height))] for column in x]
    if kind == "margin":
        canvas.strokes(down[:1], width, (200, 70, 80))
        canvas.strokes(across, width, colour)
    elif kind == "dotted":
        canvas.strokes([[(c, r), (c + 1, r)] for r in y for c in x], max(0.6, width), colour)
    else:
        canvas.strokes(across + (down if kind == "squared" else []), width, colour)


def field(
    rng: np.random.Generator, size: int, nodes: int, channels: int = 1
) -> Float[np.ndarray, "size size channels"]:
    """Smooth noise of standard deviation about 1: that many random values a side, and a smooth surface between."""
    coarse = rng.standard_normal((channels, nodes, nodes), np.float32)
    return enlarged(coarse.transpose(1, 2, 0), size)


def enlarged(coarse: Float[np.ndarray, "h w channels"], size: int) -> Float[np.ndarray, "size size channels"]:
    """A smooth surface through coarse values."""
    layers = [Image.fromarray(np.ascontiguousarray(coarse[..., channel])) for channel in range(coarse.shape[2])]
    return np.stack([np.asarray(layer.resize((size, size), Image.Resampling.BICUBIC)) for layer in layers], 2)


def texture(look: Look, rng: np.random.Generator, size: int) -> Levels:
    """The ground of a page: plain, fibrous, crumpled, or another side showing through."""
    ground = np.broadcast_to(np.array(look.ground, np.float32) / 255, (size, size, 3))
    if look.clean:
        return ground
    shade: np.ndarray = np.zeros((size, size, 1), np.float32)
    kind = rng.random()
    if kind < 0.5:
        shade = shade + rng.uniform(0, 0.03) * field(rng, size, int(rng.integers(size // 8, size // 2)))
    if kind < 0.2:  # crumpled: creases where a smooth field changes sign
        folds = field(rng, size, int(rng.integers(3, 9)))
        shade = shade + rng.uniform(0.02, 0.09) * np.abs(folds) ** 0.6 - 0.04
    elif kind < 0.26:  # fibres or wood
        length = int(rng.integers(4, 12))
        coarse = Image.fromarray(rng.standard_normal((size // 2, length), np.float32))
        grain = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))[..., None]
        shade = shade + rng.uniform(0.01, 0.06) * (grain if rng.random() < 0.5 else grain.transpose(1, 0, 2))
    elif kind > 0.94:  # a wall, a cloth, a photograph out of focus
        shade = rng.uniform(0.03, 0.12) * (field(rng, size, 5, 3) + 0.5 * field(rng, size, 24))
    return ground * (1 + shade)


def covered(ground: Levels, ink: Float[np.ndarray, "height width 4"], look: Look, rng: np.random.Generator) -> Levels:
    """The ground under the ink, which is overwritten."""
    opacity: np.ndarray = np.full((1, 1, 1), look.opacity, np.float32)
    if look.grain > 0.1:
        noise = field(rng, len(ground), int(rng.integers(len(ground) // 4, len(ground))))
        opacity = opacity * (1 - look.grain * np.clip(0.5 * noise, 0, 0.95))
    ink *= opacity
    return np.asarray(ground * (1 - ink[..., 3:]) + ink[..., :3])


def on_a_desk(page: Levels, boxes: Float[np.ndarray, "n 4"], rng: np.random.Generator) -> Levels:
    """The page with another surface beyond one edge of the paper, where no glyph is."""
    size = len(page)
    angle = rng.integers(4) * np.pi / 2 + rng.normal(0, 0.08)
    outwards = np.array([np.cos(angle), np.sin(angle)])
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:], boxes[:, :2] + boxes[:, 2:] * (1, 0)])
    corners = np.concatenate([corners, boxes[:, :2] + boxes[:, 2:] * (0, 1)]) - size / 2
    taken = float((corners @ outwards).max(initial=0.1 * size)) + 4
    if taken > size * 0.45:
        return page
    edge = rng.uniform(taken, size * 0.55)
    down, right = (np.arange(size, dtype=np.float32) - size / 2).reshape(-1, 1, 1), np.arange(size) - size / 2
    beyond = down * np.float32(outwards[1]) + right.reshape(1, -1, 1) * np.float32(outwards[0]) - np.float32(edge)
    share = np.clip(beyond + 0.5, 0, 1)
    shadow = 1 - rng.uniform(0, 0.5) * np.exp(-np.maximum(beyond, 0) / rng.uniform(2, 15))
    desk = rng.uniform(0, 0.8) * np.array([1, rng.uniform(0.6, 1), rng.uniform(0.4, 1)], np.float32)
    desk = (desk + rng.uniform(0, 0.06) * field(rng, size, int(rng.integers(4, 60)))) * shadow
    return np.asarray(page * (1 - share) + desk * share, np.float32)
