"""Small TorchScript and .pt2 files, and archives with one member changed."""

import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

SIDE, CLASSES = 28, 3


class Code:
    """Unpickling it makes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return Path.touch, (self.canary,)


class Through(nn.Module):
    """A network that takes images in another form, or returns something else."""

    def __init__(self, inner: nn.Module, how: str) -> None:
        super().__init__()
        self.inner, self.how = inner, how

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.how == "nhwc":
            images = images.permute(0, 3, 1, 2)
        outputs: torch.Tensor = self.inner(images)
        return outputs.argmax(1) if self.how == "labels" else outputs


class TwoInputs(nn.Module):
    def forward(self, images: torch.Tensor, more: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)[:, :3] + more


class TwoOutputs(nn.Module):
    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return images.flatten(1)[:, :3], images


class Named(nn.Module):
    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": images.flatten(1)[:, :3]}


class Writes(nn.Module):
    """Writes its input to a file."""

    path: str

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        torch.save(images, self.path)
        return images.flatten(1)


def network(channels: int = 1, side: int = SIDE) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * (side - 2) ** 2, 3)]
    return nn.Sequential(*layers).eval()


def any_size(channels: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    pooled = [nn.Conv2d(channels, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
    return nn.Sequential(*pooled).eval()


def scripted(path: Path, model: nn.Module) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(model.eval()), str(path))
    return path


def exported(path: Path, model: nn.Module, shape: tuple[int, ...], *, batch: Any = None, more: Any = ()) -> Path:
    """`batch` is the batch size; any by default."""
    images = torch.zeros(batch or 2, *shape)
    dynamic = None if batch else ({0: torch.export.Dim("n")}, *({0: torch.export.Dim("n")} for _ in more))
    torch.export.save(torch.export.export(model.eval(), (images, *more), dynamic_shapes=dynamic), path)
    return path


def changed(path: Path, ending: str, change: Callable[[bytes], bytes], **more: bytes) -> Path:
    """The archive with its member of this ending changed, and more members beside it."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (name,) = (name for name in members if name.endswith(ending))
    members[name] = change(members[name])
    root = name.partition("/")[0]
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in (members | {f"{root}/{key}": value for key, value in more.items()}).items():
            archive.writestr(each, content)
    return path


def changed_json(path: Path, ending: str, change: Callable[[Any], None]) -> Path:
    def edit(content: bytes) -> bytes:
        tree = json.loads(content)
        change(tree)
        return json.dumps(tree).encode()

    return changed(path, ending, edit)


def pickled(value: Any) -> bytes:
    """As torch.save writes it."""
    written = io.BytesIO()
    torch.save(value, written, pickle_module=pickle)
    return written.getvalue()
