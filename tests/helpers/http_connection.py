"""A connection of the server without a socket: bytes in, bytes out, and an app given by the test."""

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from imparfait.serving.concurrency import ConcurrencyLimiter
from imparfait.serving.connections import Connection, Connections
from imparfait.serving.settings import ServingSettings

TURNS = 2000  # of the event loop, after which a response that has not come is missing


class Wire:
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        self.sent = b""
        self.writes = 0
        self.closing = self.aborted = self.ended = self.paused = False

    def get_extra_info(self, name: str) -> Any:
        return {"peername": ("127.0.0.1", 5000), "sockname": ("127.0.0.1", 8000)}.get(name)

    def write(self, data: bytes) -> None:
        assert not self.closing
        assert not self.ended
        self.sent += data
        self.writes += 1

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_reading(self) -> None:
        assert self.paused
        self.paused = False


class Peer:
    """A client and the connection that serves it; to be made in a running event loop."""

    def __init__(self, app: ASGIApp, slots: int = 100) -> None:
        self.limiter = ConcurrencyLimiter(slots, 1 << 20, 0)
        self.connections = Connections(app, self.limiter, ServingSettings())
        self.wire = Wire()
        self.connection = Connection(self.connections)
        self.connection.connection_made(self.wire)

    async def send(self, *pieces: bytes) -> bytes:
        """Send pieces as a client does that waits where the server does not read; all bytes of responses so far."""
        for piece in pieces:
            await self.until(lambda: not self.wire.paused)
            self.connection.data_received(piece)
            await self.settled()
        await self.settled()
        return self.wire.sent

    async def settled(self) -> None:
        """Wait until nothing changes any more."""
        for _ in range(10):
            await asyncio.sleep(0)

    async def until(self, condition: Any) -> None:
        """Wait for a condition."""
        for _ in range(TURNS):
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError("it never becomes true")

    def leave(self) -> None:
        """The client closes its socket."""
        self.connection.connection_lost(None)


def talk(app: ASGIApp, *pieces: bytes, half_closes: bool = False) -> Wire:
    """What a server answers to these pieces, without the header `date`."""

    async def run() -> Wire:
        peer = Peer(app)
        await peer.send(*pieces)
        if half_closes:
            peer.connection.eof_received()
            await peer.settled()
        assert not peer.limiter.bytes
        assert not peer.limiter.active
        peer.wire.sent = re.sub(rb"date: [^\r]*\r\n", b"", peer.wire.sent)
        return peer.wire

    return asyncio.run(run())


def statuses(sent: bytes) -> list[int]:
    """The statuses of responses whose bodies hold no status line."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", sent)]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that answers with what it was given."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            error = scope["slot"].error
            await answer(send, b"", error.status if error else 499)
            return
        body, more = body + message["body"], message["more_body"]
    told = {name: scope[name] for name in ("method", "path", "http_version")}
    told |= {name: scope[name].decode("latin-1") for name in ("raw_path", "query_string")}
    headers = [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]]
    await answer(send, json.dumps({**told, "headers": headers, "body": body.decode("latin-1")}).encode())


async def answer(send: Send, body: bytes, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    """A response with one body message, as Starlette sends it."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


def told(sent: bytes) -> dict[str, Any]:
    """What `echo` says in the last response."""
    content: dict[str, Any] = json.loads(sent.rpartition(b"\r\n\r\n")[2])
    return content
