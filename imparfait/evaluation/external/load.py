"""Files of models that others made: opened behind the fence, or refused with the way out."""

import importlib.util
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from imparfait.core.errors import UserError
from imparfait.core.storage import MAX_MODEL_BYTES
from imparfait.evaluation.external.base import BATCH, DeclaredSpec
from imparfait.evaluation.external.sandbox.client import Limits, SandboxedModel, sandbox_for


@dataclass(frozen=True)
class Format:
    """A format that is opened: which module reads it, and what must be installed for it."""

    reader: str
    packages: tuple[str, ...]
    extra: str


FORMATS = {
    ".onnx": Format("imparfait.evaluation.external.onnx", ("onnx", "onnxruntime"), "train"),
    ".keras": Format("imparfait.evaluation.external.keras", ("keras", "torch"), "keras"),
}

TORCH = (
    "is a file of PyTorch's, which can run code when it is opened; where you made it, write: "
    "torch.onnx.export(model, (images,), 'model.onnx', external_data=False)"
)
PICKLE = "is a pickle, which runs code when it is opened; where you made it, evaluate its predict function in Python"
HDF5 = (
    "is Keras's old format, which can hold code; where you made it, write: "
    "keras.saving.load_model({name!r}).save('model.keras')"
)
SAVED = (
    "is TensorFlow's format, which is a program; where you made it, write: keras.Model(…).save('model.keras'), "
    "or python -m tf2onnx.convert --saved-model {name} --output model.onnx"
)
LITE = "is TensorFlow Lite's format; write: python -m tf2onnx.convert --tflite {name} --output model.onnx"
WEIGHTS = "holds numbers without their network; give the run folder it is from, or export the model to ONNX"
WAYS_OUT = {
    ".pt": TORCH, ".pth": TORCH, ".ckpt": TORCH, ".bin": TORCH, ".pt2": TORCH, ".pkl": PICKLE, ".pickle": PICKLE,
    ".joblib": PICKLE, ".h5": HDF5, ".hdf5": HDF5, ".pb": SAVED, ".tflite": LITE, ".safetensors": WEIGHTS,
    ".npz": WEIGHTS,
}  # fmt: skip
STARTS = {
    b"\x89HDF\r\n\x1a\n": HDF5,
    b"\x80\x02": PICKLE,
    b"\x80\x03": PICKLE,
    b"\x80\x04": PICKLE,
    b"\x80\x05": PICKLE,
}
ZIP = b"PK\x03\x04"


class ExternalModel:
    """The function in someone's file: arrays as the file wants them, to float32 `[n, classes]` or int64 `[n]`."""

    def __init__(self, path: Path, told: DeclaredSpec, function: SandboxedModel) -> None:
        self.path, self.told = path, told
        self._function = function

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The answers to `images`; raises UserError for whatever happens behind the fence."""
        parts = [self._function(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        if len({part.shape[1:] for part in parts}) != 1:
            raise UserError(f"{self.path}: answers images with other numbers of classes each time")
        return np.concatenate(parts)


@contextmanager
def open_external(path: str | Path, *, threads: int = 1, limits: Limits | None = None) -> Iterator[ExternalModel]:
    """The model in the .onnx or .keras file at `path`, run behind the fence on `threads` threads until the block ends.

    Raises UserError when it cannot be read, and for formats that are not opened, with the way out.
    """
    path = Path(path)
    kind = format_of(path)
    for package in kind.packages:
        if importlib.util.find_spec(package) is None:
            raise UserError(f"{path}: to open it, {package} is needed; write: pip install 'imparfait[{kind.extra}]'")
    with sandbox_for(kind.reader).open(path, limits, threads) as function:
        try:
            told = DeclaredSpec.model_validate(function.told)
        except ValidationError as error:
            raise UserError(f"{path}: says nonsense of itself; do not trust it") from error
        yield ExternalModel(path, told, function)


def format_of(path: Path) -> Format:
    """The format of a file, by its name and how it begins; raises UserError, with the way out, for another."""
    start = _start(path)
    way_out = next((way for begin, way in STARTS.items() if start.startswith(begin)), WAYS_OUT.get(path.suffix.lower()))
    if start[4:8] == b"TFL3":
        way_out = LITE
    if way_out:
        raise UserError(f"{path}: {way_out.format(name=path.name)}")
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path}: is no run folder and no model file known here; expected {', '.join(FORMATS)} files")
    if path.suffix.lower() == ".keras" and not start.startswith(ZIP):
        raise UserError(f"{path}: is no zip archive, which a .keras file is; save it anew")
    if path.suffix.lower() == ".onnx" and start.startswith(ZIP):
        raise UserError(f"{path}: is a zip archive, which an .onnx file is not; give what it was exported to")
    return FORMATS[path.suffix.lower()]


def _start(path: Path) -> bytes:
    """The first bytes of a regular file; raises UserError when it is none, or too large."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # opening a pipe would wait for ever
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        told = os.fstat(handle)
        if stat.S_ISDIR(told.st_mode):
            if (path / "saved_model.pb").exists():
                raise UserError(f"{path}: {SAVED.format(name=path.name)}")
            raise UserError(f"{path}: is a folder; expected a run folder, or a {' or '.join(FORMATS)} file")
        if not stat.S_ISREG(told.st_mode):
            raise UserError(f"{path}: is no regular file; expected a {' or '.join(FORMATS)} file")
        if told.st_size > MAX_MODEL_BYTES:
            raise UserError(f"{path}: has {told.st_size:,} bytes; expected at most {MAX_MODEL_BYTES:,}")
        return os.read(handle, 8)
    finally:
        os.close(handle)
