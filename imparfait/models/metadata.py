"""What a classifier file states about itself, checked: `config.json` of a run, the metadata of an export."""

import unicodedata
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, PositiveInt, ValidationError

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.core.storage import printable, read_regular
from imparfait.data.images.normalize import InputFormat

CONFIG = "config.json"


MAX_JSON_BYTES = 1 << 20  # of config.json: 30,000 class names


MOST_VALUES = 1 << 22  # in an image: 2,000 pixels a side in grey


def _without_controls(text: str) -> str:
    if any(unicodedata.category(letter) == "Cc" for letter in text):
        raise ValueError("no line breaks and no other control characters")  # what is printed could move the cursor
    return text


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_without_controls)]


Sha256 = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]


class Threshold(BaseModel, frozen=True, extra="forbid"):
    """Answers with at least this confidence are accepted; of these at most the share `error_rate` is wrong."""

    confidence: float = Field(ge=0, le=1)
    error_rate: float = Field(gt=0, lt=1)


class ModelConfig(BaseModel, frozen=True, extra="forbid"):
    """A classifier's network, and what it takes and answers."""

    model: Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_without_controls)]
    """A name, or the file and the function of one's own network: to be named by who runs it."""
    origins: dict[Name, Sha256] = {}
    model_args: dict[Name, Annotated[int, Field(ge=1, le=1 << 12)]]
    classes: tuple[Name, ...] = Field(min_length=1)
    input: InputFormat
    compute: ComputeConfig
    temperature: float | None = Field(None, ge=0.01, le=100)
    """What the logits are divided by; None is 1. Found ones are 0.05 to 20; others would only overflow."""
    threshold: Threshold | None = None


def read_config(folder: Path) -> ModelConfig:
    """What config.json in a run folder says of its classifier; raises UserError when it cannot be read."""
    file = folder / CONFIG
    if not file.exists():
        raise UserError(f"{folder}: no classifier there; give a run folder, such as runs/default-s0-…")
    content = read_regular(file, MAX_JSON_BYTES)
    try:
        config = ModelConfig.model_validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        where = printable(".".join(map(str, first["loc"])))
        raise UserError(
            f"{file}: not as a training wrote it: {f'{where}: ' if where else ''}{printable(first['msg'])}; "
            "copy it anew from where it was trained, or train again"
        ) from error
    values = config.input.channels * config.input.height * config.input.width
    if values > MOST_VALUES:
        raise UserError(f"{file}: is for images of {values:,} values; expected at most {MOST_VALUES:,}")
    return config


KEY = "imparfait"
"""Under which a card stands in a file's metadata, as JSON."""


class Parity(BaseModel, frozen=True, extra="forbid"):
    """How an exported file answered beside the classifier it was made from, on the same images."""

    images: PositiveInt
    same_label: Annotated[int, Field(ge=0)]
    largest: Annotated[float, Field(ge=0, le=1)]
    """The largest difference of any probability."""

    def __str__(self) -> str:
        return (
            f"the same label on {self.same_label:,} of {self.images:,} corrupted images, "
            f"each probability within {self.largest:.1e}"
        )


class Card(BaseModel, frozen=True, extra="forbid"):
    """An exported classifier.

    An ONNX file takes uint8 `[n, channels, height, width]`, a .keras file float32 `[n, height, width, channels]` in
    0..1; both answer calibrated probabilities.
    """

    name: Name
    model: Name
    """The network."""
    recipe: Name
    classes: tuple[Name, ...] = Field(min_length=1)
    input: InputFormat
    temperature: float = Field(1.0, ge=0.01, le=100)
    """Already in the file's answers."""
    threshold: Threshold | None = None
    weights: Sha256
    """sha256 of the model.safetensors that it was made from."""
    settings: Sha256
    """Of all that decided the weights; it is in the run's settings.json."""
    parity: Parity | None = None


def card_from(text: str, name: str) -> Card:
    """The card in the metadata of a file that errors call `name`; raises UserError when it is none of ours."""
    try:
        return Card.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        where = printable(".".join(map(str, first["loc"])))
        raise UserError(
            f"{name}: what it says of itself is not as imparfait writes it: {where}: {printable(first['msg'])}; "
            "export it again"
        ) from error
