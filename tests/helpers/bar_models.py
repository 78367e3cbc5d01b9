"""Linear models of bars as ONNX files, with outputs in any order and any operators before them."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from helpers.bars import draw_bars
from imparfait.core.errors import UserError
from imparfait.core.types import Classifier
from imparfait.evaluation.evaluate import wrap_external
from imparfait.evaluation.external.infer_spec import InferredSpec
from imparfait.evaluation.external.input_spec import SpecHint
from imparfait.evaluation.external.load import open_external

SIDE = 16
BARS = draw_bars(400, SIDE)
WRONG = np.random.default_rng(0).random(400) < 0.05
DATA = replace(BARS, labels=np.where(WRONG, (BARS.labels + 1) % 3, BARS.labels))  # else no range is too confident
IMAGES = DATA.pixels.astype(np.float32) / 255


@cache
def fitted() -> tuple[np.ndarray, np.ndarray]:
    """Weights `[256, 3]` and biases of a linear model of bars, as confident as it may be on images in 0..1."""
    rows = IMAGES.reshape(len(IMAGES), -1)
    model = LogisticRegression(C=0.1, max_iter=300).fit(rows, BARS.labels)
    logits = rows @ model.coef_.T + model.intercept_
    scales = np.geomspace(0.1, 10, 60)
    losses = [-log_softmax(scale * logits, 1)[np.arange(len(rows)), DATA.labels].mean() for scale in scales]
    scale = scales[int(np.argmin(losses))]
    return (scale * model.coef_.T).astype(np.float32), (scale * model.intercept_).astype(np.float32)


def with_outputs(order: tuple[int | None, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The weights with outputs in this order of classes; None is an output that is never the highest."""
    weights, biases = fitted()
    columns = [np.zeros(SIDE * SIDE) if index is None else weights[:, index] for index in order]
    return np.stack(columns, 1).astype(np.float32), np.array([-50 if i is None else biases[i] for i in order], "f4")


def node(operator: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), [output], **attributes)


def linear(
    path: Path,
    order: tuple[int | None, ...] = (0, 1, 2),
    before: tuple[onnx.NodeProto, ...] = (),
    end: str = "Softmax",
    shape: tuple[Any, ...] = ("n", 1, SIDE, SIDE),
    tensors: dict[str, np.ndarray] | None = None,
) -> Path:
    """A file with a linear model of bars; `before` makes `first` of `images`."""
    weights, biases = with_outputs(order)
    nodes = [
        *(before or [node("Identity", "images", "first")]),
        node("Flatten", "first", "row"), node("Gemm", "row weights biases", "scores"), node(end, "scores", "outputs"),
    ]  # fmt: skip
    arrays = {"weights": weights, "biases": biases} | (tensors or {})
    graph = helper.make_graph(
        nodes, "graph", [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, [shape[0], len(order)])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def opened(path: Path, data: Any = DATA, **hint: Any) -> tuple[float, InferredSpec]:
    """The accuracy of a file's model on the bars, and how it takes them."""
    with open_external(path) as external:
        classifier: Classifier
        classifier, spec = wrap_external(external, external.declared, data, SpecHint(**hint))
        return float((classifier(data.pixels.astype(np.float32) / 255).argmax(1) == data.labels).mean()), spec


def error_of(path: Path, **hint: Any) -> UserError:
    with pytest.raises(UserError) as error:
        opened(path, **hint)
    return error.value
