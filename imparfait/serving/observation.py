"""ASGI middleware: request ids, HEAD, the access token, the access log and the counts of requests."""

import hmac
import re
import time
import uuid
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imparfait.serving.access_log import AccessLog, logged_path
from imparfait.serving.errors import ApiError, error_response
from imparfait.serving.metrics import Metrics

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
OTHER = "other"  # the route of a path that is not one of the API's
OPEN_PATHS = ("/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready")
NO_TOKEN = ApiError(401, "the token is missing or wrong; send the header Authorization: Bearer TOKEN", "unauthorized")
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def observed(app: ASGIApp, metrics: Metrics, log: AccessLog, token: str = "", root_path: str = "") -> Application:
    """`app` with a request id for each response, HEAD where GET is, and counts.

    `root_path` is a prefix of paths that a reverse proxy may forward or strip. With a `token` every path but the health
    checks needs it. A request's scope has `observed`, a dict whose entries go into its line of the log.
    """

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        start, status, size = time.perf_counter(), 0, 0
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        identifier = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        method = scope["method"]
        entries: dict[str, object] = {}
        # The connection keeps the scope whose method is HEAD, and sends no body.
        inner = {**scope, "method": "GET" if method == "HEAD" else method, "observed": entries, "root_path": root_path}
        path = scope["path"].removeprefix(root_path)
        counted = False

        def count() -> None:
            nonlocal counted
            if not counted:
                counted = True
                route = getattr(inner.get("route"), "path", OTHER)
                metrics.count_request(method, route, status, time.perf_counter() - start)

        async def send_with_id(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", identifier.encode())]}
            else:
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    count()  # first: a client that has its response may ask another worker for the counts
            await send(message)

        try:
            if token and path not in OPEN_PATHS and not _has_token(headers, token):
                await error_response(NO_TOKEN)(inner, receive, send_with_id)
            else:
                await app(inner, receive, send_with_id)
        finally:
            count()
            if log.is_on:
                seconds = time.perf_counter() - start
                log.write(
                    id=identifier, address=(scope.get("client") or ("",))[0], method=method,
                    path=logged_path(scope["path"]), status=status, ms=round(1000 * seconds, 2), bytes=size, **entries,
                )  # fmt: skip

    return middleware


def _has_token(headers: Headers, token: str) -> bool:
    kind, _, given = headers.get("authorization", "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())
