"""Schemas of the HTTP API: query parameters and response bodies."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from pydantic import BaseModel, Field

from imparfait.core.types import Pixels
from imparfait.data.images import encode
from imparfait.data.images.input_format import InputFormat
from imparfait.data.images.normalize import NormalizedImage
from imparfait.inference.predictor import Predictor
from imparfait.models.metadata import Parity, Threshold
from imparfait.serving.batching import BatchResult

Box = tuple[int, int, int, int]


class NoQuery(BaseModel, extra="forbid"):
    """No query parameters."""


class PredictQuery(BaseModel, extra="forbid"):
    """Query parameters of /v1/predict."""

    baseline: bool = Field(False, description="also predict the first page with the baseline model")


class CorruptQuery(BaseModel, extra="forbid"):
    """Query parameters of /v1/corrupt."""

    name: str = Field(min_length=1, max_length=100, description="a corruption listed by /v1/corruptions")
    severity: float = Field(ge=0, le=1, description="0 leaves the image unchanged")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of the corruption's random numbers")


class ReadQuery(BaseModel, extra="forbid"):
    """Query parameters of /v1/read."""

    inputs: bool = Field(False, description="also return each digit as the model receives it")


class CollectQuery(BaseModel, extra="forbid"):
    """Query parameters of /v1/collect."""

    label: str = Field(min_length=1, max_length=1000, description="the true class: one of the model's")


class CollectResponse(BaseModel):
    """The response of /v1/collect."""

    label: str
    saved: bool = Field(description="false: the folder has this image in this class already")
    images: int = Field(description="images in the folder")
    command: str = Field(description="what trains on them")


class Prediction(BaseModel):
    """A label and its calibrated probability."""

    label: str
    score: float = Field(ge=0, le=1)


class ModelPrediction(BaseModel):
    """A model's prediction for an image."""

    model: str
    predictions: list[Prediction] = Field(description="the most probable labels, best first")
    probabilities: dict[str, float] = Field(description="the probability of every class")
    confident: bool = Field(description="false: the model abstains")
    reason: str | None = Field(None, description="why the model abstains; absent if it is confident")
    blank: bool = Field(False, description="nothing to classify was found: the labels mean nothing; absent if false")


class PagePrediction(BaseModel):
    """The prediction for a page of an image file."""

    predictions: list[Prediction]
    probabilities: dict[str, float]
    confident: bool
    reason: str | None = None
    blank: bool = False
    model_input: str = Field(description="the image as the model receives it: a PNG as a data URL")
    preprocessing: str = Field(description="how the image was normalised")
    box: list[int] = Field(
        min_length=4,
        max_length=4,
        description="what the model's input shows: left, top, right and bottom in pixels of the upright image",
    )


class PredictResponse(BaseModel):
    """The response of /v1/predict."""

    model: str
    pages: list[PagePrediction]
    baseline: ModelPrediction | None = Field(
        None, description="the baseline's prediction for the first page, on request"
    )


class ReadDigit(BaseModel):
    """A digit on a page."""

    label: str
    score: float
    confident: bool
    box: Box = Field(description="left, top, right and bottom in pixels of the upright image")
    model_input: str | None = Field(
        None, description="on request: the digit as the model receives it, a PNG as a data URL"
    )


class ReadField(BaseModel):
    """A number: digits without a wide gap between them."""

    text: str
    score: float = Field(description="probability that the whole number is correct")
    confident: bool
    box: Box
    reason: str | None = Field(description="why it is unsure, where this is not for its digits")
    digits: list[ReadDigit]


class ReadLine(BaseModel):
    """A line of numbers."""

    text: str
    fields: list[ReadField]


class ReadPage(BaseModel):
    """All digits on a page of an image file."""

    text: str
    confident: bool
    lines: list[ReadLine]


class ReadResponse(BaseModel):
    """The response of /v1/read."""

    model: str
    pages: list[ReadPage]


class CorruptResponse(BaseModel):
    """The response of /v1/corrupt."""

    corrupted: str = Field(description="the corrupted image, as the model receives it: a PNG as a data URL")
    model: ModelPrediction
    baseline: ModelPrediction | None = None


