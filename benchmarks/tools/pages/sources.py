"""What pages are made of: fonts, real digits and crops of meters, kept apart by split."""

import csv
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import build_digit_data
import digit_fonts
import numpy as np
from build_digit_data import Split
from jaxtyping import Float, UInt8
from PIL import Image
from scipy import ndimage

from imparfait.data.load import load_data

MNIST_CHOOSE = 5_000  # the last of the training part; there is no MNIST in pages for reporting
SLANTS = 7  # groups of real digits of about the same slant …
THICKNESSES = 5  # … and thickness, in which a line finds its digits
LEAST_DIGITS = 6  # different ones, of a hand

Hand = dict[int, list[int]]
"""The rows of each digit that one writer, or similar ones, wrote."""


@dataclass(frozen=True, eq=False)
class RealDigits:
    """Digits of one source, 255 is ink, with the hands of each split."""

    images: UInt8[np.ndarray, "n height width"]
    hands: dict[Split, list[Hand]]
    stretched: bool
    """To a square."""


@dataclass(frozen=True)
class Crop:
    """An image of one digit of a meter."""

    path: Path
    label: int


@dataclass(frozen=True, eq=False)
class Sources:
    """Everything that is loaded once per process."""

    fonts: Path
    real: dict[str, RealDigits]
    meters: dict[Split, list[list[Crop]]]
    """The crops of each device."""

    @staticmethod
    def load(fonts: Path, hands: Path, meters: Path | None = None, mnist: bool = True) -> "Sources":
        """Read the sources; without `meters`, no page shows meters."""
        real = {name: real_digits(hands / f"{name}.npz", name) for name in ("italy", "turkey")}
        if mnist:
            real["mnist"] = mnist_digits()
        return Sources(fonts, real, meter_crops(meters) if meters else {"fit": [], "choose": [], "test": []})

    def faces(self, split: Split, kind: digit_fonts.Kind) -> list[list[digit_fonts.Face]]:
        """The faces of a split, those of one design together."""
        return build_digit_data.faces_by_design(self.fonts, split, kind)


def real_digits(path: Path, name: str) -> RealDigits:
    """The Italian or Turkish hands; the blocks of rows of each split are those of the single digits."""
    with np.load(path) as file:
        images, labels = file["images"], file["labels"]
    choose, test = build_digit_data.BLOCKS[name]
    rows: dict[Split, np.ndarray] = {
        "choose": np.arange(choose),
        "test": np.arange(choose, test),
        "fit": np.arange(test, len(images)),
    }
    if name == "italy":
        hands = {split: semeion_writers(labels, kept) for split, kept in rows.items()}
    else:
        hands = {split: similar_hands(images, labels, kept) for split, kept in rows.items()}
    return RealDigits(images, hands, stretched=name == "italy")


def mnist_digits() -> RealDigits:
    """MNIST's training images without its validation and test images."""
    data, _ = load_data("mnist").train_val()
    images, labels = np.asarray(data.pixels[:, 0]), np.asarray(data.labels)
    end = len(images) - MNIST_CHOOSE
    hands: dict[Split, list[Hand]] = {
        "fit": similar_hands(images, labels, np.arange(end)),
        "choose": similar_hands(images, labels, np.arange(end, len(images))),
        "test": [],
    }
    return RealDigits(images, hands, stretched=False)


