"""Classifiers that predict from uint8 images: labels with calibrated probabilities, or an abstention and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from imparfait.core.compute import images_at_once, onnx_session
from imparfait.core.errors import UserError
from imparfait.core.types import Pixels, Probabilities, are_probabilities
from imparfait.data.images.blank import is_blank
from imparfait.data.images.input_format import InputFormat
from imparfait.data.images.normalize import NormalizedImage
from imparfait.models.metadata import KEY, ExportMetadata, NoneOfThese, Threshold, parse_metadata

TOP = 3  # labels in a prediction
BATCH_IMAGES = 256  # as fast as any other number, and 1 MB of activations an image
SUM_TOLERANCE = 1e-2  # by which the sum of a model's probabilities may leave 1; half precision is off by 5e-4
SMALLEST = 1e-12  # of a pooled probability, so that two views that exclude each other's labels have a sum
NO_DIGIT = "nothing like a digit found on it"
NO_OBJECT = "no object found on its plain background"
BLANK_MESSAGES = frozenset((NO_DIGIT, NO_OBJECT))  # of an empty page, of one grey and of mere noise
NOT_CALIBRATED = "not calibrated: it is not known how often the model is wrong"
IMAGES, PROBABILITIES, LOGITS = "images", "probabilities", "logits"
"""The input and the outputs of an ONNX file of ours."""


@dataclass(frozen=True)
class Prediction:
    """The most probable labels of one image, and whether to rely on the first."""

    predictions: tuple[tuple[str, float], ...]
    """Labels with their probabilities, the most probable first; at most TOP."""
    reason: str | None = None
    """Why the model abstains; None where it is confident."""

    @property
    def confident(self) -> bool:
        """Whether the label is to be relied on."""
        return self.reason is None

    @property
    def blank(self) -> bool:
        """Whether nothing to classify was found on the image: its label and probabilities then mean nothing."""
        return self.reason in BLANK_MESSAGES

    @property
    def doubt(self) -> str:
        """In words for people: "unsure" and why, or "not calibrated"; empty where it is confident."""
        if self.reason is None or self.reason == NOT_CALIBRATED:
            return self.reason or ""
        return f"unsure: {self.reason}"

    @property
    def label(self) -> str:
        """The most probable label, whether or not the model is confident; of a `blank` image it means nothing."""
        return self.predictions[0][0]

    @property
    def score(self) -> float:
        """The probability of `label`."""
        return self.predictions[0][1]

    def to_json(self) -> dict[str, Any]:
        """The prediction's keys in `predict --json` and the HTTP API."""
        content: dict[str, Any] = {
            "predictions": [{"label": label, "score": round(score, 6)} for label, score in self.predictions],
            "confident": self.confident,
        }
        if self.confident:
            return content
        return {**content, "reason": self.reason, **({"blank": True} if self.blank else {})}


