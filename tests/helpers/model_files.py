"""Small valid .onnx, .keras and run-folder files."""

import io
import json
import marshal
import zipfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from safetensors.torch import save

from imparfait.models.registry import build

SIDE, CLASSES = 16, 3


def onnx_model(
    shape: tuple[Any, ...] = ("n", 1, SIDE, SIDE), end: str = "Softmax", weights: np.ndarray | None = None
) -> ModelProto:
    """A convolution, ReLU, a linear layer and the operator `end`."""
    random = np.random.default_rng(0)
    tensors = {
        "kernel": random.normal(size=(4, 1, 3, 3)).astype(np.float32),
        "head": random.normal(size=(4 * (SIDE - 2) ** 2, CLASSES)).astype(np.float32) if weights is None else weights,
    }
    nodes = [
        helper.make_node("Conv", ["images", "kernel"], ["strokes"]),
        helper.make_node("Relu", ["strokes"], ["positive"]),
        helper.make_node("Flatten", ["positive"], ["row"]),
        helper.make_node("MatMul", ["row", "head"], ["scores"]),
        helper.make_node(end, ["scores"], ["outputs"]),
    ]
    return model_of(nodes, shape, tensors)


def model_of(
    nodes: list[NodeProto], shape: tuple[Any, ...], tensors: dict[str, np.ndarray], kind: int = TensorProto.FLOAT
) -> ModelProto:
    """A model from `images` to `outputs`."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, [shape[0], CLASSES])],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def keras_config() -> dict[str, Any]:
    """Keras's config.json for InputLayer, Conv2D, Flatten and Dense with softmax."""

    def layer(kind: str, module: str = "keras.layers", /, **config: Any) -> dict[str, Any]:
        return {"module": module, "class_name": kind, "config": config, "registered_name": None}

    layers = [
        layer("InputLayer", batch_shape=[None, SIDE, SIDE, 1], dtype="float32", name="input_layer"),
        layer("Conv2D", name="conv2d", filters=4, kernel_size=[3, 3], activation="relu"),
        layer("Flatten", name="flatten"),
        layer("Dense", name="dense", units=CLASSES, activation="softmax"),
    ]
    return layer("Sequential", "keras", name="sequential", layers=layers) | {
        "build_config": {"input_shape": [None, SIDE, SIDE, 1]}
    }


def keras_weights() -> bytes:
    """The weights of `keras_config`, in HDF5."""
    import h5py

    random = np.random.default_rng(0)
    shapes = {"conv2d": [(3, 3, 1, 4), (4,)], "dense": [(4 * (SIDE - 2) ** 2, CLASSES), (CLASSES,)], "flatten": []}
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_group("vars")
        for name, layer_shapes in shapes.items():
            variables = file.create_group(f"layers/{name}/vars")
            for index, shape in enumerate(layer_shapes):
                variables[str(index)] = random.normal(size=shape).astype(np.float32)
    return content.getvalue()


def zipped(members: dict[str, bytes], packed: bool = False) -> bytes:
    """A zip archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def keras_file(config: Any = None, weights: bytes | None = None) -> bytes:
    """A .keras file."""
    return zipped(
        {
            "metadata.json": b'{"keras_version": "3.15.1"}',
            "config.json": json.dumps(keras_config() if config is None else config).encode(),
            "model.weights.h5": keras_weights() if weights is None else weights,
        }
    )


def lambda_layer(canary: Path) -> dict[str, Any]:
    """A Lambda layer whose code writes the file `canary` if it is ever run."""
    code = compile(f"open({str(canary)!r}, 'w').write('code was run')", "x", "exec")
    packed = b64encode(marshal.dumps(code)).decode()
    function = {"class_name": "__lambda__", "config": {"code": packed, "defaults": None, "closure": None}}
    config = {"name": "lambda", "function": function, "arguments": {}}
    return {"module": "keras.layers", "class_name": "Lambda", "config": config, "registered_name": None}


def run_folder() -> dict[str, bytes]:
    """The files of a run folder that a classifier is loaded from."""
    model = build("rnn", channels=1, classes=CLASSES, height=SIDE, width=SIDE, model_args={"units": 8})
    config = {
        "model": "rnn", "origins": {}, "model_args": {"units": 8}, "classes": ["flat", "steep", "cross"],
        "input": {
            "channels": 1, "height": SIDE, "width": SIDE, "range": [0, 1], "normalization": "none", "two_views": False,
        },
        "compute": {"device": "cpu", "threads": 1, "precision": "float32"},
    }  # fmt: skip
    return {"config.json": json.dumps(config).encode(), "model.safetensors": save(model.state_dict())}