def semeion_writers(labels: np.ndarray, rows: np.ndarray) -> list[Hand]:
    """One hand a writer: 199 rows are ten writers, digit after digit, each writer's two digits side by side."""
    hands: dict[tuple[int, int], Hand] = defaultdict(lambda: defaultdict(list))
    seen: dict[tuple[int, int], int] = defaultdict(int)
    for row in rows:
        block, digit = int(row) // 199, int(labels[row])
        hands[block, seen[block, digit] // 2][digit].append(int(row))
        seen[block, digit] += 1
    return [dict(hand) for hand in hands.values() if len(hand) >= LEAST_DIGITS]


def similar_hands(images: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> list[Hand]:
    """Groups of digits of about the same slant and thickness, each with most of the ten digits."""
    if not len(rows):
        return []
    slants, thicknesses = slant_and_thickness(images[rows])
    group = _quantile(slants, SLANTS) * THICKNESSES + _quantile(thicknesses, THICKNESSES)
    hands: list[Hand] = []
    for number in np.unique(group):
        hand: Hand = defaultdict(list)
        for row in rows[group == number]:
            hand[int(labels[row])].append(int(row))
        if len(hand) >= LEAST_DIGITS:
            hands.append(dict(hand))
    return hands


def slant_and_thickness(images: UInt8[np.ndarray, "n height width"]) -> tuple[np.ndarray, np.ndarray]:
    """Shift to the right per row, and about the width of the stroke in pixels."""
    ink = images.astype(np.float32) / 255
    rows, columns = np.arange(ink.shape[1], dtype=np.float32), np.arange(ink.shape[2], dtype=np.float32)
    mass = ink.sum((1, 2))
    down, right = rows - (ink.sum(2) @ rows / mass)[:, None], columns - (ink.sum(1) @ columns / mass)[:, None]
    tall = (ink.sum(2) * down**2).sum(1)
    across = np.einsum("nyx,ny,nx->n", ink, down, right)
    edges = np.abs(np.diff(ink, axis=1)).sum((1, 2)) + np.abs(np.diff(ink, axis=2)).sum((1, 2))
    return across / np.maximum(tall, 1e-6), 2 * mass / edges


def _quantile(values: np.ndarray, count: int) -> np.ndarray:
    return np.searchsorted(np.quantile(values, np.linspace(0, 1, count + 1)[1:-1]), values)


def meter_crops(folder: Path) -> dict[Split, list[list[Crop]]]:
    """The crops of `meters.csv`, by split and device."""
    split_of: dict[str, Split] = {
        device: split for split, devices in build_digit_data.METERS_HELD_OUT.items() for device in devices
    }
    devices: dict[str, list[Crop]] = defaultdict(list)
    with (folder / "meters.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            devices[row["group"]].append(Crop(folder / row["image_path"], int(row["label"])))
    crops: dict[Split, list[list[Crop]]] = {"fit": [], "choose": [], "test": []}
    for device in sorted(devices):
        crops[split_of.get(device, "fit")].append(devices[device])
    return crops


@lru_cache(maxsize=5_000)
def meter_image(crop: Crop) -> tuple[UInt8[np.ndarray, "height width 3"], Float[np.ndarray, " 4"]]:
    """The pixels of a crop, and left, top, right and bottom of the ink of its digit."""
    with Image.open(crop.path) as file:
        pixels = np.asarray(file.convert("RGB"))
    return pixels, ink_box(pixels.mean(2))


def ink_box(grey: Float[np.ndarray, "height width"]) -> Float[np.ndarray, " 4"]:
    """The box of the component in the middle of a crop, of either polarity; the middle of the crop where none fits."""
    height, width = grey.shape
    smooth = ndimage.gaussian_filter(grey, height / 60)
    core = smooth[height // 5 : -height // 5, width // 6 : -width // 6 or None]
    level = (np.quantile(core, 0.05) + np.quantile(core, 0.95)) / 2
    best, box = 0.0, np.array([0.2 * width, 0.15 * height, 0.8 * width, 0.85 * height], np.float32)
    for ink in (smooth < level, smooth > level):
        closed = ndimage.binary_closing(ink, np.ones((1 + 2 * (height // 30), 1)))  # joins the segments of a display
        parts, _ = ndimage.label(closed)
        for rows, columns in ndimage.find_objects(parts):
            tall, wide = (rows.stop - rows.start) / height, (columns.stop - columns.start) / width
            off_x = abs((columns.start + columns.stop) / 2 / width - 0.5)
            off_y = abs((rows.start + rows.stop) / 2 / height - 0.5)
            fits = 0.35 < tall < 0.93 and 0.08 < wide < 0.92 and wide * width < 0.95 * tall * height
            score = (1.2 * tall + wide - 2 * off_x - 2 * off_y) * fits
            if score > best:
                best = score
                box = np.array([columns.start, rows.start, columns.stop, rows.stop], np.float32)
    return box
