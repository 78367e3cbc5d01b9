"""External model files: opened in a sandbox, or refused with what to write instead."""

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from imparfait.core.compute import images_at_once
from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.core.storage import MAX_MODEL_BYTES, open_regular
from imparfait.evaluation.external.base import BATCH_SIZE, DeclaredSpec
from imparfait.evaluation.external.sandbox.client import OutOfMemoryError, SandboxLimits, sandbox_for


@dataclass(frozen=True)
class ModelFormat:
    """A supported file format: the module that loads it, and the packages it needs."""

    loader: str
    packages: tuple[str, ...]
    extra: str
    """The extra of imparfait that installs them."""


TORCHSCRIPT = ModelFormat("imparfait.evaluation.external.torchscript", ("torch",), "train")
FORMATS = {
    ".onnx": ModelFormat("imparfait.evaluation.external.onnx", ("onnx", "onnxruntime"), "train"),
    ".keras": ModelFormat("imparfait.evaluation.external.keras", ("keras", "torch"), "keras"),
    ".pt2": ModelFormat("imparfait.evaluation.external.torch_export", ("torch",), "train"),
    ".pt": TORCHSCRIPT,
    ".pth": TORCHSCRIPT,
    ".torchscript": TORCHSCRIPT,
    ".tflite": ModelFormat("imparfait.evaluation.external.tflite", ("ai_edge_litert",), "litert"),
    ".skops": ModelFormat("imparfait.evaluation.external.skops", ("skops", "sklearn"), "skops"),
}
LISTED_FORMATS = f"{', '.join([*FORMATS][:-1])} or {[*FORMATS][-1]}"

# Unsupported formats: what such a file is, and what to do with it.
TORCH = (
    "is a pickle of PyTorch, which can run code when it is loaded",
    "where you made it, write: torch.onnx.export(model, (images,), 'model.onnx', external_data=False)",
)
PICKLE = (
    "is a pickle, which runs code when it is loaded",
    "where you made it, evaluate its predict function in Python; or save a scikit-learn model with skops.io.dump",
)
HDF5 = (
    "is in Keras's old format, which can hold code",
    "where you made it, write: keras.saving.load_model({name!r}).save('model.keras')",
)
SAVED_MODEL = (
    "is in TensorFlow's format, which is a program",
    "where you made it, write: keras.Model(…).save('model.keras'), "
    "or python -m tf2onnx.convert --saved-model {name} --output model.onnx",
)
TFLITE = ("is in TensorFlow Lite's format", "give it a name that ends in .tflite")
WEIGHTS = (
    "holds weights without their network",
    "give the run folder it is from, or export the model to ONNX",
)
PYTHON = ("is a Python file", "name the function in it: {name}:predict")
UNSUPPORTED = {
    ".ckpt": TORCH, ".bin": TORCH, ".pkl": PICKLE, ".pickle": PICKLE, ".joblib": PICKLE, ".h5": HDF5, ".hdf5": HDF5,
    ".pb": SAVED_MODEL, ".safetensors": WEIGHTS, ".npz": WEIGHTS, ".py": PYTHON,
}  # fmt: skip
SIGNATURES = {b"\x89HDF\r\n\x1a\n": HDF5} | {bytes([0x80, version]): PICKLE for version in (2, 3, 4, 5)}
TFLITE_SIGNATURE = b"TFL3"  # from byte 4 on
ZIP_SIGNATURE = b"PK\x03\x04"
ZIPPED = {
    ".keras": "save the model again",
    ".skops": "write: skops.io.dump(model, 'model.skops')",
    ".pt2": "where you made it, write: torch.export.save(torch.export.export(model, (images,)), 'model.pt2')",
    ".pt": TORCH[1],
    ".pth": TORCH[1],
    ".torchscript": TORCH[1],
}
"""Formats that are zip archives, with what to do where a file is none."""


