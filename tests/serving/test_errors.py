"""Errors that modules hold: raised again and again, they keep nothing of the requests they were raised for."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from fastapi import Request
from helpers.http_connection import Peer, echo, statuses
from helpers.server import fake_model, shared_workers

from imparfait.evaluation.external.sandbox.client import KilledError
from imparfait.serving.batching import Batcher
from imparfait.serving.concurrency import ConcurrencyLimiter, RequestSlot
from imparfait.serving.connections import MAX_PIPELINED
from imparfait.serving.deadlines import _too_slow
from imparfait.serving.errors import ApiError
from imparfait.serving.image_work import ImageWork
from imparfait.serving.jobs import Jobs
from imparfait.serving.request_head import MAX_HEADERS
from imparfait.serving.responses import receive_body, while_connected
from imparfait.serving.settings import ServingSettings

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
START = b"POST / HTTP/1.1\r\nHost: a\r\n"
ENDED = {
    "no HTTP": (b"\0", [400]),
    "a bad method": (b"CONNECT a:443 HTTP/1.1\r\n\r\n", [400]),
    "a bad target": (b"GET a HTTP/1.1\r\n\r\n", [400]),
    "another scheme": (b"GET ftp://a/b HTTP/1.1\r\n\r\n", [400]),
    "a large head": (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (MAX_HEADERS + 1) + b"\r\n", [431]),
    "a head without an end": (b"GET / HTTP/1.1\r\nX:" + b" " * 40_000, [431]),
    "a bad chunk": (START + b"Transfer-Encoding: chunked\r\n\r\nx", [400]),
    "a request after the last": (GET.replace(b"Host", b"Connection: close\r\nHost") + GET, [200]),
    "too many at once": (GET * (MAX_PIPELINED + 2), [200] * (MAX_PIPELINED + 1) + [400]),
}


@pytest.mark.parametrize(("content", "expected"), ENDED.values(), ids=ENDED)
def test_an_error_keeps_no_connection(content: bytes, expected: list[int]) -> None:
    async def run() -> "weakref.ref[Any]":
        peer = Peer(echo)
        assert statuses(await peer.send(content)) == expected
        peer.leave()
        return weakref.ref(peer.connection)

    connection = asyncio.run(run())
    gc.collect()
    assert connection() is None


async def gone() -> dict[str, Any]:
    return {"type": "http.disconnect"}


def request_of(slot: RequestSlot | None = None) -> Request:
    """A request whose client has left, or whose slot has an error."""
    return Request({"type": "http", "headers": [], "slot": slot or RequestSlot(ConcurrencyLimiter(9, 9, 0), "a")}, gone)


def refused_slots() -> dict[str, Callable[[], RequestSlot]]:
    """Slots with each error that a slot can have; the limiters, as a server's, stay."""
    full, small, shared = ConcurrencyLimiter(0, 9, 0), ConcurrencyLimiter(9, 0, 0), ConcurrencyLimiter(9, 9, 1)
    RequestSlot(shared, "a").acquire()

    def slot(limiter: ConcurrencyLimiter, error: ApiError | None = None) -> RequestSlot:
        made = RequestSlot(limiter, "a")
        made.add_bytes(1)
        made.error = made.error or error
        made.acquire()
        assert made.error
        return made

    return {
        "no slot": lambda: slot(full),
        "no memory": lambda: slot(small),
        "too many of an address": lambda: slot(shared),
        "too slow": lambda: slot(ConcurrencyLimiter(9, 9, 0), _too_slow(3)),
    }


SLOTS = refused_slots()


@pytest.mark.parametrize("slot", SLOTS.values(), ids=SLOTS)
def test_an_error_keeps_no_request_whose_body_was_refused(slot: Callable[[], RequestSlot]) -> None:
    request = request_of(slot())
    with pytest.raises(ApiError):
        asyncio.run(receive_body(request, 9))
    kept = weakref.ref(request)
    del request
    gc.collect()
    assert kept() is None


def depth(error: BaseException) -> int:
    """The number of frames in a traceback."""
    trace, count = error.__traceback__, 0
    while trace:
        trace, count = trace.tb_next, count + 1
    return count


async def busy() -> object:
    images = ImageWork(ServingSettings(), Jobs(1), shared_workers())
    images._active_large = images._max_large
    try:
        return await images.upright(b"")
    finally:
        images.end()


async def out_of_memory() -> object:
    def killed(pixels: np.ndarray) -> np.ndarray:
        raise KilledError("the model was killed")

    with ThreadPoolExecutor(1) as executor:
        batcher = Batcher(fake_model(killed)["model"][0], executor, Jobs(1))
        return await batcher.predict(np.zeros((1, 1, 8, 8), np.uint8))


RAISED: dict[str, Callable[[], Awaitable[object]]] = {
    "the client has gone": lambda: while_connected(request_of(), asyncio.sleep(9)),
    "too many large images": busy,
    "the model's process was killed": out_of_memory,
}


@pytest.mark.parametrize("work", RAISED.values(), ids=RAISED)
def test_an_error_that_is_raised_again_has_no_frame_of_the_time_before(work: Callable[[], Awaitable[object]]) -> None:
    async def depth_of_error() -> int:
        with pytest.raises(ApiError) as raised:
            await work()
        return depth(raised.value)

    assert len({asyncio.run(depth_of_error()) for _ in range(4)}) == 1
