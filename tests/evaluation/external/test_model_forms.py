"""Models of other people's tools: classes in another order or more of them, other sizes, names, quantised operators."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from helpers.bars import CLASSES, draw_bars
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from imparfait.core.errors import UserError
from imparfait.core.types import Classifier
from imparfait.evaluation.evaluate import wrap_external
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.class_order import OTHER, output_columns, read_class_names, try_order
from imparfait.evaluation.external.infer_spec import InferredSpec
from imparfait.evaluation.external.input_spec import SpecHint
from imparfait.evaluation.external.load import open_external
from imparfait.reports.text import spec_sentence

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


def scikit_learn(path: Path, names: tuple[str, ...], outputs: tuple[str, ...]) -> Path:
    """The graph that skl2onnx makes of a linear classifier with these names of classes, with some of its outputs."""
    order = tuple(np.argsort(names)) if not names[0].isdecimal() else (0, 1, 2)
    weights, biases = with_outputs(tuple(int(index) for index in order))
    sorted_names = [names[index] for index in order]
    labels = {"classlabels_ints": list(map(int, sorted_names))} if names[0].isdecimal() else {
        "classlabels_strings": sorted_names
    }  # fmt: skip
    zipped = {"classlabels_int64s": list(map(int, sorted_names))} if names[0].isdecimal() else labels
    ml, kind = "ai.onnx.ml", TensorProto.INT64 if names[0].isdecimal() else TensorProto.STRING
    nodes = [
        helper.make_node(
            "LinearClassifier", ["images"], ["output_label", "scores"], domain=ml, post_transform="NONE",
            coefficients=weights.T.ravel().tolist(), intercepts=biases.tolist(), multi_class=1, **labels,
        ),
        node("Softmax", "scores", "probabilities"),
        helper.make_node("ZipMap", ["probabilities"], ["output_probability"], domain=ml, **zipped),
    ]  # fmt: skip
    maps = helper.make_sequence_type_proto(
        helper.make_map_type_proto(kind, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    )
    possible = {
        "output_label": helper.make_tensor_value_info("output_label", kind, [None]),
        "probabilities": helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 3]),
        "output_probability": helper.make_value_info("output_probability", maps),
    }
    graph = helper.make_graph(
        [each for each in nodes if each.op_type != "ZipMap" or "output_probability" in outputs], "graph",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [None, SIDE * SIDE])],
        [possible[name] for name in outputs],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(ml, 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
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


MORE_OUTPUTS = {
    "background first": (None, 0, 1, 2),
    "background last": (0, 1, 2, None),
    "many others": (None,) * 20 + (1,) + (None,) * 20 + (0, None, 2),
}


@pytest.mark.parametrize("order", MORE_OUTPUTS.values(), ids=MORE_OUTPUTS)
def test_more_outputs_than_classes_are_refused_with_the_flag_that_works(
    tmp_path: Path, order: tuple[int | None, ...]
) -> None:
    path = linear(tmp_path / "model.onnx", order)
    error = error_of(path)
    assert error.received == f"the model has {len(order)} classes"
    names = [OTHER if index is None else CLASSES[index] for index in order]
    flag = error.hint.removeprefix("write --classes ").split(", with which")[0]
    assert flag == ",".join(names)
    accuracy, spec = opened(path, classes=read_class_names(flag))
    assert accuracy > 0.9
    assert f"classes by name, {len(order)} outputs (given)" in spec_sentence(spec)


def test_of_a_thousand_outputs_those_that_fit_are_named(tmp_path: Path) -> None:
    order: list[int | None] = [None] * 1000
    for output, index in ((7, 1), (281, 0), (999, 2)):
        order[output] = index
    hint = error_of(linear(tmp_path / "model.onnx", tuple(order))).hint
    named = f"7 is {CLASSES[1]}, 281 is {CLASSES[0]}, 999 is {CLASSES[2]}"
    assert hint.startswith(f"write --classes FILE with one name per line; output {named}, with which ")


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 0, 1)])
def test_another_order_of_outputs_is_said_with_the_flag(tmp_path: Path, order: tuple[int, ...]) -> None:
    path = linear(tmp_path / "model.onnx", order)
    error = error_of(path)
    assert "of the validation images in the order flat, steep, cross" in error.received
    names = ",".join(CLASSES[index] for index in order)
    assert error.hint.startswith(f"write --classes {names}, with which ")
    assert error.hint.endswith("for the order as it is, --classes flat,steep,cross")
    assert opened(path, classes=names.split(","))[0] > 0.9
    assert opened(path, classes=CLASSES, foreground="light", value_range=1)[0] < 0.6  # what is given is obeyed


def test_names_of_too_few_outputs_or_other_classes_are_refused(tmp_path: Path) -> None:
    path = linear(tmp_path / "model.onnx", (None, 0, 1, 2))
    error = error_of(path, classes=CLASSES)
    assert (error.received, error.expected) == ("--classes names 3 outputs", "4, as many as the model has")
    error = error_of(path, classes=("other", "flat", "steep", "round"))
    assert error.received == "--classes has no 'cross' (other, flat, steep, round)"


def test_a_poor_model_is_not_taken_for_one_of_another_order() -> None:
    random = np.random.default_rng(0)
    for classes in (2, 10, 100):
        labels = random.integers(0, classes, 400)
        names = [str(index) for index in range(classes)]
        for share in (0, 0.3, 0.6, 1):  # of the predictions that follow the labels
            predicted = np.where(random.random(400) < share, labels, random.integers(0, classes, 400))
            assert not try_order(predicted, labels, classes, names).is_better
        if classes < 100:
            assert try_order((labels + 1) % classes, labels, classes, names).is_better


NAME_FILES: dict[str, Callable[[], str]] = {
    "lines": lambda: "cat\n\ndog\r\nowl\n",
    "list": lambda: '["cat", "dog", "owl"]',
    "id2label": lambda: json.dumps({"0": "cat", "1": "dog", "2": "owl"}),
    "config": lambda: json.dumps({"id2label": {"0": "cat", "1": "dog", "2": "owl"}}),
    "bom": lambda: "\ufeffcat\ndog\nowl",
}


@pytest.mark.parametrize("content", NAME_FILES.values(), ids=NAME_FILES)
def test_names_are_read_from_lists_and_files(tmp_path: Path, content: Callable[[], str]) -> None:
    file = tmp_path / "names.txt"
    file.write_bytes(content().encode())
    assert read_class_names(str(file)) == ("cat", "dog", "owl")
    assert read_class_names("cat, dog,owl") == ("cat", "dog", "owl")


def test_what_holds_no_names_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"cat", b"[1, {", b'{"a": "cat"}', b"\xff\xfe\x00", b'["a\\u001b[31m", "b"]', b"[" * 100_000):
        (tmp_path / "names").write_bytes(content)
        with pytest.raises(UserError):
            read_class_names(str(tmp_path / "names"))
    for text in ("cat", "missing.txt", "a,,b", "x" * 5000):
        with pytest.raises(UserError):
            read_class_names(text)


@pytest.mark.parametrize(
    ("names", "classes", "columns"),
    [
        ("b a c", "a b c", [1, 0, 2]),
        ("eight five four nine one seven six three two zero", "0 1 2 3", [9, 4, 8, 7]),
        ("Cat dog_house", "dog-house cat", None),
        ("Cat DOG", "dog cat", [1, 0]),
        ("digit_1 digit_0", "0 1", [1, 0]),
        ("a b", "a c", None),
    ],
)
def test_outputs_are_found_by_name(names: str, classes: str, columns: list[int] | None) -> None:
    found = output_columns(names.split(), classes.split())
    assert (None if found is None else found.tolist()) == columns


@pytest.mark.parametrize(
    "outputs", [("output_label", "output_probability"), ("output_label", "probabilities"), ("output_label",)]
)
@pytest.mark.parametrize("names", [CLASSES, ("0", "1", "2")])
def test_scikit_learn_s_classes_are_matched_by_name(
    tmp_path: Path, names: tuple[str, ...], outputs: tuple[str, ...]
) -> None:
    """Strings stand in alphabetical order; without a ZipMap, or with one; with probabilities, or labels alone."""
    accuracy, spec = opened(scikit_learn(tmp_path / "model.onnx", names, outputs))
    assert accuracy > 0.9
    assert spec.spec.outputs == ("labels" if outputs == ("output_label",) else "probabilities")
    assert ("classes by name" in spec_sentence(spec)) == (names == CLASSES)


def test_names_of_other_classes_are_refused_with_the_flag_that_works(tmp_path: Path) -> None:
    path = scikit_learn(tmp_path / "model.onnx", ("plat", "raide", "croix"), ("output_label", "output_probability"))
    error = error_of(path)
    assert error.received == "the model has the classes croix, plat, raide"
    assert error.hint.startswith("write --classes cross,flat,steep, with which ")
    assert opened(path, classes=("cross", "flat", "steep"))[0] > 0.9


LARGER = {
    "colour": (("n", 3, SIDE, SIDE), "grey repeated in 3 channels"),
    "padded": (("n", 1, SIDE + 4, SIDE + 4), "padded from 16×16 to 20×20"),
    "padded colour": (("n", 3, SIDE + 4, SIDE + 4), "grey repeated in 3 channels and padded from 16×16 to 20×20"),
    "padded, channels last": (("n", SIDE + 4, SIDE + 4, 3), "grey repeated in 3 channels and padded"),
    "any size": (("n", 3, None, None), "grey repeated in 3 channels"),
}


@pytest.mark.parametrize(("shape", "said"), LARGER.values(), ids=LARGER)
def test_images_are_brought_to_the_channels_and_size_of_a_model_and_it_is_said(
    tmp_path: Path, shape: tuple[Any, ...], said: str
) -> None:
    steps = [node("Identity", "images", "a")]
    if shape[3] == 3:
        steps = [node("Transpose", "images", "a", perm=[0, 3, 1, 2])]
    steps.append(node("ReduceMean", "a", "b", axes=[1], keepdims=1))
    steps.append(node("Slice", "b from to axes", "first") if SIDE + 4 in shape else node("Identity", "b", "first"))
    tensors = {"from": np.array([2, 2]), "to": np.array([SIDE + 2, SIDE + 2]), "axes": np.array([2, 3])}
    path = linear(tmp_path / "model.onnx", before=tuple(steps), shape=shape, tensors=tensors)
    accuracy, spec = opened(path)
    assert accuracy > 0.9
    assert said in spec_sentence(spec)
    assert spec.spec.value_range == "1"
    assert spec.margin is not None


def test_resizing_is_found_and_can_be_stated(tmp_path: Path) -> None:
    before = (node("AveragePool", "images", "first", kernel_shape=[2, 2], strides=[2, 2]),)
    path = linear(tmp_path / "model.onnx", before=before, shape=("n", 1, 2 * SIDE, 2 * SIDE))
    accuracy, spec = opened(path)
    assert accuracy > 0.9
    assert spec.spec.fit == "resize"
    assert "fit resized from 16×16 to 32×32 (inferred)" in spec_sentence(spec)
    assert "(given)" in spec_sentence(opened(path, fit="resize", side=32)[1])
    assert opened(path, fit="resize", side=32)[0] == accuracy
    error = error_of(path, fit="resize", side=20)
    assert error.received == "these images are 16 by 16 with 1 channel"


def test_files_are_read_in_the_model_s_size_instead(tmp_path: Path) -> None:
    before = (node("AveragePool", "images", "first", kernel_shape=[2, 2], strides=[2, 2]),)
    path = linear(tmp_path / "model.onnx", before=before, shape=("n", 1, 2 * SIDE, 2 * SIDE))
    with open_external(path) as external, pytest.raises(UserError, match="--size 32"):
        wrap_external(external, external.declared, DATA, SpecHint(), of_files=True)


def test_sigmoid_outputs_are_recognised_by_the_graph_and_by_their_values(tmp_path: Path) -> None:
    accuracy, spec = opened(linear(tmp_path / "model.onnx", end="Sigmoid"))
    assert accuracy > 0.9
    assert "outputs sigmoid, divided by their sum (declared)" in spec_sentence(spec)
    weights, biases = fitted()

    def sigmoid(rows: np.ndarray) -> Any:
        return 1 / (1 + np.exp(-rows @ weights - biases))

    with open_external(tmp_path / "model.onnx") as external:
        declared = external.declared.model_copy(update={"outputs": None, "shape": (None, SIDE * SIDE)})
    classifier, spec = wrap_external(sigmoid, declared, DATA, SpecHint(value_range=1))
    assert "outputs sigmoid, divided by their sum (observed)" in spec_sentence(spec)
    shares = np.exp(classifier(IMAGES))
    assert np.allclose(shares, sigmoid(IMAGES.reshape(len(IMAGES), -1)), atol=1e-5)


class Bars(CalibrationDataReader):  # type: ignore[misc]
    """A few images, to calibrate a quantised model."""

    def __init__(self) -> None:
        self.left = [{"images": IMAGES[index : index + 1]} for index in range(20)]

    def get_next(self) -> Any:
        return self.left.pop() if self.left else None


@pytest.mark.parametrize("quantised", [QuantFormat.QOperator, QuantFormat.QDQ])
def test_the_runtime_s_own_quantised_models_are_run(tmp_path: Path, quantised: QuantFormat) -> None:
    sums = (
        node("Conv", "images kernel", "features", kernel_shape=[1, 1]), node("LeakyRelu", "features", "leaky"),
        node("Add", "leaky features", "sum"), node("AveragePool", "sum", "first", kernel_shape=[1, 1]),
    )  # fmt: skip
    kernel = {"kernel": np.full((1, 1, 1, 1), 0.5, np.float32)}
    path = linear(tmp_path / "model.onnx", before=sums, end="Sigmoid", tensors=kernel)
    quantize_static(str(path), str(tmp_path / "int8.onnx"), Bars(), quant_format=quantised)
    operators = {each.op_type for each in onnx.load(str(tmp_path / "int8.onnx")).graph.node}
    if quantised is QuantFormat.QOperator:
        assert operators >= {"QGemm", "QLinearAdd", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearAveragePool"}
    assert opened(tmp_path / "int8.onnx")[0] > 0.9


def test_other_operators_of_the_runtime_are_refused(tmp_path: Path) -> None:
    model = onnx.load(str(linear(tmp_path / "model.onnx")))
    for name in ("BeamSearch", "WhisperBeamSearch", "SampleOp", "Attention"):
        model.graph.node[0].op_type, model.graph.node[0].domain = name, "com.microsoft"
        onnx.save(model, str(tmp_path / "custom.onnx"))
        with pytest.raises(UserError, match=f"uses the operator {name} of the domain com.microsoft"):
            opened(tmp_path / "custom.onnx")


def test_a_declared_mean_deviation_and_order_of_colours_are_applied() -> None:
    images = np.random.default_rng(0).random((3, 3, 8, 8), np.float32)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    expected = (images[:, ::-1] - np.array(mean)[:, None, None]) / np.array(std)[:, None, None]
    seen: list[np.ndarray] = []

    def model(batch: np.ndarray) -> np.ndarray:
        seen.append(batch)
        return np.eye(3)[[0, 1, 2]]

    data = draw_bars(3, 8, channels=3)
    for scale in (1, 255):  # Caffe's means are of 0..255
        hint = SpecHint(
            "nchw", None, "light", "logits", mean=[m * scale for m in mean], std=[s * scale for s in std], color="bgr"
        )
        classifier, _ = wrap_external(model, DeclaredSpec(), data, hint)
        classifier(images)
        unit = 1 if max(hint.mean or ()) <= 1 else 255
        assert np.allclose(seen[-1], expected if unit == scale else seen[-1], atol=1e-5)
    for wrong in ({"mean": (0.1, 0.2)}, {"std": (0.0,)}, {"mean": (0.1,), "value_range": "1"}, {"color": "gbr"}):
        with pytest.raises(UserError):
            SpecHint(**wrong)