@dataclass(frozen=True, eq=False)
class Predictor:
    """A classifier for image files, whatever it runs on."""

    name: str
    classes: tuple[str, ...]
    input_format: InputFormat
    threshold: Threshold | None
    run: Callable[[Pixels], Probabilities]
    """From pixels as in training, in any number, to calibrated probabilities."""
    none_of_these: NoneOfThese | None = None

    @property
    def blank_message(self) -> str:
        """Why this model abstains for an image on which nothing to classify was found."""
        of_digits = self.input_format.normalization == "digit" and all(name.isdigit() for name in self.classes)
        return NO_DIGIT if of_digits else NO_OBJECT

    def close(self) -> None:
        """End the process that the classifier runs in, where it has one of its own."""
        if close := getattr(self.run, "close", None):
            close()

    def predict_proba(self, pixels: Pixels) -> Probabilities:
        """Calibrated probabilities of each class, computed in batches. Raises UserError for NaN and other numbers."""
        batch = images_at_once(pixels.shape[1:], BATCH_IMAGES)
        parts = [self.run(pixels[start : start + batch]) for start in range(0, len(pixels), batch)]
        found = np.concatenate(parts) if parts else np.zeros((0, len(self.classes)), np.float32)
        fits = found.shape == (len(pixels), len(self.classes))
        if not (fits and are_probabilities(found) and bool((np.abs(found.sum(1) - 1) <= SUM_TOLERANCE).all())):
            raise UserError(
                f"{self.name}: its outputs are no probabilities",
                expected=f"{len(self.classes)} numbers in 0..1 of sum 1 for each image",
                hint="train or export it again",
            )
        return found

    def predict(self, images: Sequence[NormalizedImage]) -> list[Prediction]:
        """The prediction for each image."""
        if not images:
            return []
        pixels = np.stack([image.pixels for image in images])
        empty = np.array([image.empty for image in images])
        return self.predictions_from(self.probabilities_of(images), pixels, empty)

    def probabilities_of(self, images: Sequence[NormalizedImage]) -> Probabilities:
        """Calibrated probabilities of each class, from both views of an image where the model takes two."""
        if not images:
            return np.zeros((0, len(self.classes)), np.float32)
        pixels, owners = views_of(images, self.input_format.two_views)
        return pooled(self.predict_proba(pixels), owners)

    def predict_pixels(self, pixels: Pixels, empty: Bool[np.ndarray, " n"] | None = None) -> list[Prediction]:
        """The prediction for each image, given as in training; `empty` marks those without a foreground."""
        return self.predictions_from(self.predict_proba(pixels), pixels, empty)

    def predictions_from(
        self, probabilities: Probabilities, pixels: Pixels, empty: Bool[np.ndarray, " n"] | None = None
    ) -> list[Prediction]:
        """The predictions that follow from the probabilities of these images; `empty` as above."""
        blank = is_blank(pixels.astype(np.float32) / 255)
        if empty is not None:
            blank |= empty
        order = np.argsort(-probabilities, 1, kind="stable")[:, :TOP]
        return [
            Prediction(
                tuple((self.classes[index], float(row[index])) for index in best),
                self._reason(float(row.max()), bool(is_empty)),
            )
            for row, best, is_empty in zip(probabilities, order, blank, strict=True)
        ]

    def _reason(self, score: float, blank: bool) -> str | None:
        if blank:
            return self.blank_message
        if (none := self.none_of_these) and score < none.confidence:
            return (
                f"like none of the classes: the probability of its label is {score:.2f}, and only "
                f"{none.false_rate:.0%} of images of the classes have less than {none.confidence:.2f}"
            )
        if self.threshold is None:
            return NOT_CALIBRATED
        if score < self.threshold.confidence:
            least, rate = self.threshold.confidence, self.threshold.error_rate
            return f"the probability of its label is {score:.2f}; from {least:.2f} on, at most {rate:.1%} are wrong"
        return None


def views_of(images: Sequence[NormalizedImage], two_views: bool) -> tuple[Pixels, Int64[np.ndarray, " m"]]:
    """The pixels of each image, then, with `two_views`, the whole pages that are there; and the image of each view."""
    twice = [number for number, image in enumerate(images) if two_views and image.whole is not None]
    pixels = np.stack([image.pixels for image in images])
    whole = [image.whole for image in images if two_views and image.whole is not None]
    return np.concatenate([pixels, np.stack(whole)]) if whole else pixels, np.array([*range(len(images)), *twice])


def pooled(
    probabilities: Float32[np.ndarray, "m classes"], owners: Int64[np.ndarray, " m"]
) -> Float32[np.ndarray, "images classes"]:
    """The probabilities of each image from those of its views: their geometric mean, of sum 1.

    Where two views disagree, neither keeps its confidence.
    """
    images = int(owners.max()) + 1
    result = probabilities[:images].copy()
    twice = owners[images:]
    if len(twice):
        mean = np.sqrt(np.clip(result[twice], 0, None) * np.clip(probabilities[images:], 0, None)) + SMALLEST
        result[twice] = mean / mean.sum(1, keepdims=True)
    return result


def checked(predictor: Predictor) -> Predictor:
    """The predictor itself; raises UserError when its outputs for a black image are no probabilities."""
    taken = predictor.input_format
    predictor.predict_proba(np.zeros((1, taken.channels, taken.height, taken.width), np.uint8))
    return predictor


def predictor_from_onnx(content: bytes, name: str, threads: int = 1) -> tuple[Predictor, ExportMetadata]:
    """The classifier in an ONNX file that imparfait exported, and its metadata; errors call it `name`.

    Runs in this process, so it is for files one trusts. Raises UserError for another's file, or a broken one.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    try:
        session = onnx_session(content, threads)
    except (states.Fail, states.InvalidProtobuf, states.InvalidGraph, states.InvalidArgument, states.NotImplemented):
        raise UserError(f"{name}: is no ONNX file, or a broken one", hint="export it again") from None
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    inputs, outputs = ({node.name for node in nodes} for nodes in (session.get_inputs(), session.get_outputs()))
    if text is None or inputs != {IMAGES} or not {PROBABILITIES} <= outputs:
        raise UserError(
            f"{name}: was not exported by imparfait, so what it takes is not known",
            hint=f"for the file of another program, write: imparfait evaluate {name}",
        )
    metadata = parse_metadata(text, name)

    def run(pixels: Pixels) -> Probabilities:
        return np.asarray(session.run([PROBABILITIES], {IMAGES: pixels})[0])

    return Predictor(name, metadata.classes, metadata.input, metadata.threshold, run, metadata.none_of_these), metadata
