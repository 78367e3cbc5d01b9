"""HTTP connections with time, size and concurrency limits."""

import asyncio
from functools import lru_cache
from typing import Any

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from imparfait.serving.concurrency import NO_SLOT, ConcurrencyLimiter, RequestSlot
from imparfait.serving.errors import ApiError, error_body, error_headers
from imparfait.serving.security import is_loopback
from imparfait.serving.settings import ServingSettings

MAX_HEAD_BYTES = 32 << 10  # request line and headers
MAX_HEADERS = 100
MAX_PIPELINED = 16  # requests sent on one connection before the first response
IDLE_SECONDS = 5.0  # keep-alive: a connection may be silent between two requests for this time
IDLE_SECONDS_OVER_LIMIT = 1.0  # the same for a connection above the limit of connections
LINGER_SECONDS = 5.0  # time for a client to read the rest of a response
MALFORMED = ApiError(400, "the request is not valid HTTP")
HEAD_TOO_LARGE = ApiError(431, f"a request head may have {MAX_HEAD_BYTES:,} bytes and {MAX_HEADERS} headers")
TOO_MANY_CONNECTIONS = ApiError(429, "too many connections of this address are open; close one")
TOO_MANY_PIPELINED = ApiError(400, f"at most {MAX_PIPELINED} requests may be pipelined")


class DrainingTransport:
    """The transport as uvicorn's response cycle sees it: `close` ends the connection without losing the response."""

    def __init__(self, connection: "Connection"):
        self.connection = connection
        self.is_closing = connection.transport.is_closing

    def write(self, data: bytes) -> None:
        """Send bytes; of a client that has left they are dropped, where uvloop would raise an error to be logged."""
        if not self.is_closing():
            self.connection.transport.write(data)

    def close(self) -> None:
        """Close the connection once the client has read the response."""
        self.connection.close_gracefully()


