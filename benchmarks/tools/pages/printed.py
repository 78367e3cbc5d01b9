"""Scenes of print: paragraphs, receipts, tables and forms, with numbers among the words."""

import math

import numpy as np

from pages.canvas import Colour
from pages.lines import fitting, print_text, text_width, write
from pages.scene import Scene
from pages.words import amount, digits, number, phrase, word
from pages.writers import FontWriter, hand_lettering, printer, writer

MOST_GLYPHS = 420  # of a page: composing stays fast


def text_height(scene: Scene, least: float = 5.5, most: float = 36) -> float:
    """Height of printed digits: small ones are the most frequent."""
    scale = scene.canvas.warp.page / 320
    return math.exp(scene.rng.triangular(math.log(least), math.log(8), math.log(most))) * scale


def typeface(scene: Scene) -> FontWriter:
    """A printed font; one in five is a handwriting font, each glyph as it is."""
    if scene.rng.random() < 0.2:
        lettering = hand_lettering(scene.sources, scene.split, scene.rng)
        return FontWriter(lettering.name, lettering.face, None)
    return printer(scene.sources, scene.split, scene.rng)


def printed(scene: Scene) -> None:
    """One of the layouts of printed pages."""
    layouts = (paragraphs, receipt, table, form)
    layouts[int(scene.rng.choice(4, p=[0.4, 0.2, 0.2, 0.2]))](scene)


