"""Build the web page's gallery: corrupted digits that only `digits` classifies correctly.

`digits-clean` is confidently wrong about each of them.

python benchmarks/tools/build_gallery.py

Uses validation images, corrupted as the server corrupts them, and writes imparfait/serving/gallery.json. Run it again
whenever a pretrained model changes (about 4 minutes).
"""

import argparse
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from imparfait import load_data, split
from imparfait.core.storage import write_json
from imparfait.core.types import Pixels
from imparfait.corruptions import CORRUPTIONS
from imparfait.data.corrupted import corrupt_with
from imparfait.inference.loading import load_predictor_with_metadata
from imparfait.inference.predictor import Predictor
from imparfait.serving.corruptions import corrupt_image
from imparfait.serving.schemas import data_url

OUT = Path(__file__).parents[2] / "imparfait" / "serving" / "gallery.json"
SEVERITIES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # above 0.8 people may be in doubt too
MIN_PROBABILITY = 0.9  # of digits-clean for the wrong class, and of digits for the correct one
CANDIDATES = 40  # per corruption and severity, those with the highest margin


@dataclass(frozen=True)
class Candidate:
    """A corrupted image on which the two models disagree."""

    image: int
    corruption: str
    severity: float
    label: int
    wrong_label: int
    margin: float
    """The lower of the two models' probabilities."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=600, help="number of validation images to search [default: 600]")
    parser.add_argument("--keep", type=int, default=12, help="number of images in the gallery [default: 12]")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    start = time.time()
    models = {name: load_predictor_with_metadata(name) for name in ("digits", "digits-clean")}
    ours, clean = (model for model, _ in models.values())
    _, validation = split(load_data().train)
    subset = validation.select(np.arange(min(options.images, len(validation))))
    subset = replace(subset, sources=np.zeros(len(subset), np.int64))  # the server has no source ids
    clear = np.ones(len(subset), bool)  # both models are correct and confident on the clean image
    for model in (ours, clean):
        clear &= model.predict_proba(subset.pixels)[np.arange(len(subset)), subset.labels] >= MIN_PROBABILITY
    subset = subset.select(np.flatnonzero(clear))
    candidates: list[Candidate] = []
    for name, corruption in CORRUPTIONS.items():
        for severity in SEVERITIES if len(corruption.levels) > 1 else (1.0,):
            corrupted = corrupt_with(subset, name, corruption, severity).pixels
            candidates += disagreements(name, severity, corrupted, subset.labels, ours, clean)
    kept = diverse(candidates, options.keep)
    images = [entry(subset.pixels[each.image], each, ours, clean) for each in kept]
    write_json(
        options.out,
        {
            "models": {name: metadata.weights for name, (_, metadata) in models.items() if metadata},
            "searched": len(subset),
            "images": images,
        },
    )
    seconds = time.time() - start
    print(f"{len(candidates)} found in {len(subset)} images, {len(images)} kept: {options.out}, {seconds:.0f} s")
    for each in kept:
        print(f"{each.label} {each.corruption} {each.severity:g}: digits-clean: {each.wrong_label}, {each.margin:.3f}")


def disagreements(
    name: str, severity: float, pixels: Pixels, labels: np.ndarray, ours: Predictor, clean: Predictor
) -> list[Candidate]:
    """Images on which `clean` is confidently wrong and `ours` confidently correct, highest margin first."""
    probabilities = clean.predict_proba(pixels)
    predicted = probabilities.argmax(1)
    margins = np.minimum(probabilities.max(1), ours.predict_proba(pixels)[np.arange(len(labels)), labels])
    margins[predicted == labels] = 0
    best = [row for row in np.argsort(-margins, kind="stable")[:CANDIDATES] if margins[row] >= MIN_PROBABILITY]
    return [
        Candidate(int(row), name, severity, int(labels[row]), int(predicted[row]), float(margins[row])) for row in best
    ]


def diverse(candidates: list[Candidate], count: int) -> list[Candidate]:
    """Choose greedily: rarest corruption first, then rarest digit and mistake at the lowest severity."""
    kept: list[Candidate] = []
    uses: Counter[Any] = Counter()
    left = list(candidates)
    while left and len(kept) < count:
        best = min(
            left,
            key=lambda one: (
                uses[one.corruption],
                uses["label", one.label] + 0.5 * uses["wrong", one.wrong_label] + 4 * one.severity,
                -one.margin,
            ),
        )
        kept.append(best)
        uses.update([best.corruption, ("label", best.label), ("wrong", best.wrong_label)])
        left = [one for one in left if one.image != best.image]
    return sorted(kept, key=lambda one: (one.label, one.severity))


def entry(image: np.ndarray, one: Candidate, ours: Predictor, clean: Predictor) -> dict[str, Any]:
    """A gallery entry: the images as data URLs, and both predictions as the API returns them."""
    corrupted = corrupt_image(image, one.corruption, one.severity)
    return {
        "truth": ours.classes[one.label],
        "corruption": one.corruption,
        "severity": one.severity,
        "image": data_url(image),
        "corrupted": data_url(corrupted),
        **{side: prediction_of(model, corrupted) for side, model in (("model", ours), ("baseline", clean))},
    }


def prediction_of(model: Predictor, pixels: np.ndarray) -> dict[str, Any]:
    """One model's prediction for an image, as the API returns it."""
    (prediction,), (probabilities,) = model.predict_pixels(pixels[None]), model.predict_proba(pixels[None])
    by_class = {name: round(float(p), 6) for name, p in zip(model.classes, probabilities, strict=True)}
    return {"model": model.name, "probabilities": by_class, **prediction.to_json()}


if __name__ == "__main__":
    main()
