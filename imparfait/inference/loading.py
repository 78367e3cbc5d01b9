"""Predictors by name or path: a pretrained model, an exported .onnx file, a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.storage import MAX_MODEL_BYTES, read_regular
from imparfait.core.types import Pixels, Probabilities
from imparfait.inference.exported_model import sandboxed_predictor
from imparfait.inference.predictor import Predictor, checked, predictor_from_onnx
from imparfait.models.metadata import ExportMetadata, read_config
from imparfait.models.pretrained import PRETRAINED, no_model


@runtime_checkable
class OpenedModel(Protocol):
    """A model of `open_model`, external ones included."""

    def to_predictor(self) -> Predictor:
        """As a predictor of image files."""


Model: TypeAlias = "str | Path | Predictor | OpenedModel"
"""A pretrained model's name, an .onnx file that imparfait exported, a run folder, or a model that is open."""


def as_predictor(model: Model) -> Predictor:
    """The predictor for a model. Raises UserError where there is none."""
    if isinstance(model, Predictor):
        return model
    if isinstance(model, str | Path):
        return load_predictor(str(model))
    if isinstance(model, OpenedModel):
        return model.to_predictor()
    raise UserError(
        f"a model of type {type(model).__name__}",
        expected=f"one of {', '.join(PRETRAINED)}, an .onnx file, a run folder, or a model of open_model",
        hint="for a function, write: imparfait.open_model(function, imparfait.load_data(…))",
    )


def load_predictor(model: str, threads: int = 1, trust: bool = False) -> Predictor:
    """The predictor for a pretrained model, an .onnx file of ours, or a run folder (which needs torch).

    An .onnx file may have come from anywhere, so it runs in the sandbox, unless `trust` says that it may run in this
    process. Raises UserError where there is none.
    """
    return load_predictor_with_metadata(model, threads, trust)[0]


def load_predictor_with_metadata(
    model: str, threads: int = 1, trust: bool = False
) -> tuple[Predictor, ExportMetadata | None]:
    """As `load_predictor`, with the metadata in its file; a run folder has none."""
    predictor, metadata = _loaded(model, threads, trust)
    return checked(predictor), metadata


def _loaded(model: str, threads: int, trust: bool) -> tuple[Predictor, ExportMetadata | None]:
    if model in PRETRAINED:
        return predictor_from_onnx((PRETRAINED[model].folder / "model.onnx").read_bytes(), model, threads)
    path = Path(model)
    if path.suffix == ".onnx" and not trust:
        return sandboxed_predictor(model, threads)
    if path.suffix == ".onnx":
        return predictor_from_onnx(
            read_regular(path, MAX_MODEL_BYTES, "an .onnx file that imparfait exported"), model, threads
        )
    if path.is_dir():
        return _from_run(path), None
    if not path.exists():
        raise no_model(model, "a run folder, an .onnx file that imparfait exported, or ")
    raise UserError(
        f"{model}: is no model of imparfait",
        expected=f"a run folder, an .onnx file that imparfait exported, or {' or '.join(PRETRAINED)}",
        hint=f"models of others are measured: imparfait evaluate {model}",
    )


def _from_run(folder: Path) -> Predictor:
    config = read_config(folder)  # before what takes seconds to import

    from scipy.special import softmax

    from imparfait.models.loading import load_classifier

    classifier = load_classifier(folder, precision="float32")  # as its ONNX file, to within rounding

    def run(pixels: Pixels) -> Probabilities:
        return softmax(classifier(pixels.astype(np.float32) / 255).astype(np.float64), 1).astype(np.float32)

    return Predictor(folder.name, config.classes, config.input, config.threshold, run, config.none_of_these)
