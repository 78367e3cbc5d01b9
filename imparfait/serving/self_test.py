"""Self-test: a model must reproduce a recorded prediction before the server reports that it is ready."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.errors import UserError
from imparfait.data.images.normalize import read_normalized
from imparfait.inference.predictor import Predictor
from imparfait.models.metadata import ExportMetadata
from imparfait.models.pretrained import PRETRAINED
from imparfait.serving.schemas import png

RECORDED = Path(__file__).parent / "self_test.json"
"""Label and probability of each pretrained model, written by benchmarks/tools/record_self_test.py."""
TOLERANCE = 1e-3  # of probabilities; they differ by 1e-6 between processors


def image() -> bytes:
    """The self-test image: a 7, dark on light, as a PNG of 112×112 pixels."""
    pixels = np.full((1, 112, 112), 235, np.uint8)
    pixels[0, 22:34, 30:84] = 20
    for row in range(34, 94):
        left = 72 - round(0.5 * (row - 34))
        pixels[0, row, left : left + 13] = 20
    return png(pixels)


def predict_image(predictor: Predictor) -> tuple[str, np.ndarray]:
    """The predicted label of the self-test image, and all probabilities."""
    pixels = np.stack([page.pixels for page in read_normalized(image(), predictor.input_format, "the self-test image")])
    probabilities = predictor.predict_proba(pixels)[0]
    return predictor.classes[int(probabilities.argmax())], probabilities


def failure(predictor: Predictor, metadata: ExportMetadata | None) -> str | None:
    """Why a model fails the self-test, in one sentence; None if it passes.

    A pretrained model must reproduce its recorded prediction; any other model must return the same probabilities twice.
    """
    name = predictor.name
    try:
        (label, probabilities), (_, repeated) = predict_image(predictor), predict_image(predictor)
    except UserError as error:
        return str(error)
    is_distribution = np.isfinite(probabilities).all() and abs(probabilities.sum() - 1) < TOLERANCE
    if not (is_distribution and np.abs(probabilities - repeated).max() < TOLERANCE):
        return f"{name} returns no valid probabilities for the self-test image"
    if name not in PRETRAINED or metadata is None:
        return None
    expected = recorded().get(name)
    if expected is None or expected["weights"] != metadata.weights:
        return f"no self-test prediction is recorded for these weights of {name}"
    score = float(probabilities.max())
    if label != expected["label"] or abs(score - expected["score"]) > TOLERANCE:
        return (
            f"{name} predicts {label} ({score:.4f}) for the self-test image; "
            f"expected {expected['label']} ({expected['score']:.4f})"
        )
    return None


def recorded() -> dict[str, Any]:
    """The recorded prediction of each pretrained model."""
    content: dict[str, Any] = json.loads(RECORDED.read_bytes()) if RECORDED.exists() else {}
    return content
