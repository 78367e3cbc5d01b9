"""Predictors by name or path: a pretrained model, an exported .onnx file, a run folder."""

from pathlib import Path

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.storage import MAX_MODEL_BYTES, read_regular
from imparfait.core.types import Pixels, Probabilities
from imparfait.inference.exported_model import sandboxed_predictor
from imparfait.inference.predictor import Predictor, checked, predictor_from_onnx
from imparfait.models.metadata import ExportMetadata, read_config
from imparfait.models.pretrained import PRETRAINED


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
    raise UserError(
        f"{model}: no such model",
        expected=f"one of {', '.join(PRETRAINED)}, an .onnx file that imparfait exported, or a run folder",
        hint="such as runs/default-s0-…",
    )


def _from_run(folder: Path) -> Predictor:
    from scipy.special import softmax

    from imparfait.models.loading import load_classifier

    config = read_config(folder)
    classifier = load_classifier(folder, precision="float32")  # as its ONNX file, to within rounding

    def run(pixels: Pixels) -> Probabilities:
        return softmax(classifier(pixels.astype(np.float32) / 255).astype(np.float64), 1).astype(np.float32)

    return Predictor(folder.name, config.classes, config.input, config.threshold, run, config.none_of_these)
