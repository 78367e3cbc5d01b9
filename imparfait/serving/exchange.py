"""One HTTP request and its response, as an ASGI application sees them: `receive` and `send`."""

import asyncio
import logging
from typing import Any, Protocol, runtime_checkable

from starlette.types import ASGIApp, Message

from imparfait.serving import http_encoding as encoding
from imparfait.serving.concurrency import RequestSlot
from imparfait.serving.errors import ApiError

MAX_BUFFERED = 64 << 10  # bytes of a body that the app has not taken yet; above it, nothing is read
INTERNAL = ApiError(500, "internal error; see the server's log")
logger = logging.getLogger(__name__)


@runtime_checkable
class Channel(Protocol):
    """What an exchange needs of its connection."""

    def write(self, content: bytes) -> None:
        """Send bytes, unless the client has left."""

    async def drain(self) -> None:
        """Wait until the client has read most of what was sent, or has left."""

    def is_last(self, exchange: "Exchange") -> bool:
        """Whether the connection is closed after this response."""

    def finish(self, exchange: "Exchange", close: bool) -> None:
        """The response is complete."""

    def cut(self, close_delimited: bool) -> None:
        """End a connection whose response cannot be completed."""

    def update_reading(self) -> None:
        """Read on, or pause, as bodies need it."""


class Exchange:
    """A request, whose body may still arrive, and its response.

    A response with one body message, as all of ours, is one write: its head waits for the first part of the body.
    """

    def __init__(self, channel: Channel, scope: dict[str, Any], slot: RequestSlot, expects_continue: bool):
        self.channel, self.scope, self.slot = channel, scope, slot
        scope["slot"] = slot
        self.complete = self.gone = False
        """Whether the response is complete; whether the client has left."""
        self._old = scope["http_version"] == "1.0"
        self._head_only = scope["method"] == "HEAD"
        self._expects_continue = expects_continue
        self._body = bytearray()
        self._arrived = self._taken = self._told = False  # the whole body: at the connection; by the app; and its end
        self._waiter: asyncio.Future[None] | None = None
        self._head: bytes | None = None  # of a response that has started, until it is written
        self._started = self._written = self._close = self._chunked = self._no_body = False
        self._remaining: int | None = None  # bytes of the body that the head promises

    @property
    def buffered(self) -> int:
        """Bytes of the body that the app has not taken."""
        return len(self._body)

    def add_body(self, part: bytes) -> None:
        """A part of the body; dropped where nobody needs it any more."""
        self._expects_continue = False  # the client has not waited
        if self.complete or self.slot.error:
            return
        self.slot.add_bytes(len(part))
        self._body += part
        if self.slot.error:  # the bodies of all requests are too large together
            self._body.clear()
        self.wake()

    def end_body(self) -> None:
        """The body is complete: the request takes a slot now, or gets its error."""
        self._expects_continue = False
        if self.scope["method"] == "POST" and not self.complete:
            self.slot.acquire()
        self._arrived = True
        self.wake()

    def fail_body(self, error: ApiError) -> None:
        """The body will not be complete; `error` says why."""
        if not self.slot.error:
            self.slot.error = error
        self.wake()

    def wake(self) -> None:
        """Let the app that waits in `receive` look again."""
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def end_of_client(self) -> None:
        """The client has ended its side; it may still wait for the response."""
        self.slot.ended = True
        self.wake()

    def disconnect(self) -> None:
        """The client has left."""
        self.gone = True
        self.wake()

    async def run(self, app: ASGIApp) -> None:
        """Call the app; without a response of its own the client gets a 500, or the connection ends."""
        try:
            await app(self.scope, self.receive, self.send)
        except Exception:
            logger.exception("a request failed")
        finally:
            self.slot.release()
            self._end()

    def _end(self) -> None:
        if self.complete or self.gone:
            return
        if self._written:
            self.complete = True
            self.channel.cut(close_delimited=not self._chunked and self._remaining is None)
            return
        self.channel.write(encoding.encode_error(INTERNAL, close=True))
        self._complete(close=True)

    async def receive(self) -> Message:
        """The next part of the body, or `http.disconnect` where none will come."""
        if self._expects_continue and not (self._started or self.gone or self.slot.error):
            self._expects_continue = False
            self.channel.write(encoding.CONTINUE)
        while not (self.gone or self.complete or self.slot.error):
            if self._body or (self._arrived and not self._taken):
                part, self._body = bytes(self._body), bytearray()
                self._taken = self._arrived
                self.channel.update_reading()
                return {"type": "http.request", "body": part, "more_body": not self._arrived}
            if self.slot.ended and not self._told:  # once, for an app that waits for the client's end
                self._told = True
                return {"type": "http.request", "body": b"", "more_body": False}
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Start the response, or send a part of its body; raises ValueError or RuntimeError for what is no HTTP."""
        await self.channel.drain()
        if self.gone:
            return
        kind = message["type"]
        if kind == "http.response.start" and not self._started:
            self._head = self._encode_head(message["status"], list(message.get("headers", ())))
            self._started = True
        elif kind == "http.response.body" and self._started and not self.complete:
            self._send_body(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind} at the wrong time")

    def _encode_head(self, status: int, headers: list[encoding.Header]) -> bytes:
        """The head with the framing of RFC 9112, 6: none, a length, chunks, or the end of the connection."""
        self._no_body = self._head_only or status in encoding.NO_BODY
        length = encoding.content_length(headers)
        self._close = self._expects_continue or self.channel.is_last(self)
        lines = [encoding.status_line(status)]
        dated = False
        for given, value in headers:
            name = given.lower()
            if name == b"connection":
                self._close |= b"close" in [token.strip() for token in value.lower().split(b",")]
            elif name != b"transfer-encoding" and (name != b"content-length" or status != 204):
                dated |= name == b"date"
                lines.append(encoding.header_line(name, value))
        if not dated:
            lines.append(encoding.date_line())
        self._remaining = None if self._no_body else length
        self._chunked = length is None and not self._no_body and not self._old
        self._close |= self._old
        if self._chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        if self._close:
            lines.append(b"connection: close\r\n")
        return b"".join([*lines, b"\r\n"])

    def _send_body(self, part: bytes, more: bool) -> None:
        if self._no_body:
            part = b""
        elif self._remaining is not None:
            self._remaining -= len(part)
            if self._remaining < 0 or (self._remaining and not more):
                raise RuntimeError("the body of a response is not as long as its content-length")
        elif self._chunked:
            part = (encoding.chunk(part) if part else b"") + (b"" if more else encoding.LAST_CHUNK)
        head, self._head = self._head or b"", None
        if head or part:
            self._written = True
            self.channel.write(head + part)
        if not more:
            self._complete(self._close)

    def _complete(self, close: bool) -> None:
        self.complete = True
        self._body.clear()
        self.wake()
        self.channel.finish(self, close)
