"""Limits of the server: slow, oversized, numerous and malformed requests, and graceful shutdown."""

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.serve_command import printed_address
from helpers.server import BlockingModel, RunningServer, blocked, fake_model, grey, raw_post, receive_all, serving

from imparfait.serving.request_head import MAX_HEAD_BYTES

STRICT = {"receive_seconds": 0.3, "connections": 8}


@pytest.fixture(scope="module")
def strict() -> Iterator[RunningServer]:
    with serving(**STRICT) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_is_left(strict: RunningServer) -> Iterator[None]:
    """After each test the server responds, and all slots and bytes are free."""
    yield
    assert strict.post(grey(200)).status == 200
    limiter = strict.server.service.limiter
    strict.wait_until(lambda: limiter.active == limiter.bytes == 0 and not limiter.active_by_address)


SLOW_REQUESTS = (
    b"POST /v1/pre",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ",
    raw_post(grey(9))[:-20],
    b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
)


def test_an_incomplete_request_times_out(strict: RunningServer) -> None:
    connections = [strict.connect() for _ in SLOW_REQUESTS]
    for connection, request in zip(connections, SLOW_REQUESTS, strict=True):
        connection.sendall(request)
    for connection in connections:
        with connection:
            assert receive_all(connection).startswith(b"HTTP/1.1 408 ")


def test_sending_single_bytes_does_not_extend_the_time(strict: RunningServer) -> None:
    with strict.connect() as connection:
        start = time.monotonic()
        connection.setblocking(False)
        received = b""
        for byte in raw_post(grey(9)):
            connection.send(bytes([byte]))
            time.sleep(0.02)
            try:
                received += connection.recv(1000)
            except BlockingIOError:
                continue
            break
        assert received.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # the start of TLS
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /v1/predict HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n", 431),
        (b"GET /" + b"y" * 2 * MAX_HEAD_BYTES, 431),
        (raw_post(b"", "/v1/predict", "Content-Length: 4000000000")[:-2], 400),
    ],
)
def test_a_malformed_request_is_rejected_and_the_connection_closed(
    strict: RunningServer, request_: bytes, status: int
) -> None:
    with strict.connect() as connection:
        connection.sendall(request_)
        assert receive_all(connection).startswith(b"HTTP/1.1 %d " % status)


def test_a_declared_length_that_is_too_large_is_rejected_before_the_body(strict: RunningServer) -> None:
    with strict.connect() as connection:
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000000\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_pipelined_requests_get_responses_in_order(strict: RunningServer) -> None:
    with strict.connect() as connection:
        connection.sendall(raw_post(grey(9)) + raw_post(b"no image") + raw_post(grey(9)) + b"nonsense\r\n\r\n")
        received = receive_all(connection)
    assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"200", b"422", b"200", b"400"]


def test_a_connection_above_the_limit_gets_503(strict: RunningServer) -> None:
    strict.wait_until(lambda: not strict.server.connections.open)
    idle = [strict.connect() for _ in range(8)]
    strict.wait_until(lambda: len(strict.server.connections.open) == 8)
    assert strict.post(grey(9)).error == (503, "busy")
    for connection in idle:
        connection.close()
    strict.wait_until(lambda: not strict.server.connections.open)


