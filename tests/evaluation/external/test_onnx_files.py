"""External ONNX files: they predict as in ONNX Runtime, or are refused with the reason."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from helpers.external_files import IMAGES, refused, written
from helpers.model_files import CLASSES, SIDE, model_of, onnx_model
from onnx import TensorProto, helper

from imparfait.core.errors import UserError
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.load import open_external
from imparfait.evaluation.external.sandbox.client import SandboxLimits


@pytest.mark.parametrize("fixed", ["n", 1, 7, 512])
def test_an_onnx_file_predicts_as_onnx_runtime_does_for_any_fixed_batch_size(tmp_path: Path, fixed: Any) -> None:
    twin = onnxruntime.InferenceSession(onnx_model().SerializeToString(), providers=["CPUExecutionProvider"])
    (expected,) = twin.run(None, {"images": IMAGES})
    path = written(tmp_path / "model.onnx", onnx_model((fixed, 1, SIDE, SIDE)))
    with open_external(path, threads=2) as model:
        length = None if fixed == "n" else fixed
        assert model.declared == DeclaredSpec(
            shape=(length, 1, SIDE, SIDE), num_classes=CLASSES, outputs="probabilities"
        )
        for count in (1, 3, 300):
            assert np.allclose(model(IMAGES[:count]), expected[:count], atol=1e-6)


@pytest.mark.parametrize(("kind", "tolerance"), [("FLOAT16", 2e-3), ("FLOAT", 1e-6), ("DOUBLE", 1e-6), ("UINT8", 1e-6)])
def test_every_input_type_is_supported(tmp_path: Path, kind: str, tolerance: float) -> None:
    tensors = {"size": np.array(255, np.float32), "head": np.eye(SIDE * SIDE, CLASSES, dtype=np.float32)}
    nodes = [
        helper.make_node("Cast", ["images"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["real", "size"], ["small"]),
        helper.make_node("Flatten", ["small"], ["row"]),
        helper.make_node("Gemm", ["row", "head"], ["outputs"]),
    ]
    shape = ("n", SIDE, SIDE)
    path = written(tmp_path / "model.onnx", model_of(nodes, shape, tensors, TensorProto.DataType.Value(kind)))
    whole = np.rint(IMAGES[:, 0] * 255)
    with open_external(path) as model:
        assert model.declared == DeclaredSpec(
            shape=(None, SIDE, SIDE), num_classes=CLASSES, value_range="255", outputs="logits"
        )
        assert np.allclose(model(whole), whole[:, 0, :CLASSES] / 255, atol=tolerance)


def test_labels_are_used_where_a_model_returns_nothing_else(tmp_path: Path) -> None:
    model = onnx_model()
    model.graph.node.append(helper.make_node("ArgMax", ["outputs"], ["label"], axis=1, keepdims=0))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]))
    with open_external(written(tmp_path / "model.onnx", model)) as function:
        assert function.declared.outputs == "labels"
        assert function(IMAGES).dtype == np.int64


def with_external_data() -> onnx.ModelProto:
    model = onnx_model()
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../../etc/passwd")
    return model


def with_external_data_in_a_branch() -> onnx.ModelProto:
    """In a subgraph, which a check of the initialisers alone misses."""
    model = onnx_model()
    hidden = helper.make_node("Constant", [], ["x"], value=with_external_data().graph.initializer[0])
    branch = helper.make_graph([hidden], "branch", [], [helper.make_tensor_value_info("x", 1, None)])
    model.graph.node.append(helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch))
    return model


def with_a_foreign_operator() -> onnx.ModelProto:
    model = onnx_model()
    model.graph.node[1].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    return model


def with_its_own_function() -> onnx.ModelProto:
    model = onnx_model()
    node = helper.make_node("Relu", ["a"], ["b"])
    model.functions.append(helper.make_function("", "Mine", ["a"], ["b"], [node], model.opset_import))
    return model


def with_too_many_nodes() -> onnx.ModelProto:
    nodes = [helper.make_node("Relu", ["images"], [f"n{index}"]) for index in range(20_001)]
    return model_of(nodes, ("n", 1, SIDE, SIDE), {})


def with_two_inputs() -> onnx.ModelProto:
    model = onnx_model()
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["n", 3]))
    return model


def without_scores_for_classes() -> onnx.ModelProto:
    model = onnx_model()
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["n"]))
    model.graph.node[-1].CopyFrom(helper.make_node("ReduceMean", ["scores"], ["outputs"], axes=[1], keepdims=0))
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (with_external_data, "keeps weights in other files, which are not read; write: onnx.save(onnx.load("),
        (with_external_data_in_a_branch, "keeps weights in other files"),
        (with_a_foreign_operator, "uses the operator Relu of the domain com.example; expected ONNX's own operators"),
        (
            with_its_own_function,
            "defines functions of its own, which are not supported; write: onnx.save(onnx.inliner.",
        ),
        (with_too_many_nodes, "has 20,001 nodes; expected at most 20,000"),
        (with_two_inputs, "takes 2 inputs (images, more); expected one: the images"),
        (without_scores_for_classes, "returns outputs: tensor(float); expected one number a class"),
        (lambda: b"", "is not a valid ONNX file, or has no operators; export it again"),
        (lambda: b"hello, this is text", "is no ONNX file, or a broken one; export it again"),
    ],
)
def test_the_error_for_a_refused_onnx_file_says_why(tmp_path: Path, make: Any, message: str) -> None:
    assert refused(written(tmp_path / "model.onnx", make())).startswith(message)


def test_bombs_in_onnx_files_stop_at_memory_and_time(tmp_path: Path) -> None:
    huge = [
        helper.make_node("ConstantOfShape", ["size"], ["outputs"]),
        helper.make_node("Identity", ["images"], ["rest"]),
    ]
    path = written(tmp_path / "huge.onnx", model_of(huge, ("n", 1, SIDE, SIDE), {"size": np.array([1 << 20, 1 << 20])}))
    limits = SandboxLimits(memory_bytes=256 << 20, seconds=1)
    with pytest.raises(UserError, match="GiB of memory"), open_external(path, limits=limits) as model:
        model(IMAGES)

    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Relu", ["x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, SIDE, SIDE]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1, SIDE, SIDE]),
        ],
    )
    endless = [
        helper.make_node("Loop", ["", "yes", "images"], ["z"], body=body),
        helper.make_node("Flatten", ["z"], ["outputs"]),
    ]
    path = written(tmp_path / "loop.onnx", model_of(endless, ("n", 1, SIDE, SIDE), {"yes": np.array(True)}))
    with pytest.raises(UserError, match="after 1 s of predicting 256"), open_external(path, limits=limits) as model:
        model(IMAGES)
