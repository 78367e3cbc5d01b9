"""Loading networks, weights and classifiers from run folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.core.hardware import choose_device, has_bf16_units
from imparfait.core.storage import MAX_MODEL_BYTES, printable, read_regular
from imparfait.core.types import Classifier
from imparfait.models.classifier import as_classifier
from imparfait.models.custom import custom_fingerprint, is_custom, parts_of
from imparfait.models.metadata import ModelConfig, read_config
from imparfait.models.pretrained import find_model
from imparfait.models.registry import build, check_outputs


def load_classifier(
    path: str | Path, device: str = "auto", network: str | None = None, precision: str | None = None
) -> Classifier:
    """The classifier of a run folder or of a pretrained model, such as "digits"; logits are temperature-scaled.

    `precision` is float32 or bfloat16; the default is that of the training, where this machine supports it. No code
    in a run folder is ever run: for a custom network, `network` names your file and its function, `my_net.py:build`,
    which must be unchanged since the training. Raises UserError when there is no run, when its files do not fit
    together, or when `network` is missing.

    >>> import numpy as np
    >>> imparfait.load_classifier("digits")(np.zeros((2, 1, 28, 28), np.float32)).shape
    (2, 10)
    """
    folder = find_model(path)
    model, config = load_network(folder, network)
    compute = compute_for(folder, device)
    if precision:
        compute = ComputeConfig.model_validate({**compute.model_dump(), "precision": precision})
    return as_classifier(model, compute, config.temperature or 1.0)


def load_network(folder: Path, network: str | None = None) -> tuple[nn.Module, ModelConfig]:
    """The trained network in a run folder, and its configuration; errors as in `load_classifier`."""
    config = read_config(folder)
    name = _network_to_build(folder, config, network)
    return _network(folder, config, _tensors(folder, _content(folder)), name), config


@dataclass(frozen=True, eq=False)
class PretrainedWeights:
    """The weights of a run, as initial weights of another training."""

    path: Path
    config: ModelConfig
    tensors: dict[str, torch.Tensor]
    sha256: str

    def fill(self, model: nn.Module, classes: Sequence[str]) -> None:
        """Copy these weights into `model`: all of them for the same `classes`, else all but the last layer's.

        Raises UserError when another layer does not fit.
        """
        own = model.state_dict()
        head = _last_layer(model, len(classes)) if self.new_head(classes) else set()
        for name in own | self.tensors:
            stored, shape = ([*side[name].shape] if name in side else "missing" for side in (self.tensors, own))
            if stored != shape and name not in head:
                raise UserError(
                    f"{self.path}: its weights do not fit these images: {printable(name)} is {stored}",
                    expected=str(shape),
                    hint="give images of the size and channels it was trained on",
                )
        model.load_state_dict(own | {name: value for name, value in self.tensors.items() if name not in head})

    def new_head(self, classes: Sequence[str]) -> bool:
        """Whether the last layer keeps its random weights, because the classes differ."""
        return tuple(classes) != self.config.classes


def load_weights(path: str | Path) -> PretrainedWeights:
    """The weights of a run folder or pretrained model; runs no code. Raises UserError when there are none."""
    folder = find_model(path)
    config, content = read_config(folder), _content(folder)
    tensors = _tensors(folder, content)
    if not is_custom(config.model):
        _network(folder, config, tensors, config.model)
    return PretrainedWeights(folder, config, tensors, sha256(content).hexdigest())


def check_named(folder: Path, network: str) -> None:
    """Raises UserError when the file of `network`, `my_net.py:build`, is the copy in the run folder itself."""
    file, _ = parts_of(network)
    if file.is_relative_to(folder.resolve()):
        raise UserError(
            f"{file}: code in a run folder is not run",
            hint=f"if you trust it, copy it elsewhere and name the copy: {file.name}:{network.rpartition(':')[2]}",
        )


def _network_to_build(folder: Path, config: ModelConfig, network: str | None) -> str:
    """The network to build: one of the package, or the caller's file if it is the one that was trained."""
    if not is_custom(config.model):
        if network is not None:
            raise UserError(f"{network}: {folder} has the network {config.model}", hint="leave --network out")
        return config.model
    file = printable(Path(config.model.rpartition(":")[0]).name)
    if network is None:
        raise UserError(
            f"{folder}: its network is from a file, {file}, and code in a run folder is not run",
            hint="if you trust yours, name it: --network my_net.py:build, or network='my_net.py:build' in Python",
        )
    if not is_custom(network) or not Path(network.rpartition(":")[0]).is_file():
        raise UserError(f"{network}: no such file", expected=f"the path of {file} with its function, :build")
    check_named(folder, network)
    if custom_fingerprint(network) != config.origins.get("network"):
        raise UserError(
            f"{folder}: its network is not the one in {network}, which has changed since the training",
            hint=f"restore it; the trained version is {folder / file}",
        )
    return network


def _network(folder: Path, config: ModelConfig, tensors: dict[str, torch.Tensor], name: str) -> nn.Module:
    """The network called `name` with these weights; raises UserError where they do not fit or it cannot predict."""

    def built() -> nn.Module:
        network = build(
            name,
            channels=config.input.channels,
            classes=len(config.classes),
            height=config.input.height,
            width=config.input.width,
            model_args=config.model_args,
        )
        _check_fit(network.state_dict(), tensors)
        return network

    try:
        if not is_custom(name):
            with torch.device("meta"):  # takes no memory, whatever the model arguments; the weights are in the file
                built()
        model = built()
        model.load_state_dict(tensors)
        black = torch.zeros(1, config.input.channels, config.input.height, config.input.width)
        check_outputs(model, black, len(config.classes), name)
    except (UserError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"{folder}: its files do not make a classifier: {printable(str(error))}") from error
    return model


def _check_fit(expected: Mapping[str, torch.Tensor], stored: Mapping[str, torch.Tensor]) -> None:
    for name in {**expected, **stored}:
        received, own = (
            f"{str(side[name].dtype).removeprefix('torch.')} {[*side[name].shape]}" if name in side else "missing"
            for side in (stored, expected)
        )
        if received != own:
            raise UserError(
                f"{name[:100]} is {received} in its model.safetensors, and {own} in its config.json's network"
            )


def _content(folder: Path) -> bytes:
    return read_regular(folder / "model.safetensors", MAX_MODEL_BYTES)


def _tensors(folder: Path, content: bytes) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load(content)
    except (SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise UserError(f"{folder}: its model.safetensors is broken: {printable(str(error))}") from error


def _last_layer(model: nn.Module, classes: int) -> set[str]:
    """The names of the weight and bias of the layer that outputs the logits."""
    for name, module in reversed(list(model.named_modules())):
        weight = getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor) and weight.ndim > 1 and len(weight) == classes:
            return {f"{name}.{tensor}".lstrip(".") for tensor in module.state_dict()}
    return set()


def compute_for(path: str | Path, device: str = "auto") -> ComputeConfig:
    """The compute configuration for a run's classifier here: in the training's precision if possible, else float32."""
    trained = read_config(find_model(path)).compute
    here = choose_device(device)
    bf16 = trained.precision == "bfloat16" and here == "cpu" and has_bf16_units()
    return ComputeConfig.model_validate(
        {"device": here, "threads": trained.threads, "precision": "bfloat16" if bf16 else "float32"}
    )