class ExternalModel:
    """The function in a model file: arrays as the file takes them to float32 `[n, classes]` or int64 labels `[n]`."""

    def __init__(self, path: Path, declared: DeclaredSpec, function: Callable[[np.ndarray], np.ndarray]) -> None:
        self.path, self.declared = path, declared
        self._function = function
        self._images_at_once = 0  # fewer after a batch that ran out of memory

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The outputs for `images`; raises UserError for whatever happens in the sandbox."""
        parts = []
        fixed = self.declared.shape[0] if self.declared.shape else None
        self._images_at_once = self._images_at_once or _whole(images_at_once(images.shape[1:], BATCH_SIZE), fixed)
        start = 0
        while start < len(images):
            try:
                parts.append(self._function(images[start : start + self._images_at_once]))
            except OutOfMemoryError:
                if self._images_at_once <= (fixed or 1):
                    raise
                self._images_at_once = _whole(self._images_at_once // 2, fixed)
            else:
                start += self._images_at_once
        if len({part.shape[1:] for part in parts}) != 1:
            raise UserError(f"{self.path}: returns a different number of classes from batch to batch")
        return np.concatenate(parts)


def _whole(images: int, fixed: int | None) -> int:
    """At most `images`, or so many that a model of a fixed batch size has no batch that is not full."""
    return max(images // fixed, 1) * fixed if fixed else max(images, 1)


@contextmanager
def open_external(
    path: str | Path, *, threads: int = 1, limits: SandboxLimits | None = None
) -> Iterator[ExternalModel]:
    """The model in the file at `path`, of one of FORMATS, run in a sandbox on `threads` threads until the block ends.

    Raises UserError when it cannot be loaded; for an unsupported format with what to write instead.
    """
    path = Path(path)
    model_format = format_of(path)
    for package in model_format.packages:
        if importlib.util.find_spec(package) is None:
            hint = install_hint(model_format.extra)
            name = package.replace("_", "-")
            raise UserError(f"{path}: to load it, {name} must be installed", hint=hint)
    with sandbox_for(model_format.loader).open(path, limits, threads) as function:
        try:
            declared = DeclaredSpec.model_validate(function.declared)
        except ValidationError as error:
            raise UserError(f"{path}: its declared input and output are nonsense", hint="do not trust it") from error
        yield ExternalModel(path, declared, function)


def format_of(path: Path) -> ModelFormat:
    """The format of a file, by its suffix and its first bytes; raises UserError for an unsupported one."""
    suffix, start = path.suffix.lower(), _first_bytes(path)
    by_signature = next((entry for signature, entry in SIGNATURES.items() if start.startswith(signature)), None)
    is_tflite = start[4:8] == TFLITE_SIGNATURE
    unsupported = TFLITE if is_tflite and suffix != ".tflite" else by_signature or UNSUPPORTED.get(suffix)
    if unsupported is PICKLE and FORMATS.get(suffix) is TORCHSCRIPT:
        unsupported = TORCH
    if unsupported:
        what, hint = unsupported
        raise UserError(f"{path}: {what}", hint=hint.format(name=path.name))
    if suffix not in FORMATS:
        expected = f"a run folder, or a {LISTED_FORMATS} file"
        raise UserError(f"{path}: is no run folder and no known model file", expected=expected)
    if suffix in ZIPPED and not start.startswith(ZIP_SIGNATURE):
        raise UserError(f"{path}: is no zip archive, as a {suffix} file is", hint=ZIPPED[suffix])
    if suffix == ".onnx" and start.startswith(ZIP_SIGNATURE):
        raise UserError(f"{path}: is a zip archive, which an .onnx file is not", hint="give the exported file itself")
    return FORMATS[suffix]


def _first_bytes(path: Path) -> bytes:
    """The first 8 bytes of a regular file; raises UserError when it is none, or too large."""
    expected = f"a {LISTED_FORMATS} file"
    if path.is_dir():
        if (path / "saved_model.pb").exists():
            what, hint = SAVED_MODEL
            raise UserError(f"{path}: {what}", hint=hint.format(name=path.name))
        raise UserError(f"{path}: is a folder without a run", expected=f"a run folder, or {expected}")
    if not path.exists():
        raise UserError(f"{path}: there is no such file")
    handle = open_regular(path, expected)
    try:
        size = os.fstat(handle).st_size
        if size > MAX_MODEL_BYTES:
            raise UserError(f"{path}: has {size:,} bytes", expected=f"at most {MAX_MODEL_BYTES:,}")
        return os.read(handle, 8)
    finally:
        os.close(handle)
