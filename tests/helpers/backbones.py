"""A small pretrained backbone in a package of its own: its network, and its file in the old format of PyTorch."""

from hashlib import sha256
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from imparfait.models.registry import MODELS, build
from imparfait.training import backbones
from imparfait.training.backbones import PublishedWeights

NAME, PACKAGE, FILE = "tiny", "tiny_weights_of_the_tests", "models/tiny.pth"


class Tiny(nn.Module):
    """A convolution with batch normalisation, the mean over places, a linear head."""

    def __init__(self, *, channels: int, classes: int):
        super().__init__()
        self.channels = channels
        self.conv = nn.Conv2d(3, 12, 3, stride=2)
        self.norm = nn.BatchNorm2d(12)
        self.head = nn.Linear(12, classes)

    def features(self, images: Tensor) -> Tensor:
        colours = images.expand(-1, 3, -1, -1) if self.channels == 1 else images
        return self.norm(self.conv(colours)).relu().mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


def install(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Install the package in `folder`, and an empty cache; returns the file of its weights."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setitem(MODELS, NAME, Tiny)
    network = build(NAME, channels=3, classes=7, seed=1)
    path = folder / "packages" / PACKAGE / FILE
    path.parent.mkdir(parents=True)
    (folder / "packages" / PACKAGE / "__init__.py").write_text("raise AssertionError('no code of it is run')\n")
    monkeypatch.syspath_prepend(folder / "packages")
    save(path, {f"_{name}": value for name, value in network.state_dict().items()})
    publish(monkeypatch, path)
    return path


def publish(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Make the file at `path` the published one."""
    entry = PublishedWeights(
        "for tests", NAME, 7, PACKAGE, FILE, sha256(path.read_bytes()).hexdigest(), "tiny", "MIT", ((r"_", ""),)
    )
    monkeypatch.setitem(backbones.BACKBONES, NAME, entry)


def save(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write `tensors` in the format before PyTorch 1.6."""
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
