"""External model files: they predict as in the program that made them, or are refused with what to write instead."""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers.fuzz_models import KINDS, outcome
from helpers.model_files import (
    CLASSES,
    SIDE,
    keras_config,
    keras_file,
    keras_weights,
    lambda_layer,
    model_of,
    onnx_model,
    run_folder,
    zipped,
)
from onnx import TensorProto, helper

from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.load import FORMATS, LISTED_FORMATS, UNSUPPORTED, format_of, open_external
from imparfait.evaluation.external.sandbox.client import SandboxLimits
from imparfait.models.loading import load_classifier

IMAGES = np.random.default_rng(0).random((300, 1, SIDE, SIDE), np.float32)


def written(path: Path, model: onnx.ModelProto | bytes) -> Path:
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return path


def refused(path: Path, limits: SandboxLimits | None = None) -> str:
    """The error message for a file, after its name."""
    with pytest.raises(UserError) as error, open_external(path, limits=limits):
        pass
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message.removeprefix(f"{path}: ")


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


def test_a_keras_file_predicts_as_its_layers_do_in_pytorch(tmp_path: Path) -> None:
    with h5py.File(io.BytesIO(keras_weights())) as file:
        kernel, bias, head, head_bias = (
            torch.from_numpy(file[f"layers/{name}"][()])
            for name in ("conv2d/vars/0", "conv2d/vars/1", "dense/vars/0", "dense/vars/1")
        )
    features = torch.conv2d(torch.from_numpy(IMAGES), kernel.permute(3, 2, 0, 1), bias).relu()
    expected = (features.permute(0, 2, 3, 1).flatten(1) @ head + head_bias).softmax(1)
    with open_external(written(tmp_path / "model.keras", keras_file()), threads=2) as model:
        assert model.declared == DeclaredSpec(shape=(None, SIDE, SIDE, 1), num_classes=CLASSES, outputs="probabilities")
        assert np.allclose(model(IMAGES.transpose(0, 2, 3, 1)), expected.numpy(), atol=1e-5)


def keras_layers(*more: dict[str, Any]) -> bytes:
    """A .keras file with other layers after its input."""
    config = keras_config()
    config["config"]["layers"][1:1] = more
    return keras_file(config)


def layer(kind: str, module: str = "keras.layers", /, **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "config": config, "registered_name": None}


def test_a_keras_file_that_begins_with_rescaling_declares_its_range(tmp_path: Path) -> None:
    content = keras_layers(layer("Rescaling", scale=1 / 255, offset=0.0, name="rescaling"))
    with open_external(written(tmp_path / "model.keras", content)) as model:
        assert model.declared.value_range == "255"
        with open_external(written(tmp_path / "plain.keras", keras_file())) as plain:
            images = IMAGES.transpose(0, 2, 3, 1)
            assert np.allclose(model(images * 255), plain(images), atol=1e-5)


DOTTED = ("layers.StringLookup", "layers.TFSMLayer", "saving.load_model", "src.layers.core.lambda_layer.Lambda")


def test_code_in_a_keras_file_is_rejected_and_not_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    hidden = lambda_layer(canary)
    as_activation = keras_config()
    as_activation["config"]["layers"][1]["config"]["activation"] = hidden["config"]["function"]
    custom = layer("Mine", "my_code") | {"registered_name": "mine>Mine"}
    for content, message in (
        (keras_layers(hidden), "holds a Lambda, which is code; where it was made, write: model.export"),
        (keras_file(as_activation), "holds a __lambda__, which is code"),
        (keras_layers(layer("TorchModuleWrapper")), "holds a TorchModuleWrapper, which is code"),
        (keras_layers(layer("system", "os", command=f"touch {canary}")), "holds system of os, which is not allowed"),
        (keras_layers(layer("get_file", "keras.utils", origin="http://x")), "holds get_file of keras.utils, which is"),
        (keras_layers(custom), "holds mine>Mine of my_code, which is not allowed; expected Keras's own layers; where"),
        (keras_layers(layer("StringLookup", vocabulary="/etc/passwd")), "holds StringLookup of keras.layers"),
        *((keras_layers(layer(name, "keras")), f"holds {name} of keras, which is not allowed") for name in DOTTED),
    ):
        assert refused(written(tmp_path / "model.keras", content)).startswith(message)
    assert not canary.exists()


def linked_weights() -> bytes:
    """An HDF5 file whose kernel is a link to another file."""
    content = io.BytesIO(keras_weights())
    with h5py.File(content, "r+") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/passwd", "/")
    return content.getvalue()


