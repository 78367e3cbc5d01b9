"""A training's state on disk, from which the same command goes on."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from imparfait.core.errors import UserError
from imparfait.core.storage import load_version, save_version
from imparfait.training.loop import Progress, State

SUFFIX = ".safetensors"


def save_state(folder: Path, state: State, beside: Mapping[str, Any]) -> None:
    """`state` and what the caller wants to find `beside` it (plain values), as the newest checkpoint in `folder`."""
    facts = {"progress": state.progress.to_json(), "beside": beside, "versions": _versions()}
    content = safetensors.torch.save(portable(state.tensors), {name: json.dumps(fact) for name, fact in facts.items()})
    save_version(folder, state.progress.step, content, SUFFIX)


def has_state(folder: Path) -> bool:
    """Whether there is a checkpoint in `folder`, whole or not."""
    return any(folder.glob(f"[0-9]*{SUFFIX}"))


def load_state(folder: Path) -> tuple[State | None, dict[str, Any], list[Path]]:
    """The newest state in `folder` that is whole (or None), what lay beside it, and the checkpoints found broken.

    Raises UserError when there are checkpoints and none of them is whole, or when another version wrote them.
    """
    content, broken = load_version(folder, SUFFIX)
    if content is None:
        return None, {}, []
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    facts = header["__metadata__"]
    if (then := json.loads(facts["versions"])) != _versions():
        saved, here = (", ".join(f"{name} {number}" for name, number in each.items()) for each in (then, _versions()))
        raise UserError(
            f"{folder}: this training was begun with {saved}, here is {here}, which need not go on with the same "
            f"weights; install what it was begun with, or remove {folder} to start again"
        )
    state = State(Progress.from_json(json.loads(facts["progress"])), safetensors.torch.load(content))
    return state, json.loads(facts["beside"]), broken


def portable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as safetensors takes them: on the CPU, contiguous, none sharing memory with another."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("imparfait", "torch")}
