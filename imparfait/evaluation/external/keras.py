"""Loader of external .keras files: archive and configuration checked, then loaded by Keras 3 in its safe mode."""

# Runs in the sandbox. Keras's safe mode alone has been bypassed (CVE-2025-1550, CVE-2026-1462), so the configuration
# is checked first, by an allow-list: only Keras's own layers, no code, no layer that reads further files.

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.errors import UserError
from imparfait.evaluation.external.archive import checked_archive
from imparfait.evaluation.external.base import DeclaredSpec, batches, checked_outputs, declared_names
from imparfait.models.metadata import KEY, ExportMetadata, parse_metadata

ENVIRONMENT = {
    "KERAS_BACKEND": "torch",
    "KERAS_HOME": os.devnull,  # ignore the user's keras.json, which changes what a file means, and write none
    "HDF5_PLUGIN_PRELOAD": "::",  # HDF5 loads no filters from other folders for a file that names them
}
METADATA, CONFIG = "metadata.json", "config.json"
MEMBERS = {METADATA, CONFIG, "model.weights.h5"}
MAX_CONFIG_BYTES = 16 << 20  # of the two JSON files together
MAX_COMPRESSION = 20  # unpacked to stored bytes; Keras does not compress, zip programs compress weights by 1.1
MODULES = {
    "keras", "keras.layers", "keras.models", "keras.initializers", "keras.regularizers", "keras.constraints",
    "keras.activations", "keras.dtype_policies", "keras.optimizers", "keras.losses", "keras.metrics", "builtins", None,
}  # fmt: skip
MODULE_PREFIXES = ("keras.src.models.", "keras.src.ops.")  # Functional, and operators between layers
CODE_CLASSES = {"Lambda", "__lambda__", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", "__typespec__"}
FILE_CLASSES = {"StringLookup", "IntegerLookup", "TextVectorization"}  # may name a vocabulary file
EXPORT_HINT = "where it was made, write: model.export('model.onnx', format='onnx')"
OUTPUTS_OF_ACTIVATION = {"softmax": "probabilities", "log_softmax": "logits", "linear": "logits", "sigmoid": "sigmoid"}

Function = Callable[[np.ndarray], np.ndarray]


def prepare() -> None:
    """Set Keras's environment and import it on PyTorch, then load and run a small model."""
    os.environ |= ENVIRONMENT  # before keras and h5py are imported; this process is the sandbox's
    import keras

    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 2), keras.layers.Flatten()])
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "warm.keras")
        model.save(path)
        _, predict = load(path, 1)
    predict(np.zeros((1, 4, 4, 1), np.float32))


def load(path: str, threads: int) -> tuple[dict[str, Any], Function]:
    """What the .keras file at `path` declares, and its function; raises UserError for a file that is refused."""
    metadata = _check(path)
    import keras
    import torch

    torch.set_num_threads(threads)
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
        raise UserError("has more or less than one input and one output", expected="a model from images to scores")
    dtype = np.dtype(model.inputs[0].dtype)
    shape = tuple(model.inputs[0].shape)
    integers = dtype.kind in "ui"

    def predict(images: np.ndarray) -> np.ndarray:
        values = np.rint(images).clip(0, 255) if integers else images
        with torch.no_grad():
            parts = [
                model(torch.from_numpy(batch), training=False).float().cpu().numpy()
                for batch in batches(values.astype(dtype, copy=False), shape[0])
            ]
        return checked_outputs(np.concatenate(parts)[: len(images)], labels=False)

    declared = DeclaredSpec(
        shape=shape,
        num_classes=model.outputs[0].shape[-1],
        layout="nhwc" if metadata else None,
        value_range="255" if integers or _rescales(model) else "1" if metadata else None,
        foreground="light" if metadata else None,
        outputs=_kind_of_output(model),
        class_names=declared_names(metadata) if metadata else None,
    )
    return declared.model_dump(), predict


def _check(path: str) -> ExportMetadata | None:
    """Check the archive without Keras; raises UserError for what Keras did not write, and for code.

    Returns the metadata that imparfait wrote into its export; None for other files.
    """
    with checked_archive(path, ".keras file", MAX_COMPRESSION) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        if sorted(names) != sorted(MEMBERS):
            received = f"holds {', '.join(names[:5]) or 'nothing'}"
            raise UserError(received, expected=", ".join(sorted(MEMBERS)))
        json_bytes = sum(member.file_size for member in members if member.filename in (CONFIG, METADATA))
        if json_bytes > MAX_CONFIG_BYTES:
            raise UserError("has a configuration that is too large", expected=f"at most {MAX_CONFIG_BYTES >> 20} MiB")
        config = json.loads(archive.read(CONFIG))
        keras_metadata = json.loads(archive.read(METADATA))
    for part in _parts(config):
        keys = (part.get(key) for key in ("class_name", "module", "registered_name"))
        name, module, registered = (None if value is None else str(value) for value in keys)
        if name in CODE_CLASSES:
            raise UserError(f"holds a {name}, which is code", hint=EXPORT_HINT)
        foreign = not (module in MODULES or str(module).startswith(MODULE_PREFIXES))
        foreign = foreign or not (name is None or name.isidentifier())  # "layers.Lambda" of keras would be found too
        function = name == "function" and not _is_activation(part)
        if foreign or name in FILE_CLASSES or registered not in (None, name) or function:
            received = f"holds {registered or name} of {module}, which is not allowed"
            raise UserError(received, expected="Keras's own layers", hint=EXPORT_HINT)
    ours = keras_metadata.get(KEY) if isinstance(keras_metadata, dict) else None
    return None if ours is None else parse_metadata(json.dumps(ours), "its metadata")


def _is_activation(function: dict[str, Any]) -> bool:
    """Whether a function is one of Keras's activations, by its name."""
    return function.get("module") in ("builtins", "keras.activations") and str(function.get("config")).isidentifier()


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """Everything in a configuration that Keras would build an object from; `compile_config` is not used."""
    stack = [value for key, value in config.items() if key != "compile_config"] if isinstance(config, dict) else []
    if isinstance(config, dict):
        yield config
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if "class_name" in value or "module" in value:
                yield value
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)


def _rescales(model: Any) -> bool:
    """Whether it begins with Rescaling from 0..255."""
    import keras

    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    if not layers or not isinstance(layers[0], keras.layers.Rescaling):
        return False
    scale = layers[0].scale
    return isinstance(scale, float) and 0.9 < scale * 255 < 2.1  # to 0..1 or -1..1


def _kind_of_output(model: Any) -> Any:
    """The kind of output that the last layer makes, where that is certain."""
    import keras

    last = model.layers[-1]
    if isinstance(last, keras.layers.Softmax):
        return "probabilities"
    activation = getattr(last, "activation", None)
    return OUTPUTS_OF_ACTIVATION.get(getattr(activation, "__name__", ""))
