"""Scenes of handwriting: lines of digits, one hand a line, and digits scattered over the page."""

import math

import numpy as np

from pages.glyphs import LETTERLIKE
from pages.lines import random_gap, write
from pages.scene import Scene
from pages.words import word
from pages.writers import Writer, hand_lettering, printer, writer


def handwritten(scene: Scene) -> None:
    """Lines of handwritten digits, a hand each, sometimes with signs, words and crossings-out."""
    rng, canvas = scene.rng, scene.canvas
    scale = canvas.warp.page / 320
    height = math.exp(rng.uniform(math.log(10), math.log(200))) * scale
    if rng.random() < 0.5:  # most lines are of usual size
        height = math.exp(rng.uniform(math.log(14), math.log(60))) * scale
    pitch = height * rng.uniform(1.25, 2.4)
    tilt = math.radians(rng.uniform(-15, 15)) if rng.random() < 0.3 else math.radians(rng.normal(0, 2))
    same = writer(scene.sources, scene.split, rng) if rng.random() < 0.6 else None
    gap, signs = random_gap(rng), rng.random() < 0.2
    columns = rng.random() < 0.3
    y = height * rng.uniform(0.9, 1.6) + max(0.0, -tilt * canvas.width)
    room = canvas.height - max(0.0, tilt * canvas.width)
    lines = rng.integers(1, 10)
    if rng.random() < 0.25:
        y += rng.uniform(0, max(0.0, room - y - lines * pitch))
    for _ in range(lines):
        if y > room:
            break
        hand = same or writer(scene.sources, scene.split, rng)
        canvas.new_line()
        start = rng.uniform(0.02, 0.12 if columns else 0.4) * canvas.width
        one = height * rng.uniform(0.85, 1.15)
        if rng.random() < 0.25:
            gap = random_gap(rng)
        text = _digits_for(hand, rng, _count_that_fits(canvas.width - start, one, gap, rng), signs)
        if rng.random() < 0.06:
            lettering = hand_lettering(scene.sources, scene.split, rng)
            at = (start, y + start * math.tan(tilt))
            shown = "".join(c for c in word(rng) if c in lettering.characters())
            start += write(canvas, lettering, shown, at, one * 0.9, scene.look.ink, rng, gap=0.05, tilt=tilt) + one
        at = (start, y + start * math.tan(tilt))
        colour = scene.look.ink if rng.random() < 0.93 else scene.look.second_ink
        length = write(canvas, hand, text, at, one, colour, rng, gap=gap, tilt=tilt + math.radians(rng.normal(0, 0.7)))
        if rng.random() < 0.06:
            below = at[1] + one * rng.uniform(0.15, 0.3)
            rule = [(at[0] - 0.2 * one, below), (at[0] + length, below + length * math.tan(tilt))]
            canvas.strokes([rule], max(0.8, one * rng.uniform(0.03, 0.1)), colour)
        y += pitch * rng.uniform(0.95, 1.15)


def _count_that_fits(width: float, height: float, gap: float, rng: np.random.Generator) -> int:
    room = width / (height * (0.62 + max(gap, -0.1)))
    if rng.random() < 0.12:
        room += 1  # the last one is cut by the frame
    most = max(1, int(min(14, room)))
    return most if rng.random() < 0.3 else int(rng.integers(1, most + 1))


def _digits_for(hand: Writer, rng: np.random.Generator, count: int, signs: bool) -> str:
    known = hand.characters()
    choice = [digit for digit in "0123456789" if digit in known]
    if rng.random() < 0.1:
        choice = [str(rng.choice(choice))]  # rows of one digit, as exercises and data sets have them
    text = [str(rng.choice(choice)) for _ in range(count)]
    if signs:
        for place in range(1, count - 1):
            if rng.random() < 0.3:
                text[place] = str(rng.choice([sign for sign in "+-=×/,().:x" if sign in known] or choice))
    elif rng.random() < 0.2:
        text = [character for part in text for character in ([" "] if rng.random() < 0.2 else []) + [part]]
    return "".join(text)


def scattered(scene: Scene) -> None:
    """Digits of all sizes anywhere, some larger than the page; letters among them."""
    rng, canvas = scene.rng, scene.canvas
    page = canvas.warp.page
    placed: list[tuple[float, float, float, float]] = []
    letters = rng.random() < 0.3
    print_share = rng.choice([0.0, 0.3, 1.0], p=[0.5, 0.3, 0.2])
    heights = np.exp(rng.uniform(math.log(12 * page / 320), math.log(page * 0.6), rng.integers(1, 22)))
    if rng.random() < 0.4:
        heights = np.append(heights, rng.uniform(0.7, 1.7, rng.integers(1, 3)) * page)
    hands = [writer(scene.sources, scene.split, rng) for _ in range(rng.integers(1, 5))]
    prints = [printer(scene.sources, scene.split, rng) for _ in range(2)]
    stamps = []
    for height in sorted(heights, reverse=True):
        hand = prints[rng.integers(2)] if rng.random() < print_share else hands[rng.integers(len(hands))]
        character = str(rng.choice(sorted(hand.characters() & set("0123456789"))))
        if letters and rng.random() < 0.4:
            found = sorted(hand.characters() & LETTERLIKE)
            character = str(rng.choice(found)) if found else character
        turn = math.radians(rng.uniform(-12, 12)) if rng.random() < 0.3 else 0.0
        glyph = hand.glyph(character, float(height), turn, rng)
        width, tall = glyph.mask.size
        for _ in range(8):
            x = rng.uniform(-0.3 * width, max(-0.3 * width, canvas.width - 0.7 * width))
            y = rng.uniform(-0.3 * tall, max(-0.3 * tall, canvas.height - 0.7 * tall))
            box = (x, y, x + width, y + tall)
            if not any(_overlap(box, other) for other in placed):
                placed.append(box)
                stamps.append((y + tall / 2, x - glyph.left, y - glyph.top, glyph, character))
                break
    for _, x, y, glyph, character in sorted(stamps, key=lambda stamp: stamp[0]):
        canvas.new_line()
        colour = scene.look.ink if rng.random() < 0.8 else scene.look.second_ink
        canvas.stamp(glyph, x, y, colour, character)


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
