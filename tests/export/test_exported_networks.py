"""Networks as files of other formats predict as they did."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from helpers.bars import CLASSES
from helpers.networks import TEMPERATURE, input_format, random_network, run_folder
from scipy.special import softmax
from torch import nn

from imparfait.core.errors import UserError
from imparfait.core.types import Pixels
from imparfait.export import KERAS_MODELS, export
from imparfait.export import onnx as to_onnx
from imparfait.inference.predictor import predictor_from_onnx
from imparfait.models.metadata import ExportMetadata
from imparfait.models.registry import MODELS

os.environ.setdefault("KERAS_BACKEND", "torch")

from imparfait.export import keras as to_keras

SHAPES = {"petit": (3, 40, 33), "duo": (3, 40, 33), "cnn_gru": (3, 18, 27)}


def metadata_for(model: str, channels: int, height: int, width: int) -> ExportMetadata:
    return ExportMetadata(
        name="test", model=model, recipe="quick", classes=CLASSES, temperature=TEMPERATURE, weights="0" * 64,
        input=input_format(channels, height, width), settings="1" * 64,
    )  # fmt: skip


def varied_images(channels: int, height: int, width: int) -> Pixels:
    """Noise, bars, all black and all white."""
    noise = np.random.default_rng(0).integers(0, 256, (20, channels, height, width)).astype(np.uint8)
    bars = np.where(np.arange(width) % 7 == 3, noise, 0)
    bars[:, :, : height // 3] = 0
    return np.concatenate([noise, bars, np.zeros_like(noise[:1]), np.full_like(noise[:1], 255)]).astype(np.uint8)


def probabilities_of(network: nn.Module, images: Pixels) -> np.ndarray:
    with torch.no_grad():
        return softmax(network(torch.from_numpy(images).float() / 255).numpy() / TEMPERATURE, 1)


@pytest.mark.parametrize("model", KERAS_MODELS)
def test_a_keras_file_predicts_as_its_network(model: str) -> None:
    shape = SHAPES.get(model, (1, 16, 16))
    network, metadata = random_network(model, *shape), metadata_for(model, *shape)
    content = to_keras.serialize(network, metadata)
    images = varied_images(*shape)
    expected = probabilities_of(network, images)
    assert np.abs(to_keras.load(content, metadata, 1)(images) - expected).max() < 1e-5
    assert np.ptp(expected, 0).max() > 1e-3  # otherwise the network would not tell images apart
    if model == "cnn_gru":
        assert to_keras.serialize(network, metadata) == content


def test_every_network_but_ours_can_be_written_as_a_keras_file() -> None:
    assert set(KERAS_MODELS) == set(MODELS) - {"petit", "grand", "duo", "resnet", "efficientnet_lite0"}


@pytest.mark.parametrize("model", ["petit", "grand", "duo"])
def test_our_networks_are_not_written_as_keras_files(tmp_path: Path, model: str) -> None:
    run = run_folder(tmp_path / "run", model)
    with pytest.raises(UserError) as error:
        export(run, "keras")
    assert error.value.received == f"{run}: its network {model} cannot be written as a .keras file"
    assert error.value.expected.startswith("one of the founding study's networks, cnn, cnn_gru, rnn")
    assert error.value.hint == "write --to onnx"


def test_the_error_for_a_network_without_keras_comes_before_heavy_imports() -> None:
    program = """
import sys
from imparfait.core.errors import UserError
from imparfait.export import export
try:
    export("digits", "keras")
except UserError as error:
    print(error.hint)
assert not {"torch", "keras", "onnx", "scipy.special"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout == "write --to onnx\n"


@pytest.mark.parametrize("model", [name for name, factory in MODELS.items() if isinstance(factory, type)])
def test_an_onnx_file_predicts_as_its_network_for_any_batch_size(model: str) -> None:
    """For the networks and not for their ablations, which have no other layers: each takes seconds."""
    shape = SHAPES.get(model, (1, 16, 16))
    network, metadata = random_network(model, *shape), metadata_for(model, *shape)
    content = to_onnx.serialize(network, metadata)
    predictor, written = predictor_from_onnx(content, "test")
    assert written == metadata
    images = varied_images(*shape)
    expected = probabilities_of(network, images)
    for count in (1, 2, len(images)):
        probabilities = predictor.run(images[:count])
        assert probabilities.dtype == np.float32
        assert np.abs(probabilities - expected[:count]).max() < 1e-5
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["probabilities", "logits"]
    (logits,) = session.run(["logits"], {"images": images})
    assert np.abs(softmax(logits, 1) - expected).max() < 1e-5
    weight_bytes = 4 * sum(parameter.numel() for parameter in network.parameters())
    assert 0.99 * weight_bytes < len(content) < weight_bytes + 60_000  # normalisations may be folded
    # Nothing of the machine that it was written on.
    assert not [word for word in (b".py", str(Path.home()).encode(), str(Path.cwd()).encode()) if word in content]
