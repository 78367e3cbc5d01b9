"""Networks of timm, PyTorch Image Models, as backbones."""

# timm is imported when one of them is named. A name is only ever looked up in timm's own list: names such as
# "hf-hub:…" or "local-dir:…", which make timm fetch a configuration from elsewhere, are refused, because the name may
# come from the config.json of a run folder.

import re
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.core.tensors import Images

PREFIX = "timm:"
NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
WEIGHTS = "model.safetensors"  # the one file that is read of a repository of weights: it cannot run code
CONNECT_SECONDS = 10


class TimmNetwork(nn.Module):
    """A network of timm without its classifier, and a linear head; takes images in 0..1, grey ones too."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, *, channels: int, classes: int):
        super().__init__()
        config: Any = backbone.pretrained_cfg
        self.channels = channels
        self.register_buffer("mean", torch.tensor(config["mean"], dtype=torch.float32)[:, None, None])
        self.register_buffer("std", torch.tensor(config["std"], dtype=torch.float32)[:, None, None])
        self.backbone = backbone
        width: Any = getattr(backbone, "head_hidden_size", None) or backbone.num_features  # MobileNetV3's differ
        self.head = nn.Linear(width, classes)

    def features(self, images: Images) -> Float[Tensor, "n features"]:
        """What the linear head takes."""
        colours = images.expand(-1, 3, -1, -1) if self.channels == 1 else images
        pooled: Tensor = self.backbone((colours - self.mean) / self.std)
        return pooled

    def forward(self, images: Images) -> Float[Tensor, "n classes"]:
        """Logits for images in 0..1."""
        logits: Tensor = self.head(self.features(images))
        return logits


def is_timm(model: str) -> bool:
    """Whether a model name means a network of timm, such as timm:resnet18."""
    return model.startswith(PREFIX)


def build_timm(model: str, *, channels: int, classes: int) -> TimmNetwork:
    """The network `model`, such as timm:resnet18, with random weights; nothing is fetched.

    Raises UserError where timm is not installed, or has no such network.
    """
    return TimmNetwork(_create(model), channels=channels, classes=classes)


def pretrained_timm(model: str) -> tuple[dict[str, Tensor], str]:
    """The pretrained weights of `model`, but for its head, and their licence.

    They are read from the cache of huggingface_hub, and fetched from the internet where they are not there.
    Raises UserError as `build_timm`, and where the weights cannot be fetched.
    """
    config = _config(model)
    backbone = _create(model, _weights_file(model, config))
    tensors = TimmNetwork(backbone, channels=3, classes=1).state_dict()
    licence = str(config.license or "no licence stated")
    return {name: value for name, value in tensors.items() if not name.startswith("head.")}, licence


def _config(model: str) -> Any:
    """timm's facts about the weights of `model`; raises UserError where timm is missing or has no such network."""
    name = model.removeprefix(PREFIX)
    try:
        import timm
    except ImportError as error:
        raise UserError(
            f"{model}: timm cannot be imported here: {' '.join(str(error).split())[:200]}",
            expected="the package timm",
            hint=install_hint("timm"),
        ) from error
    if not NAME.fullmatch(name) or not timm.is_model(name):
        raise UserError(
            f"{model[:120]}: timm has no network of this name",
            expected="a name that timm.list_models() prints",
            hint="such as timm:resnet18",
        )
    return timm.get_pretrained_cfg(name)


def _create(model: str, weights: str = "") -> nn.Module:
    """timm's network without classifier, with the weights in a file, or random ones."""
    _config(model)
    import timm

    # With a file timm fetches nothing; custom_load is for files of other formats.
    source = {"pretrained_cfg_overlay": {"file": weights, "custom_load": False}} if weights else {}
    try:
        network: nn.Module = timm.create_model(
            model.removeprefix(PREFIX), pretrained=bool(weights), num_classes=0, **source
        )
    except Exception as error:
        raise UserError(f"{model}: timm fails to build it: {_reason(error)}") from error
    return network


def _weights_file(model: str, config: Any) -> str:
    """The file of the pretrained weights in the cache; raises UserError where it cannot be fetched."""
    repository = getattr(config, "hf_hub_id", None)
    if not repository:
        raise UserError(
            f"{model}: timm has no pretrained weights of it",
            expected="a name that timm.list_pretrained() prints",
            hint="such as timm:resnet18",
        )
    import huggingface_hub as hub

    kept = hub.try_to_load_from_cache(repository, WEIGHTS)
    if isinstance(kept, str):
        return kept
    try:
        # One request first, as the download itself repeats failed ones for a minute.
        hub.get_hf_file_metadata(hub.hf_hub_url(repository, WEIGHTS), timeout=CONNECT_SECONDS)
        return str(hub.hf_hub_download(repository, WEIGHTS))
    except Exception as error:
        raise UserError(
            f"{model}: its weights ({repository}, {WEIGHTS}) cannot be fetched: {_reason(error)}",
            expected="an internet connection, once; then they are kept",
            hint="--backbone efficientnet-lite0 needs none",
        ) from error


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
