"""Keras's .keras files: looked through, then loaded by Keras 3 on PyTorch in its safe mode."""

import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.storage import MAX_MODEL_BYTES
from imparfait.evaluation.external.base import DeclaredSpec, batches, names_in, table
from imparfait.models.metadata import KEY, Card, card_from

os.environ |= {
    "KERAS_BACKEND": "torch",
    "KERAS_HOME": os.devnull,  # neither the user's keras.json, which changes what a file means, nor a new one
    "HDF5_PLUGIN_PRELOAD": "::",  # HDF5 loads no filters from other folders for a file that asks for them
}

METADATA, CONFIG = "metadata.json", "config.json"
MEMBERS = {METADATA, CONFIG, "model.weights.h5"}
MOST_CONFIG = 16 << 20  # bytes
MOST_DENSE = 20  # times what is stored; Keras packs nothing, others' zip programs make 1.1 of weights
MODULES = {
    "keras", "keras.layers", "keras.models", "keras.initializers", "keras.regularizers", "keras.constraints",
    "keras.activations", "keras.dtype_policies", "keras.optimizers", "keras.losses", "keras.metrics", "builtins", None,
}  # fmt: skip
WITHIN = ("keras.src.models.", "keras.src.ops.")  # Functional, and operators between layers
CODE = {"Lambda", "__lambda__", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", "__typespec__"}
FILES = {"StringLookup", "IntegerLookup", "TextVectorization"}  # may name a file with their words
AS_ONNX = "write, where it was made: model.export('model.onnx', format='onnx')"
ENDS = {"softmax": "probabilities", "log_softmax": "logits", "linear": "logits"}

Function = Callable[[np.ndarray], np.ndarray]


def prepare() -> None:
    """Import Keras on PyTorch, and load and ask a small model."""
    import keras

    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 2), keras.layers.Flatten()])
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "warm.keras")
        model.save(path)
        _, answer = load(path, 1)
    answer(np.zeros((1, 4, 4, 1), np.float32))


def load(path: str, threads: int) -> tuple[dict[str, Any], Function]:
    """What the .keras file at `path` says of itself, and its function; raises UserError for what is not opened."""
    card = _check(path)
    import keras
    import torch

    torch.set_num_threads(threads)
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
        raise UserError("has not one input and one output; expected a model from images to a number a class")
    kind = np.dtype(model.inputs[0].dtype)
    whole = kind.kind in "ui"

    def answer(images: np.ndarray) -> np.ndarray:
        numbers = np.rint(images).clip(0, 255) if whole else images
        with torch.no_grad():
            rows = [
                model(torch.from_numpy(batch), training=False).float().cpu().numpy()
                for batch in batches(numbers.astype(kind, copy=False), shape[0])
            ]
        return table(np.concatenate(rows)[: len(images)], labels=False)

    shape = tuple(model.inputs[0].shape)
    told = DeclaredSpec(
        shape=shape,
        classes=model.outputs[0].shape[-1],
        layout="nhwc" if card else None,
        range="255" if whole or _rescales(model) else "1" if card else None,
        ink="light" if card else None,
        outputs=_ending(model),
        names=names_in(card) if card else None,
    )
    return told.model_dump(), answer


def _check(path: str) -> Card | None:
    """Look through the archive without Keras; raises UserError for what Keras did not write, or what is code.

    What an export of ours says of itself; None where it is another's.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            if sorted(names) != sorted(MEMBERS):
                raise UserError(f"holds {', '.join(names[:5]) or 'nothing'}; expected {', '.join(sorted(MEMBERS))}")
            for member in members:
                if member.file_size > MOST_DENSE * member.compress_size + (1 << 16):
                    raise UserError(f"{member.filename} in it unpacks to {member.file_size:,} bytes; save it anew")
            texts = sum(member.file_size for member in members if member.filename in (CONFIG, METADATA))
            if sum(member.file_size for member in members) > MAX_MODEL_BYTES or texts > MOST_CONFIG:
                raise UserError(f"unpacks to more than {MAX_MODEL_BYTES >> 20:,} MiB; give a smaller one")
            config = json.loads(archive.read(CONFIG))
            metadata = json.loads(archive.read(METADATA))
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, ValueError, RuntimeError) as error:
        raise UserError(f"is no .keras file, or a broken one: {error}") from error
    for part in _parts(config):
        said = (part.get(key) for key in ("class_name", "module", "registered_name"))
        name, module, registered = (None if value is None else str(value) for value in said)
        if name in CODE:
            raise UserError(f"holds a {name}, which is code of its maker's; {AS_ONNX}")
        foreign = not (module in MODULES or str(module).startswith(WITHIN))
        if foreign or name in FILES or registered not in (None, name) or (name == "function" and not _is_own(part)):
            raise UserError(f"holds {registered or name} of {module}, which is none of Keras's layers; {AS_ONNX}")
    ours = metadata.get(KEY) if isinstance(metadata, dict) else None
    return None if ours is None else card_from(json.dumps(ours), "its metadata")


def _is_own(function: dict[str, Any]) -> bool:
    """Whether a function is one of Keras's activations, by its name."""
    return function.get("module") in ("builtins", "keras.activations") and str(function.get("config")).isidentifier()


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """Everything in a configuration that Keras would make an object of: not how it was compiled, which it is told."""
    waiting = [value for key, value in config.items() if key != "compile_config"] if isinstance(config, dict) else []
    if isinstance(config, dict):
        yield config
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value or "module" in value:
                yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _rescales(model: Any) -> bool:
    """Whether it begins with Rescaling from 0..255."""
    import keras

    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    if not layers or not isinstance(layers[0], keras.layers.Rescaling):
        return False
    scale = layers[0].scale
    return isinstance(scale, float) and 0.9 < scale * 255 < 2.1  # to 0..1 or -1..1


def _ending(model: Any) -> Any:
    """What the last layer makes of numbers, where that is plain."""
    import keras

    last = model.layers[-1]
    if isinstance(last, keras.layers.Softmax):
        return "probabilities"
    activation = getattr(last, "activation", None)
    return ENDS.get(getattr(activation, "__name__", ""))
