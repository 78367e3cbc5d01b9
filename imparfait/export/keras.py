"""A network as a .keras file of Keras's own layers, which plain Keras opens on TensorFlow, JAX or PyTorch."""

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

from imparfait.core.errors import UserError
from imparfait.core.types import Pixels, Probabilities
from imparfait.export.parity import Ask
from imparfait.export.spatial_normalizer import contrast_of, edged, ink_of, looked, standardised
from imparfait.models.gru import Gru
from imparfait.models.keras_layers import Dropout
from imparfait.models.metadata import KEY, Card
from imparfait.models.petit import Residual, Trunk
from imparfait.models.registry import Cnn, CnnGru, Duo, Grand, Petit, Rnn

LAST = "channels_last"  # said everywhere: a keras.json may say otherwise
METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
NEWER = {"quantization_config", "renorm", "renorm_clipping", "renorm_momentum", "input_axes", "output_axes"}
"""Settings, here all at their defaults, for which Keras 3.12 would refuse a file of 3.15."""
THE_EPOCH = (1980, 1, 1, 0, 0, 0)  # of zip archives: the same file has the same bytes tomorrow


def content_of(network: nn.Module, card: Card) -> bytes:
    """The .keras file of `network`: float32 `[n, height, width, channels]` in 0..1 to calibrated probabilities.

    The same bytes each time. Raises UserError for a network that is not one of ours.
    """
    images = keras.Input((card.input.height, card.input.width, card.input.channels), name="images", dtype="float32")
    made = Made(network)
    model = keras.Model(images, made.answers(network, images, card), name=card.model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        with _quietly():
            model.save(path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    members[CONFIG] = _named_alike(members[CONFIG], {*made.names.values(), "images"})
    members[WEIGHTS] = _bare(members[WEIGHTS])
    return told(_zipped(members), card)


def told(content: bytes, card: Card) -> bytes:
    """The same file with `card` in its metadata.json, where Keras keeps its version and reads nothing."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    version = json.loads(members[METADATA])["keras_version"]
    metadata = {"keras_version": version, KEY: card.model_dump(mode="json")}
    return _zipped(members | {METADATA: json.dumps(metadata, ensure_ascii=False).encode()})


def ask(content: bytes, card: Card, threads: int) -> Ask:
    """What the file answers, opened by Keras as anybody would, on what it runs on here."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(content)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)

    def answer(pixels: Pixels) -> Probabilities:
        images = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)).astype(np.float32) / 255
        with torch.no_grad(), _quietly():
            return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)))

    return answer


class Made:
    """Layers of Keras with the weights of PyTorch's, each called as it is there."""

    def __init__(self, network: nn.Module):
        self.names = {part: name.replace(".", "_") for name, part in network.named_modules()}

    def answers(self, network: nn.Module, images: Any, card: Card) -> Any:
        """Probabilities for `images`; the temperature is in the last layer's weights."""
        found = self.found(network, images, card)
        head = network.head[-1] if isinstance(network, Cnn) else network.head
        assert isinstance(head, nn.Linear)
        last = layers.Dense(len(card.classes), activation="softmax", name=self.names[head])
        return _with(last, found, head.weight.T / card.temperature, head.bias / card.temperature)

    def found(self, network: nn.Module, images: Any, card: Card) -> Any:
        """All that `network` does before its last layer."""
        match network:
            case Cnn():
                strokes = self.through(network.strokes, images)
                return self.through(network.head[:-1], layers.Flatten(data_format=LAST)(strokes))
            case CnnGru():
                strokes = self.through(network.strokes, images)
                steps = layers.Reshape((-1, strokes.shape[-1]))(strokes)
                sequence = self.through(network.first_dropout, self.read(network.first_reader, steps, each_step=True))
                return self.through(network.second_dropout, self.read(network.second_reader, sequence))
            case Rnn():
                return self.read(network.reader, layers.Reshape((network.height, -1))(images))
            case Petit():
                seen = self.through(network.normalise, looked(network.look, images, ink_of))
                return self.trunk(network.trunk, seen)
            case Grand():
                seen = self.through(network.normalise, looked(network.look, images, ink_of))
                return _pooled(self.through(network.trunk, seen))
            case Duo():
                moved = self.trunk(network.moved, standardised(looked(network.look, images, contrast_of)))
                return layers.Concatenate()([moved, self.trunk(network.unmoved, standardised(_even(images)))])
        raise UserError(
            f"{card.name}: its network {card.model} is not one of ours, and how to say it in Keras's layers is not "
            "known; write: --to onnx"
        )

    def trunk(self, trunk: Trunk, images: Any) -> Any:
        """As `Trunk`."""
        shapes = self.through(trunk.shapes, _halved(self.through(trunk.strokes, _fours(images))))
        return _pooled(self.through(trunk.things, _halved(shapes)))

    def read(self, gru: Gru, steps: Any, each_step: bool = False) -> Any:
        """As `Gru`, whose weights are Keras's: the states after each step, or the last ones, of both directions."""
        directions, units, _ = gru.recurrent.shape
        name = self.names[gru]
        layer = layers.GRU(
            units, activation=gru.candidate, return_sequences=each_step, reset_after=True, seed=0,
            name=name if directions == 1 else f"{name}_each",
        )  # fmt: skip
        if directions == 2:
            layer = layers.Bidirectional(layer, name=name)
        weights = [part[direction] for direction in range(directions) for part in (gru.kernel, gru.recurrent, gru.bias)]
        return _with(layer, steps, *weights)

    def through(self, part: nn.Module, x: Any) -> Any:
        """`x` after one of PyTorch's layers, or several one after the other."""
        name = self.names.get(part)
        match part:
            case nn.Sequential():
                for each in part:
                    x = self.through(each, x)
                return x
            case Residual():
                return layers.Add(name=name)([x, self.through(part.find, x)])
            case nn.Conv2d():
                layer = layers.Conv2D(part.out_channels, 3, 1, "same", LAST, use_bias=part.bias is not None, name=name)
                bias = [] if part.bias is None else [part.bias]
                return _with(layer, x, part.weight.permute(2, 3, 1, 0), *bias)
            case nn.Linear():
                return _with(layers.Dense(part.out_features, name=name), x, part.weight.T, part.bias)
            case nn.BatchNorm2d() | nn.BatchNorm1d():
                layer = layers.BatchNormalization(
                    -1, 1 - (part.momentum or 0.0), part.eps, center=part.affine, scale=part.affine, name=name
                )
                affine = [part.weight, part.bias] if part.affine else []
                assert part.running_mean is not None
                assert part.running_var is not None
                return _with(layer, x, *affine, part.running_mean, part.running_var)
            case nn.ReLU():
                return layers.ReLU(name=name)(x)
            case nn.MaxPool2d():
                return layers.MaxPooling2D(2, data_format=LAST, name=name)(x)
            case Dropout():
                return layers.Dropout(round(part.limit / 2**16, 4), seed=0, name=name)(x)
        raise AssertionError(f"no layer of Keras's is known for {type(part).__name__}")


