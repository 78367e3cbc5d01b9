"""HTTP/1.1 responses as bytes: status lines, headers, chunks and errors."""

import re
import time
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from imparfait.serving.errors import ApiError, error_body, error_headers

Header = tuple[bytes, bytes]
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # in no header value, or a value could end a header or the head
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
PHRASES = {status.value: status.phrase for status in HTTPStatus}
STATUS_LINES = {status: f"HTTP/1.1 {status} {PHRASES.get(status, '')}\r\n".encode() for status in range(200, 600)}
NO_BODY = (204, 304)  # besides responses to HEAD: RFC 9112, 6.3


def status_line(status: int) -> bytes:
    """The first line of a response; raises ValueError for a status that cannot end a request."""
    if status not in STATUS_LINES:
        raise ValueError(f"status {status}; expected one from 200 to 599")
    return STATUS_LINES[status]


def date_line() -> bytes:
    """The header `date`, which responses of a server with a clock have: RFC 9110, 6.6.1."""
    return _date_line(int(time.time()))


@lru_cache(1)
def _date_line(second: int) -> bytes:
    return f"date: {formatdate(second, usegmt=True)}\r\n".encode()


def header_line(name: bytes, value: bytes) -> bytes:
    """A header; raises ValueError for a name or value that is none, such as one with a line break."""
    if not TOKEN.fullmatch(name):
        raise ValueError(f"header name {name!r}; expected a token of RFC 9110")
    if CONTROL.search(value):
        raise ValueError(f"a control character in header {name!r}: {value!r}")
    return name + b": " + value + b"\r\n"


def content_length(headers: Iterable[Header]) -> int | None:
    """The length that headers declare, or None; raises ValueError for no number and for several."""
    lengths = [value for name, value in headers if name.lower() == b"content-length"]
    if not lengths:
        return None
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        raise ValueError(f"content-length {lengths!r}; expected one whole number")
    return int(lengths[0])


def chunk(content: bytes) -> bytes:
    """A chunk of a body whose length is not known before: RFC 9112, 7.1."""
    return b"%x\r\n%b\r\n" % (len(content), content)


def encode_error(error: ApiError, close: bool) -> bytes:
    """A whole error response."""
    return (
        status_line(error.status)
        + date_line()
        + _error_rest(close, error.status, error.message, error.code, error.detail)
    )


@lru_cache  # by what is sent: an error itself would be kept, with the frames it was raised in and their connection
def _error_rest(close: bool, *fields: Any) -> bytes:
    error = ApiError(*fields)
    body = error_body(error)
    headers = error_headers(error) | {"content-length": str(len(body))} | ({"connection": "close"} if close else {})
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n" + body
