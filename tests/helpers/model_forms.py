"""One linear model of images of 4 by 4 pixels, in each form that is evaluated."""

import importlib.util
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import helper
from PIL import Image
from torch import nn

from helpers.http_models import running_server
from helpers.model_files import keras_config, keras_file, model_of
from helpers.tflite_files import CLASSES, WEIGHT_SCALE, WEIGHTS, real_logits, tflite_file
from helpers.torch_files import exported, scripted

SIDE = 4
NAMES = ("0", "1", "2")
REAL = (WEIGHTS.T * np.float32(WEIGHT_SCALE)).astype(np.float32)
"""Weights `[16, 3]`."""


def images(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """uint8 images of each class in turn, and the labels that the model gives them."""
    own = (WEIGHTS - WEIGHTS.mean(0))[np.arange(count) % CLASSES]  # what tells a class from the others
    noise = np.random.default_rng(seed).normal(0, 20, own.shape)
    pixels = (2 * own + noise).clip(0, 255).astype(np.uint8).reshape(count, SIDE, SIDE)
    return pixels, real_logits(pixels / np.float32(255)).argmax(1)


def write_images(folder: Path, count: int = 40) -> Path:
    """Image files without labels."""
    folder.mkdir()
    for number, pixels in enumerate(images(count)[0]):
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    return folder


def write_data(path: Path, count: int = 200) -> Path:
    """A data set whose labels are right."""
    pixels, labels = images(count, seed=1)
    np.savez(path, x_train=pixels, y_train=labels)
    return path


def onnx_file(path: Path) -> Path:
    """The model that the others are compared with."""
    nodes = [helper.make_node("Flatten", ["images"], ["row"]), helper.make_node("MatMul", ["row", "w"], ["outputs"])]
    path.write_bytes(model_of(nodes, ("n", 1, SIDE, SIDE), {"w": REAL}).SerializeToString())
    return path


def _network() -> nn.Module:
    linear = nn.Linear(SIDE * SIDE, CLASSES, bias=False)
    linear.weight.data = torch.tensor(REAL.T.copy())
    return nn.Sequential(nn.Flatten(), linear)


def _keras(path: Path) -> Path:
    h5py = pytest.importorskip("h5py")
    if importlib.util.find_spec("keras") is None:
        pytest.skip("needs keras")
    config = keras_config()
    first, _, flatten, dense = config["config"]["layers"]
    config["config"]["layers"] = [first, flatten, dense]
    first["config"]["batch_shape"] = config["build_config"]["input_shape"] = [None, SIDE, SIDE, 1]
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_group("vars")
        file.create_group("layers/flatten/vars")
        variables = file.create_group("layers/dense/vars")
        variables["0"], variables["1"] = REAL, np.zeros(CLASSES, np.float32)
    path.write_bytes(keras_file(config, content.getvalue()))
    return path


def _tflite(path: Path) -> Path:
    pytest.importorskip("ai_edge_litert")
    path.write_bytes(tflite_file())
    return path


def _skops(path: Path) -> Path:
    skops_io = pytest.importorskip("skops.io")
    from sklearn.linear_model import LogisticRegression

    rows = np.eye(3, SIDE * SIDE, dtype=np.float32)
    model = LogisticRegression().fit(rows, np.array(NAMES))
    model.coef_, model.intercept_ = REAL.T.astype(np.float64), np.zeros(CLASSES)
    skops_io.dump(model, path)
    return path


def _function(path: Path) -> str:
    np.save(path.with_name("weights.npy"), REAL)
    path.write_text(
        "from pathlib import Path\n\nimport numpy as np\n\n"
        "WEIGHTS = np.load(Path(__file__).with_name('weights.npy'))\n\n\n"
        "def predict(images):\n    return images.reshape(len(images), -1) @ WEIGHTS\n"
    )
    return f"{path}:predict"


FILES: dict[str, Callable[[Path], Path | str]] = {
    "model.onnx": onnx_file,
    "model.keras": _keras,
    "model.pt": lambda path: scripted(path, _network()),
    "model.pt2": lambda path: exported(path, _network(), (1, SIDE, SIDE)),
    "model.tflite": _tflite,
    "model.skops": _skops,
    "my_model.py": _function,
}
"""By the file's name: writes it, and returns what to give to a command."""


@contextmanager
def served() -> Iterator[str]:
    """The address of the model behind HTTP, until the block ends."""
    metadata = {
        "name": "net", "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, SIDE, SIDE]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, CLASSES]}],
    }  # fmt: skip

    def infer(body: bytes) -> Any:
        (given,) = json.loads(body)["inputs"]
        rows = np.array(given["data"], np.float32).reshape(given["shape"])
        outputs = real_logits(rows)
        return {"outputs": [{"name": "y", "shape": list(outputs.shape), "data": outputs.ravel().tolist()}]}

    with running_server() as server:
        server.answers["/v2/models/net"] = lambda body: metadata
        server.answers["/v2/models/net/infer"] = infer
        yield f"http://127.0.0.1:{server.server_address[1]}/v2/models/net/infer"