def test_an_idle_connection_is_closed(strict: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imparfait.serving.deadlines.IDLE_SECONDS", 0.1)
    with strict.connect() as connection:
        assert receive_all(connection) == b""


def flood(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 16)


def test_a_client_that_reads_no_responses_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imparfait.serving.deadlines.LINGER_SECONDS", 0.1)
    with serving(receive_seconds=0.1, answer_seconds=0.1) as server, server.connect() as connection:
        connection.settimeout(5)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            flood(connection)


def test_a_client_still_sending_can_read_why_it_was_rejected(strict: RunningServer) -> None:
    with strict.connect() as connection:
        connection.sendall(raw_post(bytes(30_000_000), "/v1/predict", "Connection: close"))
        received = receive_all(connection)
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in received


def test_bytes_after_the_last_response_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    with serving(**STRICT) as server, server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n")
        assert b" 408 " in connection.recv(1 << 16)
        connection.sendall(b"x: " + b"y" * (2 * MAX_HEAD_BYTES))
        assert receive_all(connection) == b""
    assert not caplog.records  # the server, which has ended, has logged no error


def test_a_client_that_closes_its_write_side_gets_its_response(strict: RunningServer) -> None:
    for request, status in ((raw_post(grey(9)), b"200"), (raw_post(grey(9))[:-5], b"400"), (b"GET / HT", b"400")):
        with strict.connect() as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            assert receive_all(connection)[9:12] == status


def test_without_a_free_slot_a_request_gets_503_at_once_and_no_other_is_lost() -> None:
    with blocked(3, waiting=3) as (server, model, responses):
        start = time.monotonic()
        response = server.post(grey(9))
        assert time.monotonic() - start < 1
        assert response.error == (503, "busy")
        assert response.headers["retry-after"] == "1"
        assert server.request("GET", "/health/ready").status == 200
        with server.connect() as connection:  # the same connection succeeds once a slot is free
            connection.sendall(raw_post(grey(9)))
            assert connection.recv(1000).startswith(b"HTTP/1.1 503 ")
            model.proceed.set()
            server.wait_until(lambda: not server.server.service.limiter.active)
            connection.sendall(raw_post(grey(9)))
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert {response.result().status for response in responses} == {200}


def test_one_address_cannot_occupy_every_slot() -> None:
    with blocked(2, each_client=2) as (server, _, _):
        assert server.post(grey(9)).error == (429, "too_many")


def test_a_response_that_takes_too_long_times_out() -> None:
    model = BlockingModel()
    with serving(fake_model(model), answer_seconds=0.1) as server:
        model.proceed.clear()
        assert server.post(grey(9)).error == (503, "timeout")
        model.proceed.set()
        server.wait_until(lambda: server.post(grey(9)).status == 200)


def test_bodies_that_exceed_the_memory_limit_together_are_rejected() -> None:
    with serving(megabytes=1) as server:
        head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
        connections = [server.connect() for _ in range(9)]
        for connection in connections:
            connection.sendall(head + bytes(900_000))
        connections[-1].settimeout(5)
        assert connections[-1].recv(100).startswith(b"HTTP/1.1 503 ")
        for connection in connections:
            connection.close()
        server.wait_until(lambda: not server.server.service.limiter.bytes)


def test_shutdown_completes_every_request_that_has_begun() -> None:
    with blocked(5) as (server, model, responses):
        with server.connect() as kept, server.connect() as sending, server.connect() as idle:
            sending.sendall(raw_post(grey(9))[:-9])
            server.wait_until(lambda: len(server.server.connections.open) == 8)
            server.server.handle_exit(signal.SIGTERM, None)
            server.wait_until(lambda: server.server.service.state == "draining")
            kept.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = receive_all(kept)
            assert received.startswith(b"HTTP/1.1 503 ")
            assert b'"draining"' in received
            sending.sendall(raw_post(grey(9))[-9:])
            server.wait_until(lambda: server.server.service.limiter.active == 6)
            model.proceed.set()
            assert receive_all(sending).startswith(b"HTTP/1.1 200 ")
            assert receive_all(idle) == b""
        assert {response.result().status for response in responses} == {200}
        with pytest.raises(OSError):
            server.connect()


def test_shutdown_ends_after_the_grace_period() -> None:
    with blocked(1, drain_seconds=0.3) as (server, _, responses):
        start = time.monotonic()
        server.server.handle_exit(signal.SIGTERM, None)
        with pytest.raises((ConnectionError, OSError)):
            responses[0].result()
        assert time.monotonic() - start < 3


def has_mapped(process: int, library: str) -> bool:
    return library in Path(f"/proc/{process}/maps").read_text()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux to list the loaded libraries")
def test_the_command_prints_its_address_imports_torch_late_and_exits_with_0() -> None:
    command = [sys.executable, "-m", "imparfait", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            url = printed_address(process)

            def status(path: str, image: bytes | None = None) -> int:
                request = urllib.request.Request(url + path, image, {"Content-Type": "image/png"})
                with urllib.request.urlopen(request, timeout=60) as response:
                    return int(response.status)

            seven = grey(200, 28)
            assert status("/health/live") == status("/v1/predict?baseline=1", seven) == status("/v1/model") == 200
            assert not has_mapped(process.pid, "libtorch")
            assert status("/v1/corrupt?name=rotate&severity=0.5", seven) == 200
            assert has_mapped(process.pid, "libtorch")
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            assert process.stderr
            assert process.stderr.read() == ""
        finally:
            process.kill()
