"""HTTP connections with time, size and concurrency limits: an asyncio protocol of our own."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp

from imparfait.serving.concurrency import NO_SLOT, ConcurrencyLimiter, RequestSlot
from imparfait.serving.errors import ApiError
from imparfait.serving.exchange import MAX_BUFFERED, Exchange
from imparfait.serving.http_encoding import encode_error
from imparfait.serving.request_head import MALFORMED, Address, RequestHead
from imparfait.serving.request_parser import RequestParser, Stage
from imparfait.serving.security import is_loopback
from imparfait.serving.settings import ServingSettings

MAX_PIPELINED = 16  # requests sent on one connection before the first response
TOO_MANY_CONNECTIONS = ApiError(429, "too many connections of this address are open; close one")
TOO_MANY_PIPELINED = ApiError(400, f"at most {MAX_PIPELINED} requests may be pipelined")


@dataclass
class Connections:
    """The open connections of a server, and what they share."""

    app: ASGIApp
    limiter: ConcurrencyLimiter
    settings: ServingSettings
    open: "set[Connection]" = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    """Running calls of the app."""


class Connection(asyncio.Protocol):
    """One client: its requests are answered in their order, and limited (RFC 9112, 9).

    A request without a free slot gets its 503 as soon as its head is complete, before any task is created for it.
    At ten times the capacity, a rejection must cost next to nothing.
    """

    transport: asyncio.Transport

    def __init__(self, shared: Connections):
        self.shared, self.limiter, self.settings = shared, shared.limiter, shared.settings
        self.loop = asyncio.get_running_loop()
        self.parser = RequestParser(self)
        self.phase_start = self.loop.time()
        """When the connection became idle, began to receive, or began to wait for a response."""
        self.due: deque[Exchange] = deque()
        """Requests without a complete response; the app has the first one."""
        self.receiving: Exchange | None = None
        """The request whose body arrives; None also where a body is dropped."""
        self.fault: ApiError | None = None
        """The error that the client gets last, after the responses that are due."""
        self.refusal: ApiError | None = None
        """Why this connection is one too many."""
        self.ended = False
        """Whether no further request is taken."""
        self.lingering = False
        """Whether the last response is written, and further bytes are dropped."""
        self.counted = self.at_end = self.paused = False
        self.heads_when_idle = -1
        self.writable = asyncio.Event()
        self.writable.set()

    # What asyncio calls

    def connection_made(self, transport: Any) -> None:
        """Register a client; above the limit of connections its first bytes get a 503."""
        self.transport = transport  # uvloop's has the methods of asyncio.Transport, but not its class
        self.client, self.server = _address(transport, "peername"), _address(transport, "sockname")
        self.address = self.client[0] if self.client else ""
        self.shared.open.add(self)
        count, most = len(self.shared.open), self.settings.each_address
        self.refusal = NO_SLOT if count > self.settings.connections else None
        abort = count > 2 * self.settings.connections
        self.counted = bool(most and self.address and not is_loopback(self.address))
        if self.counted:
            of_address = self.limiter.connections_by_address
            of_address[self.address] += 1
            if of_address[self.address] > most:
                self.refusal = self.refusal or TOO_MANY_CONNECTIONS
            abort |= of_address[self.address] > 2 * most
        if abort:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the app, and release the slots of pipelined requests, which get no response."""
        self.shared.open.discard(self)
        self.ended = True
        self.writable.set()
        if self.counted:
            self.counted = False
            self.limiter.forget_connection(self.address)
        self._drop_waiting()
        if self.due:
            self.due[0].disconnect()

    def data_received(self, data: bytes) -> None:
        """Parse bytes of one or several requests, or drop what comes after the last one."""
        if self.fault or self.lingering or self.transport.is_closing():
            return
        if self.refusal:
            self.fault, self.ended = self.refusal, True
        elif not self.ended or self.parser.stage is not Stage.BETWEEN:
            try:
                self.parser.feed(data)
            except ApiError as error:
                self.fail(error)
        self.settle()

    def eof_received(self) -> bool:
        """The client sends nothing more; it may still wait for responses. True keeps the connection open for them."""
        if self.lingering:
            return False
        self.at_end = True
        if self.parser.stage is not Stage.BETWEEN and not self.fault:
            self.fail(MALFORMED)
        self.ended = True
        for exchange in self.due:
            exchange.end_of_client()
        self.settle()
        return bool(self.due)

    def pause_writing(self) -> None:
        """The client does not read as fast as responses come: the app waits."""
        self.writable.clear()

    def resume_writing(self) -> None:
        """The client has read."""
        self.writable.set()

    # What the parser calls

    def begin_request(self) -> None:
        """Start the time limit of a request."""
        if self.ended:
            raise MALFORMED.fresh()
        if not self.due:
            self.phase_start = self.loop.time()

    def take_head(self, head: RequestHead, keep_alive: bool) -> None:
        """Start the app for a request, unless it is rejected; or let it wait for the responses before."""
        scope = head.scope(self.client, self.server)
        if len(self.due) > MAX_PIPELINED:
            raise TOO_MANY_PIPELINED.fresh()
        self.ended = not keep_alive or head.version == "1.0"
        rejection = self.limiter.rejection(self.address) if head.method == "POST" and not self.due else None
        if rejection:
            self.ended |= head.expects_continue or self.limiter.closing
            self.write(encode_error(rejection, self.ended))
            return
        self.receiving = Exchange(self, scope, RequestSlot(self.limiter, self.address), head.expects_continue)
        self.due.append(self.receiving)
        if len(self.due) == 1:
            self._start()

    def take_body(self, part: bytes) -> None:
        """Hand a part of a body on."""
        if self.receiving:
            self.receiving.add_body(part)

    def end_request(self) -> None:
        """Start the time limit of the response."""
        self.phase_start = self.loop.time()
        if self.receiving:
            self.receiving.end_body()
        self.receiving = None

    # What an exchange calls

    def write(self, content: bytes) -> None:
        """Send bytes; of a client that has left they are dropped, where uvloop would log an error."""
        if not self.transport.is_closing():
            self.transport.write(content)

    async def drain(self) -> None:
        """Wait until the client has read most of what was sent, or has left."""
        await self.writable.wait()

    def is_last(self, exchange: Exchange) -> bool:
        """Whether the connection is closed after this response: nothing follows, or the server ends."""
        following = self.due[-1] is not exchange or self.fault or self.parser.stage is Stage.HEAD
        return not following and (self.ended or self.limiter.closing)

    def finish(self, exchange: Exchange, close: bool) -> None:
        """Go on to the next request; `close`: there is none."""
        if self.due and self.due[0] is exchange:
            self.ended |= close
            if close:
                self.fault = None
                self._drop_waiting()
            self.due.popleft()
            self.phase_start = self.loop.time()
            if self.due:
                self._start()
            self.settle()

    def cut(self, close_delimited: bool) -> None:
        """End a connection whose response cannot be completed, so that the client notices (RFC 9112, 8)."""
        if close_delimited:
            self.transport.abort()
        else:
            self.transport.close()

    def update_reading(self) -> None:
        """Read on, unless responses are due to several requests, or the app is behind with a body."""
        behind = self.receiving is not None and self.receiving.buffered > MAX_BUFFERED
        pause = not self.lingering and (behind or len(self.due) > 1 or (bool(self.due) and self.fault is not None))
        if pause != self.paused and not self.at_end and not self.transport.is_closing():
            self.paused = pause
            (self.transport.pause_reading if pause else self.transport.resume_reading)()

    # Order and end

    def _start(self) -> None:
        task = self.loop.create_task(self.due[0].run(self.shared.app))
        self.shared.tasks.add(task)
        task.add_done_callback(self.shared.tasks.discard)

    def _drop_waiting(self) -> None:
        """Forget the requests that the app does not have yet."""
        while len(self.due) > 1:
            self.due.pop().slot.release()

    def fail(self, error: ApiError) -> None:
        """Nothing more can be parsed: `error` is for the request that was arriving, in its turn."""
        if self.parser.stage is Stage.BODY:
            if self.receiving:
                self.receiving.fail_body(error)
        elif not self.ended:  # else it is what follows the last request, which is nobody's
            self.fault = error
        self.ended = True

    def settle(self) -> None:
        """Close the connection after its last response."""
        if not self.due and self.ended and not self.lingering:
            if self.fault:
                self.write(encode_error(self.fault, close=True))
            self._close_gracefully()
        self.update_reading()

    def _close_gracefully(self) -> None:
        """Close the connection, but leave the client the time to read its last response.

        While the client still sends, an immediate close would make its system discard the unread response. The write
        side is closed first, and what the client sends is dropped until it closes its side (RFC 9112, 9.6).
        """
        if self.at_end or not self._sending or self.transport.is_closing():
            self.transport.close()
        else:
            self.lingering = True
            self.phase_start = self.loop.time()
            self.transport.write_eof()

    @property
    def _sending(self) -> bool:
        """Whether the client is in the middle of a request, as far as is known."""
        return self.fault is not None or self.parser.stage is not Stage.BETWEEN


def _address(transport: Any, name: str) -> Address:
    """Host and port, or the path of a Unix socket; None for a client of one."""
    info: Any = transport.get_extra_info(name)
    if isinstance(info, tuple):
        return str(info[0]), int(info[1])
    return (info, None) if info and isinstance(info, str) else None
