"""Small data sets for learning curves, drawn or shipped with scikit-learn, in two halves; none is of own_images.py."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sklearn import datasets

Rng = np.random.Generator
Part = tuple[np.ndarray, np.ndarray]  # inputs and labels
Draw = Callable[[Rng, int, int], tuple[Part, Part]]  # of this many for training, and this many held out

SIDE = 14
FONTS = sorted((Path(matplotlib.get_data_path()) / "fonts" / "ttf").glob("DejaVu*.ttf"))


def drawn(draw: Callable[[Rng, int], Part]) -> Draw:
    """Training and held-out inputs that are drawn alike."""

    def parts(rng: Rng, fit: int, held_out: int) -> tuple[Part, Part]:
        inputs, labels = draw(rng, fit + held_out)
        return (inputs[:fit], labels[:fit]), (inputs[fit:], labels[fit:])

    return parts


def classification(**settings: Any) -> Draw:
    return drawn(lambda rng, n: datasets.make_classification(n, random_state=int(rng.integers(2**31)), **settings))


def shipped(data: Any, labels: np.ndarray) -> Draw:
    """A set that scikit-learn ships: in random order, of as many as there are."""

    def parts(rng: Rng, fit: int, held_out: int) -> tuple[Part, Part]:
        chosen = rng.permutation(len(labels))
        inputs, own = data[chosen], labels[chosen]
        fit = min(fit, max(80, len(own) // 2 // 8 * 8))
        return (inputs[:fit], own[:fit]), (inputs[fit:][:held_out], own[fit:][:held_out])

    return parts


def moons(rng: Rng, n: int) -> Part:
    return datasets.make_moons(n, noise=0.3, random_state=int(rng.integers(2**31)))


def circles(rng: Rng, n: int) -> Part:
    return datasets.make_circles(n, noise=0.15, factor=0.6, random_state=int(rng.integers(2**31)))


def quantiles(rng: Rng, n: int) -> Part:
    return datasets.make_gaussian_quantiles(
        n_samples=n, n_features=6, n_classes=4, random_state=int(rng.integers(2**31))
    )


def blobs(rng: Rng, n: int) -> Part:
    return datasets.make_blobs(n, 8, centers=6, cluster_std=3.5, random_state=int(rng.integers(2**31)))


def hastie(rng: Rng, n: int) -> Part:
    inputs, labels = datasets.make_hastie_10_2(n, random_state=int(rng.integers(2**31)))
    return inputs, (labels > 0).astype(int)


def spirals(rng: Rng, n: int) -> Part:
    labels, turn = rng.integers(3, size=n), rng.uniform(0.5, 2.5, n)
    angle = 2 * np.pi * (turn + labels / 3)
    return turn[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1) + rng.normal(0, 0.15, (n, 2)), labels


def shifted(rng: Rng, fit: int, held_out: int) -> tuple[Part, Part]:
    """Inputs of groups, each moved and stretched by its own; held out are other groups."""
    inputs, labels = datasets.make_classification(
        fit + held_out, 20, n_informative=8, n_classes=4, class_sep=1.5, random_state=int(rng.integers(2**31))
    )
    groups = np.concatenate([rng.integers(0, 12, fit), rng.integers(12, 18, held_out)])
    groups[:fit].sort()  # whole groups are left out
    inputs = inputs * rng.lognormal(0, 0.3, (18, 20))[groups] + rng.normal(0, 1, (18, 20))[groups]
    return (inputs[:fit], labels[:fit]), (inputs[fit:], labels[fit:])


def noisy(images: list[Image.Image], rng: Rng, noise: float) -> np.ndarray:
    small = np.stack(
        [np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR), float) / 255 for image in images]
    )
    return (small + rng.normal(0, noise, small.shape)).reshape(len(images), -1)


def glyphs(rng: Rng, labels: np.ndarray, letters: str, fonts: np.ndarray, noise: float) -> np.ndarray:
    images = []
    for label, font in zip(labels, fonts, strict=True):
        image = Image.new("L", (42, 42))
        place = 21 + rng.uniform(-5, 5, 2)
        ImageDraw.Draw(image).text(
            (float(place[0]), float(place[1])), letters[label], 255, ImageFont.truetype(FONTS[font], 26), anchor="mm"
        )
        images.append(image.rotate(rng.uniform(-25, 25)))
    return noisy(images, rng, noise)


def letters(rng: Rng, n: int) -> Part:
    """Ten letters in all fonts."""
    labels = rng.integers(10, size=n)
    return glyphs(rng, labels, "ABCDEFGHIJ", rng.integers(len(FONTS), size=n), 0.15), labels


def other_fonts(rng: Rng, fit: int, held_out: int) -> tuple[Part, Part]:
    """Eight Greek letters; held out are other fonts."""
    order, half = rng.permutation(len(FONTS)), len(FONTS) // 2
    fonts = np.concatenate(
        [np.sort(order[rng.integers(0, half, fit)]), order[rng.integers(half, len(FONTS), held_out)]]
    )
    labels = rng.integers(8, size=fit + held_out)
    inputs = glyphs(rng, labels, "ΓΔΘΛΞΠΣΦ", fonts, 0.1)
    return (inputs[:fit], labels[:fit]), (inputs[fit:], labels[fit:])


def dots(rng: Rng, n: int) -> Part:
    """One to four dots, to be counted."""
    labels, images = rng.integers(4, size=n), []
    for label in labels:
        image = Image.new("L", (42, 42))
        for x, y in rng.uniform(5, 37, (label + 1, 2)):
            size = rng.uniform(2, 5)
            ImageDraw.Draw(image).ellipse((x - size, y - size, x + size, y + size), 255)
        images.append(image)
    return noisy(images, rng, 0.1), labels


def polygons(rng: Rng, n: int) -> Part:
    """Polygons of three to six sides, turned."""
    labels, images = rng.integers(4, size=n), []
    for label in labels:
        image = Image.new("L", (42, 42))
        x, y = 21 + rng.uniform(-4, 4, 2)
        angle = float(rng.uniform(0, 360))
        ImageDraw.Draw(image).regular_polygon((x, y, rng.uniform(10, 16)), int(label) + 3, angle, 255)
        images.append(image)
    return noisy(images, rng, 0.05), labels


def strokes(rng: Rng, n: int) -> Part:
    """Two strokes each: parallel, crossed, a corner, a T."""
    corners = np.array([[[0, 0, 0, 1], [1, 0, 1, 1]], [[0, 0, 1, 1], [0, 1, 1, 0]], [[0, 0, 0, 1], [0, 1, 1, 1]],
                        [[0, 0, 1, 0], [0.5, 0, 0.5, 1]]])  # fmt: skip
    labels, images = rng.integers(4, size=n), []
    for label in labels:
        image = Image.new("L", (42, 42))
        for ends in 9 + 24 * corners[label] + rng.normal(0, 3, (2, 4)):
            ImageDraw.Draw(image).line([float(end) for end in ends], 255, 4)
        images.append(image.rotate(rng.uniform(-45, 45)))
    return noisy(images, rng, 0.2), labels


def scikit(name: str) -> Any:
    return getattr(datasets, f"load_{name}")(return_X_y=True)


def sets() -> dict[str, dict[str, Draw]]:
    """The data sets on which the rule was chosen, and the others on which it was confirmed."""
    patients, progress = scikit("diabetes")
    return {
        "choosing": {
            "2 classes": classification(n_features=20, n_informative=6, class_sep=1.2, flip_y=0),
            "10 classes": classification(n_features=30, n_informative=12, n_classes=10, class_sep=1.6, flip_y=0.03),
            "4 classes, noisy labels": classification(n_features=15, n_informative=6, n_classes=4, flip_y=0.25),
            "moons": drawn(moons),
            "quantiles": drawn(quantiles),
            "blobs": drawn(blobs),
            "breast cancer": shipped(*scikit("breast_cancer")),
            "iris": shipped(*scikit("iris")),
            "letters": drawn(letters),
            "dots": drawn(dots),
            "other groups": shifted,
        },
        "confirming": {
            "3 classes, useless features": classification(n_features=50, n_informative=4, n_classes=3, class_sep=1.5),
            "6 classes, clusters": classification(
                n_features=12, n_informative=8, n_classes=6, n_clusters_per_class=3, class_sep=1.8, flip_y=0.05
            ),
            "2 classes, noisy labels": classification(n_features=10, n_informative=5, flip_y=0.15, class_sep=1.5),
            "circles": drawn(circles),
            "hastie": drawn(hastie),
            "spirals": drawn(spirals),
            "wine": shipped(*scikit("wine")),
            "diabetes": shipped(patients, (progress > np.median(progress)).astype(int)),
            "polygons": drawn(polygons),
            "strokes": drawn(strokes),
            "other fonts": other_fonts,
        },
    }
