"""How often `drift` cries wolf, and how often it finds real changes, on digits.

python benchmarks/accuracy/drift_detection.py [--repeats 200] [--out results/drift-detection]

MNIST's validation images are written as PNG files and normalised and predicted by `digits` as the server does. 2,000 of
them, drawn anew each time, are the reference; the log is drawn from others. Without a change the requests are
independent, or come in bursts of one client: in each, 70 % of the images are like the first one, in brightness, in
sharpness or by class. `no blocks` counts each image as independent. Each number is a share of repeats in which at least
one change is called. About 10 minutes.
"""

import argparse
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import zoom

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait.data.corrupted import corrupt
from imparfait.data.dataset import LabelledImages
from imparfait.data.images.normalize import read_normalized
from imparfait.data.load import load_data
from imparfait.data.ood.registry import OOD_SETS
from imparfait.evaluation.drift import drift
from imparfait.evaluation.observations import Observations, properties_of
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import Predictor

REFERENCE = 2000
CORRUPTED = 5000  # images of each condition
SIZES = (50, 200, 1000, 5000)
BURSTS = (5, 30, 100)  # median images of a burst; sizes are log-normal
ALIKE = 0.7
MODEL = "digits"


def observed(pixels: np.ndarray, predictor: Predictor) -> Observations:
    """What a server would log of these images, as PNG files."""
    parts = []
    for start in range(0, len(pixels), 500):
        pages = []
        for image in pixels[start : start + 500, 0]:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "PNG")
            pages.append(next(read_normalized(buffer.getvalue(), predictor.input_format)))
        predictions = predictor.predict(pages)
        properties = properties_of(np.stack([page.pixels for page in pages]))
        parts.append((properties, [(each.label, each.score, not each.confident) for each in predictions]))
    labels, scores, unsure = zip(*(row for _, rows in parts for row in rows), strict=True)
    properties = {name: np.concatenate([part[name] for part, _ in parts]) for name in parts[0][0]}
    return Observations(properties, np.array(labels), np.array(scores), np.array(unsure), np.arange(len(labels)))


def rows_of(one: Observations, rows: np.ndarray, blocks: np.ndarray | None = None) -> Observations:
    """Some of the images, each a block of its own unless `blocks` are given."""
    return Observations(
        {name: values[rows] for name, values in one.properties.items()},
        one.labels[rows],
        one.scores[rows],
        one.unsure[rows],
        np.arange(len(rows)) if blocks is None else blocks,
    )


