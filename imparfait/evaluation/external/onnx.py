"""ONNX files: looked through, then run by ONNX Runtime."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.errors import UserError
from imparfait.evaluation.external.base import DeclaredSpec, batches, names_in, table
from imparfait.models.metadata import KEY, Card, card_from

DOMAINS = ("", "ai.onnx", "ai.onnx.ml")  # scikit-learn's trees and linear models are in the last
MOST_NODES = 20_000
KINDS = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
PASSES_ON = {"Cast", "Identity"}
ENDS = {"Softmax": "probabilities", "LogSoftmax": "logits", "Gemm": "logits"}
ONE_FILE = "write: onnx.save(onnx.load('model.onnx'), 'one.onnx')"

Function = Callable[[np.ndarray], np.ndarray]


def prepare() -> None:
    """Import ONNX and ONNX Runtime, and run a model of one node.

    ONNX Runtime starts one thread when it is imported, which only waits; it is not in the children, and not missed.
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
    _session(model.SerializeToString(), 1).run(None, {"x": np.zeros((1, 1), np.float32)})


def load(path: str, threads: int) -> tuple[dict[str, Any], Function]:
    """What the ONNX file at `path` says of itself, and its function; raises UserError for what is not opened."""
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    content = Path(path).read_bytes()
    try:
        model = ModelProto.FromString(content)
        _check(model)
    except (DecodeError, UnicodeDecodeError) as error:
        raise UserError("is no ONNX file, or a broken one; export it anew") from error
    session = _session(content, threads)
    name, kind, shape = _input(session)
    card = _card(model) if kind is np.uint8 and len(shape) == 4 else None
    output, labels = _output(session)
    fixed = shape[0]

    def answer(images: np.ndarray) -> np.ndarray:
        rows = []
        whole = np.rint(images).clip(0, 255) if kind is np.uint8 else images
        for batch in batches(whole.astype(kind, copy=False), fixed):
            rows.append(session.run([output], {name: batch})[0])
        return table(np.concatenate(rows)[: len(images)], labels)

    told = DeclaredSpec(
        shape=shape,
        classes=None if labels else _columns(session, output),
        layout="nchw" if card else None,
        range="255" if kind is np.uint8 or _divides_by_255(model.graph, name) else None,
        ink="light" if card else None,
        outputs="labels" if labels else _ending(model.graph, output),
        names=names_in(card) if card else None,
    )
    return told.model_dump(), answer


def _card(model: Any) -> Card | None:
    """What an export of ours says of itself; None where it is another's."""
    text = next((each.value for each in model.metadata_props if each.key == KEY), None)
    return None if text is None else card_from(text, "its metadata")


def _session(content: bytes, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.load_model_format", "ONNX")  # not its own, which the check has not seen
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # between questions the cores are others'
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _check(model: Any) -> None:
    from onnx import NodeProto, TensorProto

    if model.functions:
        raise UserError(
            "defines functions of its own, which are not opened; "
            "write: onnx.save(onnx.inliner.inline_local_functions(onnx.load('model.onnx')), 'one.onnx')"
        )
    nodes = 0
    for message in _messages(model):
        if isinstance(message, TensorProto):
            if message.external_data or message.data_location == TensorProto.EXTERNAL:
                raise UserError(f"keeps weights in other files, which are not opened; {ONE_FILE}")
        elif isinstance(message, NodeProto):
            nodes += 1
            if message.domain not in DOMAINS:
                raise UserError(
                    f"asks for {message.op_type} of the domain {message.domain}; expected ONNX's own operators "
                    "(no custom ones): export it without"
                )
    if not 0 < nodes <= MOST_NODES:
        raise UserError(f"has {nodes:,} nodes; expected 1 to {MOST_NODES:,}")


def _messages(message: Any) -> Iterator[Any]:
    """A message and all in it, wherever ONNX may put a tensor or a node; not what is inside tensors: their numbers."""
    from onnx import TensorProto

    waiting = [message]
    while waiting:
        message = waiting.pop()
        yield message
        if isinstance(message, TensorProto):
            continue
        for field, value in message.ListFields():
            if field.message_type:
                waiting.extend(value if hasattr(value, "__len__") else [value])


def _input(session: Any) -> tuple[str, Any, tuple[int | None, ...]]:
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(each.name for each in inputs)
        raise UserError(f"takes {len(inputs)} inputs ({names}); expected one: the images")
    (only,) = inputs
    if only.type not in KINDS or not 2 <= len(only.shape) <= 4:
        raise UserError(f"takes a {only.type} of shape {only.shape}; expected images: 2 to 4 axes of numbers")
    return only.name, KINDS[only.type], tuple(_lengths(only.shape))


def _lengths(shape: Sequence[Any]) -> Iterator[int | None]:
    for length in shape:
        yield length if isinstance(length, int) and length > 0 else None


def _output(session: Any) -> tuple[str, bool]:
    """The name of the output with a number a class, and whether it is labels instead, where there is no other."""
    there = [(each.name, each.type, len(each.shape)) for each in session.get_outputs()]
    tables = [name for name, kind, axes in there if kind in KINDS and axes != 1]
    labels = [name for name, kind, axes in there if kind in ("tensor(int64)", "tensor(int32)") and axes == 1]
    if not tables and not labels:
        told = ", ".join(f"{name}: {kind}" for name, kind, _ in there)
        raise UserError(
            f"answers with {told}; expected a number a class for each image "
            "(of scikit-learn: to_onnx(…, options={'zipmap': False}))"
        )
    return (tables or labels)[0], not tables


def _columns(session: Any, output: str) -> int | None:
    shape = next(each.shape for each in session.get_outputs() if each.name == output)
    return next(chain(_lengths(shape[1:2]), [None]))


def _ending(graph: Any, output: str) -> Any:
    made_by = {name: node for node in graph.node for name in node.output}
    for _ in graph.node:
        node = made_by.get(output)
        if node is None or node.op_type not in PASSES_ON:
            return ENDS.get(node.op_type) if node is not None else None
        output = node.input[0]
    return None


def _divides_by_255(graph: Any, name: str) -> bool:
    """Whether all the first node does with the images is to divide them by 255, or to multiply by 1/255."""
    from onnx import numpy_helper

    numbers = {each.name: each for each in graph.initializer}
    numbers |= {
        node.output[0]: each.t
        for node in graph.node
        if node.op_type == "Constant"
        for each in node.attribute
        if each.name == "value"
    }
    for _ in graph.node:
        takers = [node for node in graph.node if name in node.input]
        if len(takers) != 1:
            return False
        (node,) = takers
        if node.op_type in ("Div", "Mul") and node.input[0] == name:
            factor = numbers.get(node.input[1])
            if factor is None or math.prod(factor.dims) != 1:
                return False
            value = float(numpy_helper.to_array(factor).reshape(()))
            return math.isclose(value if node.op_type == "Div" else 1 / value if value else 0, 255, rel_tol=1e-3)
        if node.op_type not in PASSES_ON:
            return False
        name = node.output[0]
    return False
