"""External Keras files: they predict as their layers do, and no code of theirs is run."""

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from helpers.external_files import IMAGES, refused, written
from helpers.model_files import CLASSES, SIDE, keras_config, keras_file, keras_weights, lambda_layer, zipped

from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.load import open_external


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
