"""Networks with random weights, and the files of runs."""

from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from helpers.bars import CLASSES
from imparfait.core.compute import ComputeConfig
from imparfait.data.images.input_format import InputFormat
from imparfait.models.metadata import ModelConfig, Threshold
from imparfait.models.registry import build
from imparfait.training.manifest import DataManifest, RunManifest
from imparfait.training.recipes import RECIPES

TEMPERATURE = 0.5
SMALL = {"petit": {"filters": 8, "depth": 1, "frame": 8}, "duo": {"filters": 8, "depth": 1, "frame": 8}}
SMALL |= {"grand": {"filters": 8, "frame": 8}, "rnn": {"units": 16}}


def random_network(model: str, channels: int, height: int, width: int) -> nn.Module:
    """An untrained network in which every parameter matters, those of the normalisations too."""
    model_args = SMALL.get(model, {})
    network = build(model, channels=channels, classes=len(CLASSES), height=height, width=width, model_args=model_args)
    random = torch.Generator().manual_seed(0)
    for name, values in network.state_dict().items():
        if name.endswith(("bias", "running_mean")):
            values.copy_(torch.randn(values.shape, generator=random) / 4)
        elif name.endswith("running_var"):
            values.copy_(torch.rand(values.shape, generator=random) + 0.5)
    return network.eval()


def input_format(channels: int, height: int, width: int) -> InputFormat:
    return InputFormat(channels=channels, height=height, width=width, normalization="none")


def run_folder(folder: Path, model: str = "rnn", channels: int = 1, side: int = 16) -> Path:
    """The files of a run that `export` reads."""
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(save(random_network(model, channels, side, side).state_dict()))
    config = ModelConfig(
        model=model, model_args=SMALL.get(model, {}), classes=CLASSES, input=input_format(channels, side, side),
        compute=ComputeConfig(), temperature=TEMPERATURE, threshold=Threshold(confidence=0.7, error_rate=0.001),
    )  # fmt: skip
    (folder / "config.json").write_text(config.model_dump_json())
    manifest = RunManifest(
        recipe="quick", settings=RECIPES["quick"].settings, compute=ComputeConfig(), final=False, hash="1" * 64,
        data=DataManifest(name="bars", images=90, sha256="2" * 64),
    )  # fmt: skip
    (folder / "settings.json").write_text(manifest.model_dump_json())
    return folder
