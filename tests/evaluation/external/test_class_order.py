"""Outputs of external models in another order, more or fewer than the classes, or by other names."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers.bar_models import SIDE, error_of, linear, node, opened, with_outputs
from helpers.bars import CLASSES
from onnx import TensorProto, helper

from imparfait.core.errors import UserError
from imparfait.evaluation.external.class_order import OTHER, output_columns, read_class_names, try_order
from imparfait.reports.text import spec_sentence


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
