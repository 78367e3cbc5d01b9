"""An image whose answer is known: before a model is called ready, it has to give it."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.data.images.normalize import decode
from imparfait.inference.predictor import Predictor
from imparfait.models.metadata import Card
from imparfait.models.pretrained import PRETRAINED
from imparfait.serving.schemas import png

RECORDED = Path(__file__).parent / "self_test.json"
"""The label and the probability that each model of the package gave when it was put there: benchmarks/golden.py."""
CLOSE = 1e-3  # between processors probabilities differ by 1e-6


def image() -> bytes:
    """A 7, dark on light, as a PNG of 112×112 pixels."""
    pixels = np.full((1, 112, 112), 235, np.uint8)
    pixels[0, 22:34, 30:84] = 20
    for row in range(34, 94):
        left = 72 - round(0.5 * (row - 34))
        pixels[0, row, left : left + 13] = 20
    return png(pixels)


def answered(ready: Predictor) -> tuple[str, np.ndarray]:
    """The label of the golden image, and all probabilities."""
    pixels = np.stack([each.pixels for each in decode(image(), ready.frame, "the golden image")])
    shares = ready.probabilities(pixels)[0]
    return ready.classes[int(shares.argmax())], shares


def what_is_wrong(ready: Predictor, card: Card | None) -> str | None:
    """Why a model is not to be relied on, in a sentence; None where all is well.

    A model of the package has to give the answer that was recorded of it; any other, probabilities, twice the same.
    """
    (label, shares), (_, again) = answered(ready), answered(ready)
    if not (np.isfinite(shares).all() and abs(shares.sum() - 1) < CLOSE and np.abs(shares - again).max() < CLOSE):
        return f"{ready.name} gives no probabilities for the golden image"
    if ready.name not in PRETRAINED or card is None:
        return None
    recorded = record().get(ready.name)
    if recorded is None or recorded["weights"] != card.weights:
        return f"of {ready.name}, as it is here, no answer to the golden image was recorded"
    if label != recorded["label"] or abs(float(shares.max()) - recorded["score"]) > CLOSE:
        came, expected = f"{label} ({shares.max():.4f})", f"{recorded['label']} ({recorded['score']:.4f})"
        return f"{ready.name} answers {came} to the golden image, but answered {expected} when it was packed"
    return None


def record() -> dict[str, Any]:
    """What was recorded of each model in the package."""
    found: dict[str, Any] = json.loads(RECORDED.read_bytes()) if RECORDED.exists() else {}
    return found
