"""The strokes of the digits 5 to 9, each in the variants that real hands show."""

import numpy as np
from pen_strokes_curves import Strokes, Style, ellipse, rounded_off


def five(style: Style) -> Strokes:
    """5: in one stroke, or with its flag as a second one, attached or not."""
    wide, neck = style.between(0.2, 0.34), style.between(0.36, 0.5)
    x, flag = -wide * style.between(0.5, 0.95), style.between(0.22, 0.5)
    end = style.one_of(open=0.55, hook=0.35, short=0.1)
    tail = {
        "open": [(-wide, style.between(0.86, 0.96))],
        "hook": [(-wide * 0.9, 0.93), (-wide * 1.05, style.between(0.72, 0.84))],
        "short": [],
    }[end]
    bulge = style.between(0.0, 0.1)
    bowl = [
        (x * 0.2, neck - bulge),
        (wide * 0.8, neck + 0.06),
        (wide, 0.5 * (neck + 1) + 0.02),
        (wide * 0.55, 0.95),
        (-wide * 0.2, 1.0),
        *tail,
    ]
    stem = style.corners((x, style.between(0.0, 0.06)), (x - style.between(-0.06, 0.08), neck + style.between(0, 0.08)))
    body = np.concatenate([stem, style.curve(tuple(stem[-1]), *bowl)])
    kind = style.one_of(attached=0.45, detached=0.3, single=0.25)
    lift = style.between(-0.08, 0.07)
    if kind == "single":
        top = style.curve((x + flag, lift), (x + flag * 0.5, lift / 2 + style.between(-0.04, 0.04)), tuple(stem[0]))
        return [rounded_off(np.concatenate([top, body]), round(3 * style.roundness))]
    gap = style.between(0.02, 0.16) if kind == "detached" else 0.0
    away = style.between(-0.03, 0.08) if kind == "detached" else 0.0
    begin = (float(stem[0, 0]) + gap, float(stem[0, 1]) - away)
    return [body, style.curve(begin, (x + flag * 0.6 + gap, lift - away), (x + flag + gap, lift - away))]


def six(style: Style) -> Strokes:
    """6: a curved or straight stem and a bowl, closed, open, overlapping or curled in."""
    wide, top = style.between(0.2, 0.34), style.between(0.42, 0.62)
    lean = style.between(-0.05, 0.35)
    stem: list[tuple[float, float]] = [(lean, 0.0)]
    if style.has(0.3):  # begins with a small curve over the top
        stem = [(lean + style.between(0.05, 0.14), style.between(0.02, 0.14)), (lean, 0.0)]
    stem += [
        (-wide * style.between(0.3, 0.8), 0.3),
        (-wide, 0.68),
        (-wide * 0.65, 0.94),
        (0.0, 1.0),
        (wide * 0.85, 0.9),
    ]
    bowl = [(wide, top + 0.2), (wide * 0.55, top + 0.03), (-wide * 0.1, top + 0.02)]
    end = style.one_of(closed=0.55, open=0.2, over=0.15, curl=0.1)
    if end == "closed":
        bowl += [(-wide * 0.75, top + 0.14)]
    elif end == "over":
        bowl += [(-wide * 0.9, top + 0.12), (-wide * 1.25, top + 0.2)]
    elif end == "curl":
        bowl += [(-wide * 0.45, top + 0.18), (-wide * 0.1, top + 0.3), (wide * 0.3, top + 0.24)]
    return [style.curve(*stem, *bowl)]


