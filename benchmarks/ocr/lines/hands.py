"""Digits of real hands that no shipped model was trained on, and a choice of digits that look like one hand.

| source | images | held out because |
| --- | --- | --- |
| american | second half of MNIST's validation set | `read` was tuned on the first half |
| italian | Semeion's first ten writers | never trained on |
| turkish | 300 digits of optdigits | neither trained on nor used to choose |

None of these names the writer of an image. So the digits of a line are of one source and alike in slant and pen width.
MNIST's test images stay sealed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ocr.lines.pen import EDGE, SPECK, THINNEST
from scipy import ndimage

ITALIAN_ROWS = range(199)  # the first ten writers, see tools/hands/README.md
TURKISH_ROWS = range(200, 500)
FAINT = 64  # level of 255 from which on there is ink at all
MIN_STRONG = 0.85  # of the height of a digit: what is left of it without faint parts
CANDIDATES = 14  # images of a digit among which the one most like the line's first is taken


@dataclass(frozen=True, eq=False)
class Source:
    """Images of one collection: uint8 [n, height, width], light digits on black, and their style."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    style: NDArray[np.float64]
    """[n, 2]: slant and pen width, each with a standard deviation of 1."""
    smoothing: float
    """Of the enlarged digit, in its own pixels: bitmaps have stairs."""
    max_height_px: int
    """Beyond it a digit shows the pixels it was stored with."""
    thinnest: float = THINNEST
    """The thinnest pen, times that of the image; thinner, an 8 whose loops are closed is no 8."""
    square: bool = False
    """Whether digits were stretched to a square."""


Hands = Mapping[str, Source]
SHARES = {"american": 0.6, "turkish": 0.25, "italian": 0.15}


def held_out_hands(folder: Path) -> Hands:
    """All sources; `folder` is `tools/hands`."""
    from imparfait import load_data, split

    _, validation = split(load_data().train)
    half = validation.select(np.arange(len(validation) // 2, len(validation)))
    return {"american": source(half.pixels[:, 0], half.labels, smoothing=0.5), **european_hands(folder)}


def european_hands(folder: Path) -> Hands:
    """The sources whose images are in `tools/hands`."""
    images, labels = {}, {}
    for name, file_name, rows in (("turkish", "turkey.npz", TURKISH_ROWS), ("italian", "italy.npz", ITALIAN_ROWS)):
        with np.load(folder / file_name) as file:
            images[name] = (file["images"][rows.start : rows.stop] > 0).astype(np.uint8) * 255
            labels[name] = file["labels"][rows.start : rows.stop]
    return {
        "turkish": source(images["turkish"], labels["turkish"], smoothing=0.8, thinnest=0.6),
        "italian": source(
            images["italian"], labels["italian"], smoothing=0.6, max_height_px=48, thinnest=0.7, square=True
        ),
    }


def source(
    images: NDArray[np.uint8],
    labels: NDArray[np.generic],
    smoothing: float,
    max_height_px: int = 160,
    thinnest: float = THINNEST,
    square: bool = False,
) -> Source:
    """A source of the images whose strokes are whole, with the style of each measured."""  # fmt: skip
    labels = np.asarray(labels, np.int64)
    kept = np.array([is_whole(image, 2 if label == 5 else 1) for image, label in zip(images, labels, strict=True)])
    images, labels = images[kept], labels[kept]
    return Source(images, labels, styles_of(images), smoothing, max_height_px, thinnest, square)


def is_whole(image: NDArray[np.uint8], pieces: int) -> bool:
    """Whether a digit has at most so many pieces, specks aside, and is no lower without its faint parts.

    Others were torn when they were stored: enlarged, a person could not read them.
    """
    labelled, count = ndimage.label(image >= EDGE * 255, np.ones((3, 3)))
    areas = np.bincount(labelled.ravel(), minlength=count + 1)
    areas[0] = 0
    large = areas >= SPECK * areas.sum()
    heights = []
    for mask in (large[labelled] & (labelled > 0), image > FAINT):
        rows = np.flatnonzero(mask.any(1))
        heights.append(rows[-1] - rows[0] + 1 if len(rows) else 0)
    strong, faint = heights
    return bool(count and np.count_nonzero(large) <= pieces and strong >= MIN_STRONG * faint)


def styles_of(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Slant and pen width of each image, standardised."""
    ink = images / 255.0
    rows, columns = np.mgrid[: images.shape[1], : images.shape[2]]
    mass = ink.sum((1, 2)) + 1e-9
    x, y = (ink * columns).sum((1, 2)) / mass, (ink * rows).sum((1, 2)) / mass
    dx, dy = columns - x[:, None, None], rows - y[:, None, None]
    slant = -(ink * dx * dy).sum((1, 2)) / ((ink * dy * dy).sum((1, 2)) + 1e-9)
    edge = np.abs(np.diff(ink, axis=1)).sum((1, 2)) + np.abs(np.diff(ink, axis=2)).sum((1, 2))
    style = np.stack([slant, np.log(2 * mass / (edge + 1e-9))], 1)
    return (style - style.mean(0)) / (style.std(0) + 1e-9)


def one_hand(hand: Source, digits: str, rng: np.random.Generator) -> list[NDArray[np.uint8]]:
    """An image of each digit, alike in slant and pen width; none twice while there are others."""
    like = hand.style[rng.integers(len(hand.labels))]
    used: set[int] = set()
    chosen = []
    for digit in digits:
        rows = np.flatnonzero(hand.labels == int(digit))
        rows = np.array([row for row in rows if row not in used] or rows)
        some = rng.choice(rows, min(CANDIDATES, len(rows)), replace=False)
        best = int(some[((hand.style[some] - like) ** 2).sum(1).argmin()])
        used.add(best)
        chosen.append(hand.images[best])
    return chosen
