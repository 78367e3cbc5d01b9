"""What is known before any image comes: the model's card, the page's files, parameters of requests."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from fastapi import Response
from pydantic import BaseModel, Field

from imparfait.models.metadata import Input, Parity, Threshold
from imparfait.serving import schemas
from imparfait.serving.errors import RefusedError
from imparfait.serving.service import NEEDS_TORCH, Service, can_alter

HERE = Path(__file__).parent
WEB, GALLERY = HERE / "web", HERE / "gallery.json"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
}


class NoQuery(BaseModel, extra="forbid"):
    """No parameters."""


class BaselineQuery(BaseModel, extra="forbid"):
    """Parameters of /v1/predict."""

    beside: bool = Field(False, description="ask the second model of the package about the first page too")


class CorruptQuery(BaseModel, extra="forbid"):
    """Parameters of /v1/alter."""

    name: str = Field(min_length=1, max_length=100, description="a corruption of GET /v1/corruptions")
    severity: float = Field(ge=0, le=1, description="0 changes nothing")
    seed: int = Field(0, ge=0, lt=2**31, description="another seed, other chance")


class CorruptionSupport(BaseModel):
    """Whether images can be corrupted here."""

    available: bool
    needs: str | None = Field(None, description="what to install, where they cannot")


class ModelInfo(BaseModel):
    """What is served."""

    model: str
    network: str | None = None
    recipe: str | None = None
    classes: list[str]
    input: Input
    threshold: Threshold | None = Field(None, description="from which probability on it is sure")
    temperature: float | None = None
    parity: Parity | None = Field(None, description="how the file answered beside what it was exported from")
    weights: str | None = Field(None, description="sha256 of the weights it was exported from")
    beside: str | None = Field(None, description="the second model, that /v1/predict?beside=1 asks too")
    corruptions: CorruptionSupport


class GalleryImage(BaseModel):
    """A digit on which the models part."""

    truth: str
    corruption: str
    severity: float
    image: str = Field(description="the digit as it was: a PNG, as a data URL")
    corrupted: str
    model: schemas.ModelPrediction
    beside: schemas.ModelPrediction


class Gallery(BaseModel):
    """The answer to /v1/gallery."""

    models: dict[str, str] = Field({}, description="sha256 of the weights of each model that was asked")
    looked_at: int = Field(0, description="how many digits were corrupted in every way to find these")
    images: list[GalleryImage] = []


def of(service: Service) -> dict[str, Any]:
    """The answer to /v1/model."""
    ready, card = service.asked["model"].ready, service.cards["model"]
    frame = ready.frame
    return ModelInfo(
        model=ready.name,
        network=card.model if card else None,
        recipe=card.recipe if card else None,
        classes=list(ready.classes),
        input=Input(channels=frame.channels, height=frame.height, width=frame.width),
        threshold=ready.threshold,
        temperature=card.temperature if card else None,
        parity=card.parity if card else None,
        weights=card.weights if card else None,
        beside=service.names.get("beside"),
        corruptions=CorruptionSupport(available=True)
        if can_alter()
        else CorruptionSupport(available=False, needs=NEEDS_TORCH),
    ).model_dump(mode="json")


def gallery() -> Any:
    """The answer to /v1/gallery; without images where none have been looked for."""
    return json.loads(GALLERY.read_bytes()) if GALLERY.exists() else Gallery().model_dump()


def file(name: str, known: str) -> Response:
    """A file of the page; only those that lie in its folder have a name here. `known` is the tag of the one at hand."""
    for path in sorted(WEB.glob("*")):
        if path.name == name and path.suffix in TYPES:
            content = path.read_bytes()
            headers = {"etag": f'"{sha256(content).hexdigest()[:32]}"', "cache-control": "no-cache"}
            if headers["etag"] == known:
                return Response(None, 304, headers)
            return Response(content, media_type=TYPES[path.suffix], headers=headers)
    raise RefusedError(404, "there is no such file")
