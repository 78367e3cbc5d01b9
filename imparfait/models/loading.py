"""Anything that answers images, as a function from numpy images to numpy logits."""

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
from imparfait.models.registry import build, check_answers


def load_classifier(
    path: str | Path, device: str = "auto", network: str | None = None, precision: str | None = None
) -> Classifier:
    """The classifier in the run folder `path`; its logits are divided by the run's temperature.

    `precision` is float32 or bfloat16; by default as it was trained, where this machine can.

    A run folder never runs code: where its network is from a file of one's own, `network` names that file and its
    function, `my_net.py:build`, and it is run where it still is as it was when it was trained.
    Raises UserError when there is no run, when its files do not fit together, or when `network` is missing.
    """
    folder = find_model(path)
    model, config = load_network(folder, network)
    compute = compute_for(folder, device)
    if precision:
        compute = ComputeConfig.model_validate({**compute.model_dump(), "precision": precision})
    return as_classifier(model, compute, config.temperature or 1.0)


def load_network(folder: Path, network: str | None = None) -> tuple[nn.Module, ModelConfig]:
    """The trained network in a run folder, and what its config.json says; otherwise as `load_classifier`."""
    config = read_config(folder)
    name = _to_run(folder, config, network)
    return _network(folder, config, _tensors(folder, _content(folder)), name), config


@dataclass(frozen=True, eq=False)
class PretrainedWeights:
    """The trained weights of a run, to start another training from."""

    path: Path
    config: ModelConfig
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
                    f"{self.path}: its weights do not fit these images: {printable(name)} is {then} there and "
                    f"{here} here; give images of the size and the channels it was trained on"
                )
        model.load_state_dict(own | {name: value for name, value in self.tensors.items() if name not in head})

    def new_head(self, classes: Sequence[str]) -> bool:
        """Whether the last layer starts anew, because the classes are others."""
        return tuple(classes) != self.config.classes


def load_weights(path: str | Path) -> PretrainedWeights:
    """The weights in the run folder `path`; runs nothing. Raises UserError when there are none."""
    folder = Path(path)
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
            f"{file}: a run folder's files are to read, not to run; where you trust this one, copy it elsewhere and "
            f"write the copy's path, such as {file.name}:{network.rpartition(':')[2]}"
        )


def _to_run(folder: Path, config: ModelConfig, network: str | None) -> str:
    """The network to build: one of ours, or the file that the caller names, if it is the one that was trained."""
    if not is_custom(config.model):
        if network is not None:
            raise UserError(f"{network}: {folder} is of {config.model}, which needs no file; leave it out")
        return config.model
    file = printable(Path(config.model.rpartition(":")[0]).name)
    if network is None:
        raise UserError(
            f"{folder}: its network is from a file, {file}, and no run folder has code run by itself; if you trust "
            f"yours, name it: --network my_net.py:build, or load_classifier(…, network='my_net.py:build')"
        )
    if not is_custom(network) or not Path(network.rpartition(":")[0]).is_file():
        raise UserError(f"{network}: there is no such file; expected the path of {file} with its function, :build")
    check_named(folder, network)
    if custom_fingerprint(network) != config.origins.get("network"):
        raise UserError(
            f"{folder}: its network is not the one in {network}, which has changed since it was trained; "
            f"put it back as it was (a copy to read is {folder / file})"
        )
    return network


def _network(folder: Path, config: ModelConfig, tensors: dict[str, torch.Tensor], name: str) -> nn.Module:
    """The network called `name` with these weights; raises UserError where they do not fit or it cannot answer."""

    def drawn() -> nn.Module:
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
            with torch.device("meta"):  # takes no memory: sizes may be anything, the weights' are those of a file
                drawn()
        model = drawn()
        model.load_state_dict(tensors)
        black = torch.zeros(1, config.input.channels, config.input.height, config.input.width)
        check_answers(model, black, len(config.classes), name)
    except (UserError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"{folder}: its files do not make a classifier: {printable(str(error))}") from error
    return model


def _check_fit(expected: Mapping[str, torch.Tensor], came: Mapping[str, torch.Tensor]) -> None:
    for name in {**expected, **came}:
        there, here = (
            f"{str(side[name].dtype).removeprefix('torch.')} {[*side[name].shape]}" if name in side else "missing"
            for side in (came, expected)
        )
        if there != here:
            raise UserError(
                f"{name[:100]} is {there} in its model.safetensors, and {here} in its config.json's network"
            )


def _content(folder: Path) -> bytes:
    return read_regular(folder / "model.safetensors", MAX_MODEL_BYTES)


def _tensors(folder: Path, content: bytes) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load(content)
    except (SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise UserError(f"{folder}: its model.safetensors is broken: {printable(str(error))}") from error


def _last_layer(model: nn.Module, classes: int) -> set[str]:
    """The names of the weight and bias of the layer that makes one number a class."""
    for name, module in reversed(list(model.named_modules())):
        weight = getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor) and weight.ndim > 1 and len(weight) == classes:
            return {f"{name}.{tensor}".lstrip(".") for tensor in module.state_dict()}
    return set()


def compute_for(path: str | Path, device: str = "auto") -> ComputeConfig:
    """Where the classifier in `path` runs here: as it was trained where that can be, else in float32."""
    told = read_config(Path(path)).compute
    here = choose_device(device)
    bf16 = told.precision == "bfloat16" and here == "cpu" and has_bf16_units()
    return ComputeConfig.model_validate(
        {"device": here, "threads": told.threads, "precision": "bfloat16" if bf16 else "float32"}
    )


__all__ = [
    "PretrainedWeights",
    "check_named",
    "compute_for",
    "load_classifier",
    "load_network",
    "load_weights",
    "read_config",
]