@dataclass(frozen=True, eq=False)
class Bursts:
    """Draws bursts of images that are alike from a pool."""

    pool: np.ndarray
    orders: list[np.ndarray]
    """The rows of the pool, sorted by brightness, sharpness and class."""

    def draw(self, n: int, median: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """`n` rows, and the burst of each."""
        rows: list[int] = []
        blocks: list[int] = []
        width = len(self.pool) // 10
        while len(rows) < n:
            size = max(1, int(random.lognormal(np.log(median), 0.8)))
            order = self.orders[random.integers(len(self.orders))]
            start = random.integers(len(order))  # around the ends, so that each image is as likely as any other
            like = order[(start + random.integers(width, size=size)) % len(order)]
            rows += np.where(random.random(size) < ALIKE, like, random.choice(self.pool, size)).tolist()
            blocks += [len(blocks)] * size
        return np.array(rows[:n]), np.array(blocks[:n])


def smaller(pixels: np.ndarray) -> np.ndarray:
    """Digits at 0.7 of their size, in the middle."""
    reduced = zoom(pixels, (1, 1, 0.7, 0.7), order=1)
    missing = pixels.shape[2] - reduced.shape[2]
    first = missing // 2
    return np.pad(reduced, ((0, 0), (0, 0), *[(first, missing - first)] * 2))


def conditions(images: LabelledImages) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Digits under each change, and the row of the image that each was made from; -1 for none."""
    few = images.select(np.arange(CORRUPTED))
    letters = OOD_SETS["letters"].draw(CORRUPTED // 5, 28, 28, 1, seed=0)
    assert letters is not None
    rows, digits = np.arange(CORRUPTED), CORRUPTED - len(letters)
    ones_and_sevens = np.flatnonzero(np.isin(images.labels, (1, 7)))
    changed = {
        "darker, at 0.6": (few.pixels * 0.6).astype(np.uint8),
        "darker, at 0.95": (few.pixels * 0.95).astype(np.uint8),
        "blurred, defocus at 0.4": corrupt(few, "defocus_blur", 0.4).pixels,
        "smaller, at 0.7": smaller(few.pixels),
        "moved, by 3 pixels": np.roll(few.pixels, (3, 3), (2, 3)),
    }
    return {name: (pixels, rows) for name, pixels in changed.items()} | {
        "only 1 and 7": (images.pixels[ones_and_sevens], ones_and_sevens),
        "a fifth is letters": (
            np.concatenate([few.pixels[:digits], letters]),
            np.where(rows < digits, rows, -1),
        ),
    }


def rate(
    repeats: int, clean: Observations, draw: Callable[[np.ndarray, np.random.Generator], Observations]
) -> dict[str, Any]:
    """Shares of repeats with a significant difference, with one that counts, and which are called."""
    significant = changed = 0
    called: dict[str, int] = {}
    for repeat in range(repeats):
        random = np.random.default_rng(repeat)
        order = random.permutation(len(clean))
        found = drift(rows_of(clean, order[:REFERENCE]), draw(order[REFERENCE:], random))
        significant += any(change.outcome != "not shown" for change in found.changes)
        changed += bool(found.changed)
        for change in found.changed:
            called[change.name] = called.get(change.name, 0) + 1
    return {"repeats": repeats, "significant": significant, "changed": changed, "called": called}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    predictor = load_predictor(MODEL)
    _, images = load_data("mnist").train_val()
    clean = observed(images.pixels, predictor)
    rows: list[dict[str, Any]] = []

    def add(**row: Any) -> None:
        rows.append(row)
        print(row, flush=True)

    for n in SIZES:
        drawn = rate(options.repeats, clean, lambda pool, random, n=n: rows_of(clean, random.choice(pool, n, False)))  # type: ignore[misc]
        add(condition="none, independent", n=n, **drawn)
    for n in SIZES[1:]:
        for median in [each for each in BURSTS if n / each >= 10]:
            for with_blocks in (True, False):

                def draw(
                    pool: np.ndarray, random: np.random.Generator, n: int = n, median: int = median,
                    with_blocks: bool = with_blocks,
                ) -> Observations:  # fmt: skip
                    keys = (clean.properties["brightness"], clean.properties["sharpness"], clean.labels.astype(int))
                    orders = [pool[np.argsort(key[pool], kind="stable")] for key in keys]
                    drawn, blocks = Bursts(pool, orders).draw(n, median, random)
                    return rows_of(clean, drawn, blocks if with_blocks else None)

                name = f"none, bursts of {median}{'' if with_blocks else ', no blocks'}"
                add(condition=name, n=n, **rate(options.repeats, clean, draw))
    for name, (pixels, sources) in conditions(images).items():
        changed = observed(pixels, predictor)
        for n in SIZES:

            def draw_changed(
                pool: np.ndarray, random: np.random.Generator, n: int = n, sources: np.ndarray = sources,
                changed: Observations = changed,
            ) -> Observations:  # fmt: skip
                others = np.flatnonzero(np.isin(sources, pool) | (sources < 0))  # none that the reference has
                return rows_of(changed, random.choice(others, n))

            add(condition=name, n=n, **rate(options.repeats // 4, clean, draw_changed))
    if options.out:
        write_claim(options.out, {"model": MODEL, "reference": REFERENCE, "rows": rows})


if __name__ == "__main__":
    main()
