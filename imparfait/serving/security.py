"""ASGI middleware: Host and Origin checks, security headers, and a JSON body for unexpected errors."""

import ipaddress
import logging
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
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
HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
FOREIGN_HOST = ApiError(
    403, "unknown Host; use the address that the server prints, or name this host with --name", "foreign_host"
)
FOREIGN_ORIGIN = ApiError(403, "requests from pages of other origins are rejected", "foreign_origin")
logger = logging.getLogger(__name__)


def secured(app: ASGIApp, host: str, names: Sequence[str] = ()) -> ASGIApp:
    """`app` with Host and Origin checks and security headers on every response.

    As its Host a request must have a loopback name, `host`, one of `names` or, unless `host` is a loopback address, an
    IP address: a defence against DNS rebinding, which needs a name. An empty `host` is a Unix socket's: any is taken.
    """
    allowed = {*LOOPBACK, host.lower(), *names} - {""}

    def is_trusted(headers: Headers) -> bool:
        given = headers.getlist("host")
        name = host_name(given[0]) if len(given) == 1 else None
        if not host:
            return len(given) <= 1
        return name is not None and (name in allowed or (not is_loopback(host) and _is_address(name)))

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

        trusted = is_trusted(Headers(scope=scope))
        error = FOREIGN_HOST if not trusted else None if same_origin(scope, names) else FOREIGN_ORIGIN
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


def host_name(header: str) -> str | None:
    """The name or address in a Host header, without its port and in lower case; None for nonsense."""
    found = HOST.fullmatch(header.lower())
    return (found[1] or found[2]) if found else None


def same_origin(scope: Scope, names: Sequence[str]) -> bool:
    """Whether a request does not come from a page of another origin; GET and HEAD change nothing and always pass."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None or scope["method"] in ("GET", "HEAD"):
        return True
    return origin.partition("://")[2] == headers.get("host") or _host_of(origin) in names


def is_loopback(host: str) -> bool:
    """Whether an address is reachable from this computer only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
