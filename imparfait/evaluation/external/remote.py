"""A model behind HTTP: the Open Inference Protocol (KServe v2), or imparfait's own server."""

# Only the host of the address is contacted: http.client follows no redirect and uses no proxy. An answer is JSON of
# limited size; nothing in it is run.

import http.client
import json
import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any
from urllib.parse import SplitResult, urlsplit

import numpy as np

from imparfait.core.errors import UserError
from imparfait.data.images.encode import png
from imparfait.evaluation.external.base import DeclaredSpec, checked_outputs, short_names
from imparfait.evaluation.external.sandbox.client import MAX_CLASSES, printable_line

BATCH_IMAGES = 64  # of 224 by 224 pixels in colour: 80 MB of JSON
SECONDS = 60.0  # for one answer
MAX_ANSWER_BYTES = 64 << 20
ATTEMPTS = 5  # while the server says that it is busy
BUSY = (429, 503)
FORMS = "http://host:port/v2/models/NAME/infer or http://host:port/v1/predict"
FLOATS = {"FP16", "FP32", "FP64"}
DTYPES = FLOATS | {"UINT8"}
LABEL_TYPES = {"INT64", "INT32", "BYTES"}


def is_url(model: object) -> bool:
    """Whether a model is an address."""
    return isinstance(model, str) and model.startswith(("http://", "https://"))


