"""Valid requests among damaged ones on the same connections: each response belongs to its request."""

import random
import socket
from collections.abc import Iterator

import pytest
from helpers.fuzz_connections import Conversation, Exchange, conversation, play
from helpers.server import RunningServer, grey, raw_post, receive_all, serving


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with serving(megabytes=1, waiting=4, receive_seconds=0.3) as running:
        yield running


def test_each_response_belongs_to_its_request(server: RunningServer, fuzz_cases: range) -> None:
    for number in fuzz_cases:
        _, faults = play(server.port, conversation(random.Random(number), str(number)))
        assert not faults, f"connection {number}"
    limiter = server.server.service.limiter
    server.wait_until(lambda: limiter.active == limiter.bytes == 0)


WRONG = {"the response of another": ("b", 200), "another status": ("a", 404)}


@pytest.mark.parametrize(("identifier", "status"), WRONG.values(), ids=WRONG)
def test_the_check_notices_a_wrong_response(identifier: str, status: int, server: RunningServer) -> None:
    content = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: a\r\n\r\n"
    right, wrong = Exchange(content, "a", 200), Exchange(content, identifier, status)
    assert play(server.port, Conversation([right], [content], True, "waits"))[1] == []
    assert "expected" in play(server.port, Conversation([wrong], [content], True, "waits"))[1][0]


def test_the_check_notices_missing_and_needless_responses(server: RunningServer) -> None:
    content = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: a\r\n\r\n"
    request = Exchange(content, "a", 200)
    assert "no response" in play(server.port, Conversation([request, request], [content], True, "half-closes"))[1][0]
    assert "nobody asked for" in play(server.port, Conversation([request], [content * 2], True, "waits"))[1][0]


@pytest.mark.parametrize("rest", [b"G", b"POST /v1/pre", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_truncated_request_after_others_is_answered(rest: bytes, server: RunningServer) -> None:
    with server.connect() as connection:
        connection.sendall(2 * raw_post(grey(9)) + rest)
        connection.shutdown(socket.SHUT_WR)
        received = receive_all(connection)
    assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"400"]


@pytest.mark.parametrize("rest", [b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_request_that_stops_after_others_is_too_slow(rest: bytes, server: RunningServer) -> None:
    with server.connect() as connection:
        connection.sendall(raw_post(grey(9)) + rest)
        received = receive_all(connection)
    assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"200", b"408"]
