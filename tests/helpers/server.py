"""A server in a thread of this process, a fake model, and HTTP requests as bytes on a socket."""

import asyncio
import atexit
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from fastapi import FastAPI

from imparfait.data.images.input_format import InputFormat
from imparfait.inference.image_workers.client import ImageWorkers
from imparfait.inference.image_workers.worker import WorkerLimits
from imparfait.inference.predictor import Predictor
from imparfait.models.metadata import Threshold
from imparfait.serving.listener import listen
from imparfait.serving.local_app import LocalServer
from imparfait.serving.models import LoadedModel
from imparfait.serving.schemas import png
from imparfait.serving.server import Server, make_server, run
from imparfait.serving.service import Service
from imparfait.serving.settings import ServingSettings

INPUT = InputFormat(channels=1, height=8, width=8, normalization="digit")


def brightness(pixels: np.ndarray) -> np.ndarray:
    """A fake model: the brighter the image, the more probable the second class."""
    mean = pixels.mean((1, 2, 3)) / 255
    return np.stack([1 - mean, mean, 0 * mean], 1).astype(np.float32)


def fake_model(function: Callable[[np.ndarray], np.ndarray] = brightness) -> dict[str, LoadedModel]:
    """A model for 8×8 images whose probabilities are those of `function`."""
    threshold = Threshold(confidence=0.8, error_rate=0.01)
    return {"model": (Predictor("fake", ("dark", "bright", "neither"), INPUT, threshold, function), None)}


def grey(level: int, side: int = 8) -> bytes:
    """A PNG of a light square on black."""
    pixels = np.zeros((1, side, side), np.uint8)
    pixels[0, 2:-2, 2:-2] = level
    return png(pixels)


@dataclass(frozen=True)
class Response:
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str]:
        """Status and error code; asserts that the body has the form of every error."""
        assert self.headers["content-type"] == "application/json"
        (error,) = self.json.values()
        assert {"code", "message"} <= set(error) <= {"code", "detail", "message"}
        assert error["message"].isprintable()
        return self.status, error["code"]


@dataclass(frozen=True)
class Address:
    """A port of this computer on which a server listens."""

    port: int

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Response:
        """One request on its own connection; underscores in header names become hyphens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
            response = connection.getresponse()
            received = {name.lower(): text for name, text in response.getheaders()}
            return Response(response.status, received, response.read())
        finally:
            connection.close()


@dataclass(frozen=True)
class RunningServer(Address):
    """A server under test."""

    server: Server

    def post(self, image: bytes, path: str = "/v1/predict") -> Response:
        return self.request("POST", path, image, Content_Type="image/png")

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def wait_until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.005)


@cache
def shared_workers() -> ImageWorkers:
    """Image workers for all servers of a test run: starting them takes a second."""
    workers = ImageWorkers(2, WorkerLimits(cpu_seconds=10, seconds=20))
    atexit.register(workers.close)
    return workers


@contextmanager
def serving(
    models: Mapping[str, LoadedModel] | None = None, workers: ImageWorkers | None = None, **settings: Any
) -> Iterator[RunningServer]:
    """A server with these models and settings until the block ends."""
    checked = ServingSettings(port=0, **settings)
    server = make_server(Service(models or fake_model(), checked, workers or shared_workers()))
    listener = listen(checked)
    thread = threading.Thread(target=run, args=(server, listener))
    service, untested = server.service, server.service.not_ready_reason
    thread.start()
    running = RunningServer(listener.getsockname()[1], server)
    try:
        running.wait_until(lambda: service.state == "ready" or service.not_ready_reason != untested)
        yield running
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@contextmanager
def local_page(app: FastAPI) -> Iterator[Address]:
    """A server of a local page until the block ends."""
    started = threading.Event()
    server = LocalServer(app, started.set)
    with listen(ServingSettings(port=0)) as listener:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        try:
            assert started.wait(20)
            yield Address(listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(20)
    assert not thread.is_alive()


def receive_all(connection: socket.socket) -> bytes:
    """All bytes until the server closes the connection."""
    parts = []
    try:
        while part := connection.recv(1 << 16):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def raw_post(image: bytes, path: str = "/v1/predict", *headers: str) -> bytes:
    """A POST request as bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(image)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + image


class BlockingModel:
    """A model that predicts while `proceed` is set."""

    def __init__(self) -> None:
        self.proceed = threading.Event()
        self.proceed.set()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        assert self.proceed.wait(20)
        return brightness(pixels)


@contextmanager
def blocked(images: int, **settings: object) -> Iterator[tuple[RunningServer, BlockingModel, list[Future[Response]]]]:
    """A server with this number of requests in progress, until `proceed` is set or the block ends."""
    model = BlockingModel()
    with serving(fake_model(model), **settings) as server, ThreadPoolExecutor(images + 4) as pool:
        model.proceed.clear()
        responses = [pool.submit(server.post, grey(100 + number)) for number in range(images)]
        server.wait_until(lambda: server.server.service.limiter.active == images)
        try:
            yield server, model, responses
        finally:
            model.proceed.set()