def seven(style: Style) -> Strokes:
    """7: a straight or waved top, with or without hooks at its start and foot, barred or not."""
    barred = style.has(0.5)
    wide = style.between(0.22, 0.4)
    # The top of an unbarred 7 is nearly level; a bar allows a steeper one.
    rise = style.between(-0.1, 0.2) if barred else style.between(-0.1, 0.1)
    foot = style.between(-0.3, 0.08)
    bend = style.between(-0.04, 0.12)
    start, corner = (-wide, max(rise, 0)), (wide, max(-rise, 0))
    top = style.one_of(straight=0.5, waved=0.3, sagging=0.2)
    begin: list[tuple[float, float]] = [start]
    if style.has(0.35):  # a tick at its start
        begin = [(start[0] - style.between(-0.04, 0.06), start[1] + style.between(0.06, 0.3)), start]
    middle = {
        "straight": [],
        "waved": [
            (-wide * 0.4, start[1] - style.between(0.02, 0.08)),
            (wide * 0.3, corner[1] + style.between(0.02, 0.09)),
        ],
        "sagging": [(0.0, 0.5 * (start[1] + corner[1]) + style.between(0.02, 0.08))],
    }[top]
    if middle:
        over = style.curve(start, *middle, corner)
        if len(begin) > 1:
            over = np.concatenate([style.corners(*begin), over])
    else:
        over = style.corners(*begin, corner)
    end: list[tuple[float, float]] = [(foot, 1.0)]
    ending = style.one_of(plain=0.62, left=0.08, right=0.18, long=0.12)
    if ending == "long":  # the pen runs on to the right along the line, nearly as a z
        end = [
            (foot, 0.97),
            (foot + style.between(0.1, 0.2), style.between(0.92, 1.0)),
            (foot + style.between(0.2, 0.42), 1.0),
        ]
    elif ending != "plain":
        way = -1 if ending == "left" else 1
        end = [(foot, 0.92), (foot + way * style.between(0.05, 0.2), style.between(0.94, 1.02))]
    stem = style.curve(corner, (0.5 * (wide + foot) - bend, 0.5), *end)
    strokes = [rounded_off(np.concatenate([over, stem]), round(3 * style.roundness))]
    if barred:
        at, half = style.between(0.4, 0.66), style.between(0.12, 0.32)
        x = wide + (foot - wide) * at - bend * 0.8 + style.between(-0.06, 0.06)
        tilt = style.between(-0.09, 0.07)
        wave = style.between(-0.05, 0.05) if style.has(0.3) else 0.0
        strokes.append(
            style.curve(
                (x - half, at - tilt), (x - half * 0.3, at + wave), (x + half * 0.3, at - wave), (x + half, at + tilt)
            )
        )
    elif style.has(0.08):  # a foot
        half = style.between(0.08, 0.2)
        strokes.append(style.corners((foot - half, 1.0), (foot + half, 1.0)))
    return strokes


def eight(style: Style) -> Strokes:
    """8: one crossing stroke or two rings; closed, or open at the top."""
    upper, lower = style.between(0.16, 0.3), style.between(0.22, 0.36)
    middle = style.between(0.4, 0.54)
    if style.has(0.25):  # two rings
        start = style.between(-0.2, 0.2)
        first = style.curve(*ellipse(start, 1.02, upper, middle / 2 + 0.01, y=middle / 2))
        second = style.curve(
            *ellipse(style.between(-0.2, 0.2), 1.02, lower, (1 - middle) / 2 + 0.01, y=(1 + middle) / 2)
        )
        return [first, second]
    start = style.between(0.4, 0.95)
    mirror = 1 if style.has(0.75) else -1
    knots = [
        (upper * start, 0.1), (0.0, 0.0), (-upper, middle * 0.4), (-upper * 0.5, middle * 0.8), (0.0, middle),
        (lower * 0.8, middle + 0.14), (lower, 0.5 * (middle + 1) + 0.06), (0.0, 1.0),
        (-lower, 0.5 * (middle + 1) + 0.06), (-lower * 0.75, middle + 0.12), (0.0, middle),
        (upper * 0.75, middle * 0.7),
    ]  # fmt: skip
    close = style.one_of(closed=0.6, open=0.25, over=0.15)
    if close == "closed":
        knots += [(upper * 0.95, middle * 0.35), (upper * start, 0.09)]
    elif close == "open":
        knots += [(upper * style.between(0.9, 1.3), style.between(0.06, 0.2))]
    else:
        knots += [(upper, middle * 0.35), (upper * 0.6, 0.06), (upper * 0.3, style.between(-0.1, 0.04))]
    return [style.curve(*((mirror * x, y) for x, y in knots))]


def nine(style: Style) -> Strokes:
    """9: a bowl and a leg that is straight, curved, hooked or curled."""
    wide, low = style.between(0.18, 0.32), style.between(0.4, 0.6)
    right = wide * style.between(0.85, 1.0)
    start = style.between(0.06, 0.2)
    bowl = [
        (right, start),
        (wide * 0.3, 0.0),
        (-wide * 0.75, 0.1),
        (-wide, low * 0.55),
        (-wide * 0.5, low),
        (wide * 0.3, low * 0.92),
        (right, low * 0.5),
    ]
    if style.has(0.15):  # the bowl stays open at the top
        bowl[0] = (right * 0.6, style.between(0.0, 0.06))
    leg = style.one_of(straight=0.42, curved=0.22, hook=0.2, curl=0.16)
    x = right + style.between(-0.16, 0.03)
    if leg == "straight":
        up = style.curve(*bowl, (right, style.between(0.02, 0.2)))
        return [np.concatenate([up, style.corners(tuple(up[-1]), (x, 1.0))])]
    if leg == "curved":
        return [style.curve(*bowl, (right, 0.22), (right * 0.9, 0.6), (x - style.between(0, 0.25), 1.0))]
    depth = style.between(0.1, 0.22)
    run = [(right, 0.22), (right, 0.62), (right * 0.85, 0.88), (0.0, 1.0)]
    if leg == "hook":
        return [style.curve(*bowl, *run, (-wide * style.between(0.7, 1.2), 1.0 - depth * 0.5))]
    return [style.curve(*bowl, *run, (-wide * 0.8, 0.95), (-wide * style.between(0.9, 1.2), 1 - depth - 0.06))]
