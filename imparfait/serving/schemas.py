"""Answers as the API writes them: the JSON of a page, of a corrupted image, of all that breaks it."""

import base64
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from pydantic import BaseModel, Field

from imparfait.data.images.normalize import NormalizedImage
from imparfait.serving.batching import BatchResult


class Prediction(BaseModel):
    """A label and its calibrated probability."""

    label: str
    score: float = Field(ge=0, le=1)


class ModelPrediction(BaseModel):
    """What a model says of an image."""

    model: str
    predictions: list[Prediction] = Field(description="the most probable labels, the best first")
    probabilities: dict[str, float] = Field(description="of every class")
    sure: bool
    reason: str | None = Field(None, description="why it is not sure; absent where it is")


class PagePrediction(BaseModel):
    """What the model says of a page of an image file."""

    predictions: list[Prediction]
    probabilities: dict[str, float]
    sure: bool
    reason: str | None = None
    seen: str = Field(description="what the model saw: a PNG, as a data URL")
    said: str = Field(description="what was done to the image to bring it into the model's frame")


class PredictResponse(BaseModel):
    """The answer to /v1/predict."""

    model: str
    pages: list[PagePrediction]
    beside: ModelPrediction | None = Field(
        None, description="what the other model says of the first page, where asked for"
    )


Box = tuple[int, int, int, int]


class ReadDigit(BaseModel):
    """A digit on a page."""

    label: str
    score: float
    sure: bool
    box: Box = Field(description="left, top, right and bottom in the image's pixels, as a person sees it")


class ReadField(BaseModel):
    """Digits without a wide gap between them."""

    text: str
    score: float = Field(description="how probable it is that all of it is right")
    sure: bool
    box: Box
    digits: list[ReadDigit]


class ReadLine(BaseModel):
    """Fields beside each other."""

    text: str
    fields: list[ReadField]


class ReadPage(BaseModel):
    """All digits on a page of an image file."""

    text: str
    sure: bool
    lines: list[ReadLine]


class ReadResponse(BaseModel):
    """The answer to /v1/read."""

    model: str
    pages: list[ReadPage]


class Corrupted(BaseModel):
    """The answer to /v1/alter."""

    corrupted: str = Field(description="the corrupted image, in the model's frame: a PNG, as a data URL")
    model: ModelPrediction
    beside: ModelPrediction | None = None


class SeverityLevels(BaseModel):
    """What a model says at each severity."""

    labels: list[str]
    scores: list[float]
    breaks_at: float | None = Field(description="the first severity with another label than at 0; null: none has")


class CorruptionInfo(BaseModel):
    """A corruption that there is."""

    name: str
    family: str
    summary: str
    degrees: bool = Field(description="whether severities between 0 and 1 mean anything")


class ModelRobustness(CorruptionInfo):
    """What models say of an image under one corruption, at its severities: of one without degrees, only at 1."""

    levels: list[float]
    model: SeverityLevels
    beside: SeverityLevels | None = None


class Robustness(BaseModel):
    """The answer to /v1/break."""

    levels: list[float]
    models: dict[str, str] = Field(description="what `model` and `beside` are called")
    corruptions: list[ModelRobustness]


class CorruptionList(BaseModel):
    """The answer to /v1/corruptions."""

    corruptions: list[CorruptionInfo]


class Problem(BaseModel):
    """What went wrong."""

    code: str
    message: str


class Error(BaseModel):
    """Every answer that is none: one shape."""

    error: Problem


def said(told: BatchResult, classes: Sequence[str]) -> dict[str, Any]:
    """What a model says of an image, without its name."""
    shares = {name: round(float(share), 6) for name, share in zip(classes, told.probabilities, strict=True)}
    answer = told.answer.to_json()
    return {"predictions": answer.pop("predictions"), "probabilities": shares, **answer}


def page(told: BatchResult, classes: Sequence[str], decoded: NormalizedImage) -> dict[str, Any]:
    """What the model says of a page, what it saw and what was done."""
    return {**said(told, classes), "seen": data_url(decoded.pixels), "said": decoded.said}


def data_url(pixels: UInt8[np.ndarray, "channels height width"]) -> str:
    """An image as a PNG in a data URL."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()


def png(pixels: UInt8[np.ndarray, "channels height width"]) -> bytes:
    """An image of 1 or 3 channels as a PNG; ten times as fast as Pillow for one as small as a digit."""
    channels, height, width = pixels.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # a row begins with the number of its filter: none
    rows[:, 1:] = pixels.transpose(1, 2, 0).reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )
