"""Keras export of the founding study's networks: a .keras file of Keras's own layers, for any Keras backend."""

import io
import json
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import torch
from keras import layers
from torch import nn

from imparfait.core.types import Pixels, Probabilities
from imparfait.export.parity import PredictProba
from imparfait.models.cnn import Cnn
from imparfait.models.cnn_gru import CnnGru, Rnn
from imparfait.models.gru import Gru
from imparfait.models.keras_layers import Dropout
from imparfait.models.metadata import KEY, ExportMetadata

LAST = "channels_last"  # always explicit, because a user's keras.json may set another default
METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
NEW_SETTINGS = {"quantization_config", "renorm", "renorm_clipping", "renorm_momentum", "input_axes", "output_axes"}
"""Settings that Keras 3.15 writes and Keras 3.12 rejects; all are at their defaults here."""
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date a zip archive can hold: the same file has the same bytes each time


def serialize(network: nn.Module, metadata: ExportMetadata) -> bytes:
    """The .keras file of `network`: float32 `[n, height, width, channels]` in 0..1 to calibrated probabilities.

    The same bytes each time.
    """
    form = metadata.input
    images = keras.Input((form.height, form.width, form.channels), name="images", dtype="float32")
    converter = Converter(network)
    model = keras.Model(images, converter.probabilities(network, images, metadata), name=metadata.model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        with _silent():
            model.save(path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    members[CONFIG] = _with_stable_names(members[CONFIG], {*converter.names.values(), "images"})
    members[WEIGHTS] = _without_attributes(members[WEIGHTS])
    return with_metadata(_zipped(members), metadata)


def with_metadata(content: bytes, metadata: ExportMetadata) -> bytes:
    """The same file with this metadata in its metadata.json, of which Keras only uses its own version."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    version = json.loads(members[METADATA])["keras_version"]
    document = {"keras_version": version, KEY: metadata.model_dump(mode="json")}
    return _zipped(members | {METADATA: json.dumps(document, ensure_ascii=False).encode()})


def load(content: bytes, metadata: ExportMetadata, threads: int) -> PredictProba:
    """The file's function from images to probabilities, loaded by Keras as any user would, on its current backend."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(content)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)

    def predict_proba(pixels: Pixels) -> Probabilities:
        images = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)).astype(np.float32) / 255
        with torch.no_grad(), _silent():
            return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)))

    return predict_proba


class Converter:
    """Converts PyTorch layers to Keras layers with the same names and weights."""

    def __init__(self, network: nn.Module):
        self.names = {module: name.replace(".", "_") for name, module in network.named_modules()}

    def probabilities(self, network: nn.Module, images: Any, metadata: ExportMetadata) -> Any:
        """The network's probabilities for `images`; the temperature is in the weights of the last layer."""
        features = self.features(network, images)
        head = network.head[-1] if isinstance(network, Cnn) else network.head
        assert isinstance(head, nn.Linear)
        last = layers.Dense(len(metadata.classes), activation="softmax", name=self.names[head])
        return _with_weights(last, features, head.weight.T / metadata.temperature, head.bias / metadata.temperature)

    def features(self, network: nn.Module, images: Any) -> Any:
        """Everything that `network` does before its last layer."""
        match network:
            case Cnn():
                features = self.apply(network.strokes, images)
                return self.apply(network.head[:-1], layers.Flatten(data_format=LAST)(features))
            case CnnGru():
                features = self.apply(network.strokes, images)
                steps = layers.Reshape((-1, features.shape[-1]))(features)
                states = self.apply_gru(network.first_reader, steps, each_step=True)
                states = self.apply_gru(network.second_reader, self.apply(network.first_dropout, states))
                return self.apply(network.second_dropout, states)
            case Rnn():
                return self.apply_gru(network.reader, layers.Reshape((network.height, -1))(images))
        raise AssertionError(f"{type(network).__name__} has no counterpart in Keras's layers")

    def apply_gru(self, gru: Gru, steps: Any, each_step: bool = False) -> Any:
        """`Gru` in Keras: the states after each step, or the last ones, of both directions."""
        directions, units, _ = gru.recurrent.shape
        name = self.names[gru]
        layer = layers.GRU(
            units, activation=gru.candidate, return_sequences=each_step, reset_after=True, seed=0,
            name=name if directions == 1 else f"{name}_each",
        )  # fmt: skip
        if directions == 2:
            layer = layers.Bidirectional(layer, name=name)
        weights = [part[direction] for direction in range(directions) for part in (gru.kernel, gru.recurrent, gru.bias)]
        return _with_weights(layer, steps, *weights)

    def apply(self, module: nn.Module, x: Any) -> Any:
        """A PyTorch layer, or a sequence of layers, in Keras."""
        name = self.names.get(module)
        match module:
            case nn.Sequential():
                for child in module:
                    x = self.apply(child, x)
                return x
            case nn.Conv2d():
                layer = layers.Conv2D(
                    module.out_channels, 3, 1, "same", LAST, use_bias=module.bias is not None, name=name
                )
                bias = [] if module.bias is None else [module.bias]
                return _with_weights(layer, x, module.weight.permute(2, 3, 1, 0), *bias)
            case nn.Linear():
                layer = layers.Dense(module.out_features, name=name)
                return _with_weights(layer, x, module.weight.T, module.bias)
            case nn.BatchNorm2d() | nn.BatchNorm1d():
                layer = layers.BatchNormalization(
                    -1, 1 - (module.momentum or 0.0), module.eps, center=module.affine, scale=module.affine, name=name
                )
                affine = [module.weight, module.bias] if module.affine else []
                assert module.running_mean is not None
                assert module.running_var is not None
                return _with_weights(layer, x, *affine, module.running_mean, module.running_var)
            case nn.ReLU():
                return layers.ReLU(name=name)(x)
            case nn.MaxPool2d():
                return layers.MaxPooling2D(2, data_format=LAST, name=name)(x)
            case Dropout():
                return layers.Dropout(round(module.limit / 2**16, 4), seed=0, name=name)(x)
        raise AssertionError(f"{type(module).__name__} has no counterpart in Keras's layers")


@contextmanager
def _silent() -> Iterator[None]:
    """Without NumPy's warnings about how Keras converts PyTorch tensors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _with_weights(layer: Any, x: Any, *weights: torch.Tensor) -> Any:
    """The output of `layer` for `x`, once it has these weights."""
    output = layer(x)
    layer.set_weights([tensor.detach().numpy() for tensor in weights])
    return output


def _with_stable_names(content: bytes, own_names: set[str]) -> bytes:
    """config.json with layer names and object ids counted from 0; Keras counts all layers made so far.

    Settings that older versions of Keras reject are left out.
    """
    config = json.loads(content)
    names = {
        layer["config"]["name"]: f"{layer['class_name'].lower()}_{index}"
        for index, layer in enumerate(config["config"]["layers"])
        if layer["config"]["name"] not in own_names
    }
    object_ids: dict[int, int] = {}

    def stable(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {inner: stable(item, inner) for inner, item in value.items() if inner not in NEW_SETTINGS}
        if isinstance(value, list):
            return [stable(item, key) for item in value]
        if key == "shared_object_id":
            return object_ids.setdefault(value, len(object_ids))
        is_name = key in ("name", "keras_history", "input_layers", "output_layers") and isinstance(value, str)
        return names.get(value, value) if is_name else value

    return json.dumps(stable(config)).encode()


def _without_attributes(content: bytes) -> bytes:
    """model.weights.h5 without its attributes: layer names, which Keras writes and does not read."""
    stripped = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as source, h5py.File(stripped, "w") as target:
        for group in source:
            source.copy(group, target, without_attrs=True)
    return stripped.getvalue()


def _zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), member)
    return content.getvalue()
