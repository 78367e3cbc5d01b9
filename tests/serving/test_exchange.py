"""Responses: what apps may send and how it is framed, apps that fail, clients that leave."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from helpers.http_connection import Peer, answer, echo, statuses, talk
from starlette.types import Receive, Scope, Send

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%b\r\n"
Sending = Callable[[Send], Awaitable[None]]


def app_that(sends: Sending) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await sends(send)

    return app


async def start(send: Send, *headers: tuple[bytes, bytes], status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def body(send: Send, content: bytes, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": more})


async def streamed(send: Send) -> None:
    await start(send)
    for part in (b"ab", b"", b"c" * 16):
        await body(send, part)
    await body(send, b"", more=False)


def test_a_response_with_one_body_is_one_write() -> None:
    wire = talk(app_that(lambda send: answer(send, b"hello")), GET)
    assert (wire.writes, wire.sent) == (1, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")


def test_a_response_has_one_date() -> None:
    async def run(headers: list[tuple[bytes, bytes]]) -> bytes:
        return await Peer(app_that(lambda send: answer(send, b"", headers=headers))).send(GET)

    assert asyncio.run(run([])).count(b"date: ") == 1
    assert asyncio.run(run([(b"Date", b"x")])).lower().count(b"date: ") == 1


def test_a_streamed_response_has_chunks_or_for_http_1_0_the_end_of_the_connection() -> None:
    chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n10\r\n" + b"c" * 16 + b"\r\n0\r\n\r\n"
    assert talk(app_that(streamed), GET + GET).sent == 2 * chunks
    for keep_alive in (b"", b"Connection: keep-alive\r\n"):
        wire = talk(app_that(streamed), b"GET / HTTP/1.0\r\n" + keep_alive + b"\r\n" + GET)
        assert wire.sent == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nab" + b"c" * 16
        assert wire.closing


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
def test_a_response_that_has_no_body_gets_none_whatever_the_app_sends(method: bytes, status: int) -> None:
    request = b"%b / HTTP/1.1\r\nHost: a\r\n\r\n" % method
    wire = talk(app_that(lambda send: answer(send, b"hello", status)), 2 * request)
    assert statuses(wire.sent) == [status, status]
    assert b"hello" not in wire.sent
    assert wire.sent.endswith(b"\r\n\r\n")
    assert (b"content-length: 5" in wire.sent) == (status != 204)  # RFC 9110, 8.6
    wire = talk(app_that(streamed), 2 * request) if status == 200 else wire
    assert b"transfer-encoding" not in wire.sent


async def nothing(send: Send) -> None: ...


async def raises(send: Send) -> None:
    raise KeyError("the app")


async def starts_and_raises(send: Send) -> None:
    await start(send)
    raise KeyError("the app")


HEADERS = {
    "a line break in a value": (b"x", b"a\r\nset-cookie: b"),
    "LF in a value": (b"x", b"a\nb"),
    "NUL in a value": (b"x", b"a\0"),
    "a line break in a name": (b"x\r\ny", b"a"),
    "a colon in a name": (b"x:y", b"a"),
    "a space in a name": (b"x ", b"a"),
    "an empty name": (b"", b"a"),
    "a length that is none": (b"content-length", b"-1"),
    "a second length": (b"content-length", b"6"),
}
WITHOUT_RESPONSE: dict[str, Sending] = {
    "nothing": nothing,
    "raises": raises,
    "starts and raises": starts_and_raises,
    "starts": start,
    "a body first": lambda send: body(send, b"a"),
    "status 100": lambda send: start(send, status=100),
    "too long a body": lambda send: _start_and(send, b"123456"),
    "too short a body": lambda send: _start_and(send, b"123"),
    **{name: lambda send, header=header: answer(send, b"hello", headers=[header])  # type: ignore[misc]
       for name, header in HEADERS.items()},
}  # fmt: skip


async def _start_and(send: Send, content: bytes) -> None:
    await start(send, (b"content-length", b"5"))
    await body(send, content, more=False)


@pytest.mark.parametrize("sends", WITHOUT_RESPONSE.values(), ids=WITHOUT_RESPONSE)
def test_an_app_without_a_valid_response_is_a_500_and_nothing_of_it_is_sent(sends: Sending) -> None:
    wire = talk(app_that(sends), GET + GET)
    assert statuses(wire.sent) == [500]
    assert b"\r\nconnection: close\r\n" in wire.sent
    assert b"cookie" not in wire.sent
    assert wire.closing


async def streams_and_raises(send: Send) -> None:
    await start(send)
    await body(send, b"ab")
    raise KeyError("the app")


async def streams_and_ends(send: Send) -> None:
    await start(send, (b"content-length", b"5"))
    await body(send, b"ab")


@pytest.mark.parametrize("sends", [streams_and_raises, streams_and_ends])
def test_an_app_that_fails_after_a_part_of_its_response_ends_the_connection_so_that_the_client_notices(
    sends: Sending,
) -> None:
    wire = talk(app_that(sends), GET + GET)
    assert statuses(wire.sent) == [200]
    assert wire.closing
    assert not wire.sent.endswith(b"0\r\n\r\n")
    if sends is streams_and_raises:
        assert talk(app_that(sends), b"GET / HTTP/1.0\r\n\r\n").aborted  # a usual close would say that this was all


def test_an_app_that_goes_on_after_its_response_disturbs_no_other() -> None:
    async def sends(send: Send) -> None:
        await answer(send, b"hello")
        await body(send, b"more")

    wire = talk(app_that(sends), GET + GET)
    assert wire.sent == 2 * b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


def test_an_app_can_close_the_connection() -> None:
    wire = talk(app_that(lambda send: answer(send, b"hello", headers=[(b"Connection", b"x, Close")])), GET + GET)
    assert statuses(wire.sent) == [200]
    assert wire.sent.count(b"connection: close") == 1
    assert wire.closing


def test_a_client_that_leaves_is_a_disconnect_and_frees_its_slots() -> None:
    async def run() -> None:
        received, waiting = [], asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            received.append((await receive())["type"])
            await start(send)
            await body(send, b"a part")
            waiting.set()
            received.append((await receive())["type"])
            await body(send, b"nobody reads this", more=False)

        peer = Peer(app)
        request = POST % (3, b"") + b"abc"
        await peer.send(request + request + request)
        await waiting.wait()
        assert (peer.limiter.active, peer.limiter.bytes) == (3, 9)
        before = peer.wire.sent
        peer.leave()
        await peer.settled()
        assert received == ["http.request", "http.disconnect"]
        assert peer.wire.sent == before
        assert peer.limiter.active == peer.limiter.bytes == 0
        assert not peer.connections.open
        assert not peer.connections.tasks

    asyncio.run(run())


def test_100_continue_is_sent_when_the_app_wants_the_body_and_the_connection_stays() -> None:
    async def run() -> None:
        peer = Peer(echo)
        expecting = POST % (3, b"Expect: 100-continue\r\n")
        assert await peer.send(expecting) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert statuses(await peer.send(b"abc")) == [100, 200]
        assert b"connection: close" not in peer.wire.sent
        assert statuses(await peer.send(expecting + b"abc")) == [100, 200, 200]  # a client that has not waited
        refusing = Peer(app_that(lambda send: answer(send, b"", 413)))
        assert statuses(await refusing.send(expecting)) == [413]  # whose body may come or not
        assert b"\r\nconnection: close\r\n" in refusing.wire.sent
        assert refusing.wire.ended
        full = Peer(echo, slots=0)
        assert statuses(await full.send(expecting)) == [503]
        assert full.wire.ended
        full = Peer(echo, slots=0)
        assert statuses(await full.send(expecting + b"abc" + GET)) == [503]  # nothing after a response that closes
        assert full.wire.closing
        old = Peer(echo)
        assert not await old.send(expecting.replace(b"1.1", b"1.0"))  # RFC 9110, 10.1.1: to be ignored

    asyncio.run(run())


def test_a_client_that_does_not_read_makes_the_app_wait_and_an_app_that_does_not_read_the_client() -> None:
    async def run() -> None:
        peer, proceed = Peer(app_that(streamed)), asyncio.Event()
        peer.connection.pause_writing()
        assert await peer.send(GET) == b""
        peer.connection.resume_writing()
        await peer.settled()
        assert statuses(peer.wire.sent) == [200]

        async def late(scope: Scope, receive: Receive, send: Send) -> None:
            await proceed.wait()
            await echo(scope, receive, send)

        peer = Peer(late)
        await peer.send(POST % (200_000, b""), bytes(100_000))
        assert peer.wire.paused
        proceed.set()
        await peer.settled()
        assert not peer.wire.paused
        assert statuses(await peer.send(bytes(100_000))) == [200]

    asyncio.run(run())


def test_the_last_response_says_that_the_connection_is_closed_and_others_do_not() -> None:
    closing = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    wire = talk(echo, GET + closing + GET)
    first, second = wire.sent.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert b"connection: close\r\n" not in first
    assert b"connection: close\r\n" in second

    async def ending(pieces: list[bytes]) -> Peer:
        peer = Peer(echo)
        peer.limiter.closing = True
        await peer.send(*pieces)
        return peer

    for pieces in ([GET + GET], [GET + GET[:9], GET[9:]]):  # nothing accepted is lost where the server ends
        peer = asyncio.run(ending(pieces))
        assert statuses(peer.wire.sent) == [200, 200]
        assert peer.wire.sent.count(b"connection: close\r\n") == 1
        assert peer.wire.closing


def test_a_rejected_request_costs_no_task_and_the_next_one_is_served() -> None:
    async def run() -> None:
        peer = Peer(echo, slots=0)
        request = POST % (3, b"") + b"abc"
        assert statuses(await peer.send(request + request + GET)) == [503, 503, 200]
        peer.limiter.max_requests = 1
        assert statuses(await peer.send(request)) == [503, 503, 200, 200]

    asyncio.run(run())


@pytest.mark.parametrize(("end", "status"), [(b"abc", 200), (b"ab", 400), (b"", 400)])
def test_a_client_that_ends_its_side_gets_the_responses_that_are_due(end: bytes, status: int) -> None:
    wire = talk(echo, GET + POST % (3, b"") + end, half_closes=True)
    assert statuses(wire.sent) == [200, status]
    assert wire.closing
