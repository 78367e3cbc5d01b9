"""Requests that cost much: large bodies, large images, many connections, stuck threads; others are served."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers.server import RunningServer, blocked, grey, raw_post, receive_all, serving

from imparfait.core.errors import UserError
from imparfait.data.images.normalize import NormalizedImage
from imparfait.inference.image_workers.client import ImageWorkers
from imparfait.inference.image_workers.worker import WorkerLimits
from imparfait.serving.request_head import MAX_HEAD_BYTES
from imparfait.serving.schemas import png


@pytest.fixture(scope="module")
def strict() -> Iterator[RunningServer]:
    with serving() as server:
        yield server


def test_a_rejected_body_does_not_count_towards_the_next_head() -> None:
    with blocked(1, waiting=1) as (server, _, _), server.connect() as connection:
        for _ in range(3):
            connection.sendall(raw_post(b"x" * (4 * MAX_HEAD_BYTES)))
            assert b" 503 " in connection.recv(1 << 16)[:20]
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert receive_all(connection).startswith(b"HTTP/1.1 200 ")


def test_a_large_accepted_body_keeps_the_connection(strict: RunningServer) -> None:
    with strict.connect() as connection:
        for _ in range(3):
            connection.sendall(raw_post(b"x" * (4 * MAX_HEAD_BYTES)))
            received = connection.recv(1 << 16)
            assert b" 422 " in received[:20]
            assert b"connection: close" not in received


def test_a_content_length_of_thousands_of_digits_is_refused(strict: RunningServer) -> None:
    for digits in (19, 4301, 20_000):
        with strict.connect() as connection:
            head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {'9' * digits}\r\n\r\n"
            connection.sendall(head.encode())
            assert connection.recv(1000)[9:12] in (b"400", b"413"), digits


def test_an_address_other_than_this_computer_gets_so_many_connections(
    strict: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imparfait.serving.connections.is_loopback", lambda address: False)
    with serving(each_address=2) as server:
        held = [server.connect() for _ in range(2)]
        for connection in held:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b" 200 " in connection.recv(1000)[:20]
        with server.connect() as third:
            third.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert receive_all(third).startswith(b"HTTP/1.1 429 ")
        for connection in held:
            connection.close()
        limiter = server.server.service.limiter
        server.wait_until(lambda: not limiter.connections_by_address)
        assert server.post(grey(200)).status == 200


def test_a_stuck_thread_makes_the_server_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imparfait.serving.jobs.GRACE_SECONDS", 0.1)
    with blocked(1, answer_seconds=0.2) as (server, model, responses):
        assert responses[0].result().error == (503, "timeout")
        server.wait_until(lambda: server.request("GET", "/health/ready").status == 503)
        assert server.request("GET", "/health/ready").error == (503, "stuck")
        assert server.request("GET", "/health/live").status == 200
        model.proceed.set()
        server.wait_until(lambda: server.request("GET", "/health/ready").status == 200)


def test_large_images_leave_places_for_small_ones() -> None:
    release = threading.Event()

    class Slow(ImageWorkers):
        def normalized(self, *arguments: object) -> Iterator[NormalizedImage]:  # type: ignore[override]
            assert release.wait(20)
            raise UserError("the image: too late")

    large = np.zeros((1, 900, 900), np.uint8)
    with serving(workers=Slow(), waiting=4) as server, ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(server.post, png(large)) for _ in range(2)]
        server.wait_until(lambda: server.server.service.limiter.active == 2)
        assert server.post(png(large)).error == (503, "busy")
        assert server.post(grey(200)).status == 200
        release.set()
        assert {response.result().status for response in waiting} == {422}


def test_work_that_reaches_a_limit_is_a_413_and_the_server_goes_on() -> None:
    large = png(np.zeros((1, 4000, 4000), np.uint8))
    with ImageWorkers(1, WorkerLimits(cpu_seconds=0.02)) as workers, serving(workers=workers) as server:
        response = server.post(large)
        assert response.error == (413, "too_large")
        assert "processor time" in response.json["error"]["message"]
        assert server.post(grey(200)).status == 200
