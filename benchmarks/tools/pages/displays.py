"""Scenes of displays: seven-segment digits, screens, rolling meters and house numbers."""

import math

import numpy as np
from PIL import Image

from pages.canvas import Colour
from pages.lines import print_text, text_width
from pages.paper import between
from pages.scene import Scene
from pages.sources import meter_image
from pages.words import UNITS, digits, number, word
from pages.writers import FontWriter, printer, random_face

GLOWING: tuple[Colour, ...] = ((255, 40, 30), (60, 255, 90), (90, 170, 255), (255, 190, 60), (240, 245, 255))


def display(scene: Scene) -> None:
    """One of the kinds of displays; meters where there are crops of them."""
    rng = scene.rng
    meters = bool(scene.sources.meters[scene.split])
    kinds = (segments, screen, meter, house_number)
    kinds[int(rng.choice(4, p=[0.35, 0.1, 0.3, 0.25] if meters else [0.5, 0.15, 0, 0.35]))](scene)


def _panel(scene: Scene, box: tuple[float, float, float, float], colour: Colour) -> None:
    left, top, right, bottom = box
    scene.canvas.rectangle(left, top, right - left, bottom - top, colour)


def _height(scene: Scene, least: float, most: float) -> float:
    return math.exp(scene.rng.uniform(math.log(least), math.log(most))) * scene.canvas.warp.page / 320


def _caption(scene: Scene, font: FontWriter, at: tuple[float, float], height: float, colour: Colour) -> None:
    scene.canvas.new_line()
    text = " ".join(word(scene.rng) for _ in range(scene.rng.integers(1, 3)))
    print_text(scene.canvas, font, text, at, height, colour, scene.rng)


def segments(scene: Scene) -> None:
    """Seven-segment displays: glowing on dark, or dark on grey-green with the unlit segments showing."""
    rng, canvas = scene.rng, scene.canvas
    face = random_face(scene.sources, scene.split, "segment", rng)
    font = FontWriter(face.name, face, None)
    glowing = rng.random() < 0.5
    if glowing:
        ink, dark = GLOWING[rng.integers(len(GLOWING))], int(rng.integers(5, 50))
        panel = between((dark, dark, dark), ink, rng.uniform(0, 0.1))
    else:
        level = rng.uniform(110, 210)
        panel = between((0, 0, 0), (255, 255, 235), level / 255)
        panel = between(panel, (int(level * 0.75), int(level), int(level * 0.7)), rng.uniform(0, 1))
        ink = between(panel, (15, 20, 25), rng.uniform(0.55, 1))
    ghosts = rng.uniform(0.03, 0.12) if rng.random() < 0.5 else 0.0
    label = printer(scene.sources, scene.split, rng)
    height = _height(scene, 14, 170)
    y = height * rng.uniform(1.2, 1.6)
    if rng.random() < 0.6:
        _panel(scene, (-5, -5, canvas.width + 5, canvas.height + 5), panel)
    while y < canvas.height:
        count = max(1, min(int(rng.integers(1, 9)), int(canvas.width / (0.85 * height))))
        text = digits(rng, count, count)
        if count > 1 and rng.random() < 0.5:
            place = int(rng.integers(1, count))
            text = text[:place] + rng.choice([".", ":", "-", ""]) + text[place:]
        spacing = rng.uniform(0, 0.12)
        width = text_width(font, text, height, rng) + spacing * height * len(text)
        x = rng.uniform(0.05, 0.95) * max(0, canvas.width - width) + rng.normal(0, 3)
        box = (x - 0.4 * height, y - 1.3 * height, x + width + 0.3 * height, y + 0.3 * height)
        _panel(scene, box, panel)
        if rng.random() < 0.3:
            canvas.strokes([[box[:2], (box[2], box[1]), box[2:], (box[0], box[3]), box[:2]]], 2, (60, 60, 65))
        canvas.new_line()
        if ghosts:
            unlit = between(panel, ink, ghosts)
            pen = x
            for character in text:
                eight = font.glyph("8" if character.isdigit() else character, height, 0.0, rng)
                if character.isdigit():
                    canvas.stamp(eight, pen, y, unlit, "")
                pen += eight.advance + spacing * height
        print_text(canvas, font, text, (x, y), height, ink, rng, spacing)
        if rng.random() < 0.3:
            at = (x + width + 0.1 * height, y)
            print_text(canvas, label, UNITS[rng.integers(len(UNITS))], at, height * 0.3, ink, rng)
        y += height * rng.uniform(1.7, 2.6)
        if rng.random() < 0.4:
            small = max(6, height * rng.uniform(0.12, 0.3))
            _caption(scene, label, (max(2, x), y - 1.35 * height), small, between(panel, (255, 255, 255), 0.7))


