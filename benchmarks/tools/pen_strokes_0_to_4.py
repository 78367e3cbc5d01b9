"""The strokes of the digits 0 to 4, each in the variants that real hands show."""

import math

import numpy as np
from pen_strokes_curves import Strokes, Style, ellipse, rounded_off


def zero(style: Style) -> Strokes:
    """0: closed, open or overlapping; sometimes with a loop at the top, a slash or a bar."""
    start, way = style.between(-0.14, 0.14), -1 if style.has(0.8) else 1
    width = style.between(0.2, 0.4)
    over = style.between(-0.06, 0.1)
    knots = ellipse(start, way * (1 + over), width, 0.5)
    ending = style.one_of(plain=0.7, loop=0.12, tail=0.18)
    if ending == "loop":  # the end runs on in a small loop at the top
        reach = style.between(0.08, 0.2)
        knots += [(-way * reach * 0.3, 0.12), (-way * -reach, -0.02), (-way * -2 * reach, -0.06)]
    elif ending == "tail":
        knots += [(knots[-1][0] - way * -style.between(0.02, 0.14), style.between(-0.06, 0.25))]
    strokes = [style.curve(*knots)]
    if style.has(0.14):
        far, middle = style.between(0.8, 1.35), style.between(-0.08, 0.08)
        strokes.append(style.curve((width * far, 0.5 - 0.42 * far + middle), (-width * far, 0.5 + 0.42 * far + middle)))
    return strokes


def one(style: Style) -> Strokes:
    """1: a stick, or with an upstroke from a fifth of to its whole height; with or without a foot or a tail."""
    kind = style.one_of(stick=0.25, short=0.2, half=0.25, long=0.2, whole=0.1)
    ending = style.one_of(plain=0.66, foot=0.24, tail=0.1)
    bottom: list[tuple[float, float]] = [(style.between(-0.03, 0.03), 1.0)]
    if ending == "tail":
        bottom = [(0.0, 0.9), (style.between(0.05, 0.18), 1.0)]
    strokes = []
    if kind == "stick":
        bow = style.between(-0.03, 0.03)
        strokes.append(style.curve((0, 0), (bow, 0.5), *bottom))
    else:
        drop = {
            "short": style.between(0.14, 0.28),
            "half": style.between(0.25, 0.5),
            "long": style.between(0.45, 0.8),
            "whole": style.between(0.8, 1.02),
        }[kind]
        # 37 to 72 degrees above the horizontal: flatter ones are 7s in every hand that was looked at.
        far = drop / math.tan(math.radians(style.between(40, 72) if drop > 0.3 else style.between(34, 68)))
        far = min(far, 0.62)
        shape = style.one_of(straight=0.5, hollow=0.3, swung=0.12, looped=0.08)
        start, top = (-far, drop), (0.0, 0.0)
        if shape == "straight":
            strokes.append(style.corners(start, top, *bottom))
        else:
            sag = {"hollow": 0.1, "swung": -0.07, "looped": 0.1}[shape] * style.between(0.5, 1.5)
            up = [start, (-far * 0.5, drop * 0.5 + sag * drop), (-far * 0.12, drop * 0.12 + sag * drop * 0.5)]
            if shape == "looped":
                up = [(-far * 0.7, drop * 0.75), (-far, drop), (-far * 0.9, drop * 0.7), *up[1:]]
            strokes.append(np.concatenate([style.curve(*up, top), style.curve(top, (0.0, 0.5), *bottom)]))
    if ending == "foot":
        left, right, tilt = style.between(0.1, 0.32), style.between(0.08, 0.32), style.between(-0.03, 0.03)
        strokes.append(style.corners((-left, 1 + tilt), (right, 1 - tilt)))
    return strokes


def two(style: Style) -> Strokes:
    """2: an arch and a base, that meet in a corner, a curve or a loop."""
    wide = style.between(0.22, 0.36)
    start_y, hook = style.between(0.14, 0.36), style.between(0, 0.1)
    top: list[tuple[float, float]] = [(-wide + hook, start_y + hook * style.between(0, 1)), (-wide * 0.75, 0.1)]
    if style.has(0.12):  # starts with a curl
        top = [(-wide * 0.4, 0.26), (-wide * 0.75, 0.34), (-wide, 0.2), (-wide * 0.6, 0.05)]
    turn_y = style.between(0.22, 0.36)
    arch = [*top, (0.0, 0.0), (wide * 0.8, 0.1), (wide * 0.9, turn_y), (wide * 0.45, 0.58)]
    base = style.one_of(corner=0.45, loop=0.3, round=0.15, zed=0.1)
    right, lift = style.between(0.22, 0.46), style.between(-0.08, 0.06)
    left = style.between(0.2, 0.36)
    if base == "zed":
        return [style.corners((-wide, style.between(0, 0.12)), (wide, 0.02), (-left, 1.0), (right, 1.0 + lift))]
    if base == "corner":
        down = style.curve(*arch, (-left * 0.5, 0.85), (-left, 1.0))
        wave = style.between(-0.05, 0.05)
        return [np.concatenate([down, style.curve((-left, 1.0), (0.0, 0.98 + wave), (right, 1.0 + lift))])]
    if base == "loop":
        size = style.between(0.05, 0.14)
        return [
            style.curve(
                *arch, (0.0, 0.85), (-left * 0.7, 0.98), (-left - size * 0.3, 0.98 - size),
                (-left * 0.6, 0.98 - 1.5 * size), (0.05, 0.92), (right * 0.7, 1.0), (right, 0.96 + lift),
            )
        ]  # fmt: skip
    return [style.curve(*arch, (0.0, 0.8), (-left * 0.9, 0.97), (0.0, 0.99), (right, 0.97 + lift))]


