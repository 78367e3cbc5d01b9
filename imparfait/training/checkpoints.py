"""The state of a training, and its checkpoints on disk."""

import errno
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

import safetensors.torch
from torch import Tensor

from imparfait.core.code_digest import digest_of
from imparfait.core.errors import UserError
from imparfait.core.hardware import ARITHMETIC_VARIABLES, arithmetic_variables
from imparfait.core.storage import load_version, printable, save_version
from imparfait.evaluation.scores import Score

SUFFIX = ".safetensors"
TRAINING_MODULES = ("loop.py", "distillation.py", "linear_probe.py")
"""What trains; each is read with all that it imports."""


@dataclass(frozen=True)
class Epoch:
    """One finished pass over the training images."""

    number: int
    loss: float
    """Mean over the epoch."""
    accuracy: float
    """On the epoch's augmented images, each before the network was updated with it."""
    images: int
    seconds: float
    """Training time since the first epoch began, without validation and the caller's work between epochs."""
    validation: tuple[Score, ...] = ()
    """Of the core suite on the validation images, if there are any."""
    part_losses: tuple[float, ...] = ()
    """Mean losses of up to 20 equal parts of the epoch, in their order; none where they were not kept."""


@dataclass(frozen=True)
class Progress:
    """How far a training is, in plain numbers."""

    step: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    """Of the unfinished epoch, as is `correct`."""
    correct: int = 0
    epochs: tuple[Epoch, ...] = ()
    parts: tuple[tuple[float, int], ...] = ()
    """Of the unfinished epoch: the sum of losses and the number of images of each part."""

    @staticmethod
    def from_json(text: str) -> "Progress":
        """The progress in a checkpoint's header."""
        values = json.loads(text)
        for epoch in values["epochs"]:
            epoch["validation"] = tuple(Score(**score) for score in epoch["validation"])
            epoch["part_losses"] = tuple(epoch.get("part_losses", ()))
        epochs = tuple(Epoch(**epoch) for epoch in values["epochs"])
        parts = tuple((loss_sum, images) for loss_sum, images in values.get("parts", ()))
        return Progress(**values | {"epochs": epochs, "parts": parts})


@dataclass(frozen=True, eq=False)
class State:
    """All that the next step depends on beside model, data, settings and compute; random numbers have no state."""

    progress: Progress = field(default_factory=Progress)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)


def save_checkpoint(folder: Path, state: State, identity: str) -> None:
    """Write `state` as the newest checkpoint in `folder`; `identity` is the hash of what is being trained.

    Raises OSError with the space needed and what is intact when the disk refuses.
    """
    facts = {"progress": asdict(state.progress), "identity": identity, "versions": _versions()}
    facts["variables"] = arithmetic_variables()
    content = safetensors.torch.save(portable(state.tensors), {name: json.dumps(fact) for name, fact in facts.items()})
    try:
        save_version(folder, state.progress.step, content, SUFFIX)
    except OSError as error:
        cause = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            cause += f" (a checkpoint takes {len(content) / 1e6:.1f} MB; free some space)"
        intact = "earlier checkpoints are intact" if has_checkpoint(folder) else "nothing was saved before"
        raise OSError(error.errno, f"{cause}; {intact}", str(folder)) from error


def has_checkpoint(folder: Path) -> bool:
    """Whether there is a checkpoint in `folder`, intact or not."""
    return any(folder.glob(f"[0-9]*{SUFFIX}"))


def load_checkpoint(folder: Path, identity: str) -> tuple[State | None, list[Path]]:
    """The state in the newest intact checkpoint in `folder`, None without one, and the corrupted files skipped.

    Raises UserError when all are corrupted, when they are of another training, other versions or other arithmetic.
    """
    content, corrupted = load_version(folder, SUFFIX)
    if content is None:
        return None, []
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    versions, here = json.loads(header["versions"]), _versions()
    if versions != here:
        saved, installed = (", ".join(f"{name} {number}" for name, number in side.items()) for side in (versions, here))
        raise UserError(
            f"{folder}: this training was begun with {saved}",
            expected=f"{installed}, which is installed: other versions may not continue with the same weights",
            hint=f"install the versions it was begun with, or remove {folder} to start again",
        )
    was, now = changed_variables(json.loads(header.get("variables", "{}")))
    if was:
        raise UserError(
            f"{folder}: this training was begun with {was}",
            expected=f"{now}, as here: with other arithmetic the weights would not be the same",
            hint=f"give these environment variables their values again, or remove {folder} to start again",
        )
    if json.loads(header["identity"]) != identity:
        raise UserError(
            f"{folder}: its checkpoints are of another training",
            expected="the same images, settings and compute configuration",
            hint="name another folder, or remove this one to start again",
        )
    return State(Progress.from_json(header["progress"]), safetensors.torch.load(content)), corrupted


def portable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as safetensors takes them: on the CPU, contiguous, none sharing memory with another."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}


def training_code() -> str:
    """The digest of the code that trains, in short: releases have a version, but what lies between them has not."""
    return digest_of(*(Path(__file__).with_name(name) for name in TRAINING_MODULES))[:12]


def changed_variables(before: Mapping[str, str]) -> tuple[str, str]:
    """In words, the environment variables that change arithmetic and are others here: as `before`, and as here.

    Two empty strings where all are the same.
    """
    here = arithmetic_variables()
    changed = [name for name in ARITHMETIC_VARIABLES if before.get(name) != here.get(name)]
    was, now = (
        ", ".join(f"{name}={side[name]}" if name in side else f"{name} not set" for name in changed)
        for side in (before, here)
    )
    return printable(was), printable(now)


def _versions() -> dict[str, str]:
    return {**{name: version(name) for name in ("imparfait", "torch")}, "code": training_code()}
