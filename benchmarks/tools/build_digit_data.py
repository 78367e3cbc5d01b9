"""Build the training data of the pretrained digit model: MNIST, real hands, pen strokes, fonts and meters.

    python benchmarks/tools/build_digit_data.py build/digits --meters METERS

METERS is a folder with `meters.csv` (image_path, label, group) and the crops of meters it names. Fonts are downloaded
at pinned versions. It writes `digits.npz` (x_train, y_train for training, x_val, y_val for choosing), `val.npz` and
`held_out.npz` with the source of each image, and `parts.json`, the number of images of each part. Stopped, it continues
with the part it was at.

Every image passes through the image pipeline of `imparfait predict`, so it is framed as a file of a user is. Held out
from training, for choosing (val) and for reporting (held_out): fonts by design, pen strokes by hand, meters by device,
real hands by blocks of rows. MNIST's validation images are not among the training images.
"""

import argparse
import csv
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import digit_fonts
import inks
import numpy as np
import pen_strokes
from inks import Ink
from jaxtyping import UInt8
from PIL import Image
from scipy import ndimage

from imparfait.core.errors import UserError
from imparfait.data.images.decode import read_pages
from imparfait.data.images.foreground import edges_of
from imparfait.data.images.input_format import InputFormat
from imparfait.data.images.normalize import normalize, read_normalized, whole_page
from imparfait.data.images.placement import place
from imparfait.data.load import load_data

Split = Literal["fit", "choose", "test"]

FORM = InputFormat(channels=1, height=28, width=28, normalization="digit")
HEIGHTS_PX = (18, 110)  # of a digit on its page
PAGE_SHARE = 0.2  # of the images go through a page with ground, noise and compression; the others are placed directly
COUNTS = {
    "strokes": 40_000,
    "handwriting": 24_000,
    "printed": 12_000,
    "segment": 3_000,
    "italy": 7_000,
    "turkey": 9_000,
    "crops": 16_000,
}
"""Images for training; a tenth as many for choosing and for reporting."""
SPLITS: dict[Split, str] = {"fit": "train", "choose": "val", "test": "held_out"}
BLOCKS = {"italy": (0, 199), "turkey": (200, 500)}
"""Rows of the hands that are held out: before the first number for choosing, from it to the second for reporting.
Semeion's first 199 are its first ten writers."""
METERS_HELD_OUT: dict[Split, tuple[str, ...]] = {
    "choose": ("meter02", "meter13"),
    "test": ("meter04", "meter11", "meter15"),
}


@dataclass(frozen=True)
class Sample:
    """Where one image comes from."""

    part: str
    split: Split
    number: int


def sample(what: Sample, folders: dict[str, Path]) -> tuple[UInt8[np.ndarray, "28 28"], int, str]:
    """The image of a sample, its digit and its source. A function of the sample alone."""
    if what.part == "crops":
        return crop(what, folders)
    parts: dict[str, Callable[..., tuple[Ink, int, str]]] = {"strokes": stroke, "italy": hand, "turkey": hand}
    order = ("fit", "choose", "test").index(what.split)
    rng = np.random.default_rng([sum(map(ord, what.part)), order, what.number])
    ink, digit, source = parts.get(what.part, font)(what, rng, folders)
    return as_input(ink, rng), digit, source


def stroke(what: Sample, rng: np.random.Generator, folders: dict[str, Path]) -> tuple[Ink, int, str]:
    """A digit of a hand of the generator of pen strokes: ten digits from each hand."""
    seed = what.number // 10 + {"fit": 0, "choose": 10_000_000, "test": 20_000_000}[what.split]
    writer, digit = pen_strokes.hand_of(seed), what.number % 10
    ink = pen_strokes.draw(pen_strokes.strokes_of(digit, writer), writer, rng.uniform(*HEIGHTS_PX))
    return inks.damaged(ink, rng), digit, f"hand {seed}"


