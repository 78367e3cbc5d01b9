"""What holds for every request: whose it may be, and what every answer says to browsers."""

import ipaddress
import logging
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imparfait.serving.errors import RefusedError, refusal

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
ALWAYS = (
    (b"content-security-policy", POLICY.encode()),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
LOOPBACK = ("localhost", "127.0.0.1", "::1")
logger = logging.getLogger(__name__)


def guarded(app: ASGIApp, host: str, name: str = "") -> ASGIApp:
    """`app`, asked only by its own pages and programs, and with the headers that keep browsers careful.

    At a loopback address it answers only to that and to `name`, that of a proxy in front of it: else a page elsewhere
    could have its own name resolve to here.
    """
    names = {*LOOPBACK, host, name} - {""} if is_loopback(host) else None

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = False

        async def say(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = list(message.get("headers", []))
                there = {name for name, _ in headers}
                headers += [(name, value) for name, value in ALWAYS if name not in there]
                message = {**message, "headers": headers}
            await send(message)

        error = foreign(scope["method"], scope["headers"], names, name)
        if error:
            await refusal(error)(scope, receive, say)
            return
        try:
            await app(scope, receive, say)
        except Exception:
            logger.exception("a request was not answered")
            if not started:
                await refusal(RefusedError(500, "something went wrong here"))(scope, receive, say)

    return guard


def foreign(
    method: str, headers: Iterable[tuple[bytes, bytes]], names: set[str] | None, proxy: str
) -> RefusedError | None:
    """Why a request is refused that came through somebody else's page; None where it did not."""
    found = {name: value.decode("latin-1") for name, value in headers if name in (b"host", b"origin")}
    host = found.get(b"host", "")
    if names is not None and _name(f"//{host}") not in names:
        return RefusedError(403, "this server answers only to its own name, such as localhost", "foreign_host")
    origin = found.get(b"origin")
    own = origin is None or origin.partition("://")[2] == host or (proxy and _name(origin) == proxy)
    if method not in ("GET", "HEAD") and not own:
        return RefusedError(403, "pages of other servers may not ask this one", "foreign_origin")
    return None


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this computer only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