def paragraphs(scene: Scene) -> None:
    """One or two columns of running text, headed or not."""
    rng, canvas = scene.rng, scene.canvas
    font, height = typeface(scene), text_height(scene)
    left, top = rng.uniform(-0.05, 0.15) * canvas.width, rng.uniform(0, 0.2) * canvas.height
    columns = 2 if rng.random() < 0.25 and height < 10 else 1
    width = (canvas.width * rng.uniform(0.85, 1.05) - left) / columns
    used = 0
    if rng.random() < 0.4:
        canvas.new_line()
        heading = " ".join(phrase(rng, 0.25) for _ in range(3))
        large = min(height * rng.uniform(1.3, 3), 60)
        top += large * 1.3
        print_text(canvas, printer(scene.sources, scene.split, rng), heading, (left, top), large, scene.look.ink, rng)
    for column in range(columns):
        area = (left + column * width, top, left + column * width + width * 0.94, canvas.height * 1.02)
        used += text_block(scene, font, height, area, scene.look.ink, MOST_GLYPHS // columns - used * (columns > 1))


def text_block(
    scene: Scene, font: FontWriter, height: float, area: tuple[float, float, float, float], colour: Colour, most: int,
    numbers: float | None = None,
) -> int:  # fmt: skip
    """Running text that fills an area from its top; gives the number of glyphs."""
    rng = scene.rng
    left, top, right, bottom = area
    numbers = float(rng.choice([0.0, 0.12, 0.3, 0.5], p=[0.2, 0.4, 0.3, 0.1])) if numbers is None else numbers
    pitch, used, y = height * rng.uniform(1.7, 2.6), 0, top + 1.4 * height
    spacing = rng.uniform(0, 0.08) if rng.random() < 0.2 else 0.0
    while y < bottom and used < most:
        scene.canvas.new_line()
        x = left + (2 * height if rng.random() < 0.1 else 0)
        while x < right:
            text = phrase(rng, numbers)
            if x + len(text) * height * 0.7 > right:
                break
            x += print_text(scene.canvas, font, text, (x, y), height, colour, rng, spacing) + 0.5 * height
            used += len(text)
            if rng.random() < 0.02:
                break
        y += pitch * (1.6 if rng.random() < 0.08 else 1)
    return used


def receipt(scene: Scene) -> None:
    """Items on the left, amounts at the right edge."""
    rng, canvas = scene.rng, scene.canvas
    font, height = typeface(scene), text_height(scene, most=24)
    width = min(height * rng.uniform(18, 40), canvas.width * 0.95)
    left = rng.uniform(0, canvas.width - width)
    y, used = rng.uniform(0, 0.1) * canvas.height + 2 * height, 0
    pitch = height * rng.uniform(1.6, 2.4)
    while y < canvas.height + height and used < MOST_GLYPHS:
        canvas.new_line()
        kind = rng.random()
        if kind < 0.12:
            text = " ".join(phrase(rng, 0.3) for _ in range(rng.integers(1, 4)))
            used += len(text)
            print_text(canvas, font, text, (left, y), height, scene.look.ink, rng)
        elif kind < 0.17:
            rule = [(left, y - 0.4 * height), (left + width, y - 0.4 * height)]
            canvas.strokes([rule], max(0.5, height * 0.08), scene.look.ink)
        else:
            price = amount(rng)
            item = f"{digits(rng, 1, 1)} x {word(rng)}" if rng.random() < 0.3 else f"{word(rng)} {word(rng)}"
            room = width - text_width(font, price, height, rng)
            item = fitting(font, item, height, room - height, rng)
            print_text(canvas, font, item, (left, y), height, scene.look.ink, rng)
            print_text(canvas, font, price, (left + room, y), height, scene.look.ink, rng)
            used += len(item) + len(price)
        y += pitch


def table(scene: Scene) -> None:
    """Named rows of numbers under named columns, with or without rules."""
    rng, canvas = scene.rng, scene.canvas
    font, height = typeface(scene), text_height(scene, most=22)
    columns = rng.integers(2, 6)
    edges = np.cumsum([0, *rng.uniform(5, 9, columns)]) * height + rng.uniform(0, 0.1) * canvas.width
    top, pitch = rng.uniform(0, 0.2) * canvas.height, height * rng.uniform(1.7, 3)
    rows = int(min((canvas.height - top) / pitch, MOST_GLYPHS / (7 * columns)))
    for row in range(rows):
        canvas.new_line()
        y = top + (row + 0.72) * pitch
        for column in range(columns):
            text = word(rng) if row == 0 or column == 0 else phrase(rng, 0.75) if rng.random() < 0.9 else ""
            text = fitting(font, text, height, edges[column + 1] - edges[column] - 0.5 * height, rng)
            at = (edges[column] + 0.3 * height, y)
            print_text(canvas, font, text, at, height, scene.look.ink, rng)
    if rng.random() < 0.7:
        ends = top + rows * pitch
        across = [[(edges[0], top + row * pitch), (edges[-1], top + row * pitch)] for row in range(rows + 1)]
        down = [[(x, top), (x, ends)] for x in edges]
        rules = across + down if rng.random() < 0.7 else across
        canvas.strokes(rules, rng.uniform(0.4, 0.14 * height + 0.5), scene.look.ink)


def form(scene: Scene) -> None:
    """Printed labels, with numbers and words written beside them by one hand a line."""
    rng, canvas = scene.rng, scene.canvas
    font, height = printer(scene.sources, scene.split, rng), text_height(scene, most=20)
    pitch = height * rng.uniform(2.2, 4.5)
    y, left = pitch * rng.uniform(0.6, 1.5), rng.uniform(0, 0.15) * canvas.width
    filled = rng.choice([0.3, 0.7, 1.0])
    hand = writer(scene.sources, scene.split, rng)
    lettering = hand_lettering(scene.sources, scene.split, rng)
    used = 0
    while y < canvas.height + height and used < MOST_GLYPHS:
        canvas.new_line()
        label = " ".join(word(rng) for _ in range(rng.integers(1, 4)))
        if rng.random() < 0.2:
            label += f" {number(rng)}"
        used += len(label)
        x = left + print_text(canvas, font, label, (left, y), height, scene.look.ink, rng) + height
        if rng.random() < 0.6:
            canvas.strokes([[(x, y + 2), (canvas.width * 0.95, y + 2)]], rng.uniform(0.4, 1.5), scene.look.ink)
        if rng.random() < filled:
            large = min(height * rng.uniform(1.0, 2.4), 0.85 * pitch)
            gap = rng.uniform(-0.05, 0.4)
            if rng.random() < 0.3:
                written = "".join(character for character in word(rng) if character in lettering.characters())
                write(canvas, lettering, written, (x, y), large * 0.8, scene.look.second_ink, rng, gap=0.04)
            else:
                known = hand.characters()
                written = "".join(c for c in number(rng) if c in known or c == " ") or "-"[: "-" in known]
                write(canvas, hand, written, (x, y), large, scene.look.second_ink, rng, gap=gap)
        y += pitch
