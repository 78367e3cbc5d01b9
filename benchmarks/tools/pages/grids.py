"""Scenes of grids: sudokus, score cards, squared paper, and the boxes and combs of forms."""

import math

import numpy as np

from pages.canvas import Canvas, Colour
from pages.lines import fitting, print_text
from pages.paper import between
from pages.printed import form, text_block, text_height
from pages.scene import Scene
from pages.words import word
from pages.writers import Writer, printer, writer


def grid(scene: Scene) -> None:
    """One of the kinds of grids."""
    kinds = (sudoku, score_card, squared, combs)
    kinds[int(scene.rng.choice(4, p=[0.4, 0.2, 0.15, 0.25]))](scene)


def in_cell(
    canvas: Canvas, hand: Writer, character: str, centre: tuple[float, float], height: float, colour: Colour,
    rng: np.random.Generator, loose: float = 0.06,
) -> None:  # fmt: skip
    """Write one character about the centre of a cell; `loose` is how far off, in heights."""
    glyph = hand.glyph(character, height, 0.0, rng)
    x, y = np.array(centre) + rng.normal(0, loose * height, 2)
    x, y = x - glyph.mask.width / 2 - glyph.left, y - glyph.mask.height / 2 - glyph.top
    canvas.stamp(glyph, float(x), float(y), colour, character)


def known_digits(hand: Writer) -> list[str]:
    """The digits that a writer has."""
    return sorted(hand.characters() & frozenset("0123456789"))


def rules_of(x: np.ndarray, y: np.ndarray) -> list[list[tuple[float, float]]]:
    """The lines of a grid with these columns and rows."""
    across = [[(float(x[0]), float(row)), (float(x[-1]), float(row))] for row in y]
    return across + [[(float(column), float(y[0])), (float(column), float(y[-1]))] for column in x]


