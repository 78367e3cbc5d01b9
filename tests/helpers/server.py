"""A server in a thread of this process, a model that is made up, and requests as bytes on a socket."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from imparfait.data.images.normalize import Frame
from imparfait.inference.predictor import Predictor
from imparfait.models.metadata import Threshold
from imparfait.serving.schemas import png
from imparfait.serving.server import Server, listening, run, server_of
from imparfait.serving.service import OpenModel, Service
from imparfait.serving.settings import ServingSettings


def brightness(pixels: np.ndarray) -> np.ndarray:
    """A model made up: the brighter, the surer of the second class."""
    share = pixels.mean((1, 2, 3)) / 255
    return np.stack([1 - share, share, 0 * share], 1).astype(np.float32)


def made_up_result(ask: Callable[[np.ndarray], np.ndarray] = brightness) -> dict[str, OpenModel]:
    """A model that answers with `ask`."""
    threshold = Threshold(confidence=0.8, error_rate=0.01)
    return {"model": (Predictor("made up", ("dark", "bright", "neither"), Frame(8, 8), threshold, ask), None)}


def grey(level: int, side: int = 8) -> bytes:
    """An image of 8×8 pixels with a light square on black, as a PNG."""
    pixels = np.zeros((1, side, side), np.uint8)
    pixels[0, 2:-2, 2:-2] = level
    return png(pixels)


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> tuple[int, str]:
        """Its status and the code of its error, which has the one shape there is."""
        assert self.headers["content-type"] == "application/json"
        (error,) = self.json.values()
        assert set(error) == {"code", "message"}
        assert error["message"].isprintable()
        return self.status, error["code"]


@dataclass(frozen=True)
class Here:
    """A server under test."""

    server: Server
    port: int

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Said:
        """One request on a connection of its own; underscores in headers' names are hyphens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): each for name, each in headers.items()})
            answer = connection.getresponse()
            return Said(answer.status, {name.lower(): each for name, each in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def predict(self, image: bytes, path: str = "/v1/predict") -> Said:
        return self.ask("POST", path, image, Content_Type="image/png")

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def wait_until(self, holds: Callable[[], bool], seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end
            time.sleep(0.005)


@contextmanager
def serving(models: Mapping[str, OpenModel] | None = None, **settings: Any) -> Iterator[Here]:
    """A server with these models and settings, until the block ends."""
    told = ServingSettings(port=0, **settings)
    server = server_of(Service(models or made_up_result(), told))
    listener = listening(told)
    thread = threading.Thread(target=run, args=(server, listener))
    untried = server.service.why_not_ready
    thread.start()
    here = Here(server, listener.getsockname()[1])
    try:
        here.wait_until(lambda: server.service.state == "ready" or server.service.why_not_ready != untried)
        yield here
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def everything(connection: socket.socket) -> bytes:
    """All that comes until the other side ends the connection."""
    parts = []
    try:
        while part := connection.recv(1 << 16):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def post(image: bytes, path: str = "/v1/predict", *headers: str) -> bytes:
    """A request as bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(image)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + image
