"""Time limits of HTTP connections: for idle clients, slow requests, slow responses, and clients that do not read."""

import asyncio
from functools import lru_cache

from imparfait.serving.connections import Connection, Connections
from imparfait.serving.errors import ApiError
from imparfait.serving.request_parser import Stage

IDLE_SECONDS = 5.0  # keep-alive: a connection may be silent between two requests for this time
IDLE_SECONDS_OVER_LIMIT = 1.0  # the same for a connection above the limit of connections
LINGER_SECONDS = 5.0  # time for a client to read the rest of a response


def enforce_timeouts(connections: Connections) -> None:
    """Close connections where a time limit has passed; to be called several times a second."""
    now = asyncio.get_running_loop().time()
    for connection in tuple(connections.open):
        _enforce(connection, now - connection.phase_start)


def _enforce(connection: Connection, elapsed: float) -> None:
    settings, transport = connection.settings, connection.transport
    receive, answer = settings.receive_seconds, settings.answer_seconds
    if transport.is_closing():
        if elapsed > LINGER_SECONDS + max(answer, receive):
            transport.abort()
    elif connection.lingering:
        if elapsed > LINGER_SECONDS:
            transport.abort()
    elif connection.due:
        if connection.receiving and not connection.paused and elapsed > receive:
            connection.fail(_too_slow(receive))
        if elapsed > LINGER_SECONDS + receive + answer:
            transport.abort()
    elif connection.parser.stage is not Stage.BETWEEN:
        if elapsed > receive:
            connection.fail(_too_slow(receive))
            connection.settle()
    elif elapsed > (IDLE_SECONDS_OVER_LIMIT if connection.refusal else IDLE_SECONDS):
        transport.close()


def close_idle(connections: Connections, seconds: float) -> None:
    """Close connections that have been idle for `seconds`, at this call and at the one before.

    Received bytes are parsed between two calls, so that a request waiting in the kernel is not overlooked.
    """
    now = asyncio.get_running_loop().time()
    for connection in tuple(connections.open):
        heads = connection.parser.complete_heads
        idle = not connection.due and connection.parser.stage is Stage.BETWEEN and not connection.lingering
        idle = idle and now - connection.phase_start > seconds
        if idle and connection.heads_when_idle == heads:
            connection.transport.close()
        connection.heads_when_idle = heads if idle else -1


@lru_cache
def _too_slow(seconds: float) -> ApiError:
    return ApiError(408, f"the request took longer than {seconds:g} s to arrive")