class Connection(HttpToolsProtocol):
    """uvicorn's connection with time, size and concurrency limits.

    A request without a free slot gets its 503 as soon as its head is complete, before any task is created for it.
    At ten times the capacity, a rejection must cost next to nothing.
    """

    def __init__(
        self,
        limiter: ConcurrencyLimiter,
        settings: ServingSettings,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ):
        super().__init__(config, server_state, app_state, _loop)
        self.limiter, self.settings = limiter, settings
        self.phase_start = self.loop.time()
        """When the connection became idle, began to receive, or began to wait for a response."""
        self.receiving = False  # whether a request has arrived in part
        self.in_head = True
        self.head_bytes = self.complete_heads = self.complete_messages = 0
        self.heads_when_idle = -1
        self.rejected = False
        """Whether the request being received has had its error response already."""
        self.over_limit = self.too_many = self.failed = self.counted = False
        self.lingering = False
        """Whether the last response is written, and further bytes are dropped."""
        self.truncated = False
        """Whether the client has ended in the middle of a head, with responses still due."""
        self.parse_error = MALFORMED
        self.slot: RequestSlot | None = None

    @property
    def responding(self) -> bool:
        """Whether a request, complete or not, waits for its response."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: Any) -> None:
        """Register a client; above the limit of connections its first bytes get a 503."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        count = len(self.connections)
        self.over_limit = count > self.settings.connections
        most = self.settings.each_address
        self.counted = bool(most and self.address and not is_loopback(self.address))
        if self.counted:
            self.limiter.connections_by_address[self.address] += 1
            self.too_many = self.limiter.connections_by_address[self.address] > most
            if self.limiter.connections_by_address[self.address] > 2 * most:
                transport.abort()
        if count > 2 * self.settings.connections:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the slots of pipelined requests, which get no response."""
        super().connection_lost(exc)
        if self.counted:
            self.counted = False
            self.limiter.forget_connection(self.address)
        for cycle, _ in self.pipeline:
            cycle.scope["slot"].release()  # type: ignore[typeddict-item]
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        """Parse bytes of one or several requests."""
        if self.failed or self.lingering or self.transport.is_closing():
            return  # dropped
        if self.over_limit or self.too_many:
            self.failed = self.receiving = True
            self._send_error(NO_SLOT if self.over_limit else TOO_MANY_CONNECTIONS, close=True)
            return
        heads, messages = self.complete_heads, self.complete_messages
        super().data_received(data)
        if self.in_head and not self.failed:
            # Of bytes that end a head or a body it is not known how many belong to the next head.
            same = (heads, messages) == (self.complete_heads, self.complete_messages)
            self.head_bytes = self.head_bytes + len(data) if same else 0
            if self.head_bytes > MAX_HEAD_BYTES:
                self.parse_error = HEAD_TOO_LARGE
                self.send_400_response("")

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Handle the end of what the client sends; it may still wait for a response."""
        if self.lingering or not self.responding:
            if self.receiving and not self.lingering and not self.rejected:
                self._send_error(MALFORMED, close=True)
            return None
        if self.receiving and self.in_head:
            self.truncated = True
            return True
        self.cycle.keep_alive = False
        if self.receiving:
            self._fail_body(MALFORMED)
        return True

    def on_message_begin(self) -> None:
        """First byte of a request."""
        super().on_message_begin()
        self.receiving = self.in_head = True
        self.head_bytes = 0
        if not self.responding:
            self.phase_start = self.loop.time()
        self.slot = self.scope["slot"] = RequestSlot(self.limiter, self.address)  # type: ignore[typeddict-unknown-key]

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; an exception raised here leads to `send_400_response`."""
        super().on_header(name, value)
        self.head_bytes += len(name) + len(value)
        if len(self.headers) > MAX_HEADERS or self.head_bytes > MAX_HEAD_BYTES:
            self.parse_error = HEAD_TOO_LARGE
            raise HEAD_TOO_LARGE

    def on_headers_complete(self) -> None:
        """End of a request's head: start the app for it, unless it is rejected."""
        if len(self.pipeline) >= MAX_PIPELINED:
            self.parse_error = TOO_MANY_PIPELINED
            raise TOO_MANY_PIPELINED
        self.in_head = False
        self.complete_heads += 1
        rejection = self.limiter.rejection(self.address)
        if rejection and not self.responding and self.parser.get_method() == b"POST":
            self.rejected = True
            self._send_error(rejection, close=self.expect_100_continue or not self.parser.should_keep_alive())
            return
        super().on_headers_complete()
        self.cycle.transport = DrainingTransport(self)  # type: ignore[assignment]
        if self.limiter.closing or self.expect_100_continue or self.parser.should_upgrade():
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A part of a request's body."""
        if not self.rejected and self.slot:
            self.slot.add_bytes(len(body))
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Last byte of a request."""
        self.complete_messages += 1
        self.receiving, self.in_head, self.head_bytes = False, True, 0
        self.phase_start = self.loop.time()
        if self.lingering:
            self.transport.close()
        if self.rejected:
            self.rejected = False
            return
        if self.slot and self.scope["method"] == "POST":
            self.slot.acquire()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End of a response."""
        self.phase_start = self.loop.time()
        if not self.lingering:
            super().on_response_complete()
            if self.truncated and not self.responding and not self.transport.is_closing():
                self.receiving = False  # nothing comes any more
                self._send_error(MALFORMED, close=True)

    def close_gracefully(self) -> None:
        """Close the connection after its last response.

        While the client still sends, an immediate close would make its system discard the unread response. The write
        side is closed first, and what the client sends is dropped until it closes its side.
        """
        if not self.receiving or self.transport.is_closing():
            self.transport.close()
        elif not self.lingering:
            self.lingering = True
            self.phase_start = self.loop.time()
            self.flow.resume_reading()
            self.transport.write_eof()

    def send_400_response(self, msg: str) -> None:
        """Report a malformed request, after the responses that are due, and close the connection."""
        self.failed = True
        if not self.responding:
            self._send_error(self.parse_error, close=True)
            return
        self.flow.pause_reading()
        self.cycle.keep_alive = False
        if self.receiving and not self.in_head:  # the body of the request in progress is malformed
            self._fail_body(self.parse_error)

    def enforce_timeouts(self, now: float) -> None:
        """Close the connection where a time limit has passed; called several times a second."""
        elapsed = now - self.phase_start
        if self.transport.is_closing():
            if elapsed > LINGER_SECONDS + max(self.settings.answer_seconds, self.settings.receive_seconds):
                self.transport.abort()
        elif self.lingering:
            if elapsed > LINGER_SECONDS:
                self.transport.abort()
        elif self.responding:
            if self.receiving and not self.in_head and elapsed > self.settings.receive_seconds:
                self._fail_body(_too_slow(self.settings.receive_seconds))
            if elapsed > LINGER_SECONDS + self.settings.receive_seconds + self.settings.answer_seconds:
                self.transport.abort()
        elif self.receiving:
            if elapsed > self.settings.receive_seconds:
                if self.rejected or not self.in_head:  # its response is written
                    self.close_gracefully()
                else:
                    self._send_error(_too_slow(self.settings.receive_seconds), close=True)
        elif elapsed > (IDLE_SECONDS_OVER_LIMIT if self.over_limit or self.too_many else IDLE_SECONDS):
            self.transport.close()

    def close_if_idle(self, now: float, seconds: float) -> None:
        """Close the connection if it has been idle for `seconds`, at this call and at the one before.

        Received bytes are parsed between two calls, so that a request waiting in the kernel is not overlooked.
        """
        idle = not self.responding and not self.receiving and now - self.phase_start > seconds
        if idle and self.heads_when_idle == self.complete_heads:
            self.transport.close()
        self.heads_when_idle = self.complete_heads if idle else -1

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        slot: RequestSlot = cycle.scope["slot"]  # type: ignore[typeddict-item]

        async def releasing_app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            try:
                await app(scope, receive, send)
            finally:
                slot.release()

        super()._start_asgi_task(cycle, releasing_app)

    def _fail_body(self, error: ApiError) -> None:
        """Wake the app that waits for the rest of a body, with the error as the reason."""
        if self.slot and not self.slot.error:
            self.slot.error = error
            self.cycle.keep_alive = False
            self.cycle.message_event.set()

    def _send_error(self, error: ApiError, close: bool) -> None:
        close = close or self.limiter.closing
        self.transport.write(encode_error(error, close))
        if close:
            self.close_gracefully()


@lru_cache
def encode_error(error: ApiError, close: bool) -> bytes:
    """An error response as bytes of HTTP."""
    body = error_body(error)
    headers = error_headers(error) | {"content-length": str(len(body))} | ({"connection": "close"} if close else {})
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return STATUS_LINE[error.status] + f"{lines}\r\n".encode() + body


@lru_cache
def _too_slow(seconds: float) -> ApiError:
    return ApiError(408, f"the request took longer than {seconds:g} s to arrive")
