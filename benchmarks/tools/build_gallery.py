"""Digits for the page's gallery: altered, digits-clean is sure of a wrong answer and digits of the right one.

python benchmarks/gallery.py

It looks among development pictures, never the test's, altered as the page's server alters them, and writes
imparfait/serving/gallery.json: to be run again whenever the models in the package change (about 4 minutes).
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
from imparfait.corruptions import ALTERATIONS
from imparfait.data.corrupted import altered_by
from imparfait.inference.predictor import Ready
from imparfait.inference.pretrained import open_with_card
from imparfait.serving.corruptions import altered
from imparfait.serving.schemas import data_url

OUT = Path(__file__).parents[1] / "imparfait" / "serving" / "gallery.json"
SEVERITIES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # more than that people may doubt too
SURE = 0.9  # the least probability of the wrong answer of the one, and of the right answer of the other
CANDIDATES = 40  # of each alteration and severity, the clearest


@dataclass(frozen=True)
class Candidate:
    """A picture on which the two part."""

    picture: int
    alteration: str
    severity: float
    truth: int
    wrong: int
    clear: float
    """The lower of both probabilities."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=600, help="development pictures to look at (default 600)")
    parser.add_argument("--keep", type=int, default=12)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    start = time.time()
    opened = {name: open_with_card(name) for name in ("digits", "digits-clean")}
    ours, clean = (model for model, _ in opened.values())
    _, development = split(load_data().train)
    few = development.select(np.arange(min(options.pictures, len(development))))
    few = replace(few, sources=np.zeros(len(few), np.int64))  # as the server draws, which knows of no source
    read = np.ones(len(few), bool)  # by both, and surely, before it is altered
    for model in (ours, clean):
        read &= model.probabilities(few.pixels)[np.arange(len(few)), few.labels] >= SURE
    few = few.select(np.flatnonzero(read))
    found: list[Candidate] = []
    for name, each in ALTERATIONS.items():
        for severity in SEVERITIES if len(each.levels) > 1 else (1.0,):
            changed = altered_by(few, name, each, severity).pixels
            found += parting(name, severity, changed, few.labels, ours, clean)
    kept = varied(found, options.keep)
    pictures = [told(few.pixels[each.picture], each, ours, clean) for each in kept]
    write_json(
        options.out,
        {
            "models": {name: card.weights for name, (_, card) in opened.items() if card},
            "looked_at": len(few),
            "pictures": pictures,
        },
    )
    seconds = time.time() - start
    print(f"{len(found)} found among {len(few)} pictures, {len(pictures)} kept: {options.out}, {seconds:.0f} s")
    for each in kept:
        print(f"{each.truth} {each.alteration} {each.severity:g}: digits-clean reads {each.wrong}; {each.clear:.3f}")


def parting(
    name: str, severity: float, pixels: Pixels, labels: np.ndarray, ours: Ready, clean: Ready
) -> list[Candidate]:
    """The clearest of those where the one is sure and wrong, and the other sure and right."""
    wrong = clean.probabilities(pixels)
    labelled = np.arange(len(labels))
    guesses = wrong.argmax(1)
    clear = np.minimum(wrong.max(1), ours.probabilities(pixels)[labelled, labels])
    clear[guesses == labels] = 0
    best = [row for row in np.argsort(-clear, kind="stable")[:CANDIDATES] if clear[row] >= SURE]
    return [Candidate(int(row), name, severity, int(labels[row]), int(guesses[row]), float(clear[row])) for row in best]


def varied(found: list[Candidate], most: int) -> list[Candidate]:
    """One after the other: of the alteration, the digit and the mistake that there are fewest of, the least altered."""
    kept: list[Candidate] = []
    uses: Counter[Any] = Counter()
    left = list(found)
    while left and len(kept) < most:
        best = min(
            left,
            key=lambda one: (
                uses[one.alteration],
                uses["truth", one.truth] + 0.5 * uses["wrong", one.wrong] + 4 * one.severity,
                -one.clear,
            ),
        )
        kept.append(best)
        uses.update([best.alteration, ("truth", best.truth), ("wrong", best.wrong)])
        left = [one for one in left if one.picture != best.picture]
    return sorted(kept, key=lambda one: (one.truth, one.severity))


def told(picture: np.ndarray, one: Candidate, ours: Ready, clean: Ready) -> dict[str, Any]:
    """A picture as the page takes it, with both answers as the API would give them."""
    changed = altered(picture, one.alteration, one.severity)
    return {
        "truth": ours.classes[one.truth],
        "alteration": one.alteration,
        "severity": one.severity,
        "picture": data_url(picture),
        "altered": data_url(changed),
        **{side: said(model, changed) for side, model in (("model", ours), ("beside", clean))},
    }


def said(model: Ready, pixels: np.ndarray) -> dict[str, Any]:
    """What a model says of a picture."""
    (answer,), (shares,) = model.answers_to(pixels[None]), model.probabilities(pixels[None])
    probabilities = {name: round(float(share), 6) for name, share in zip(model.classes, shares, strict=True)}
    return {"model": model.name, "probabilities": probabilities, **answer.to_json()}


if __name__ == "__main__":
    main()