def hand(what: Sample, rng: np.random.Generator, folders: dict[str, Path]) -> tuple[Ink, int, str]:
    """A digit of a real hand; Semeion's were stretched to a square, which is undone at random."""
    with np.load(folders["hands"] / f"{what.part}.npz") as file:
        images, labels = file["images"], file["labels"]
    choose, test = BLOCKS[what.part]
    rows = {"choose": range(choose), "test": range(choose, test), "fit": range(test, len(images))}[what.split]
    row = rows[what.number % len(rows)]
    ink = images[row].astype(np.uint8) * (255 if images.max() == 1 else 1)
    height, aspect = rng.uniform(36, 100), 1.0
    if what.part == "italy":
        aspect = rng.uniform(0.25, 0.6) if labels[row] == 1 else rng.uniform(0.45, 0.9)
    smooth = Image.fromarray(np.pad(ink, 2)).resize(
        (max(4, round(height * aspect)), round(height)), Image.Resampling.BICUBIC
    )
    blurred = ndimage.gaussian_filter(np.asarray(smooth, float), height * rng.uniform(0.01, 0.03))
    ink = np.clip((blurred - 127) * 3 + 127, 0, 255).astype(np.uint8)
    return (ink if what.split != "fit" else inks.bent(ink, rng)), int(labels[row]), f"{what.part} row {row}"


