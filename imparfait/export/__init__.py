"""Classifiers as files that others run: ONNX and Keras, each proven to answer as the run does."""

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from pydantic import ValidationError
from scipy.special import softmax
from torch import nn

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError, lookup
from imparfait.core.storage import atomic_write, printable
from imparfait.core.types import Pixels, Probabilities
from imparfait.export.parity import Ask, parity_of
from imparfait.inference.predictor import predictor_from_onnx
from imparfait.models.classifier import as_classifier
from imparfait.models.custom import is_custom
from imparfait.models.loading import load_network
from imparfait.models.metadata import Card, Config, Parity
from imparfait.models.pretrained import PRETRAINED
from imparfait.training.run import RunManifest, read_manifest

Make = Callable[[nn.Module, Card], bytes]
Tell = Callable[[bytes, Card], bytes]
Open = Callable[[bytes, Card, int], Ask]


@dataclass(frozen=True)
class Format:
    """A format that is written, and what must be installed for it."""

    suffix: str
    packages: tuple[str, ...]
    extra: str


FORMATS = {
    "onnx": Format(".onnx", ("onnx", "onnxscript", "onnxruntime"), "train"),
    "keras": Format(".keras", ("keras",), "keras"),
}


@dataclass(frozen=True)
class Exported:
    """A file that was written."""

    path: Path
    size: int
    """In bytes."""
    card: Card
    """What it says of itself."""

    @property
    def parity(self) -> Parity:
        """How it answered beside the run."""
        assert self.card.parity is not None
        return self.card.parity


def export(run: str | Path, to: str = "onnx", out: str | Path | None = None, *, network: str | None = None) -> Exported:
    """Write the classifier of a run folder, or of the package by its name, as one file that needs nothing of ours.

    `to` is onnx: images of uint8 `[n, channels, height, width]` in, calibrated probabilities and logits out; or
    keras: float32 `[n, height, width, channels]` in 0..1 in, calibrated probabilities out. By default it is written
    into the folder one is in, under the run's name. `network` as in `load_classifier`.

    Raises UserError, and writes nothing, where the file would not answer 1,000 corrupted images as the run does.
    """
    kind = lookup("format", to, FORMATS)
    folder = PRETRAINED[str(run)].folder if str(run) in PRETRAINED else Path(run)
    if not folder.is_dir():
        raise UserError(
            f"{run}: no such run; expected a run folder, such as runs/default-s0-…, or {' or '.join(PRETRAINED)}"
        )
    model, config = load_network(folder, network)
    card = card_of(str(run) if str(run) in PRETRAINED else printable(folder.resolve().name), folder, config)
    path = _writable(Path(out) if out is not None else Path(f"{card.name}{kind.suffix}"), kind)
    make, told, ask = _format(to, path)
    content = make(model, card)
    threads = torch.get_num_threads()
    compute = ComputeConfig(device="cpu", threads=threads, precision="float32")
    answered = as_classifier(model, compute, card.temperature)

    def original(pixels: Pixels) -> Probabilities:
        return softmax(answered(pixels.astype(np.float32) / 255).astype(np.float64), 1).astype(np.float32)

    parity = parity_of(original, ask(content, card, threads), card.input, str(path))
    card = card.model_copy(update={"parity": parity})
    content = told(content, card)
    atomic_write(path, content)
    return Exported(path, len(content), card)


def card_of(name: str, folder: Path, config: Config) -> Card:
    """What the file will say of itself, its parity not yet known; raises UserError where the run does not tell it."""
    told = _told(folder)
    own, _, function = config.model.rpartition(":")
    try:
        return Card(
            name=name,
            model=f"{Path(own).name}:{function}" if is_custom(config.model) else config.model,
            recipe=told.recipe,
            classes=config.classes,
            input=config.input,
            temperature=config.temperature or 1.0,
            threshold=config.threshold,
            weights=sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
            settings=told.settings if isinstance(told, Card) else told.hash,
        )
    except ValidationError as error:
        raise UserError(f"{folder}: has no name that a file could carry; give its folder a short one") from error


def _told(folder: Path) -> RunManifest | Card:
    """The recipe and the hash of a run; a model of the package has them in the card of its ONNX file."""
    file = folder / "settings.json"
    if folder in (boxed.folder for boxed in PRETRAINED.values()) and not file.exists():
        return predictor_from_onnx((folder / "model.onnx").read_bytes(), folder.name)[1]
    return read_manifest(folder)


def _writable(path: Path, kind: Format) -> Path:
    """`path`, where a file of this kind can be written; raises UserError otherwise, before any work is done."""
    if path.suffix.lower() != kind.suffix:
        other = next((f", or --to {to}" for to, each in FORMATS.items() if each.suffix == path.suffix.lower()), "")
        raise UserError(
            f"{path}: the file's name decides how others open it; expected one that ends in {kind.suffix}{other}"
        )
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise UserError(f"{path}: {what}; expected the path of a file to write")
    return path


def _format(to: str, path: Path) -> tuple[Make, Tell, Open]:
    """How a format is made, told its card and asked; raises UserError where something must be installed for it."""
    for package in FORMATS[to].packages:
        if importlib.util.find_spec(package) is None:
            raise UserError(
                f"{path}: to write it, {package} is needed; write: pip install 'imparfait[{FORMATS[to].extra}]'"
            )
    if to == "keras":
        os.environ.setdefault("KERAS_BACKEND", "torch")  # which is here; one that was chosen, or imported, stays
        from imparfait.export import keras

        return keras.content_of, keras.told, keras.ask
    from imparfait.export import onnx

    return onnx.content_of, onnx.told, onnx.ask
