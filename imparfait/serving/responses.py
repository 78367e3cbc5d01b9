"""Request bodies within their limits, and JSON responses."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request, Response

from imparfait.serving import schemas
from imparfait.serving.concurrency import RequestSlot
from imparfait.serving.errors import CODES, ApiError

T = TypeVar("T")
CLIENT_GONE = ApiError(400, "the client closed the connection before the response")
IMAGE_TYPES = ("image/", "application/octet-stream")
MAX_LENGTH_DIGITS = 18  # of a Content-Length; Python refuses to parse 4,300 digits


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of error responses with these statuses."""
    return {status: {"model": schemas.Error, "description": CODES[status].replace("_", " ")} for status in statuses}


async def receive_body(request: Request, max_bytes: int, kinds: tuple[str, ...] = IMAGE_TYPES) -> bytes:
    """The body of a request; raises ApiError if its type is not one of `kinds` or it has over `max_bytes` bytes."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind and not any(kind.startswith(each) if each.endswith("/") else kind == each for each in kinds):
        expected = "an image" if kinds == IMAGE_TYPES else kinds[-1]
        raise ApiError(415, f"content type {kind!r}; expected {expected}; write the header Content-Type: {kinds[-1]}")
    length = request.headers.get("content-length", "0")
    too_large = ApiError(413, f"the request body is too large; expected at most {max_bytes:,} bytes")
    if length.isdecimal() and (len(length) > MAX_LENGTH_DIGITS or int(length) > max_bytes):
        raise too_large
    slot: RequestSlot = request.scope["slot"]
    parts, size, more = [], 0, True
    while more:
        message = await request.receive()
        if slot.error:
            raise slot.error.fresh()
        if message["type"] == "http.disconnect":
            raise ApiError(400, "the connection ended before the request body was complete")
        parts.append(message["body"])
        size += len(message["body"])
        more = message["more_body"]
        if size > max_bytes:
            raise too_large
    return b"".join(parts)


async def while_connected(request: Request, work: Coroutine[Any, Any, T], both_sides: bool = False) -> T:
    """The result of the work; it is cancelled when the client has closed the connection. For complete requests.

    A client that has only ended its side may wait for its response: it counts as gone with `both_sides`, as browsers
    end an aborted request that way. Raises ApiError then, which nobody receives.
    """
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(_client_gone(request, both_sides))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise CLIENT_GONE.fresh()
        return await working
    finally:
        for task in (working, gone):
            task.cancel()


async def _client_gone(request: Request, both_sides: bool) -> None:
    slot: RequestSlot = request.scope["slot"]
    while not (both_sides and slot.ended) and (await request.receive())["type"] != "http.disconnect":
        pass


def json_response(content: Any) -> Response:
    """A response with this content as JSON."""
    return Response(json.dumps(content, ensure_ascii=False, allow_nan=False).encode(), media_type="application/json")
