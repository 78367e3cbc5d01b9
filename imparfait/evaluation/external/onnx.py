"""Loader of external ONNX files: checked node by node, then run by ONNX Runtime."""

# Runs in the sandbox. Refused before ONNX Runtime sees the file: custom operators, local functions, weights in other
# files, and graphs too large to check. What a file declares is read from its graph: the input's shape and type, a
# division by 255 at the start, a softmax at the end; a file that imparfait exported says the rest in its metadata.

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.compute import onnx_session
from imparfait.core.errors import UserError
from imparfait.evaluation.external.base import DeclaredSpec, batches, checked_outputs, declared_names, short_names
from imparfait.evaluation.external.onnx_outputs import (
    PASS_THROUGH,
    class_names,
    lengths,
    output_of,
    without_zipmap,
)
from imparfait.models.metadata import KEY, ExportMetadata, parse_metadata

DOMAINS = ("", "ai.onnx", "ai.onnx.ml")  # of operators; scikit-learn's trees and linear models are in the last
RUNTIME_DOMAIN = "com.microsoft"
RUNTIME_OPERATORS = {
    "QuantizeLinear", "DequantizeLinear", "QGemm", "QLinearAdd", "QLinearMul", "QLinearAveragePool",
    "QLinearGlobalAveragePool", "QLinearConcat", "QLinearConv", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax",
    "QLinearReduceMean", "QLinearWhere", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "NhwcMaxPool", "FusedConv",
    "FusedGemm", "FusedMatMul", "Gelu", "QuickGelu", "BiasGelu", "FastGelu",
}  # fmt: skip
"""ONNX Runtime's own, which its quantiser and optimiser write: arithmetic only, without subgraphs, files or state."""
MAX_NODES = 20_000
DTYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
Function = Callable[[np.ndarray], np.ndarray]


def prepare() -> None:
    """Import ONNX and ONNX Runtime and run a model of one node, so that child processes start warm.

    ONNX Runtime starts one idle thread on import; the children do not have it and do not need it.
    """
    import onnx
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "warm",
        [value("x", TensorProto.FLOAT, [1, 1])],
        [value("y", TensorProto.FLOAT, [1, 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx_session(model.SerializeToString(), 1).run(None, {"x": np.zeros((1, 1), np.float32)})


def load(path: str, threads: int) -> tuple[dict[str, Any], Function]:
    """What the ONNX file at `path` declares, and its function; raises UserError for a file that is refused."""
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    content = Path(path).read_bytes()
    try:
        model = ModelProto.FromString(content)
        _check(model)
    except (DecodeError, UnicodeDecodeError) as error:
        raise UserError("is no ONNX file, or a broken one", hint="export it again") from error
    names = class_names(model.graph)
    content = model.SerializeToString() if without_zipmap(model) else content
    session = onnx_session(content, threads)
    name, dtype, shape = _input(session)
    metadata = _metadata(model) if dtype is np.uint8 and len(shape) == 4 else None
    output = output_of(session, model.graph, names, tuple(DTYPES))

    sessions = [session]
    del session

    def predict(images: np.ndarray) -> np.ndarray:
        if not sessions:
            sessions.append(onnx_session(content, threads))
        try:
            return predict_with(sessions[0], images)
        except Exception:
            sessions.clear()  # after a batch that ran out of memory it keeps what it has, too much for a smaller one
            raise

    def predict_with(session: Any, images: np.ndarray) -> np.ndarray:
        values = np.rint(images).clip(0, 255) if dtype is np.uint8 else images
        parts = [
            session.run([output.name], {name: batch})[0]
            for batch in batches(values.astype(dtype, copy=False), shape[0])
        ]
        outputs = np.concatenate(parts)[: len(images)]
        return checked_outputs(np.asarray(output.indices(outputs)) if output.labels else outputs, output.labels)

    declared = DeclaredSpec(
        shape=shape,
        num_classes=output.num_classes,
        layout="nchw" if metadata else None,
        value_range="255" if dtype is np.uint8 or _divides_by_255(model.graph, name) else None,
        foreground="light" if metadata else None,
        outputs=output.kind,
        class_names=declared_names(metadata) if metadata else short_names(output.class_names),
    )
    return declared.model_dump(), predict


def _metadata(model: Any) -> ExportMetadata | None:
    """The metadata that imparfait wrote into its export; None in other files."""
    text = next((prop.value for prop in model.metadata_props if prop.key == KEY), None)
    return None if text is None else parse_metadata(text, "its metadata")


def _check(model: Any) -> None:
    from onnx import NodeProto, TensorProto

    if model.functions:
        raise UserError(
            "defines functions of its own, which are not supported",
            hint="write: onnx.save(onnx.inliner.inline_local_functions(onnx.load('model.onnx')), 'one.onnx')",
        )
    nodes = 0
    for message in _messages(model):
        if isinstance(message, TensorProto):
            if message.external_data or message.data_location == TensorProto.EXTERNAL:
                raise UserError(
                    "keeps weights in other files, which are not read",
                    hint="write: onnx.save(onnx.load('model.onnx'), 'one.onnx')",
                )
        elif isinstance(message, NodeProto):
            nodes += 1
            own = message.domain == RUNTIME_DOMAIN and message.op_type in RUNTIME_OPERATORS
            if message.domain not in DOMAINS and not own:
                raise UserError(
                    f"uses the operator {message.op_type} of the domain {message.domain}",
                    expected="ONNX's own operators",
                    hint="export it without custom operators",
                )
    if not nodes:
        raise UserError("is not a valid ONNX file, or has no operators", hint="export it again")
    if nodes > MAX_NODES:
        raise UserError(f"has {nodes:,} nodes", expected=f"at most {MAX_NODES:,}")


def _messages(message: Any) -> Iterator[Any]:
    """A message and all messages within it, wherever ONNX may put a tensor or a node; tensors are not entered."""
    from onnx import TensorProto

    stack = [message]
    while stack:
        message = stack.pop()
        yield message
        if isinstance(message, TensorProto):
            continue
        for field, value in message.ListFields():
            if field.message_type:
                stack.extend(value if hasattr(value, "__len__") else [value])


def _input(session: Any) -> tuple[str, Any, tuple[int | None, ...]]:
    """The name, dtype and shape of the only input."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(node.name for node in inputs)
        raise UserError(f"takes {len(inputs)} inputs ({names})", expected="one: the images")
    (images,) = inputs
    if images.type not in DTYPES or not 2 <= len(images.shape) <= 4:
        raise UserError(f"takes a {images.type} of shape {images.shape}", expected="images: 2 to 4 axes of numbers")
    return images.name, DTYPES[images.type], tuple(lengths(images.shape))


def _divides_by_255(graph: Any, name: str) -> bool:
    """Whether the only operator on the images divides them by 255, or multiplies them by 1/255."""
    from onnx import numpy_helper

    constants = {tensor.name: tensor for tensor in graph.initializer}
    constants |= {
        node.output[0]: attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    for _ in graph.node:
        consumers = [node for node in graph.node if name in node.input]
        if len(consumers) != 1:
            return False
        (node,) = consumers
        if node.op_type in ("Div", "Mul") and node.input[0] == name:
            factor = constants.get(node.input[1])
            if factor is None or math.prod(factor.dims) != 1:
                return False
            value = float(numpy_helper.to_array(factor).reshape(()))
            return math.isclose(value if node.op_type == "Div" else 1 / value if value else 0, 255, rel_tol=1e-3)
        if node.op_type not in PASS_THROUGH:
            return False
        name = node.output[0]
    return False