def three(style: Style) -> Strokes:
    """3: two bowls, with a round or flat top, a notch or a loop between them."""
    wide, low = style.between(0.22, 0.36), style.between(0.26, 0.4)
    middle = style.between(0.38, 0.52)
    inner = style.between(-0.14, 0.1)
    end = style.one_of(open=0.5, hook=0.35, long=0.15)
    tail = {
        "open": [(-wide, style.between(0.84, 0.94))],
        "hook": [(-wide * 0.9, 0.93), (-wide, style.between(0.76, 0.86))],
        "long": [(-wide, 1.0), (-wide * 1.4, style.between(0.84, 0.96))],
    }[end]
    lower = [(low * 0.75, middle + 0.08), (low, 0.5 * (middle + 1)), (low * 0.65, 0.95), (0.0, 1.0), *tail]
    if style.has(0.2):  # flat top, then a diagonal
        top = style.corners((-wide, style.between(0, 0.08)), (wide, 0.0), (inner, middle))
        return [np.concatenate([top, style.curve((inner, middle), *lower)])]
    start = [(-wide, style.between(0.08, 0.26)), (-wide * 0.6, 0.05)]
    upper = [*start, (0.0, 0.0), (wide * 0.85, 0.1), (wide * 0.85, middle * 0.62), (wide * 0.4, middle * 0.95)]
    if style.has(0.2):
        size = style.between(0.03, 0.09)
        knot = [(inner, middle + size * 0.2), (inner - size, middle + size), (inner - size * 0.2, middle + size * 1.2)]
        return [style.curve(*upper, *knot, (inner + 0.1, middle + 0.03), *lower)]
    upper_half, lower_half = style.curve(*upper, (inner, middle)), style.curve((inner, middle), *lower)
    return [rounded_off(np.concatenate([upper_half, lower_half]), round(4 * style.roundness))]


def four(style: Style) -> Strokes:
    """4: open, closed, as a lightning, or with a rounded foot; the stem starts above, at or below the crossbar."""
    kind = style.one_of(open=0.36, closed=0.22, lightning=0.24, rounded=0.18)
    bar, left = style.between(0.5, 0.74), style.between(0.24, 0.42)
    right, stem = style.between(0.06, 0.36), style.between(-0.02, 0.16)
    tilt = style.between(-0.08, 0.06)
    bottom = style.between(0.95, 1.05)
    lean = style.between(-0.1, 0.06)
    if kind == "closed":
        top = (stem, 0.0)
        if style.has(0.5):  # one stroke: up from the crossbar's end is not lifted
            return [
                style.corners(top, (-left, bar), (right + 0.1, bar + tilt)),
                style.corners(top, (stem + lean, bottom)),
            ]
        return [style.corners((stem + lean, bottom), top, (-left, bar), (stem + right, bar + tilt))]
    if kind == "lightning":  # the stem is a short second stroke, low on the right
        begin = bar + style.between(-0.26, 0.04)
        first = style.corners((style.between(-0.22, 0.12), 0.0), (-left, bar), (stem + right, bar + tilt))
        at = stem + style.between(-0.04, 0.1)
        return [first, style.corners((at, begin), (at + lean, bottom))]
    begin = style.between(0.0, 0.34)
    top_x = style.between(-left, -left * 0.4)
    if kind == "open":
        first = style.corners((top_x, style.between(0, 0.12)), (-left, bar), (stem + right, bar + tilt))
    else:  # its foot is rounded, as a u
        deep = style.between(0.02, 0.1)
        first = style.curve(
            (top_x, style.between(0, 0.12)), (-left, bar * 0.55), (-left * 0.9, bar), (-left * 0.3, bar + deep),
            (stem * 0.6, bar + tilt), (stem + right, bar + tilt - style.between(0, 0.12)),
        )  # fmt: skip
    if style.has(0.18):  # one stroke, as a y: the stem runs on from the crossbar
        cup = [(top_x, 0.05), (-left, bar * 0.6), (-left * 0.6, bar), (0.0, bar), (stem, bar * 0.6), (stem, begin)]
        return [np.concatenate([style.curve(*cup), style.corners((stem, begin), (stem + lean, bottom))])]
    return [first, style.corners((stem, begin), (stem + lean, bottom))]