class SeverityCurve(BaseModel):
    """A model's predictions at each severity."""

    labels: list[str]
    scores: list[float]
    first_failure: float | None = Field(
        description="the lowest severity at which the label differs from the clean image's; null if there is none"
    )


class CorruptionInfo(BaseModel):
    """A corruption."""

    name: str
    family: str
    summary: str
    graded: bool = Field(description="whether severities between 0 and 1 exist")


class CorruptionRobustness(CorruptionInfo):
    """The models' predictions under one corruption, at each severity; only at 1 if it is not graded."""

    severities: list[float]
    model: SeverityCurve
    baseline: SeverityCurve | None = None


class RobustnessResponse(BaseModel):
    """The response of /v1/robustness."""

    severities: list[float]
    models: dict[str, str] = Field(description="the names of `model` and `baseline`")
    corruptions: list[CorruptionRobustness]


class CorruptionList(BaseModel):
    """The response of /v1/corruptions."""

    severities: list[float] = Field(description="those of /v1/robustness")
    corruptions: list[CorruptionInfo]


class CorruptionSupport(BaseModel):
    """Whether this server can corrupt images."""

    available: bool
    needs: str | None = Field(None, description="what to install if it cannot")


class ModelInfo(BaseModel):
    """The response of /v1/model."""

    model: str
    network: str | None = None
    recipe: str | None = None
    classes: list[str]
    input: InputFormat
    threshold: Threshold | None = Field(None, description="the probability below which the model abstains")
    temperature: float | None = None
    parity: Parity | None = Field(None, description="agreement of the exported file with its source")
    weights: str | None = Field(None, description="sha256 of the weights")
    baseline: str | None = Field(None, description="the model that /v1/predict?baseline=1 runs too")
    corruptions: CorruptionSupport
    collects: bool = Field(False, description="whether /v1/collect saves corrected images")


class GalleryImage(BaseModel):
    """A corrupted digit on which the models disagree."""

    truth: str
    corruption: str
    severity: float
    image: str = Field(description="the clean digit: a PNG as a data URL")
    corrupted: str
    model: ModelPrediction
    baseline: ModelPrediction


class Gallery(BaseModel):
    """The response of /v1/gallery."""

    models: dict[str, str] = Field({}, description="sha256 of each model's weights")
    searched: int = Field(0, description="number of digits that were searched, under every corruption")
    images: list[GalleryImage] = []


class Problem(BaseModel):
    """An error."""

    code: str
    detail: str | None = None
    message: str


class Error(BaseModel):
    """The body of every error response."""

    error: Problem


def prediction_json(result: BatchResult, classes: Sequence[str]) -> dict[str, Any]:
    """A prediction as JSON, without the model's name."""
    by_class = {name: round(float(p), 6) for name, p in zip(classes, result.probabilities, strict=True)}
    content = result.prediction.to_json()
    return {"predictions": content.pop("predictions"), "probabilities": by_class, **content}


def model_prediction_json(predictor: Predictor, result: BatchResult) -> dict[str, Any]:
    """A model's prediction as JSON, with its name."""
    return {"model": predictor.name, **prediction_json(result, predictor.classes)}


def page_json(result: BatchResult, classes: Sequence[str], page: NormalizedImage) -> dict[str, Any]:
    """The prediction for a page as JSON, with the model's input."""
    return {
        **prediction_json(result, classes),
        "model_input": data_url(page.pixels),
        "preprocessing": page.preprocessing,
        "box": list(page.box),
    }


def reading_json(reading: dict[str, Any], inputs: Sequence[Pixels]) -> dict[str, Any]:
    """A page's digits as JSON, each with the model's input where `inputs` has them."""
    digits = [digit for line in reading["lines"] for field in line["fields"] for digit in field["digits"]]
    for digit, pixels in zip(digits, inputs, strict=False):
        digit["model_input"] = data_url(pixels[0])
    return reading


def data_url(pixels: UInt8[np.ndarray, "channels height width"]) -> str:
    """An image as a data URL of a PNG."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()


def png(pixels: UInt8[np.ndarray, "channels height width"]) -> bytes:
    """An image of 1 or 3 channels as a PNG file."""
    return encode.png(pixels, compress_level=1)  # a page is waiting for it
