"""Inks of single digits: bent, damaged, framed by what is beside them, and put on a page."""

import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from scipy import ndimage

Ink = UInt8[np.ndarray, "height width"]
"""A digit: 255 is ink, 0 is ground."""


def bent(ink: Ink, rng: np.random.Generator, strength: float = 1.0) -> Ink:
    """The ink with another slant, aspect, weight and an elastic bend; 0 changes nothing."""
    side = max(ink.shape)
    room = side // 3
    padded = np.pad(ink, room).astype(np.float32)
    weight = strength * rng.normal(0, 0.5)  # of a stroke's usual 10 % of a digit's height
    sigma = side * 0.02 + 0.3
    blurred = ndimage.gaussian_filter(padded, sigma)
    level = float(np.clip(127 - 70 * weight, 50, 190))
    padded = np.clip((blurred - level) * 4 + 127, 0, 255) if rng.random() < 0.7 else padded
    if padded.max() < 200:  # too thin to be thinned
        padded = np.pad(ink, room).astype(np.float32)
    rows, columns = np.mgrid[: padded.shape[0], : padded.shape[1]].astype(np.float32)
    down, right = rows - padded.shape[0] / 2, columns - padded.shape[1] / 2
    slant, turn = strength * rng.normal(0, 0.15), strength * rng.normal(0, 0.05)
    wide, tall = np.exp(strength * rng.normal(0, 0.15, 2))
    x = wide * right + (slant - turn) * down
    y = tall * down + turn * right
    amount = strength * rng.uniform(0, 0.035) * side
    for axis in (x, y):
        coarse = rng.normal(0, 1, (5, 5)).astype(np.float32)
        field = np.asarray(Image.fromarray(coarse).resize(padded.shape[::-1], Image.Resampling.BICUBIC))
        axis += amount * field
    moved = ndimage.map_coordinates(padded, [y + padded.shape[0] / 2, x + padded.shape[1] / 2], order=1)
    return np.asarray(moved).astype(np.uint8)


def damaged(ink: Ink, rng: np.random.Generator) -> Ink:
    """One in six: strokes with gaps, drawn twice, or dry."""
    kind, side = rng.random(), max(ink.shape)
    if kind < 0.06:  # a pen that skips
        rows, columns = np.mgrid[: ink.shape[0], : ink.shape[1]]
        angle, phase = rng.uniform(0, np.pi), rng.uniform(0.2, 0.8)
        along = (np.cos(angle) * rows / ink.shape[0] + np.sin(angle) * columns / ink.shape[1]) - phase
        return np.where(np.abs(along) < rng.uniform(0.008, 0.025), 0, ink).astype(np.uint8)
    if kind < 0.1:  # retraced
        down, right = (round(rng.normal(0, 0.025) * side) for _ in range(2))
        return np.maximum(ink, np.roll(ink, (down, right), (0, 1)))
    if kind < 0.16:  # dry: a rough edge and light spots
        grain = ndimage.gaussian_filter(rng.normal(0, 1, ink.shape), max(0.6, side / 60))
        return (ink * np.clip(1 - rng.uniform(0.3, 0.9) * np.clip(grain / grain.std(), 0, 1.5), 0, 1)).astype(np.uint8)
    return ink


def page(ink: Ink, rng: np.random.Generator, close: bool = False) -> bytes:
    """A file with the digit on a ground: either polarity, uneven light, noise, blur and compression."""
    height, width = ink.shape
    margins = rng.uniform(0.02, 0.8, 4) * max(height, width) * (not close)
    top, bottom, left, right = (int(margin) for margin in margins)
    cover = np.pad(ink, ((top, bottom), (left, right))).astype(np.float32) / 255
    ground, contrast = rng.uniform(0.75, 1.0), rng.uniform(0.25, 0.95)
    rows, columns = np.mgrid[: cover.shape[0], : cover.shape[1]]
    tilt = rng.normal(0, 0.08, 2)
    light = ground + tilt[0] * (rows / cover.shape[0] - 0.5) + tilt[1] * (columns / cover.shape[1] - 0.5)
    levels = light - contrast * ground * cover
    if rng.random() < 0.3:
        levels = 1 - levels
    if rng.random() < 0.6:
        levels = ndimage.gaussian_filter(levels, rng.uniform(0.2, 0.02 * height + 0.4))
    levels = levels + rng.normal(0, rng.uniform(0, 0.035), levels.shape)
    image = Image.fromarray((np.clip(levels, 0, 1) * 255).astype(np.uint8))
    file = io.BytesIO()
    if rng.random() < 0.6:
        image.save(file, "JPEG", quality=int(rng.integers(35, 95)))
    else:
        image.save(file, "PNG")
    return file.getvalue()


def framed(ink: Ink, rng: np.random.Generator) -> Ink:
    """The ink in a window as meters have: bars above, below or beside it, or the edge of the next digit of a wheel.

    One in four is cropped to its ink, or a little into it.
    """
    height, width = ink.shape
    if rng.random() < 0.25:
        rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
        above, below = (int(rng.uniform(0, 0.03) * height) for _ in range(2))
        tight = ink[rows[0] + above : rows[-1] + 1 - below, columns[0] : columns[-1] + 1]
        return np.pad(tight, rng.integers(0, 3, (2, 2)))
    top, bottom = (int(rng.uniform(0.1, 0.35) * height) for _ in range(2))
    left, right = (int(rng.uniform(0.08, 0.6) * width + 2) for _ in range(2))
    framed = np.pad(ink, ((top, bottom), (left, right)))
    thick = max(1, int(rng.uniform(0.02, 0.1) * height))
    for side in range(4):
        if rng.random() < 0.25:
            view = np.rot90(framed, side)  # a view: the bar is drawn into `framed`
            view[:thick] = np.maximum(view[:thick], int(rng.uniform(60, 255)))
    if rng.random() < 0.2:  # the next digit of the wheel
        piece = ink[: int(0.2 * height)] if rng.random() < 0.5 else ink[-int(0.2 * height) :]
        rows = min(len(piece), top, bottom)
        at = slice(0, rows) if rng.random() < 0.5 else slice(len(framed) - rows, None)
        framed[at, left : left + width] = np.maximum(framed[at, left : left + width], piece[:rows])
    return framed
