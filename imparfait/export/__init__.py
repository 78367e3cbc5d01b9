"""Export: a run as one ONNX or .keras file, written only if its predictions agree with the run's."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import numpy as np
from pydantic import ValidationError

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError, lookup
from imparfait.core.install import install_hint
from imparfait.core.storage import atomic_write, printable
from imparfait.core.types import Pixels, Probabilities
from imparfait.core.writable import check_writable
from imparfait.models.metadata import ExportMetadata, ModelConfig, Parity, read_config
from imparfait.models.pretrained import PRETRAINED


@dataclass(frozen=True)
class ExportFormat:
    """A file format, and the packages needed to write it."""

    suffix: str
    packages: tuple[str, ...]
    extra: str
    """The extra of imparfait that installs them."""


FORMATS = {
    "onnx": ExportFormat(".onnx", ("onnx", "onnxscript", "onnxruntime"), "train"),
    "keras": ExportFormat(".keras", ("keras",), "keras"),
}
KERAS_MODELS = (
    "cnn", "cnn_gru", "rnn", "cnn_one_convolution", "cnn_no_normalisation", "cnn_no_dropout", "cnn_gru_tanh",
)  # fmt: skip
"""The founding study's networks. Any other network would have to be written twice, once in Keras's layers."""


@dataclass(frozen=True)
class Exported:
    """A file that was written."""

    path: Path
    size: int
    """In bytes."""
    metadata: ExportMetadata
    """The metadata in the file."""

    @property
    def parity(self) -> Parity:
        """How closely its predictions agree with the run's."""
        assert self.metadata.parity is not None
        return self.metadata.parity


def export(run: str | Path, to: str = "onnx", out: str | Path | None = None, *, network: str | None = None) -> Exported:
    """Write the classifier of a run folder, or a pretrained model by its name, as one file that runs without imparfait.

    `to` is onnx: uint8 images `[n, channels, height, width]` to calibrated probabilities and logits; or keras, for the
    founding study's networks: float32 images `[n, height, width, channels]` in 0..1 to calibrated probabilities.
    `out` is by default the run's name in the current folder. `network` as in `load_classifier`.
    Raises UserError, and writes nothing, where predictions on corrupted images differ from the run's.

    >>> few = imparfait.load_data("mnist").train.select(range(64))
    >>> settings = imparfait.TrainingSettings(epochs=1, batch_size=32)
    >>> model = imparfait.build(settings.model, channels=few.channels, classes=len(few.classes))
    >>> epochs = list(imparfait.train(model, few, settings))
    >>> run = imparfait.save_run("my_run", model, few, settings, epochs)
    >>> imparfait.export(run).path.suffix
    '.onnx'
    """
    export_format = lookup("format", to, FORMATS)
    folder = folder_of(run)
    _check_network(run, to, read_config(folder))
    name = str(run) if str(run) in PRETRAINED else printable(folder.resolve().name)
    path = _writable(Path(out) if out is not None else Path(f"{name}{export_format.suffix}"), export_format)
    exporter = _exporter(to, path)

    import torch  # from here on, after everything that a user may have to correct
    from scipy.special import softmax

    from imparfait.export.parity import measure_parity
    from imparfait.models.classifier import as_classifier
    from imparfait.models.loading import load_network

    model, config = load_network(folder, network)
    metadata = metadata_of(name, folder, config)
    content: bytes = exporter.serialize(model, metadata)
    threads = torch.get_num_threads()
    compute = ComputeConfig(device="cpu", threads=threads, precision="float32")
    classifier = as_classifier(model, compute, metadata.temperature)

    def predict_proba(pixels: Pixels) -> Probabilities:
        return softmax(classifier(pixels.astype(np.float32) / 255).astype(np.float64), 1).astype(np.float32)

    parity = measure_parity(predict_proba, exporter.load(content, metadata, threads), metadata.input, str(path))
    metadata = metadata.model_copy(update={"parity": parity})
    content = exporter.with_metadata(content, metadata)
    atomic_write(path, content)
    return Exported(path, len(content), metadata)


def folder_of(run: str | Path) -> Path:
    """The folder of a run, or of a pretrained model by its name; raises UserError where there is none."""
    folder = PRETRAINED[str(run)].folder if str(run) in PRETRAINED else Path(run)
    if not folder.is_dir():
        raise UserError(f"{run}: no such run", expected=f"a run folder, or {' or '.join(PRETRAINED)}")
    return folder


def metadata_of(name: str, folder: Path, config: ModelConfig) -> ExportMetadata:
    """The metadata of an exported file, without its parity; raises UserError where the run lacks a part of it."""
    from imparfait.models.custom import is_custom

    recipe, settings = _recipe_and_settings(folder)
    code, _, function = config.model.rpartition(":")
    try:
        return ExportMetadata(
            name=name,
            model=f"{Path(code).name}:{function}" if is_custom(config.model) else config.model,
            recipe=recipe,
            classes=config.classes,
            input=config.input,
            temperature=config.temperature or 1.0,
            threshold=config.threshold,
            none_of_these=config.none_of_these,
            weights=sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
            settings=settings,
        )
    except ValidationError as error:
        raise UserError(f"{folder}: its name does not fit into a file's metadata", hint="rename the folder") from error


def _recipe_and_settings(folder: Path) -> tuple[str, str]:
    """A run's recipe and the hash of its settings; a pretrained model has both in its ONNX file's metadata."""
    from imparfait.inference.predictor import predictor_from_onnx
    from imparfait.training.manifest import read_manifest

    if folder in (model.folder for model in PRETRAINED.values()) and not (folder / "settings.json").exists():
        metadata = predictor_from_onnx((folder / "model.onnx").read_bytes(), folder.name)[1]
        return metadata.recipe, metadata.settings
    manifest = read_manifest(folder)
    return manifest.recipe, manifest.hash


def _check_network(run: str | Path, to: str, config: ModelConfig) -> None:
    if to == "keras" and config.model not in KERAS_MODELS:
        raise UserError(
            f"{run}: its network {printable(config.model)} cannot be written as a .keras file",
            expected=f"one of the founding study's networks, {', '.join(KERAS_MODELS)}",
            hint="write --to onnx",
        )


def _writable(path: Path, export_format: ExportFormat) -> Path:
    """`path`, where a file of this format can be written; raises UserError otherwise, before any work is done."""
    if path.suffix.lower() != export_format.suffix:
        other = next((name for name, entry in FORMATS.items() if entry.suffix == path.suffix.lower()), None)
        received = f"{path}: programs recognise the file by its suffix"
        raise UserError(received, expected=export_format.suffix, hint=f"or write --to {other}" if other else "")
    check_writable(path)
    return path


def _exporter(to: str, path: Path) -> ModuleType:
    """The module that writes a format: `serialize`, `with_metadata`, `load`. Raises UserError without its packages."""
    for package in FORMATS[to].packages:
        if importlib.util.find_spec(package) is None:
            hint = install_hint(FORMATS[to].extra)
            raise UserError(f"{path}: to write it, {package} must be installed", hint=hint)
    if to == "keras":
        os.environ.setdefault("KERAS_BACKEND", "torch")  # installed with imparfait; a backend already chosen stays
    return importlib.import_module(f"imparfait.export.{to}")