def screen(scene: Scene) -> None:
    """Numbers and words in a printed font, light on a dark screen or dark on a bright one."""
    rng, canvas = scene.rng, scene.canvas
    font = printer(scene.sources, scene.split, rng)
    ground: Colour = (int(rng.integers(0, 60)), int(rng.integers(0, 60)), int(rng.integers(0, 80)))
    ink = GLOWING[rng.integers(len(GLOWING))]
    if rng.random() < 0.4:
        ground, ink = between(ink, (255, 255, 255), 0.8), ground
    _panel(scene, (-5, -5, canvas.width + 5, canvas.height + 5), ground)
    y = 0.0
    while y < canvas.height:
        height = _height(scene, 10, 80)
        y += 1.7 * height
        canvas.new_line()
        text = number(rng) if rng.random() < 0.7 else word(rng)
        print_text(canvas, font, text, (rng.uniform(0, 0.3) * canvas.width, y), height, ink, rng)


def meter(scene: Scene) -> None:
    """The register of a meter: crops of one device side by side in a housing, with printed words and units."""
    rng, canvas = scene.rng, scene.canvas
    devices = scene.sources.meters[scene.split]
    font = printer(scene.sources, scene.split, rng)
    level = int(rng.integers(10, 250))
    housing = between((level, level, level), GLOWING[rng.integers(len(GLOWING))], rng.uniform(0, 0.15))
    text = (20, 20, 20) if level > 120 else (235, 235, 230)
    if rng.random() < 0.7:
        _panel(scene, (-5, -5, canvas.width + 5, canvas.height + 5), housing)
    y = rng.uniform(0.05, 0.4) * canvas.height
    while y < canvas.height * 0.9:
        crops = devices[rng.integers(len(devices))]
        height = _height(scene, 24, 130)
        count = int(rng.integers(1, 9))
        gap = height * rng.choice([0.0, rng.uniform(0.02, 0.35)])
        x = rng.uniform(0.02, 0.25) * canvas.width
        border = height * rng.uniform(0.02, 0.2)
        window = (x - border, y - border, x + count * (height * 0.6 + gap) + border, y + height + border)
        _panel(scene, window, between(housing, (20, 20, 20), rng.uniform(0, 1)))
        canvas.new_line()
        for _ in range(count):
            crop = crops[rng.integers(len(crops))]
            pixels, box = meter_image(crop)
            scale = height / len(pixels)
            size = (max(1, round(pixels.shape[1] * scale)), round(height))
            canvas.image(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC), x, y)
            left, top, right, bottom = (box * scale + [round(x), round(y)] * 2).tolist()
            canvas.label(np.array([(left, top), (right, top), (right, bottom), (left, bottom)]), crop.label)
            x += size[0] + gap
            if x > canvas.width:
                break
        if rng.random() < 0.5:
            print_text(
                canvas, font, UNITS[rng.integers(len(UNITS))], (x + 5, y + 0.7 * height), height * 0.4, text, rng
            )
        y += height * rng.uniform(1.3, 2.5)
        if rng.random() < 0.5:
            _caption(scene, font, (rng.uniform(0, 0.4) * canvas.width, y - 0.1 * height), max(6, height * 0.2), text)


def house_number(scene: Scene) -> None:
    """A large printed number on a plate or a wall, with a shadow, a border, a letter after it or words below."""
    rng, canvas = scene.rng, scene.canvas
    font = printer(scene.sources, scene.split, rng)
    plate, ink = (between((0, 0, 0), tuple(rng.integers(0, 256, 3).tolist()), 1) for _ in range(2))
    if abs(sum(plate) - sum(ink)) < 200:
        ink = (250, 250, 245) if sum(plate) < 380 else (20, 20, 30)
    height = _height(scene, 35, 230)
    count = max(1, min(int(rng.integers(1, 5)), int(canvas.width / (0.7 * height))))
    text = digits(rng, count, count) + (rng.choice(list("aAbBcd")) if rng.random() < 0.15 else "")
    spacing = rng.uniform(-0.03, 0.2)
    width = text_width(font, text, height, rng) + spacing * height * len(text)
    x = (canvas.width - width) * rng.uniform(0.2, 0.8)
    y = height + (canvas.height - height) * rng.uniform(0.15, 0.85)
    border = height * rng.uniform(0.15, 0.6)
    box = (x - border, y - height - border, x + width + border, y + border)
    if rng.random() < 0.75:
        _panel(scene, box, plate)
        if rng.random() < 0.5:
            inner = height * 0.06
            a, b, c, d = box[0] + inner, box[1] + inner, box[2] - inner, box[3] - inner
            canvas.strokes([[(a, b), (c, b), (c, d), (a, d), (a, b)]], max(1, height * 0.025), ink)
    else:
        _panel(scene, (-5, -5, canvas.width + 5, canvas.height + 5), plate)
    if rng.random() < 0.3:  # the shadow of raised digits
        away, at = height * rng.uniform(0.02, 0.05), x
        for character in text:
            glyph = font.glyph(character, height, 0.0, rng)
            canvas.stamp(glyph, at + away, y + away, between(plate, (0, 0, 0), 0.5), "")
            at += glyph.advance + spacing * height
    canvas.new_line()
    print_text(canvas, font, text, (x, y), height, ink, rng, spacing)
    if rng.random() < 0.3 and y + 0.4 * border < canvas.height:
        _caption(scene, font, (x, y + border * 0.7), max(6, border * 0.4), ink)
