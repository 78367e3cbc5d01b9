"""Anything that answers pictures, as a function from numpy pictures to numpy logits."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from imparfait.errors import UserError
from imparfait.images import Classifier, Logits
from imparfait.machine import choose_device, has_bf16_units
from imparfait.models import build
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
    config = _config(Path(path))
    try:
        model = build(
            config["model"], channels=config["input"]["channels"], classes=len(config["classes"]), sizes=config["sizes"]
        )
        model.load_state_dict(load_file(Path(path) / "model.safetensors"))
    except (OSError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{path}: its files do not make a classifier: {str(error).splitlines()[0]}") from error
    return as_classifier(model, machine_of(path, device))


def machine_of(path: str | Path, device: str = "auto") -> Machine:
    """Where the classifier in `path` runs here: as it was trained where that can be, else in float32."""
    told = Machine.model_validate(_config(Path(path))["machine"])
    here = choose_device(device)
    bf16 = told.precision == "bfloat16" and here == "cpu" and has_bf16_units()
    return Machine.model_validate(
        {"device": here, "threads": told.threads, "precision": "bfloat16" if bf16 else "float32"}
    )


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return dict(config)
    except FileNotFoundError as error:
        raise UserError(f"{folder}: no classifier there; give a run folder, such as runs/default-s0-…") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / 'config.json'}: cannot be read: {error}") from error