def font(what: Sample, rng: np.random.Generator, folders: dict[str, Path]) -> tuple[Ink, int, str]:
    """A digit of a font, with varied weight, slant and proportions, and elastic bends."""
    designs = faces_by_design(folders["fonts"], what.split, what.part)
    faces = designs[what.number // 10 % len(designs)]
    face, digit = faces[rng.integers(len(faces))], what.number % 10
    ink = digit_fonts.glyph(face, digit, round(rng.uniform(28, 100)))
    strength = {"handwriting": 1.0, "printed": 0.35, "segment": 0.25}[what.part]
    return inks.damaged(inks.bent(ink, rng, strength), rng), digit, face.name


@lru_cache
def faces_by_design(
    folder: Path, split: Split, kind: Literal["handwriting", "printed", "segment"]
) -> list[list[digit_fonts.Face]]:
    """The faces of a split, those that share a design together: each design is as frequent as another."""
    by_design: dict[int, list[digit_fonts.Face]] = {}
    for face in digit_fonts.load(folder, split, kind):
        by_design.setdefault(face.design, []).append(face)
    return [by_design[design] for design in sorted(by_design)]


def as_input(ink: Ink, rng: np.random.Generator) -> UInt8[np.ndarray, "28 28"]:
    """The ink as the image pipeline frames it: of a page for PAGE_SHARE of the images, else placed directly."""
    if rng.random() < PAGE_SHARE:
        [image] = read_normalized(inks.page(ink, rng), FORM)
        if not image.empty:
            return image.pixels[0]
    plane = np.pad(ink, 2).astype(np.float32) / 255
    placed, _ = place(plane, edges_of(plane), 28, 28)
    return np.rint(placed * 255).astype(np.uint8)


def crop(what: Sample, folders: dict[str, Path]) -> tuple[UInt8[np.ndarray, "28 28"], int, str]:
    """A close crop as it came, the whole page in grey: of a font or of pen strokes, with neighbours and frames."""
    order = ("fit", "choose", "test").index(what.split)
    rng = np.random.default_rng([7, order, what.number])
    kind = ("printed", "printed", "segment", "strokes")[what.number // 10 % 4]
    ink, digit, source = (stroke if kind == "strokes" else font)(Sample(kind, what.split, what.number), rng, folders)
    found = next(read_pages(inks.page(inks.framed(ink, rng), rng, close=True)))
    return whole_page(found, FORM)[0], digit, f"crop {source}"


def meter_images(folder: Path, split: Split) -> Iterable[tuple[UInt8[np.ndarray, "28 28"], int, str]]:
    """Crops of meters of a split, as the image pipeline frames them; those in which it finds nothing are left out."""
    with (folder / "meters.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    split_of = {device: kept for kept, devices in METERS_HELD_OUT.items() for device in devices}
    for row in rows:
        if split_of.get(row["group"], "fit") == split:
            [found] = read_pages(folder / row["image_path"])
            label, source = int(row["label"]), f"meter {row['group']}"
            image = normalize(found, FORM)
            if not image.empty:
                yield image.pixels[0], label, source
            whole = whole_page(found, FORM)[0]
            yield whole, label, f"{source}, whole"
            if split == "fit":  # meters of the other polarity look like these
                yield 255 - whole, label, f"{source}, inverted"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--hands", type=Path, default=Path(__file__).parent / "hands", help="Semeion and optdigits")
    parser.add_argument("--meters", type=Path, help="folder with meters.csv; without it, no meters")
    parser.add_argument("--fonts", type=Path, default=Path("build/fonts"), help="downloaded here when missing")
    parser.add_argument("--scale", type=float, default=1, help="times as many images as COUNTS")
    parser.add_argument("--mnist-copies", type=int, default=1, help="times that each image of MNIST is among them")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if not (options.hands / "italy.npz").exists():
        raise UserError(f"{options.hands}: no italy.npz in it", expected="the folder with Semeion and optdigits")
    digit_fonts.fetch(options.fonts)
    options.out.mkdir(parents=True, exist_ok=True)
    folders = {"hands": options.hands, "fonts": options.fonts}
    description: dict[str, dict[str, int]] = {}
    arrays: dict[str, dict[str, np.ndarray]] = {}
    for split, name in SPLITS.items():
        parts: dict[str, Part] = {}
        if split == "fit":
            mnist, _ = load_data("mnist").train_val()
            copies = options.mnist_copies
            parts["mnist"] = Part(
                np.tile(mnist.pixels[:, 0], (copies, 1, 1)),
                np.tile(np.asarray(mnist.labels, np.uint8), copies),
                np.repeat("mnist", copies * len(mnist)),
            )
        for part, count in COUNTS.items():
            if many := images_in(part, split, round(count * options.scale)):
                parts[part] = kept(
                    options.out / "parts" / f"{name}-{part}.npz",
                    partial(draw_part, part, split, many, folders, options.workers),
                )
        if options.meters:
            parts["meters"] = kept(
                options.out / "parts" / f"{name}-meters.npz",
                lambda split=split: Part.of(meter_images(options.meters, split)),
            )
        description[name] = {part: len(content.labels) for part, content in parts.items()}
        images, labels, sources = (
            np.concatenate(column)
            for column in zip(*((p.images, p.labels, p.sources) for p in parts.values()), strict=True)
        )
        arrays[name] = {"x": images, "y": labels, "sources": sources}
        print(name, description[name], flush=True)
    np.savez_compressed(
        options.out / "digits.npz",
        x_train=arrays["train"]["x"], y_train=arrays["train"]["y"], x_val=arrays["val"]["x"], y_val=arrays["val"]["y"],
    )  # fmt: skip
    for name in ("val", "held_out"):
        np.savez_compressed(options.out / f"{name}.npz", **arrays[name])
    (options.out / "parts.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True, eq=False)
class Part:
    """The images of one origin: uint8 [n, 28, 28], their digits and their sources."""

    images: UInt8[np.ndarray, "n 28 28"]
    labels: UInt8[np.ndarray, " n"]
    sources: np.ndarray

    @staticmethod
    def of(drawn: Iterable[tuple[np.ndarray, int, str]]) -> "Part":
        """A part of images one by one."""
        images, labels, sources = zip(*drawn, strict=True)
        return Part(np.stack(images), np.array(labels, np.uint8), np.array(sources))


def images_in(part: str, split: Split, count: int) -> int:
    """How many images of a part a split has: a tenth for choosing and for reporting, of real hands each row once."""
    if split == "fit":
        return count
    if part not in BLOCKS:
        return count // 10
    choose, test = BLOCKS[part]
    return choose if split == "choose" else test - choose


def draw_part(part: str, split: Split, count: int, folders: dict[str, Path], workers: int) -> Part:
    """So many images of a part, drawn in several processes."""
    with ProcessPoolExecutor(workers) as pool:
        what = (Sample(part, split, number) for number in range(count))
        return Part.of(pool.map(partial(sample, folders=folders), what, chunksize=200))


def kept(path: Path, make: Callable[[], Part]) -> Part:
    """The part in the file `path`; made and written where there is none, so that a stopped build continues."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = make()
        partly = path.with_name(f".{path.name}")
        np.savez_compressed(partly, images=part.images, labels=part.labels, sources=part.sources)
        partly.replace(path)
    with np.load(path) as file:
        return Part(file["images"], file["labels"], file["sources"])


if __name__ == "__main__":
    main()