def sudoku(scene: Scene) -> None:
    """A sudoku with text around it: printed numbers, handwritten ones, empty cells."""
    rng, canvas, look = scene.rng, scene.canvas, scene.look
    count, block = [(9, 3), (9, 3), (9, 3), (6, 3), (4, 2)][rng.integers(5)]
    page = canvas.warp.page
    side = page * (rng.uniform(0.4, 1.0) if rng.random() < 0.85 else rng.uniform(1.0, 1.5))
    left = (canvas.width - side) * rng.uniform(0.2, 0.8)
    top = (canvas.height - side) * rng.uniform(0.1, 0.9)
    cell = side / count
    lines = left + cell * np.arange(count + 1), top + cell * np.arange(count + 1)
    font = printer(scene.sources, scene.split, rng)
    small = min(text_height(scene, most=16), cell * 0.6)
    if top > 3 * small:
        text_block(scene, font, small, (left - 3, max(0, top - 6 * small), left + side, top - small), look.ink, 150)
    thin, thick = rng.uniform(0.5, 1.2), rng.uniform(1.2, max(1.4, min(3.5, cell * 0.12)))
    faint = look.ink if rng.random() < 0.6 else between(look.ground, look.ink, rng.uniform(0.25, 0.7))
    if rng.random() < 0.12:  # shaded blocks
        shade = between(look.ground, look.ink, 0.15)
        for row in range(count // block):
            for column in range(row % 2, count // block, 2):
                x, y = left + column * block * cell, top + row * block * cell
                canvas.rectangle(x, y, block * cell, block * cell, shade)
    if rng.random() < 0.95:
        canvas.strokes(rules_of(*lines), thin, faint)
    canvas.strokes(rules_of(lines[0][::block], lines[1][::block]), thick, look.ink)
    givens: Writer = font if rng.random() < 0.75 else writer(scene.sources, scene.split, rng)
    solver = writer(scene.sources, scene.split, rng)
    filled, solved = rng.uniform(0.25, 0.6), rng.choice([0.0, rng.uniform(0.2, 1)], p=[0.6, 0.4])
    height, written = cell * rng.uniform(0.42, 0.75), cell * rng.uniform(0.45, 0.85)
    pen = look.second_ink if rng.random() < 0.7 else look.ink
    for row in range(count):
        canvas.new_line()
        for column in range(count):
            centre = (left + (column + 0.5) * cell, top + (row + 0.5) * cell)
            if rng.random() < filled:
                digit = str(rng.choice([digit for digit in known_digits(givens) if "0" < digit <= str(count)]))
                in_cell(canvas, givens, digit, centre, height, look.ink, rng, 0.02 if givens is font else 0.07)
            elif rng.random() < solved:
                in_cell(canvas, solver, str(rng.choice(known_digits(solver))), centre, written, pen, rng, 0.09)
    if top + side < canvas.height - 2 * small:
        area = (left, top + side + 0.5 * small, left + side, float(canvas.height))
        text_block(scene, font, small, area, look.ink, 150)


def score_card(scene: Scene) -> None:
    """A ruled table with printed names and numbers written into its cells."""
    rng, canvas, look = scene.rng, scene.canvas, scene.look
    font, hand = printer(scene.sources, scene.split, rng), writer(scene.sources, scene.split, rng)
    pitch = math.exp(rng.uniform(math.log(12), math.log(60))) * canvas.warp.page / 320
    columns, rows = int(rng.integers(1, 8)), int(min(14, canvas.height / pitch))
    names = rng.uniform(2, 5) * pitch if rng.random() < 0.75 else 0.0
    left, top = rng.uniform(0, 0.1) * canvas.width, rng.uniform(0, 0.15) * canvas.height
    x = left + names + np.arange(columns + 1) * pitch * rng.uniform(1.0, 2.4)
    y = top + np.arange(rows + 1) * pitch
    rules = rules_of(np.append(left, x) if names else x, y)
    canvas.strokes(rules, rng.uniform(0.5, 2), between(look.ground, look.ink, rng.uniform(0.4, 1)))
    filled, most = rng.uniform(0.3, 1), int((x[1] - x[0]) / (0.55 * pitch))
    for row in range(rows):
        canvas.new_line()
        if names:
            small = pitch * rng.uniform(0.35, 0.5)
            text = fitting(font, word(rng), small, names - 0.3 * pitch, rng)
            print_text(canvas, font, text, (left + 0.2 * pitch, y[row] + 0.7 * pitch), small, look.ink, rng)
        for column in range(columns):
            if rng.random() > filled:
                continue
            height = pitch * rng.uniform(0.5, 0.95)
            count = int(rng.integers(1, max(2, min(3, most) + 1)))
            for place in range(count):
                across = (place - (count - 1) / 2) * 0.62 * height + (x[1] - x[0]) / 2
                centre = (x[column] + across, y[row] + 0.52 * pitch)
                in_cell(canvas, hand, str(rng.choice(known_digits(hand))), centre, height, look.second_ink, rng)


def squared(scene: Scene) -> None:
    """Sums on squared paper, one digit a square or two."""
    rng, canvas, look = scene.rng, scene.canvas, scene.look
    pitch = math.exp(rng.uniform(math.log(11), math.log(45))) * canvas.warp.page / 320
    blue: Colour = (110, 130, 210) if not look.dark else between(look.ground, look.ink, 0.5)
    x, y = (np.arange(-rng.uniform(0, pitch), side + pitch, pitch) for side in (canvas.width, canvas.height))
    canvas.strokes(rules_of(x, y), rng.uniform(0.4, 1.3), between(look.ground, blue, rng.uniform(0.3, 0.9)))
    hand = writer(scene.sources, scene.split, rng)
    tall = 2 if pitch < 20 and rng.random() < 0.4 else 1
    height = pitch * tall * rng.uniform(0.65, 1.05)
    for row in range(tall, len(y) - 1, tall + int(rng.integers(0, 3))):
        canvas.new_line()
        first = int(rng.integers(0, max(1, len(x) - 2)))
        for column in range(first, min(len(x) - 1, first + int(rng.integers(1, 10)))):
            if rng.random() < 0.9:
                centre = (x[column] + pitch / 2, y[row] + pitch * (1 - tall / 2))
                in_cell(canvas, hand, str(rng.choice(known_digits(hand))), centre, height, look.ink, rng)


def combs(scene: Scene) -> None:
    """Boxes or combs for one digit each, digits that touch their borders, printed names before or above them."""
    rng, canvas, look = scene.rng, scene.canvas, scene.look
    if rng.random() < 0.2:
        form(scene)
        return
    height = math.exp(rng.uniform(math.log(12), math.log(80))) * canvas.warp.page / 320
    font = printer(scene.sources, scene.split, rng)
    printed_digits = rng.random() < 0.15
    rules = between(look.ground, look.second_ink, rng.uniform(0.35, 1))
    y = height * rng.uniform(0.8, 2)
    while y < canvas.height + height / 2:
        canvas.new_line()
        hand: Writer = font if printed_digits else writer(scene.sources, scene.split, rng)
        small = max(5.5, height * rng.uniform(0.3, 0.6))
        x = rng.uniform(0.01, 0.15) * canvas.width
        if rng.random() < 0.6:
            label = f"{word(rng)} {word(rng)}" if height < 30 else word(rng)
            above = rng.random() < 0.5
            at = (x, y - height * 1.15) if above else (x, y)
            length = print_text(canvas, font, label, at, small, look.ink, rng)
            if above:
                canvas.new_line()
            else:
                x += length + small
        width = height * rng.uniform(0.75, 1.5)
        wanted = max(1, min(int(rng.integers(1, 16)), int((canvas.width * 1.05 - x) / width)))
        frame(scene, rules, (x, y), width, height * rng.uniform(1.05, 1.5), wanted)
        used = wanted if rng.random() < 0.5 else int(rng.integers(0, wanted + 1))
        large = height * rng.uniform(0.7, 1.2)
        for place in range(used):
            centre = (x + (place + 0.5) * width, y - height / 2)
            loose = 0.03 if hand is font else rng.choice([0.05, 0.13])
            in_cell(canvas, hand, str(rng.choice(known_digits(hand))), centre, large, look.ink, rng, loose)
        y += height * rng.uniform(1.7, 3.2)


def frame(scene: Scene, colour: Colour, at: tuple[float, float], width: float, height: float, count: int) -> None:
    """Boxes side by side, boxes apart, or a comb that is open at its top."""
    rng = scene.rng
    x = at[0] + np.arange(count + 1) * width
    bottom = at[1] + height * 0.08
    top = bottom - height
    kind, thick = rng.random(), rng.uniform(0.5, 2.2)
    if kind < 0.5:
        lines = rules_of(x, np.array([top, bottom]))
    elif kind < 0.7:
        lines = [[(float(c), bottom - height * 0.35), (float(c), bottom)] for c in x] + [
            [(x[0], bottom), (x[-1], bottom)]
        ]
    elif kind < 0.9:
        gap = rng.uniform(0.04, 0.12) * width
        lines = [
            part for c in x[:-1] for part in rules_of(np.array([c + gap, c + width - gap]), np.array([top, bottom]))
        ]
    else:
        lines = [[(c + 0.1 * width, bottom), (c + 0.9 * width, bottom)] for c in x[:-1]]
    scene.canvas.strokes(lines, thick, colour)
