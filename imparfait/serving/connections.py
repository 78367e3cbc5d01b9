"""Connections that get only so much time, so many bytes, and a quick no where there is no place."""

import asyncio
from functools import lru_cache
from typing import Any

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from imparfait.serving.concurrency import FULL, ConcurrencyLimiter, RequestSlot
from imparfait.serving.errors import RefusedError, as_body, headers_of
from imparfait.serving.settings import ServingSettings

MOST_HEAD = 32 << 10  # bytes of a request's first line and headers
MOST_HEADERS = 100
MOST_AHEAD = 16  # requests sent on one connection before the first is answered
QUIET = 5.0  # seconds in which a connection may say nothing between two requests
LINGER = 5.0  # seconds in which a client has to take the rest of an answer
BAD = RefusedError(400, "what came is no HTTP request, or a broken one")
LONG = RefusedError(431, f"a request's head may have {MOST_HEAD:,} bytes and {MOST_HEADERS} headers")
AHEAD = RefusedError(400, f"only {MOST_AHEAD} requests may be sent ahead of their answers")


class DrainingTransport:
    """A connection as the app that answers has it: to close it is to part from the client in good order."""

    def __init__(self, connection: "Connection"):
        self.connection = connection
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        """No more will be said."""
        self.connection.part()


class Connection(HttpToolsProtocol):
    """uvicorn's connection with limits of ours.

    Where there is no place for a request it is told so as soon as its head has come, before anything is run for it:
    at ten times the load that can be answered, saying no must cost next to nothing.
    """

    def __init__(
        self,
        places: ConcurrencyLimiter,
        settings: ServingSettings,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ):
        super().__init__(config, server_state, app_state, _loop)
        self.places, self.settings = places, settings
        self.since = self.loop.time()
        """When it last began to be quiet, to send, or to wait for an answer."""
        self.arriving = False
        """Whether a part of a request has come, and not all of it."""
        self.in_head = True
        self.head_bytes = self.heads = 0
        self.heads_when_quiet = -1
        self.turned_away = False
        """Whether the request that is arriving has been refused already."""
        self.too_many = self.broken = False
        self.parting = False
        """Whether the last answer has been written, and only the rest of a request is waited for, to be dropped."""
        self.problem = BAD
        self.visit: RequestSlot | None = None

    @property
    def answering(self) -> bool:
        """Whether a request that has come, wholly or in part, waits for its answer."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: Any) -> None:
        """A client is there; with too many of them, this one is told so as soon as it says something."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        open_ = len(self.connections)
        self.too_many = open_ > self.settings.connections
        if open_ > 2 * self.settings.connections:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone; what it sent ahead is never answered."""
        super().connection_lost(exc)
        for cycle, _ in self.pipeline:
            cycle.scope["visit"].leave()  # type: ignore[typeddict-item]
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        """Bytes of a request, or of several."""
        if self.broken or self.parting or self.transport.is_closing():
            return  # read and dropped
        if self.too_many:
            self.broken = self.arriving = True
            self._say(FULL, close=True)
            return
        heads = self.heads
        super().data_received(data)
        if self.in_head and not self.broken:
            self.head_bytes = self.head_bytes + len(data) if heads == self.heads else 0
            if self.head_bytes > MOST_HEAD:
                self.problem = LONG
                self.send_400_response("")

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """The client sends no more; it may still wait for an answer."""
        if self.parting or not self.answering:
            if self.arriving and not self.parting and not self.turned_away:
                self._say(BAD, close=True)
            return None
        self.cycle.keep_alive = False
        if self.arriving and not self.in_head:
            self._refuse(BAD)
        return True

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self.arriving = self.in_head = True
        self.head_bytes = 0
        if not self.answering:
            self.since = self.loop.time()
        self.visit = self.scope["visit"] = RequestSlot(self.places, self.address)  # type: ignore[typeddict-unknown-key]

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; what is raised here ends in `send_400_response`."""
        super().on_header(name, value)
        self.head_bytes += len(name) + len(value)
        if len(self.headers) > MOST_HEADERS or self.head_bytes > MOST_HEAD:
            self.problem = LONG
            raise LONG

    def on_headers_complete(self) -> None:
        """All of a request's head: from here on an app runs for it, unless it is turned away."""
        if len(self.pipeline) >= MOST_AHEAD:
            self.problem = AHEAD
            raise AHEAD
        self.in_head = False
        self.heads += 1
        refusal = self.places.refusal(self.address)
        if refusal and not self.answering and self.parser.get_method() == b"POST":
            self.turned_away = True
            self._say(refusal, close=self.expect_100_continue or not self.parser.should_keep_alive())
            return
        super().on_headers_complete()
        self.cycle.transport = DrainingTransport(self)  # type: ignore[assignment]
        if self.places.closing or self.expect_100_continue or self.parser.should_upgrade():
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A part of a request's body."""
        if not self.turned_away and self.visit:
            self.visit.grow(len(body))
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        self.arriving, self.in_head, self.head_bytes = False, True, 0
        self.since = self.loop.time()
        if self.parting:
            self.transport.close()
        if self.turned_away:
            self.turned_away = False
            return
        if self.visit and self.scope["method"] == "POST":
            self.visit.enter()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer has been written."""
        self.since = self.loop.time()
        if not self.parting:
            super().on_response_complete()

    def part(self) -> None:
        """End a connection on which all has been said.

        While the client still sends, a plain end would make its system forget the answer it has not read: it is told
        that there will be no more, and what it sends is dropped until it has noticed.
        """
        if not self.arriving or self.transport.is_closing():
            self.transport.close()
        elif not self.parting:
            self.parting = True
            self.since = self.loop.time()
            self.flow.resume_reading()
            self.transport.write_eof()

    def send_400_response(self, msg: str) -> None:
        """What came cannot be understood: say so, after the answers that are due, and end."""
        self.broken = True
        if not self.answering:
            self._say(self.problem, close=True)
            return
        self.flow.pause_reading()
        self.cycle.keep_alive = False
        if self.arriving and not self.in_head:  # it is this request's body that is broken
            self._refuse(self.problem)

    def check(self, now: float) -> None:
        """Called a few times a second: ends what takes too long."""
        spent = now - self.since
        if self.transport.is_closing():
            if spent > LINGER + max(self.settings.answer_seconds, self.settings.receive_seconds):
                self.transport.abort()
        elif self.parting:
            if spent > LINGER:
                self.transport.abort()
        elif self.answering:
            if self.arriving and not self.in_head and spent > self.settings.receive_seconds:
                self._refuse(_too_slow(self.settings.receive_seconds))
            if spent > LINGER + self.settings.receive_seconds + self.settings.answer_seconds:
                self.transport.abort()
        elif self.arriving:
            if spent > self.settings.receive_seconds:
                if self.turned_away or not self.in_head:  # it has its answer
                    self.part()
                else:
                    self._say(_too_slow(self.settings.receive_seconds), close=True)
        elif spent > (QUIET if not self.too_many else 1.0):
            self.transport.close()

    def end_if_quiet(self, now: float, seconds: float) -> None:
        """End it if there has been nothing to do for so long, nor since this was asked last.

        Between two calls whatever has come is read: a request that waits in the system is not overlooked.
        """
        quiet = not self.answering and not self.arriving and now - self.since > seconds
        if quiet and self.heads_when_quiet == self.heads:
            self.transport.close()
        self.heads_when_quiet = self.heads if quiet else -1

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        visit: RequestSlot = cycle.scope["visit"]  # type: ignore[typeddict-item]

        async def visited(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            try:
                await app(scope, receive, send)
            finally:
                visit.leave()

        super()._start_asgi_task(cycle, visited)

    def _refuse(self, problem: RefusedError) -> None:
        """Let the app that waits for the rest of a body know that none will come."""
        if self.visit and not self.visit.refused:
            self.visit.refused = problem
            self.cycle.keep_alive = False
            self.cycle.message_event.set()

    def _say(self, problem: RefusedError, close: bool) -> None:
        close = close or self.places.closing
        self.transport.write(written(problem, close))
        if close:
            self.part()


@lru_cache
def written(problem: RefusedError, close: bool) -> bytes:
    """A refusal as it goes over the wire."""
    body = as_body(problem.message, problem.code)
    headers = headers_of(problem) | {"content-length": str(len(body))} | ({"connection": "close"} if close else {})
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return STATUS_LINE[problem.status] + f"{lines}\r\n".encode() + body


@lru_cache
def _too_slow(seconds: float) -> RefusedError:
    return RefusedError(408, f"the request did not come within {seconds:g} s")