class RemoteModel:
    """The function of a model behind HTTP, from arrays as it takes them to its outputs; `declared` is what it says."""

    def __init__(self, url: str, seconds: float = SECONDS) -> None:
        """Ask the server at `url` how its model takes images; raises UserError where it does not say."""
        self.url, self._parts, self._seconds = url, _parts_of(url), seconds
        self._connection = self._new_connection()
        path = self._parts.path.rstrip("/")
        self.name = f"{path.split('/')[3]}@{self._parts.netloc}" if path.startswith("/v2/") else self._parts.netloc
        self._path = path
        try:
            opened = (
                self._open_inference(path.removesuffix("/infer")) if path.startswith("/v2/") else self._own_server()
            )
        except BaseException:
            self._connection.close()
            raise
        self.declared, self._predict = opened

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The outputs for `images`; raises UserError for whatever the server answers instead."""
        return self._predict(images)

    def __enter__(self) -> "RemoteModel":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def _open_inference(self, model: str) -> tuple[DeclaredSpec, Callable[[np.ndarray], np.ndarray]]:
        facts = self._answer("GET", model)
        try:
            source = self._only(facts["inputs"], "inputs", "one: the images")
            scores = [each for each in facts["outputs"] if each["datatype"] in FLOATS and len(each["shape"]) != 1]
            target = self._only(scores or facts["outputs"], "outputs", "one: a number a class for each image")
            name, kind, shape = str(source["name"]), str(source["datatype"]), source["shape"]
            known = tuple(int(length) if length > 0 else None for length in shape)
            returned, labels = list(target["shape"]), str(target["datatype"]) in LABEL_TYPES and not scores
            classes = int(returned[1]) if len(returned) > 1 and returned[1] > 0 else None
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise self._wrong(f"its description of the model lacks {error}") from error
        if kind not in DTYPES or not 2 <= len(known) <= 4:
            raise UserError(f"{self.url}: takes {kind} of shape {shape}", expected="images: 2 to 4 axes of numbers")
        fixed = known[0] if known[0] and known[0] > 1 else None

        def predict(images: np.ndarray) -> np.ndarray:
            values = np.rint(images).clip(0, 255).astype(np.uint8) if kind == "UINT8" else images
            size = fixed or (1 if known[0] == 1 else BATCH_IMAGES)
            parts = []
            for start in range(0, len(values), size):
                batch = values[start : start + size]
                full = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), 0)]) if fixed else batch
                tensor = {"name": name, "datatype": kind, "shape": list(full.shape), "data": full.ravel().tolist()}
                answer = self._answer("POST", self._path, json.dumps({"inputs": [tensor]}).encode(), "application/json")
                parts.append(self._outputs(answer, str(target["name"]), len(full), labels)[: len(batch)])
            return np.concatenate(parts)

        declared = DeclaredSpec(
            shape=(None if known[0] == 1 else known[0], *known[1:]),
            num_classes=classes,
            value_range="255" if kind == "UINT8" else None,
            outputs="labels" if labels else None,
        )
        return declared, predict

    def _only(self, tensors: Any, kind: str, expected: str) -> Any:
        if len(tensors) != 1:
            names = printable_line(", ".join(str(each["name"]) for each in tensors))
            raise UserError(f"{self.url}: its model has {len(tensors)} {kind} ({names})", expected=expected)
        return tensors[0]

    def _outputs(self, answer: Any, name: str, count: int, labels: bool) -> np.ndarray:
        try:
            output = next(each for each in answer["outputs"] if each["name"] == name)
            shape = tuple(int(length) for length in output["shape"])
            array = np.array(output["data"])
            if not shape or shape[0] != count or math.prod(shape[1:]) > MAX_CLASSES or array.size != math.prod(shape):
                raise ValueError(f"{array.size} numbers of shape {shape} for {count} images")
            array = array.reshape(shape)
            if labels:
                return array.reshape(count)
            if array.dtype.kind not in "fiu":
                raise ValueError("outputs that are no numbers")
        except (KeyError, TypeError, ValueError, OverflowError, StopIteration) as error:
            raise self._wrong(f"no outputs called {name}, or wrong ones: {error}") from error
        return checked_outputs(array, labels=False)

    def _own_server(self) -> tuple[DeclaredSpec, Callable[[np.ndarray], np.ndarray]]:
        facts = self._answer("GET", "/v1/model")
        try:
            classes = tuple(str(name) for name in facts["classes"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._wrong(f"its description of the model lacks {error}") from error

        def predict(images: np.ndarray) -> np.ndarray:
            return np.concatenate([one(image) for image in np.rint(images.clip(0, 1) * 255).astype(np.uint8)])

        def one(pixels: np.ndarray) -> np.ndarray:
            answer = self._answer("POST", self._path, png(pixels), "image/png")
            try:
                found = answer["pages"][0]["probabilities"]
                return np.array([[float(found[name]) for name in classes]], np.float32)
            except (KeyError, TypeError, ValueError, OverflowError, IndexError) as error:
                raise self._wrong(f"no probability of every class: {error}") from error

        declared = DeclaredSpec(
            layout="nchw", value_range="1", foreground="light", outputs="probabilities", num_classes=len(classes),
            class_names=short_names(classes),
        )  # fmt: skip
        return declared, predict

    def _answer(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> Any:
        """The JSON that the server answers; raises UserError for anything else."""
        for attempt in range(ATTEMPTS):
            status, content, wait = self._exchange(method, path, body, content_type)
            if status not in BUSY or attempt == ATTEMPTS - 1:
                break
            time.sleep(min(wait, 5.0))
        if status != 200:
            said = printable_line(content.decode("utf-8", "replace"))[:200]
            address = f"{self._parts.scheme}://{self._parts.netloc}{path}"
            raise UserError(f"{address}: answers {status}: {said}", hint=f"check the address: {FORMS}")
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self._wrong("no JSON") from error

    def _exchange(self, method: str, path: str, body: bytes | None, content_type: str) -> tuple[int, bytes, float]:
        headers = {"Content-Type": content_type, "Accept": "application/json"} if body else {}
        try:
            for again in (True, False):
                try:
                    self._connection.request(method, path, body, headers)
                    response = self._connection.getresponse()
                    content = self._content_of(response)
                    break
                except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                    self._connection.close()  # an idle connection that the server has closed
                    self._connection = self._new_connection()
                    if not again:
                        raise
        except TimeoutError as error:
            self._connection.close()
            raise UserError(f"{self.url}: no answer in {self._seconds:g} s", hint="check the server") from error
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            what = getattr(error, "strerror", None) or printable_line(str(error)) or type(error).__name__
            raise UserError(
                f"{self.url}: cannot be reached: {what}", hint="start the server, or check host and port"
            ) from error
        if len(content) > MAX_ANSWER_BYTES:
            self._connection.close()
            raise self._wrong(f"more than {MAX_ANSWER_BYTES >> 20} MiB")
        wait = response.headers.get("Retry-After", "1")
        return response.status, content, float(wait) if wait.isdecimal() else 1.0

    def _content_of(self, response: http.client.HTTPResponse) -> bytes:
        """The body, one byte more than allowed at most; raises TimeoutError where it does not end in time."""
        deadline, content = time.monotonic() + self._seconds, bytearray()
        while len(content) <= MAX_ANSWER_BYTES and (part := response.read1(1 << 20)):
            content += part
            if time.monotonic() > deadline:
                raise TimeoutError
        if len(content) <= MAX_ANSWER_BYTES:
            response.read()  # nothing more, but it tells the connection so
        return bytes(content)

    def _new_connection(self) -> http.client.HTTPConnection:
        parts = self._parts
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=self._seconds)

    def _wrong(self, what: str) -> UserError:
        return UserError(f"{self.url}: answers {printable_line(what)}", expected="the answers of a model's server")


def _parts_of(url: str) -> SplitResult:
    """The parts of an address; raises UserError for one of another form."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise UserError(f"{url}: is no address: {error}", expected=FORMS) from error
    steps = parts.path.rstrip("/").split("/")
    is_inference = steps[1:3] == ["v2", "models"] and steps[-1] == "infer" and len(steps) in (5, 7)
    known = is_inference or steps[1:] == ["v1", "predict"]
    if parts.scheme not in ("http", "https") or not parts.hostname or not known or parts.query or parts.username:
        raise UserError(f"{url}: is no address of a model", expected=FORMS)
    return parts
