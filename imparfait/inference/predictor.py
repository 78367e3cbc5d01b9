"""Classifiers that are ready to be asked, and what they answer: labels with probabilities, or "not sure" and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from imparfait.core.errors import UserError
from imparfait.core.types import Pixels, Probabilities
from imparfait.data.images.blank import is_blank
from imparfait.data.images.normalize import Frame, NormalizedImage
from imparfait.models.metadata import KEY, Card, Threshold, card_from

TOP = 3
BATCH = 256  # images at once: as fast as any other number, and 1 MB of activations an image
BLANK_MESSAGE = "nothing is drawn on it"
PICTURES, PROBABILITIES, LOGITS = "images", "probabilities", "logits"
"""The input and the outputs of an ONNX file of ours."""


@dataclass(frozen=True)
class Prediction:
    """What is said of one image."""

    predictions: tuple[tuple[str, float], ...]
    """The most probable labels with their probabilities, the best first."""
    reason: str | None = None
    """Why it is not sure; None where it is."""

    @property
    def sure(self) -> bool:
        """Whether the answer is to be relied on."""
        return self.reason is None

    @property
    def label(self) -> str:
        """The most probable label, sure or not."""
        return self.predictions[0][0]

    @property
    def score(self) -> float:
        """Its probability."""
        return self.predictions[0][1]

    def to_json(self) -> dict[str, Any]:
        """As `predict --json` and the HTTP API write it."""
        told: dict[str, Any] = {
            "predictions": [{"label": label, "score": round(score, 6)} for label, score in self.predictions],
            "sure": self.sure,
        }
        return told if self.sure else {**told, "reason": self.reason}


@dataclass(frozen=True, eq=False)
class Predictor:
    """A classifier ready to be asked; whatever it runs on."""

    name: str
    classes: tuple[str, ...]
    frame: Frame
    threshold: Threshold | None
    ask: Callable[[Pixels], Probabilities]
    """Images as they were in training, in any number, to calibrated probabilities."""

    def answers(self, decoded: Sequence[NormalizedImage]) -> list[Prediction]:
        """What it says of each image."""
        if not decoded:
            return []
        pixels = np.stack([each.pixels for each in decoded])
        return self.predict_pixels(pixels, np.array([each.polarity is None and not each.unchanged for each in decoded]))

    def predict_pixels(self, pixels: Pixels, empty: Bool[np.ndarray, " n"] | None = None) -> list[Prediction]:
        """What it says of each of these images; `empty` marks those on which nothing was found."""
        return self.predictions_from(self.probabilities(pixels), pixels, empty)

    def predictions_from(
        self, shares: Probabilities, pixels: Pixels, empty: Bool[np.ndarray, " n"] | None = None
    ) -> list[Prediction]:
        """What these probabilities of these images say; `empty` as above."""
        blank = is_blank(pixels.astype(np.float32) / 255)
        if empty is not None and self.frame.channels == 1:
            blank |= empty
        order = np.argsort(-shares, 1, kind="stable")[:, :TOP]
        return [
            Prediction(
                tuple((self.classes[i], float(row[i])) for i in best), self._reason(float(row.max()), bool(nothing))
            )
            for row, best, nothing in zip(shares, order, blank, strict=True)
        ]

    def probabilities(self, pixels: Pixels) -> Probabilities:
        """Calibrated probabilities of each class, asked in batches."""
        parts = [self.ask(pixels[start : start + BATCH]) for start in range(0, len(pixels), BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.classes)), np.float32)

    def _reason(self, score: float, blank: bool) -> str | None:
        if blank:
            return BLANK_MESSAGE
        if self.threshold and score < self.threshold.confidence:
            expected, rate = self.threshold.confidence, self.threshold.error_rate
            return (
                f"its best answer has a probability of {score:.2f}; from {expected:.2f} on at most {rate:.1%} are wrong"
            )
        return None


def predictor_from_onnx(content: bytes, name: str, threads: int = 1) -> tuple[Predictor, Card]:
    """The classifier in an ONNX file that imparfait exported, and its card; `name` is how it is called.

    Runs in this process, so it is for files one trusts. Raises UserError for another's file, or a broken one.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting, it leaves the cores to others
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except (states.Fail, states.InvalidProtobuf, states.InvalidGraph, states.InvalidArgument, states.NotImplemented):
        raise UserError(f"{name}: is no ONNX file, or a broken one; export it again") from None
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    inputs, outputs = ({each.name for each in side} for side in (session.get_inputs(), session.get_outputs()))
    if text is None or inputs != {PICTURES} or not {PROBABILITIES} <= outputs:
        raise UserError(
            f"{name}: was not exported by imparfait, so how to ask it is not known; for a file of others there is "
            f"imparfait evaluate {name}"
        )
    card = card_from(text, name)

    def ask(pixels: Pixels) -> Probabilities:
        return np.asarray(session.run([PROBABILITIES], {PICTURES: pixels})[0])

    frame = Frame(card.input.height, card.input.width, card.input.channels)
    return Predictor(name, card.classes, frame, card.threshold, ask), card
