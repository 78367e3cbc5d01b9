"""A model that is loaded again: requests in progress keep the one they began with, whose process then ends."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers.server import grey, serving

from imparfait.data.images.input_format import InputFormat
from imparfait.inference.predictor import Predictor
from imparfait.serving.models import LoadedModel
from imparfait.serving.service import Service

PATHS = ("/v1/predict", "/v1/explain", "/v1/corrupt?name=invert&severity=1", "/v1/robustness")


class Network:
    """A network that waits when told to, and knows whether it was closed."""

    def __init__(self, classes: int) -> None:
        self.classes, self.closed = classes, threading.Event()
        self.waits, self.begun, self.proceed = threading.Event(), threading.Event(), threading.Event()
        self.fault: Exception | None = None

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        if self.waits.is_set():
            self.begun.set()
            assert self.proceed.wait(20)
        assert not self.closed.is_set()
        if self.fault:
            raise self.fault
        return np.eye(self.classes, dtype=np.float32)[np.zeros(len(pixels), int)]

    def close(self) -> None:
        self.closed.set()

    def named(self, name: str, side: int) -> dict[str, LoadedModel]:
        """It as a model of this name for images of `side` pixels."""
        form = InputFormat(channels=1, height=side, width=side, normalization="digit")
        classes = tuple(f"{name} {number}" for number in range(self.classes))
        return {"model": (Predictor(name, classes, form, None, self), None)}


@pytest.mark.parametrize("path", PATHS)
def test_a_request_keeps_the_model_it_began_with(path: str) -> None:
    """Also where the new model has another input size and other classes; the next request gets the new one."""
    old, new = Network(3), Network(2)
    with serving(old.named("old", 8)) as server, ThreadPoolExecutor(1) as pool:
        old.waits.set()
        response = pool.submit(server.post, grey(200), path)
        assert old.begun.wait(20)
        service = server.server.service
        service._loaded = new.named("new", 12)
        service.replace_models()
        assert not old.closed.is_set()
        old.proceed.set()
        found = response.result()
        assert found.status == 200
        assert b"old 0" in found.body
        assert b"new" not in found.body
        assert old.closed.wait(20)
        again = server.post(grey(200), path)
        assert again.status == 200
        assert b"new 0" in again.body
        assert b"old" not in again.body
        assert not new.closed.is_set()


def test_a_model_that_nobody_waits_for_ends_at_once() -> None:
    old, new = Network(3), Network(3)
    with serving(old.named("old", 8)) as server:
        server.server.service._loaded = new.named("new", 8)
        server.server.service.replace_models()
        assert old.closed.wait(20)
        assert server.post(grey(200)).json["model"] == "new"


def test_a_model_that_fails_its_self_test_is_closed_and_the_old_one_stays() -> None:
    old, bad = Network(3), Network(3)
    with serving(old.named("old", 8)) as server:
        failing = Predictor("bad", ("a", "b"), bad.named("bad", 8)["model"][0].input_format, None, bad)  # of 3 classes
        service = server.server.service
        failure = load_again(service, lambda: {"model": (failing, None)})
        assert "bad" in failure
        assert bad.closed.wait(20)
        assert server.post(grey(200)).json["model"] == "old"


def load_again(service: Service, load: Callable[[], dict[str, LoadedModel]]) -> str:
    """What a service says of a reload."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, service.load_again(load)).result()


def test_a_model_that_raises_any_exception_is_not_used_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """In loading, and as ONNX Runtime does, in the self-test."""
    old, bad = Network(3), Network(3)
    bad.fault = ZeroDivisionError("in the network")

    def unreadable() -> dict[str, LoadedModel]:
        raise LookupError("in the file")

    with serving(old.named("old", 8)) as server:
        service = server.server.service
        for load, name in ((lambda: bad.named("bad", 8), "ZeroDivisionError"), (unreadable, "LookupError")):
            caplog.clear()
            failure = load_again(service, load)
            assert failure == f"loading the model again raised {name}; see the server's log"
            (record,) = caplog.records
            assert record.exc_info
            assert record.exc_info[0].__name__ == name  # type: ignore[union-attr]
        assert bad.closed.wait(20)
        service.replace_models()
        assert server.post(grey(200)).json["model"] == "old"


def test_a_model_that_another_worker_could_not_load_is_closed_and_forgotten() -> None:
    old, new = Network(3), [Network(3)]
    with serving(old.named("old", 8)) as server:
        service = server.server.service
        assert load_again(service, lambda: new[0].named("new", 8)) == ""
        server.server.finish_reload("worker 2: out of memory")
        assert new[0].closed.wait(20)
        server.server.finish_reload("")
        assert server.post(grey(200)).json["model"] == "old"
        kept = weakref.ref(new.pop())
        gc.collect()
        assert kept() is None