@contextmanager
def _quietly() -> Iterator[None]:
    """Without NumPy's warnings of how Keras takes numbers from PyTorch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _with(layer: Any, x: Any, *weights: torch.Tensor) -> Any:
    """What `layer` makes of `x`, with these weights."""
    made = layer(x)
    layer.set_weights([each.detach().numpy() for each in weights])
    return made


def _fours(x: Any) -> Any:
    """PixelUnshuffle(2): four neighbouring pixels become four channels."""
    height, width, channels = x.shape[1:]
    apart = layers.Reshape((height // 2, 2, width // 2, 2, channels))(x)
    return layers.Reshape((height // 2, width // 2, 4 * channels))(layers.Permute((1, 3, 5, 2, 4))(apart))


def _even(x: Any) -> Any:
    """With an even number of rows and columns: the last ones twice where need be."""
    height, width = x.shape[1:3]
    return edged(edged(x, 1, 0, height % 2), 2, 0, width % 2)


def _halved(x: Any) -> Any:
    """Means of four places."""
    return layers.AveragePooling2D(2, data_format=LAST)(_even(x))


def _pooled(x: Any) -> Any:
    pools = (layers.GlobalMaxPooling2D(data_format=LAST), layers.GlobalAveragePooling2D(data_format=LAST))
    return layers.Concatenate()([pool(x) for pool in pools])


def _named_alike(content: bytes, ours: set[str]) -> bytes:
    """config.json where names that Keras made by counting all layers so far, and addresses in memory, count from 0.

    What older Keras does not know is left out.
    """
    config = json.loads(content)
    names = {
        layer["config"]["name"]: f"{layer['class_name'].lower()}_{place}"
        for place, layer in enumerate(config["config"]["layers"])
        if layer["config"]["name"] not in ours
    }
    shared: dict[int, int] = {}

    def alike(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {inner: alike(each, inner) for inner, each in value.items() if inner not in NEWER}
        if isinstance(value, list):
            return [alike(each, key) for each in value]
        if key == "shared_object_id":
            return shared.setdefault(value, len(shared))
        named = key in ("name", "keras_history", "input_layers", "output_layers") and isinstance(value, str)
        return names.get(value, value) if named else value

    return json.dumps(alike(config)).encode()


def _bare(content: bytes) -> bytes:
    """model.weights.h5 without the names in it, which Keras writes and does not read."""
    written = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as source, h5py.File(written, "w") as target:
        for group in source:
            source.copy(group, target, without_attrs=True)
    return written.getvalue()


def _zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name, THE_EPOCH), member)
    return content.getvalue()
