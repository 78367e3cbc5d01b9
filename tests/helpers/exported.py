"""ONNX files with our metadata whose outputs are chosen."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from helpers.server import INPUT
from imparfait.inference.predictor import IMAGES, PROBABILITIES
from imparfait.models.metadata import KEY

CLASSES = ("dark", "bright", "neither")


def onnx_of(row: list[float], path: Path, **changes: object) -> Path:
    """A file with our metadata whose outputs are `row` for any image."""
    tensors = {"nothing": np.float32(0), "row": np.float32([row]), "shape": np.int64([-1, 1])}
    nodes = [
        helper.make_node("Cast", [IMAGES], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values"], ["mean"], axes=[1, 2, 3]),
        helper.make_node("Reshape", ["mean", "shape"], ["column"]),
        helper.make_node("Mul", ["column", "nothing"], ["zero"]),
        helper.make_node("Add", ["zero", "row"], [PROBABILITIES]),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["n", len(row)])],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    metadata = {"name": "fake", "model": "fake", "recipe": "quick", "classes": CLASSES, "weights": 64 * "0"}
    metadata |= {"settings": 64 * "0", "input": INPUT.model_dump(mode="json"), **changes}
    helper.set_model_props(model, {KEY: json.dumps(metadata)})
    onnx.save(model, path)
    return path


def raising(path: Path) -> Path:
    """A file with our metadata that is loaded, and whose network raises an error for one image."""
    model = onnx.load(onnx_of([0.0, 1.0, 0.0], path))
    (shape,) = (each for each in model.graph.initializer if each.name == "shape")
    shape.CopyFrom(numpy_helper.from_array(np.int64([2, -1]), "shape"))
    onnx.save(model, path)
    return path


def endless(path: Path) -> Path:
    """A file with our metadata whose network never ends."""
    model = onnx.load(onnx_of([0.0, 1.0, 0.0], path))
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["still"]),
            helper.make_node("Identity", ["held"], ["kept"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("held", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("kept", TensorProto.FLOAT, None),
        ],
    )
    last = model.graph.node[-1]
    last.output[0] = "sum"
    most = numpy_helper.from_array(np.int64(2**62), "most")
    true = numpy_helper.from_array(np.bool_(True), "true")
    model.graph.initializer.extend([most, true])
    model.graph.node.append(helper.make_node("Loop", ["most", "true", "sum"], [PROBABILITIES], body=body))
    onnx.save(model, path)
    return path
