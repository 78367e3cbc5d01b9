"""The head of an HTTP request: its limits, and its ASGI scope."""

from typing import Any
from urllib.parse import unquote

from imparfait.serving.errors import ApiError

MAX_HEAD_BYTES = 32 << 10  # request line and headers
MAX_HEADERS = 100
MALFORMED = ApiError(400, "the request is not valid HTTP")
HEAD_TOO_LARGE = ApiError(431, f"a request head may have {MAX_HEAD_BYTES:,} bytes and {MAX_HEADERS} headers")
SEPARATOR_BYTES = 4  # ": " and CRLF of a header
VERSIONS = ("1.0", "1.1")
Address = tuple[str, int | None] | None


class RequestHead:
    """The request line and headers, as they arrive.

    The parser has refused what is no HTTP: bare CR or LF, folded lines, Content-Length twice or beside
    Transfer-Encoding (RFC 9112, 2.2, 5.2 and 6.3). Here is refused what it lets pass.
    """

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        """Names in lower case, and values."""
        self.size = self.trailers = 0
        self.method = ""
        self.version = ""

    def add_target(self, part: bytes) -> None:
        """More bytes of the request target; raises HEAD_TOO_LARGE."""
        self.target += part
        self._count(len(part))

    def add_header(self, name: bytes, value: bytes) -> None:
        """One header; raises HEAD_TOO_LARGE."""
        self.headers.append((name.lower(), value.rstrip(b" \t")))
        self._count(len(name) + len(value) + SEPARATOR_BYTES)

    def add_trailer(self, name: bytes, value: bytes) -> None:
        """A header after the last chunk, which is dropped (RFC 9112, 7.1.2); raises HEAD_TOO_LARGE."""
        self.trailers += 1
        self._count(len(name) + len(value) + SEPARATOR_BYTES)

    def _count(self, size: int) -> None:
        self.size += size
        if self.size > MAX_HEAD_BYTES or len(self.headers) + self.trailers > MAX_HEADERS:
            raise HEAD_TOO_LARGE.fresh()

    def complete(self, method: bytes, version: str) -> None:
        """Check the whole head; raises MALFORMED.

        A body may be chunked and nothing else, so that no other server can see another end of it; HTTP/1.0 has no
        chunks (RFC 9112, 6.1). CONNECT is for proxies.
        """
        self.method, self.version = method.decode("ascii"), version
        codings = self.values(b"transfer-encoding")
        bad_body = bool(codings) and ([coding.lower() for coding in codings] != [b"chunked"] or version == "1.0")
        if version not in VERSIONS or self.method == "CONNECT" or bad_body:
            raise MALFORMED.fresh()

    def values(self, name: bytes) -> list[bytes]:
        """The values of a header, given in lower case."""
        return [value for each, value in self.headers if each == name]

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for 100 Continue before it sends the body; RFC 9110, 10.1.1."""
        return self.version == "1.1" and b"100-continue" in map(bytes.lower, self.values(b"expect"))

    def without_upgrade(self) -> bytes:
        """The head again, of a client that offers another protocol and also takes HTTP/1.1: RFC 9110, 7.8."""
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        start = f"{self.method} ".encode() + self.target + f" HTTP/{self.version}\r\n".encode()
        return start + b"".join(lines) + b"\r\n"

    def scope(self, client: Address, server: Address) -> dict[str, Any]:
        """The ASGI scope of the request; raises MALFORMED for a target that no form of RFC 9112, 3.2, has."""
        path, query = self._path_and_query()
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": self.version,
            "method": self.method,
            "scheme": "http",
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": self.headers,
            "client": client,
            "server": server,
            "state": {},
        }

    def _path_and_query(self) -> tuple[bytes, bytes]:
        target = self.target.partition(b"#")[0]
        if not target.isascii() or not target:
            raise MALFORMED.fresh()
        if target.startswith(b"/"):
            path, _, query = target.partition(b"?")
            return path, query
        if target == b"*" and self.method == "OPTIONS":
            return target, b""
        scheme, found, rest = target.partition(b"://")
        if not found or scheme.lower() not in (b"http", b"https"):
            raise MALFORMED.fresh()
        # The host of an absolute target replaces the header: RFC 9112, 3.2.2. The check of names then sees it.
        before, _, query = rest.partition(b"?")
        host, slash, path = before.partition(b"/")
        self.headers = [header for header in self.headers if header[0] != b"host"] + [(b"host", host)]
        return slash + path or b"/", query
