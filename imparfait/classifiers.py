"""Anything that answers pictures, as a function from numpy pictures to numpy logits."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from jaxtyping import Float32
from safetensors import SafetensorError
from torch import nn

from imparfait.errors import UserError
from imparfait.images import Classifier, Logits
from imparfait.machine import choose_device, has_bf16_units
from imparfait.models import build
from imparfait.models.own import fingerprint_of
from imparfait.settings import Machine

BATCH = 256  # measured: 128 to 512 are within 15 %, 2,000 takes twice as long


def as_classifier(model: nn.Module, machine: Machine | None = None) -> Classifier:
    """`model` as a classifier; layout, precision, device and inference mode are seen to here and nowhere else."""
    machine = machine or Machine(threads=torch.get_num_threads())
    device, bf16 = machine.device, machine.precision == "bfloat16"

    def classify(images: Float32[np.ndarray, "n channels height width"]) -> Logits:
        was_training = model.training
        model.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        answers = []
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=bf16):
            for batch in torch.split(torch.from_numpy(images), BATCH):
                answers.append(model(batch.to(device).contiguous(memory_format=torch.channels_last)).float().cpu())
        model.train(was_training)
        return torch.cat(answers).numpy()

    return classify


def load_classifier(path: str | Path, device: str = "auto") -> Classifier:
    """The classifier in the run folder `path`.

    Raises UserError when there is none or when its files do not fit together.
    """
    config = config_of(Path(path))
    try:
        if network := config.get("origins", {}).get("network"):
            _check_own(config["model"], network, Path(path))
        model = build(
            config["model"],
            channels=config["input"]["channels"],
            classes=len(config["classes"]),
            height=config["input"]["height"],
            width=config["input"]["width"],
            sizes=config["sizes"],
        )
        model.load_state_dict(_tensors(Path(path)))
    except (OSError, KeyError, TypeError, RuntimeError) as error:
        raise UserError(f"{path}: its files do not make a classifier: {str(error).splitlines()[0]}") from error
    return as_classifier(model, machine_of(path, device))


@dataclass(frozen=True, eq=False)
class Weights:
    """The trained weights of a run, to start another training from."""

    path: Path
    config: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    sha256: str

    def fill(self, model: nn.Module, classes: Sequence[str]) -> None:
        """Give `model` these weights: all of them for the same `classes`, else all but the last layer's.

        Raises UserError when more than a last layer does not fit.
        """
        own = model.state_dict()
        head = _last_layer(model, len(classes)) if self.new_head(classes) else set()
        for name in own | self.tensors:
            then, here = ([*side[name].shape] if name in side else "missing" for side in (self.tensors, own))
            if then != here and name not in head:
                raise UserError(
                    f"{self.path}: its weights do not fit these pictures: {name} is {then} there and {here} here; "
                    "give pictures of the size and the channels it was trained on"
                )
        model.load_state_dict(own | {name: value for name, value in self.tensors.items() if name not in head})

    def new_head(self, classes: Sequence[str]) -> bool:
        """Whether the last layer starts anew, because the classes are others."""
        return bool(list(classes) != self.config["classes"])


def load_weights(path: str | Path) -> Weights:
    """The weights in the run folder `path`; raises UserError when there are none."""
    config = config_of(Path(path))
    return Weights(Path(path), config, _tensors(Path(path)), sha256(_weights_file(Path(path))).hexdigest())


def _weights_file(folder: Path) -> bytes:
    try:
        return (folder / "model.safetensors").read_bytes()
    except OSError as error:
        raise UserError(f"{folder}: its model.safetensors cannot be read: {error.strerror}") from error


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load(_weights_file(folder))
    except SafetensorError as error:
        raise UserError(f"{folder}: its model.safetensors is broken: {error}") from error


def _last_layer(model: nn.Module, classes: int) -> set[str]:
    """The names of the weight and bias of the layer that makes one number a class."""
    for name, module in reversed(list(model.named_modules())):
        weight = getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor) and weight.ndim > 1 and len(weight) == classes:
            return {f"{name}.{tensor}".lstrip(".") for tensor in module.state_dict()}
    return set()


def _check_own(model: str, sha256_then: str, folder: Path) -> None:
    """Someone's own network is code: it is run where its owner wrote it, unchanged, and never from a run folder."""
    file = Path(model.rpartition(":")[0])
    if not file.is_file() or fingerprint_of(model) != sha256_then:
        raise UserError(
            f"{folder}: its network {model} is not there as it was when it was trained; "
            f"put it back (a copy to read is {folder / file.name})"
        )


def machine_of(path: str | Path, device: str = "auto") -> Machine:
    """Where the classifier in `path` runs here: as it was trained where that can be, else in float32."""
    told = Machine.model_validate(config_of(Path(path))["machine"])
    here = choose_device(device)
    bf16 = told.precision == "bfloat16" and here == "cpu" and has_bf16_units()
    return Machine.model_validate(
        {"device": here, "threads": told.threads, "precision": "bfloat16" if bf16 else "float32"}
    )


def config_of(folder: Path) -> dict[str, Any]:
    """What config.json in a run folder says of its classifier; raises UserError when it cannot be read."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return dict(config)
    except FileNotFoundError as error:
        raise UserError(f"{folder}: no classifier there; give a run folder, such as runs/default-s0-…") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / 'config.json'}: cannot be read: {error}") from error
