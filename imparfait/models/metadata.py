"""Schemas of a classifier's files: `config.json` of a run, and the metadata of an exported file."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, PositiveInt, ValidationError

from imparfait.core.compute import ComputeConfig
from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.core.names import MAX_NAME, without_controls
from imparfait.core.storage import printable, read_regular
from imparfait.data.images.input_format import InputFormat
from imparfait.models.pretrained import runs_in

CONFIG = "config.json"
MAX_JSON_BYTES = 1 << 20  # of config.json: 30,000 class names
MAX_VALUES = 1 << 22  # in an image: 2,000 pixels a side in grey
KEY = "imparfait"
"""The key of an export's metadata in an ONNX or .keras file; its value is JSON."""


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(without_controls)]
Sha256 = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]


class Threshold(BaseModel, frozen=True, extra="forbid"):
    """Predictions with at least this confidence are accepted; at most the share `error_rate` of them is wrong."""

    confidence: float = Field(ge=0, le=1)
    error_rate: float = Field(gt=0, lt=1)


class NoneOfThese(BaseModel, frozen=True, extra="forbid"):
    """Predictions with less than this confidence are of images like none of the classes."""

    confidence: float = Field(ge=0, le=1)
    false_rate: float = Field(ge=0, lt=1)
    """Of images of the classes, which have less too; on the images that the rule was found on."""
    caught: dict[Name, Annotated[float, Field(ge=0, le=1)]]
    """Of images of out-of-distribution sets, by the set's name."""
    held_out_classes: dict[Name, Annotated[float, Field(ge=0, le=1)]] = {}
    """Of the images of each class, by networks that were trained in the same way without it; empty: not measured."""


class ModelConfig(BaseModel, frozen=True, extra="forbid"):
    """The content of config.json: a classifier's network, its input, its classes and its calibration."""

    model: Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(without_controls)]
    """A built-in network's name, or the file and function of a custom one, which the user must name again to run it."""
    origins: dict[Name, Sha256] = {}
    model_args: dict[Name, Annotated[int, Field(ge=1, le=1 << 12)]]
    classes: tuple[Name, ...] = Field(min_length=1)
    input: InputFormat
    compute: ComputeConfig
    temperature: float | None = Field(None, ge=0.01, le=100)
    """The logits are divided by it; None is 1. Calibration finds 0.05 to 20; others would only overflow."""
    threshold: Threshold | None = None
    none_of_these: NoneOfThese | None = None


def read_config(folder: Path) -> ModelConfig:
    """The config.json of a run folder; raises UserError when it cannot be read."""
    file = folder / CONFIG
    if not file.exists():
        runs = runs_in(folder)
        several = f"; it has {counted(len(runs), 'run')}" if runs else ""
        such = f"such as {runs[-1]}" if runs else "such as runs/default-s0-…"
        raise UserError(f"{folder}: no classifier there{several}", expected="a run folder", hint=f"name one, {such}")
    content = read_regular(file, MAX_JSON_BYTES)
    try:
        config = ModelConfig.model_validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        where = printable(".".join(map(str, first["loc"])))
        raise UserError(
            f"{file}: not a config.json of imparfait: {f'{where}: ' if where else ''}{printable(first['msg'])}",
            hint="copy it again from where it was trained, or train again",
        ) from error
    _check_input(str(file), config.input)
    return config


def _check_input(name: str, taken: InputFormat) -> None:
    """Raises UserError for images that would fill the memory."""
    values = taken.channels * taken.height * taken.width
    if values > MAX_VALUES:
        raise UserError(f"{name}: is for images of {values:,} values", expected=f"at most {MAX_VALUES:,}")


def shared_input_format(paths: Iterable[Path]) -> InputFormat | None:
    """The input format of the run folders among `paths`, to which image files are brought; None where they differ."""
    formats = {read_config(path).input for path in paths if path.is_dir()}
    return formats.pop() if len(formats) == 1 else None


class Parity(BaseModel, frozen=True, extra="forbid"):
    """How closely an exported file agrees with the classifier it was made from, on the same images."""

    images: PositiveInt
    same_label: Annotated[int, Field(ge=0)]
    largest: Annotated[float, Field(ge=0, le=1)]
    """Largest difference of a probability."""

    def __str__(self) -> str:
        return (
            f"the same label on {self.same_label:,} of {self.images:,} corrupted images, "
            f"each probability within {self.largest:.1e}"
        )


class ExportMetadata(BaseModel, frozen=True, extra="forbid"):
    """The metadata in an exported file.

    An ONNX file takes uint8 `[n, channels, height, width]`, a .keras file float32 `[n, height, width, channels]` in
    0..1; both return calibrated probabilities.
    """

    name: Name
    model: Name
    """The network."""
    recipe: Name
    classes: tuple[Name, ...] = Field(min_length=1)
    input: InputFormat
    temperature: float = Field(1.0, ge=0.01, le=100)
    """Already applied in the file."""
    threshold: Threshold | None = None
    none_of_these: NoneOfThese | None = None
    weights: Sha256
    """sha256 of the model.safetensors it was made from."""
    settings: Sha256
    """The hash in the run's settings.json, of everything that decided the weights."""
    parity: Parity | None = None


def parse_metadata(text: str, name: str) -> ExportMetadata:
    """The metadata of an exported file, which errors call `name`; raises UserError when imparfait did not write it."""
    try:
        metadata = ExportMetadata.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        where = printable(".".join(map(str, first["loc"])))
        raise UserError(
            f"{name}: not metadata of imparfait: {where}: {printable(first['msg'])}", hint="export it again"
        ) from error
    if len(set(metadata.classes)) < len(metadata.classes):
        raise UserError(f"{name}: not metadata of imparfait: classes: two have the same name", hint="export it again")
    _check_input(name, metadata.input)
    return metadata
