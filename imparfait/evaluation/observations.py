"""What is kept of images and their predictions instead of the images: properties, labels and confidence."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64
from pydantic import BaseModel, Field, ValidationError, model_validator

from imparfait.core.errors import UserError
from imparfait.core.storage import atomic_write, read_regular
from imparfait.core.types import Pixels, Sources
from imparfait.data.images.input_format import Normalization
from imparfait.evaluation.image_properties import PROPERTIES, image_property
from imparfait.models.metadata import Name, NoneOfThese, Threshold

FILE = "reference.json"
MAX_BYTES = 1 << 24
MOST_IMAGES = 2000  # of a reference: a share is then known to within 2 points
PROPERTY_DIGITS, SCORE_DIGITS = 5, 4  # after the point, in the log of a server and in references alike
ZOOM = "zoom"  # pixels of the model's input for one of the image file's; known of files only

Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, eq=False)
class Observations:
    """Properties of `n` images as a model takes them, and what it predicted."""

    properties: Mapping[str, Float64[np.ndarray, " n"]]
    """By name: those of PROPERTIES and perhaps "zoom"; NaN where it is not known."""
    labels: np.ndarray
    """The predicted classes' names."""
    scores: Float64[np.ndarray, " n"]
    """The probability of the predicted class."""
    unsure: Bool[np.ndarray, " n"]
    """Whether the model abstains."""
    blocks: Int64[np.ndarray, " n"]
    """Equal numbers for images that may be alike: of one group, or of one client at one time."""
    times: Float64[np.ndarray, " n"] | None = None
    """Seconds since 1970, in UTC."""

    def __len__(self) -> int:
        return len(self.scores)


class Reference(BaseModel, frozen=True, extra="forbid"):
    """The content of reference.json: properties and predictions of images that a model was not trained on."""

    format: Literal[1] = 1
    model: Name
    data: str
    split: Literal["validation", "calibration"]
    images: int = Field(ge=1)
    """Of the split; at most MOST_IMAGES of them are here."""
    normalization: Normalization
    classes: tuple[Name, ...] = Field(min_length=1)
    properties: dict[Name, tuple[Number, ...]]
    labels: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    """Predicted ones, as indices of `classes`."""
    scores: tuple[Share, ...]
    blank: tuple[Annotated[int, Field(ge=0)], ...]
    """The rows of images on which nothing is drawn, for which the model abstains."""
    groups: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _lengths_agree(self) -> "Reference":
        n = len(self.labels)
        if {n} != {len(self.scores), *map(len, self.properties.values()), len(self.groups) or n}:
            raise ValueError("lists of several lengths")
        if max(self.labels) >= len(self.classes) or max(self.blank, default=0) >= n:
            raise ValueError("a number of no class or image")
        return self

    def observations(self, least: float | None) -> Observations:
        """The same as arrays; the model abstains below the confidence `least`, always where that is None."""
        unsure = np.full(len(self.labels), True) if least is None else np.array(self.scores) < least
        unsure[list(self.blank)] = True
        return Observations(
            properties={name: np.array(values, float) for name, values in self.properties.items()},
            labels=np.array(self.classes)[list(self.labels)],
            scores=np.array(self.scores, float),
            unsure=unsure,
            blocks=np.array(self.groups or range(len(self.labels)), np.int64),
        )


def least_confidence(threshold: Threshold | None, none: NoneOfThese | None) -> float | None:
    """The confidence below which a model abstains; None for one that is not calibrated, which always does."""
    return max(threshold.confidence, none.confidence if none else 0.0) if threshold else None


def write_reference(folder: Path, reference: Reference) -> None:
    """Write reference.json into the folder of a run."""
    atomic_write(folder / FILE, (reference.model_dump_json() + "\n").encode())


def read_reference(folder: Path) -> Reference | None:
    """The reference in the folder of a run, None where it has none. Raises UserError for a broken one."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return Reference.model_validate_json(read_regular(path, MAX_BYTES))
    except ValidationError as error:
        raise UserError(f"{path}: is not what a training wrote", hint="delete it, and write --data") from error


def properties_of(pixels: Pixels) -> dict[str, Float64[np.ndarray, " n"]]:
    """The properties of each image, rounded as they are logged; no image can be drawn from them."""
    return {name: np.round(image_property(pixels, name), PROPERTY_DIGITS) for name in PROPERTIES}


def drawn_rows(sources: Sources, most: int = MOST_IMAGES) -> Int64[np.ndarray, " rows"]:
    """The rows of at most so many images, drawn by their source ids: always the same ones."""
    if len(sources) <= most:
        return np.arange(len(sources))
    keys = [hashlib.blake2b(f"reference {source}".encode(), digest_size=8).digest() for source in sources]
    return np.sort(np.array(sorted(range(len(keys)), key=keys.__getitem__)[:most]))