def test_archives_not_written_by_keras_are_rejected(tmp_path: Path) -> None:
    good = {"metadata.json": b"{}", "config.json": json.dumps(keras_config()).encode()}
    good["model.weights.h5"] = keras_weights()
    for content, message in (
        (
            zipped(good | {"../../evil.py": b"x"}),
            "holds metadata.json, config.json, model.weights.h5, ../../evil.py; expected",
        ),
        (zipped(good | {"/tmp/evil.py": b"x"}), "holds metadata.json"),
        (zipped({"config.json": b"{}"}), "holds config.json; expected config.json, metadata.json, model.weights.h5"),
        (zipped(good | {"config.json": b" " * (200 << 20)}, packed=True), "config.json in it unpacks to 209,715,200"),
        (zipped(good | {"config.json": b'{"a":' * 100_000}), "is no .keras file, or a broken one: maximum recur"),
        (zipped(good | {"config.json": b"{"}), "is no .keras file, or a broken one"),
        (keras_file(weights=linked_weights()), "Not allowed: H5 file with ExternalLink"),
        (b"PK\x03\x04", "is no .keras file, or a broken one"),
        (b"hello", "is no zip archive, as a .keras file is; save the model again"),
    ):
        assert message in refused(written(tmp_path / "model.keras", content))
    assert {path.name for path in tmp_path.iterdir()} == {"model.keras"}


@pytest.mark.parametrize("suffix", UNSUPPORTED)
def test_the_error_for_an_unsupported_format_says_what_to_write(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"model{suffix}", b"anything")
    hints = (
        "write: ",
        "evaluate its predict function",
        "give the run folder",
        "name the function in it: model.py:predict",
    )
    assert any(hint in refused(path) for hint in hints)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.keras", b"\x89HDF\r\n\x1a\nrest", "keras.saving.load_model('model.keras').save('model.keras')"),
        ("model.onnx", b"\x80\x04\x95rest of it", "is a pickle, which runs code when it is loaded"),
        ("model.onnx", b"\x1c\0\0\0TFL3", "is in TensorFlow Lite's format"),
        ("model.onnx", b"PK\x03\x04", "is a zip archive, which an .onnx file is not"),
        (
            "model",
            b"anything",
            f"is no run folder and no known model file; expected a run folder, or a {LISTED_FORMATS} file",
        ),
    ],
)
def test_the_content_of_a_file_counts_more_than_its_name(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    assert message in refused(written(tmp_path / name, content))


def test_folders_pipes_and_huge_files_are_rejected_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    assert refused(tmp_path / "pipe.onnx").startswith(f"is not a regular file; expected a {LISTED_FORMATS} file")
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate((1 << 30) + 1)
    assert refused(tmp_path / "huge.onnx") == "has 1,073,741,825 bytes; expected at most 1,073,741,824"
    assert refused(tmp_path).startswith("is a folder without a run; expected a run folder, or a .onnx")
    (tmp_path / "saved_model.pb").touch()
    assert "tf2onnx.convert --saved-model" in refused(tmp_path)
    assert refused(tmp_path / "nothing.onnx") == "there is no such file"


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "model.keras", keras_file())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert refused(path) == f"to load it, keras must be installed; {install_hint('keras')}"
    assert format_of(path) == FORMATS[".keras"]


def test_malformed_files_give_a_user_error_or_a_working_model(tmp_path: Path, fuzz_count: int) -> None:
    """Any other exception, or a dead process, fails the test."""
    canary, folder = tmp_path / "canary", tmp_path / "broken"
    folder.mkdir()
    outcomes = [outcome(index, folder, canary) for index in range(fuzz_count)]
    assert not canary.exists()
    for kind in KINDS:
        messages = [message for of_kind, message in outcomes if of_kind == kind]
        assert messages.count("works") < len(messages) / 2
        assert "works" in messages or fuzz_count < 500  # some damage does no harm
        for message in set(messages) - {"works"}:
            assert message.startswith(str(folder))
            assert message.isprintable()
            assert len(message) < 700


def test_the_files_of_that_test_work_before_they_are_damaged(tmp_path: Path) -> None:
    for name, content in run_folder().items():
        (tmp_path / name).write_bytes(content)
    assert load_classifier(tmp_path, "cpu")(IMAGES).shape == (300, CLASSES)
    assert zipfile.is_zipfile(io.BytesIO(keras_file()))
