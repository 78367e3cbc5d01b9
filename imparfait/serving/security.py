"""ASGI middleware: Host and Origin checks, security headers, and a JSON body for unexpected errors."""

import ipaddress
import logging
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imparfait.serving.errors import ApiError, error_response

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
LOOPBACK = ("localhost", "127.0.0.1", "::1")
FOREIGN_HOST = ApiError(403, "unknown Host; use the address that the server prints, or localhost", "foreign_host")
FOREIGN_ORIGIN = ApiError(403, "requests from pages of other origins are rejected", "foreign_origin")
logger = logging.getLogger(__name__)


def secured(app: ASGIApp, host: str, proxy: str = "") -> ASGIApp:
    """`app` with Host and Origin checks and security headers on every response.

    A server on a loopback address accepts only loopback names, `host` and `proxy` as its Host: a defence against DNS
    rebinding. On other addresses any Host is accepted.
    """
    names = sorted({*LOOPBACK, host, proxy} - {""}) if is_loopback(host) else ["*"]
    # Starlette compares IPv6 literals with their brackets.
    allowed = [f"[{name}]" if ":" in name else name for name in names]
    hosts = TrustedHostMiddleware(_mark_trusted, allowed, www_redirect=False)

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = list(message.get("headers", []))
                present = {name for name, _ in headers}
                headers += [(name, value) for name, value in HEADERS if name not in present]
                message = {**message, "headers": headers}
            await send(message)

        await hosts(scope, receive, _discard)
        error = FOREIGN_HOST if not scope.get("trusted_host") else None if same_origin(scope, proxy) else FOREIGN_ORIGIN
        if error:
            await error_response(error)(scope, receive, send_with_headers)
            return
        try:
            await app(scope, receive, send_with_headers)
        except Exception:
            logger.exception("a request failed")
            if not started:
                await error_response(ApiError(500, "internal error"))(scope, receive, send_with_headers)

    return middleware


async def _mark_trusted(scope: Scope, receive: Receive, send: Send) -> None:
    scope["trusted_host"] = True


async def _discard(message: Message) -> None:
    """Drop Starlette's plain-text response: errors of this API are JSON."""


def same_origin(scope: Scope, proxy: str) -> bool:
    """Whether a request does not come from a page of another origin; GET and HEAD change nothing and always pass."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None or scope["method"] in ("GET", "HEAD"):
        return True
    return origin.partition("://")[2] == headers.get("host") or bool(proxy and _host_of(origin) == proxy)


def is_loopback(host: str) -> bool:
    """Whether an address is reachable from this computer only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
