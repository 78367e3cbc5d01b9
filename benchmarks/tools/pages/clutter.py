"""Scenes without digits: scribbles, crossed-out words, blobs, photographs; and the litter of other pages."""

import math

import numpy as np
from PIL import Image

from pages.canvas import Colour
from pages.lines import print_text, write
from pages.paper import between, field
from pages.scene import Scene
from pages.words import word
from pages.writers import hand_lettering, printer


def ground(scene: Scene) -> None:
    """A page on which there is no digit."""
    rng = scene.rng
    if rng.random() < 0.3:
        photograph(scene)
    for draw in (scribbles, crossed_out, long_lines, blobs, letters, dirt):
        if rng.random() < 0.3:
            draw(scene)


def litter(scene: Scene) -> None:
    """What lies on a page beside its text: dirt, a stain, a long line."""
    for draw, share in ((dirt, 0.5), (blobs, 0.15), (long_lines, 0.2)):
        if scene.rng.random() < share:
            draw(scene, faint=True)


def _colour(scene: Scene) -> Colour:
    red, green, blue = scene.rng.integers(0, 256, 3).tolist()
    return (red, green, blue) if scene.rng.random() < 0.4 else scene.look.ink


def _anywhere(scene: Scene) -> tuple[float, float]:
    return scene.rng.uniform(0, scene.canvas.width), scene.rng.uniform(0, scene.canvas.height)


def photograph(scene: Scene) -> None:
    """Smooth noise at several scales in colour, with edges."""
    rng, canvas = scene.rng, scene.canvas
    size = max(canvas.width, canvas.height)
    levels = rng.uniform(0.1, 0.8, 3) + rng.uniform(0.1, 0.3) * field(rng, size, int(rng.integers(3, 7)), 3)
    for nodes in (12, 40, 120):
        levels = levels + rng.uniform(0, 0.12) * field(rng, size, nodes, 3)
    if rng.random() < 0.5:  # flat regions with edges, as of objects
        steps = int(rng.integers(2, 5))
        levels = np.round(levels * steps) / steps + rng.uniform(0, 0.05) * field(rng, size, 60)
    canvas.image(Image.fromarray((np.clip(levels, 0, 1) * 255).astype(np.uint8)), 0, 0)


def scribbles(scene: Scene, faint: bool = False) -> None:
    """Long entangled curves."""
    rng = scene.rng
    for _ in range(rng.integers(1, 4)):
        centre, extent = _anywhere(scene), np.exp(rng.uniform(math.log(20), math.log(150), 2))
        steps = rng.normal(0, 1, (int(rng.integers(12, 40)), 2))
        knots = np.array(centre) + extent * (0.5 * np.cumsum(steps, 0) / np.sqrt(len(steps)) + 0.5 * steps)
        t = np.linspace(0, len(knots) - 1, 8 * len(knots))
        points = np.stack([np.interp(t, np.arange(len(knots)), knots[:, axis]) for axis in (0, 1)], 1)
        kernel = np.ones(9) / 9
        smooth = np.stack([np.convolve(points[:, axis], kernel, "valid") for axis in (0, 1)], 1)
        scene.canvas.strokes([smooth.tolist()], rng.uniform(0.7, 6), _colour(scene))


def crossed_out(scene: Scene, faint: bool = False) -> None:
    """Words under a zigzag or several strokes."""
    rng = scene.rng
    lettering = hand_lettering(scene.sources, scene.split, rng)
    for _ in range(rng.integers(1, 5)):
        x, y = _anywhere(scene)
        height = rng.uniform(10, 50)
        text = "".join(character for character in word(rng) if character in lettering.characters())
        scene.canvas.new_line()
        length = write(scene.canvas, lettering, text, (x, y), height, scene.look.ink, rng, gap=0.04)
        count = int(rng.integers(3, 12))
        across = np.linspace(x - 3, x + length + 3, count)
        heights = y - height * (0.45 + np.where(np.arange(count) % 2, 1, -1) * rng.uniform(0, 0.5, count))
        zigzag = list(zip(across.tolist(), heights.tolist(), strict=True))
        scene.canvas.strokes([zigzag], rng.uniform(1, 0.12 * height + 1), scene.look.ink)


def long_lines(scene: Scene, faint: bool = False) -> None:
    """Straight lines across the page: folds, rules, edges."""
    rng, canvas = scene.rng, scene.canvas
    lines = []
    for _ in range(rng.integers(1, 3 if faint else 8)):
        (x, y), angle = _anywhere(scene), rng.uniform(0, math.pi)
        away = np.array([math.cos(angle), math.sin(angle)]) * 2 * canvas.width
        lines.append([(x - away[0], y - away[1]), (x + away[0], y + away[1])])
    colour = between(scene.look.ground, _colour(scene), rng.uniform(0.15, 0.5) if faint else rng.uniform(0.4, 1))
    canvas.strokes(lines, rng.uniform(0.5, 2 if faint else 8), colour)


def blobs(scene: Scene, faint: bool = False) -> None:
    """Round or jagged patches: stains, objects, fingers at the edge."""
    rng = scene.rng
    for _ in range(1 if faint else rng.integers(1, 10)):
        x, y = _anywhere(scene)
        angles = np.linspace(0, 2 * math.pi, 40)
        radius = math.exp(rng.uniform(math.log(6), math.log(120)))
        shape = 1 + sum(rng.normal(0, 0.25 / k) * np.sin(k * angles + rng.uniform(0, 6.3)) for k in (1, 2, 3, 4))
        points = np.stack([x + radius * shape * np.cos(angles), y + radius * shape * np.sin(angles)], 1)
        share = rng.uniform(0.05, 0.25) if faint else rng.uniform(0.1, 1)
        scene.canvas.polygon(points.tolist(), between(scene.look.ground, _colour(scene), share))


def letters(scene: Scene, faint: bool = False) -> None:
    """A few words, large or small."""
    rng = scene.rng
    font = printer(scene.sources, scene.split, rng)
    for _ in range(rng.integers(1, 8)):
        scene.canvas.new_line()
        x, y = _anywhere(scene)
        height = math.exp(rng.uniform(math.log(7), math.log(120)))
        print_text(scene.canvas, font, word(rng), (x - 2 * height, y), height, _colour(scene), rng)


def dirt(scene: Scene, faint: bool = False) -> None:
    """Specks, crumbs, hairs and staples."""
    rng = scene.rng
    specks = []
    for _ in range(rng.integers(1, 25)):
        x, y = _anywhere(scene)
        specks.append([(x, y), (x + rng.normal(0, 1.2), y + rng.normal(0, 0.8))])
    scene.canvas.strokes(specks, rng.uniform(0.5, 2), between(scene.look.ground, scene.look.ink, rng.uniform(0.2, 0.9)))
    if rng.random() < 0.2:  # a hair
        x, y = _anywhere(scene)
        turns = np.cumsum(rng.normal(0, 0.25, 30)) + rng.uniform(0, 6.3)
        hair = np.cumsum(np.stack([np.cos(turns), np.sin(turns)], 1) * rng.uniform(2, 6), 0) + np.array((x, y))
        scene.canvas.strokes([hair.tolist()], 0.6, scene.look.ink)
    if rng.random() < 0.15:  # a staple
        x, y = _anywhere(scene)
        long, rise = rng.uniform(15, 40), rng.normal(0, 4)
        scene.canvas.strokes([[(x, y), (x + long, y + rise)]], rng.uniform(1.5, 3), (150, 152, 158))
        scene.canvas.strokes([[(x, y + 2), (x + long, y + rise + 2)]], 0.8, (70, 70, 75))
