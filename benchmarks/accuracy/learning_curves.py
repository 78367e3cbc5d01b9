"""Whether `imparfait learning-curve` foretells the accuracy with twice the images, on five data sets.

python benchmarks/accuracy/learning_curves.py [--only NAME …] [--out results/learning-curves]

Each set of own_images.py is split once into training and held-out images. The curve is of half of the training images;
then all are trained on, and the accuracy on the same held-out images is compared with the interval. One seed, one
thread, without pilots. About 12 minutes on one core, and as much again for the drawn shapes.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from accuracy.own_images import FASHION, eight_by_eight, shapes, textures
from tools.claims import write_claim

from imparfait.core.hardware import torch_threads
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import load_data
from imparfait.data.splits import split, subsample
from imparfait.training.learning_curve import learning_curve
from imparfait.training.recipes import RECIPES

SETTINGS = RECIPES["photo"].settings


def sets() -> dict[str, tuple[LabelledImages, LabelledImages]]:
    fit, held_out = textures()
    return {
        "8×8 digits": split(eight_by_eight(), 1 / 3),
        "coloured shapes": split(shapes(), 1 / 3),
        "textures": (fit, replace(held_out, split="validation")),
        "MNIST, 1,000": split(subsample(load_data("mnist").train, 2000), 1 / 2),
        "Fashion-MNIST, 2,000": split(subsample(load_data(FASHION).train, 4000), 1 / 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows: dict[str, Any] = {}
    with torch_threads(1):
        for name, (fit, held_out) in sets().items():
            if options.only and not any(name.startswith(each) for each in options.only):
                continue
            half = subsample(fit, len(fit) // 2)
            *_, curve = learning_curve(half, held_out, SETTINGS, "photo")
            expected = curve.extrapolate()
            *_, whole = learning_curve(fit, held_out, SETTINGS, "photo", shares=(1.0,))
            found = whole.accuracies[-1]
            rows[name] = {
                "images": list(curve.images),
                "held out": len(held_out),
                "accuracies": [round(each, 4) for each in curve.accuracies],
                "expected with twice": [round(each, 4) for each in (expected.accuracy, expected.low, expected.high)],
                "found": {"images": len(fit), "accuracy": round(found, 4)},
                "inside": bool(expected.low <= found <= expected.high),
            }
            print(name, rows[name], flush=True)
    if options.out:
        write_claim(options.out, {"sets": rows})


if __name__ == "__main__":
    main()
