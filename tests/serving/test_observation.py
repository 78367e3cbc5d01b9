"""Counts of requests: each once, and in time for a client that asks another worker."""

import asyncio
from unittest.mock import Mock

from starlette.types import Message, Receive, Scope, Send

from imparfait.serving.access_log import AccessLog
from imparfait.serving.metrics import Metrics
from imparfait.serving.observation import observed


def test_a_request_is_counted_once_and_before_its_client_has_the_response() -> None:
    events: list[str] = []
    metrics = Mock(spec=Metrics, count_request=lambda *_: events.append("counted"))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for body, more in ((b"a", True), (b"b", False)):
            await send({"type": "http.response.body", "body": body, "more_body": more})

    async def send(message: Message) -> None:
        events.append(message["type"] + str(message.get("body", "")))

    async def run() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        await observed(app, metrics, AccessLog(""))(scope, Mock(), send)

    asyncio.run(run())
    assert events == ["http.response.start", "http.response.bodyb'a'", "counted", "http.response.bodyb'b'"]
