"""Models of other people's tools: other sizes and channels, sigmoids, quantised operators, declared inputs."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from helpers.bar_models import DATA, IMAGES, SIDE, error_of, fitted, linear, node, opened
from helpers.bars import draw_bars
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from imparfait.core.errors import UserError
from imparfait.evaluation.evaluate import wrap_external
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.input_spec import SpecHint
from imparfait.evaluation.external.load import open_external
from imparfait.reports.text import spec_sentence

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
