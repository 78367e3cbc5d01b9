"""Exported .onnx files in the sandbox: a predictor whose network runs in a child process with restricted rights."""

# This module is also the program of that child: `prepare` and `load` are what the sandbox calls there.

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.storage import MAX_MODEL_BYTES, read_regular
from imparfait.core.types import Pixels, Probabilities
from imparfait.evaluation.external.sandbox.client import KilledError, SandboxedModel, SandboxLimits, sandbox_for
from imparfait.inference.predictor import Predictor, predictor_from_onnx
from imparfait.models.metadata import ExportMetadata, parse_metadata
from imparfait.models.pretrained import PRETRAINED

METADATA = "metadata"


def prepare() -> None:
    """Load a model of ours, so that child processes start with ONNX Runtime."""
    model = next(iter(PRETRAINED.values()))
    predictor_from_onnx((model.folder / "model.onnx").read_bytes(), model.name)


def load(path: str, threads: int) -> tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]:
    """The metadata of the file at `path`, and its function from pixels to probabilities."""
    try:
        predictor, metadata = predictor_from_onnx(Path(path).read_bytes(), path, threads)
    except UserError as error:  # the sandbox names the file
        received = error.received.removeprefix(f"{path}: ")
        raise UserError(received, expected=error.expected, hint=error.hint) from error
    return {METADATA: metadata.model_dump_json()}, predictor.run


def sandboxed_predictor(file: str, threads: int = 1) -> tuple[Predictor, ExportMetadata]:
    """The classifier in an .onnx file that imparfait exported, in the sandbox, and its metadata.

    Raises UserError for another's file, a broken one, and one that reaches a limit.
    """
    read_regular(Path(file), MAX_MODEL_BYTES, "an .onnx file that imparfait exported")
    model = SandboxedFunction(file, threads)
    metadata = parse_metadata(str(model.declared.get(METADATA)), file)
    predictor = Predictor(file, metadata.classes, metadata.input, metadata.threshold, model, metadata.none_of_these)
    return predictor, metadata


class SandboxedFunction:
    """The function of a sandboxed file, which is opened again after it was stopped; for one thread at a time."""

    def __init__(self, file: str, threads: int) -> None:
        self._file, self._threads = file, threads
        self._lock = threading.Lock()
        self._model = self._opened()
        self.declared = self._model.declared

    def __call__(self, pixels: Pixels) -> Probabilities:
        """The probabilities; where the system killed the process, once more in another."""
        with self._lock:
            if not self._model.is_open:
                self._model = self._opened()
            try:
                return np.asarray(self._model(pixels))
            except KilledError:  # perhaps for what another program took
                self._model = self._opened()
                return np.asarray(self._model(pixels))

    def close(self) -> None:
        """End its process."""
        with self._lock:
            self._model.close()

    def _opened(self) -> SandboxedModel:
        return sandbox_for(__name__).load(self._file, SandboxLimits(), self._threads)
