"""Models behind HTTP: their outputs are those of the model, and whatever else a server does is one sentence."""

import io
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from helpers.http_models import Answer, Server, running_server
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.evaluation.external.remote import RemoteModel

WEIGHTS = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
IMAGES = np.random.default_rng(1).random((130, 4, 4), np.float32)
METADATA: dict[str, Any] = {
    "name": "net", "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4, 4]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}],
}  # fmt: skip


def scores(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1) @ WEIGHTS


def infer(body: bytes) -> Any:
    (given,) = json.loads(body)["inputs"]
    assert (given["name"], given["datatype"]) == ("x", "FP32")
    outputs = scores(np.array(given["data"], np.float32).reshape(given["shape"]))
    data = outputs.ravel().tolist()
    return {"outputs": [{"name": "y", "datatype": "FP32", "shape": list(outputs.shape), "data": data}]}


def predict(body: bytes) -> Any:
    pixels = np.asarray(Image.open(io.BytesIO(body)))
    weights = pixels.reshape(4, 4).sum(0)[:2] + 1.0
    return {"pages": [{"probabilities": dict(zip("ab", (weights / weights.sum()).tolist(), strict=True))}]}


@pytest.fixture
def server() -> Iterator[Server]:
    with running_server() as running:
        running.answers["/v2/models/net"] = lambda body: METADATA
        running.answers["/v2/models/net/infer"] = infer
        running.answers["/v1/model"] = lambda body: {"classes": ["a", "b"], "input": {}}
        running.answers["/v1/predict"] = predict
        yield running


def address(server: Server, path: str = "/v2/models/net/infer") -> str:
    return f"http://127.0.0.1:{server.server_address[1]}{path}"


def refused(url: str, images: np.ndarray = IMAGES[:2], seconds: float = 5) -> str:
    with pytest.raises(UserError) as error, RemoteModel(url, seconds) as model:
        model(images)
    assert str(error.value).isprintable()
    return str(error.value)


@pytest.mark.parametrize("batch", [-1, 1, 7])
def test_the_open_inference_protocol_gives_the_models_outputs_for_any_batch_size(server: Server, batch: int) -> None:
    inputs = [{"name": "x", "datatype": "FP32", "shape": [batch, 4, 4]}]
    server.answers["/v2/models/net"] = lambda body: METADATA | {"inputs": inputs}
    with RemoteModel(address(server)) as model:
        assert model.declared.shape == (7 if batch == 7 else None, 4, 4)
        assert model.declared.num_classes == 3
        assert np.allclose(model(IMAGES), scores(IMAGES), atol=1e-5)
    assert set(server.paths) == {"/v2/models/net", "/v2/models/net/infer"}


def test_labels_by_name_come_through(server: Server) -> None:
    outputs = [{"name": "y", "datatype": "BYTES", "shape": [-1]}]
    server.answers["/v2/models/net"] = lambda body: METADATA | {"outputs": outputs}
    answer = {"outputs": [{"name": "y", "datatype": "BYTES", "shape": [2], "data": ["cat", "dog"]}]}
    server.answers["/v2/models/net/infer"] = lambda body: answer
    with RemoteModel(address(server)) as model:
        assert model.declared.outputs == "labels"
        assert model(IMAGES[:2]).tolist() == ["cat", "dog"]


def test_our_own_server_gets_each_image_as_a_file(server: Server) -> None:
    with RemoteModel(address(server, "/v1/predict")) as model:
        assert model.declared.class_names == ("a", "b")
        found = model(IMAGES[:5, None])
    pixels = np.rint(IMAGES[:5] * 255).sum(1)[:, :2] + 1
    assert np.allclose(found, pixels / pixels.sum(1, keepdims=True), atol=1e-6)


def test_a_busy_server_is_asked_again_and_a_closed_connection_opened_again(server: Server) -> None:
    times: list[int] = []

    def busy(body: bytes) -> Any:
        times.append(1)
        return (503, b"busy") if len(times) < 3 else infer(body)

    server.answers["/v2/models/net/infer"] = busy
    with RemoteModel(address(server)) as model:
        assert model(IMAGES[:2]).shape == (2, 3)
        model._connection.close()
        assert model(IMAGES[:2]).shape == (2, 3)
    assert len(times) == 4


WRONG: dict[str, tuple[str, Answer, str]] = {
    "an error": ("/infer", lambda body: (400, b"no \x1b[31mred tensor"), "answers 400: no [31mred tensor"),
    "no such model": ("", lambda body: (404, b"unknown model"), "/v2/models/net: answers 404: unknown model"),
    "always busy": ("/infer", lambda body: (503, b"busy"), "answers 503: busy"),
    "a redirect": ("/infer", lambda body: (302, b""), "answers 302"),
    "no JSON": ("/infer", lambda body: b"<html>", "answers no JSON"),
    "deep JSON": ("/infer", lambda body: b"[" * 100_000, "answers no JSON"),
    "no outputs": ("/infer", lambda body: {"outputs": []}, "no outputs called y"),
    "another list": ("/infer", lambda body: [1], "no outputs called y"),
    "too few": (
        "/infer",
        lambda body: {"outputs": [{"name": "y", "shape": [1, 3], "data": [1, 2, 3]}]},
        "3 numbers of",
    ),
    "words": ("/infer", lambda body: {"outputs": [{"name": "y", "shape": [2, 1], "data": ["a", "b"]}]}, "no numbers"),
    "no inputs": ("", lambda body: {"outputs": []}, "its description of the model lacks 'inputs'"),
    "two inputs": ("", lambda body: METADATA | {"inputs": METADATA["inputs"] * 2}, "has 2 inputs (x, x); expected one"),
    "a file": (
        "",
        lambda body: METADATA | {"inputs": [{"name": "x", "datatype": "BYTES", "shape": [1]}]},
        "takes BYTES",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_answers_are_one_sentence(server: Server, case: str) -> None:
    path, answer, message = WRONG[case]
    server.answers[f"/v2/models/net{path}"] = answer
    assert message in refused(address(server))


def test_a_server_that_is_not_there_or_says_nothing_is_one_sentence(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert "cannot be reached: Connection refused; start the server" in refused(f"http://127.0.0.1:{port}/v1/predict")
    server.answers["/v2/models/net/infer"] = lambda body: time.sleep(1.0)
    assert "no answer in 0.2 s" in refused(address(server), seconds=0.2)


@pytest.mark.parametrize(
    ("part", "shape"), [("outputs", [-1, "a"]), ("outputs", [-1, float("inf")]), ("outputs", [-1, None]),
                        ("inputs", [float("inf"), 3, 24, 24])],
)  # fmt: skip
def test_shapes_that_are_no_shapes_are_one_sentence(server: Server, part: str, shape: list[object]) -> None:
    tensors = [METADATA[part][0] | {"shape": shape}]
    server.answers["/v2/models/net"] = lambda body: METADATA | {part: tensors}
    assert "its description of the model lacks" in refused(address(server))


@pytest.mark.parametrize(
    "url",
    ["http://", "http://host", "http://host:99999/v1/predict", "http://host/v2/models/infer", "ftp://h/v1/predict",
     "http://host/v1/predict?x=1", "http://me:secret@host/v1/predict", "http://host/v1/other"],
)  # fmt: skip
def test_an_address_of_another_form_says_which_forms_there_are(url: str) -> None:
    assert refused(url).endswith("expected http://host:port/v2/models/NAME/infer or http://host:port/v1/predict")
