"""Requests whose client has gone: the server stops to compute for them, and others do not wait behind them."""

import json
import socket
import struct
import time
from typing import Any

import pytest
from helpers.server import blocked, fake_model, grey, raw_post, serving

from imparfait.data.images.input_format import InputFormat
from imparfait.serving import corruptions
from imparfait.serving.schemas import CorruptionInfo


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The corruptions of sweeps so far, each of which takes at least 50 ms."""
    names: list[str] = []
    sweep = corruptions.sweep

    def slow(image: Any, form: InputFormat, corruption: CorruptionInfo) -> corruptions.SeveritySweep:
        names.append(corruption.name)
        time.sleep(0.05)
        return sweep(image, form, corruption)

    monkeypatch.setattr(corruptions, "sweep", slow)
    return names


def test_a_sweep_ends_with_its_client(swept: list[str]) -> None:
    with serving(fake_model()) as server:
        connection = server.connect()
        connection.sendall(raw_post(grey(200), "/v1/robustness"))
        server.wait_until(lambda: bool(swept))
        connection.close()
        server.wait_until(lambda: server.server.service.limiter.active == 0)
        time.sleep(0.2)
        assert len(swept) < 10  # of 32
        assert not server.server.service.jobs.busy
        assert server.post(grey(200)).status == 200


def test_other_requests_come_between_the_corruptions_of_a_sweep(swept: list[str]) -> None:
    with serving(fake_model()) as server, server.connect() as connection:
        connection.sendall(raw_post(grey(200), "/v1/robustness"))
        server.wait_until(lambda: bool(swept))
        assert server.post(grey(100)).status == 200
        assert server.post(grey(100), "/v1/corrupt?name=invert&severity=1").status == 200
        assert len(swept) < 32  # the sweep goes on


TENSOR = {"name": "images", "shape": [1, 1, 8, 8], "datatype": "UINT8", "data": [9] * 64}
INFER = raw_post(json.dumps({"inputs": [TENSOR]}).encode(), "/v2/models/fake/infer", "Content-Type: application/json")


@pytest.mark.parametrize("request_bytes", [raw_post(grey(77)), INFER], ids=["/v1/predict", "/v2"])
def test_images_of_clients_that_have_gone_are_not_predicted(request_bytes: bytes) -> None:
    with blocked(1) as (server, model, responses):
        connections = [server.connect() for _ in range(3)]
        for connection in connections:
            connection.sendall(request_bytes)
        batcher = server.server.service.models.batcher
        server.wait_until(lambda: len(batcher.queue) == 3)
        for connection in connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
            connection.close()
        server.wait_until(lambda: all(request.results.done() for request in batcher.queue))
        model.proceed.set()
        assert responses[0].result().status == 200
        server.wait_until(lambda: not batcher.queue)
