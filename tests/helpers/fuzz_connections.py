"""Connections with valid and damaged HTTP requests, and a check that each response belongs to its request."""

import random
import re
import select
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from helpers.fuzz_images import files_of
from helpers.server import grey

SECONDS = 20.0  # a response that takes longer is missing
OVERLOAD = (429, 503)  # documented refusals of a valid request
ROUTES = {"/health/live": 200, "/v1/model": 200, "/nothing": 404, "/openapi.json": 200, "/metrics": 200}
DAMAGED_HEADERS = (
    b"Content-Length: -1", b"Content-Length: 1e3", b"Content-Length: 5\r\nContent-Length: 6", b"no name",
    b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked\r\nContent-Length: 3", b"\0: nul", b"X: " + b"y" * 40_000,
    b"\r\n".join([b"A: b"] * 150), b"Content-Length: " + b"9" * 5000, b" folded: line", b"X: a\rb",
    b"Host: evil.example",
)  # fmt: skip
HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n")


@dataclass(frozen=True)
class Exchange:
    """A request's bytes, and what its response has to be; `status` 0 for a damaged one, which may get any refusal."""

    content: bytes
    identifier: str
    status: int
    head_only: bool = False


@dataclass(frozen=True)
class Conversation:
    """Requests on one connection, the pieces in which their bytes are sent, and how the client ends."""

    exchanges: Sequence[Exchange]
    pieces: Sequence[bytes]
    pipelined: bool
    ends: str
    """`waits` for all responses, `half-closes` after sending, or `leaves` at once."""


@cache
def images() -> tuple[bytes, ...]:
    """Small images, of which some are read in other processes."""
    return (grey(200), grey(90, 28), *files_of("PNG")[:3], *files_of("JPEG")[:3], *files_of("GIF")[:1])


def chunked(rng: random.Random, body: bytes) -> bytes:
    """The body in chunks of any size, with extensions and trailers."""
    parts, start = [], 0
    while start < len(body):
        size = rng.randrange(1, len(body) + 1)
        part = body[start : start + size]
        parts.append(b"%x%s\r\n%s\r\n" % (len(part), rng.choice((b"", b";a=b", b";x")), part))
        start += size
    return b"".join(parts) + rng.choice((b"0\r\n\r\n", b"0\r\nX-Trailer: y\r\n\r\n"))


def valid(rng: random.Random, identifier: str) -> Exchange:
    """A request that the API describes, with its own id."""
    headers = [b"Host: localhost", b"X-Request-ID: " + identifier.encode()]
    if rng.random() < 0.4:
        path, status = rng.choice(list(ROUTES.items()))
        method = rng.choice((b"GET", b"GET", b"HEAD"))
        head = b"%s %s HTTP/1.1\r\n%s\r\n\r\n" % (method, path.encode(), b"\r\n".join(headers))
        return Exchange(head, identifier, status, method == b"HEAD")
    status, body = rng.choice(((200, rng.choice(images())), (422, rng.randbytes(rng.choice((3, 300, 70_000))))))
    if rng.random() < 0.02:
        status, body = 413, bytes(1_100_000)
    if rng.random() < 0.3:
        headers.append(b"Transfer-Encoding: chunked")
        body = chunked(rng, body)
    else:
        headers.append(b"Content-Length: %d" % len(body))
    head = b"POST /v1/predict HTTP/1.1\r\n%s\r\n\r\n" % b"\r\n".join(headers)
    return Exchange(head + body, identifier, status)


def damaged(rng: random.Random, identifier: str) -> Exchange:
    """A valid request with a fault in its head, its framing or its end."""
    content = valid(rng, identifier).content
    head, separator, body = content.partition(b"\r\n\r\n")
    match rng.randrange(6):
        case 0:  # truncated
            content = content[: rng.randrange(1, len(content))]
        case 1:  # another header
            content = head + b"\r\n" + rng.choice(DAMAGED_HEADERS) + separator + body
        case 2:  # bytes of the head changed
            changed = bytearray(head)
            for _ in range(rng.randrange(1, 5)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            content = bytes(changed) + separator + body
        case 3:  # bytes of the body changed, which may be chunks' sizes
            changed = bytearray(content)
            for _ in range(rng.randrange(1, 5)):
                changed[rng.randrange(len(head), len(changed))] = rng.randrange(256)
            content = bytes(changed)
        case 4:  # no HTTP
            content = rng.randbytes(rng.randrange(1, 2000))
        case _:  # bytes missing
            start = rng.randrange(len(content))
            content = content[:start] + content[start + rng.randrange(1, 9) :]
    return Exchange(content, identifier, 0)


def conversation(rng: random.Random, name: str) -> Conversation:
    """Some valid requests, perhaps a damaged one after them, in pieces."""
    count = rng.randrange(1, 13)
    exchanges = [valid(rng, f"{name}.{number}") for number in range(count)]
    if rng.random() < 0.5:
        exchanges.append(damaged(rng, f"{name}.{count}"))
    pipelined = rng.random() < 0.5
    whole = b"".join(exchange.content for exchange in exchanges)
    cuts = sorted(rng.randrange(len(whole)) for _ in range(rng.choice((0, 0, 1, 3, 10))))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    ends = rng.choice(("waits", "waits", "half-closes", "leaves"))
    return Conversation(exchanges, pieces, pipelined, ends)


class Client:
    """A connection that reads responses one by one."""

    def __init__(self, port: int):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self.received = b""
        self.closed = False

    def send(self, content: bytes) -> None:
        """Send bytes, and read meanwhile: a server that nobody reads from reads nobody."""
        view, end = memoryview(content), time.monotonic() + SECONDS
        self.socket.setblocking(False)
        while view and not self.closed and time.monotonic() < end:
            readable, writable, _ = select.select([self.socket], [self.socket], [], SECONDS)
            try:
                if readable:
                    self._receive()
                if writable:
                    view = view[self.socket.send(view) :]
            except BlockingIOError:
                continue
            except OSError:
                self.closed = True
        self.socket.settimeout(SECONDS)

    def response(self, head_only: bool) -> tuple[int, bytes, bytes] | None:
        """Status, head and body of the next response; None where the connection ends before."""
        while (head := HEAD.match(self.received)) is None:
            if not self._more():
                return None
        length = re.search(rb"\r\ncontent-length: (\d+)\r\n", head[0])
        size = 0 if head_only or not length else int(length[1])
        while len(self.received) < head.end() + size:
            if not self._more():
                return None
        body = self.received[head.end() : head.end() + size]
        self.received = self.received[head.end() + size :]
        return int(head[1]), head[0], body

    def rest(self, seconds: float) -> bytes:
        """What else arrives in this time."""
        self.socket.settimeout(seconds)
        while self._more():
            pass
        return self.received

    def _more(self) -> bool:
        if self.closed:
            return False
        try:
            self._receive()
        except OSError:
            self.closed = True
        return not self.closed

    def _receive(self) -> None:
        part = self.socket.recv(1 << 16)
        self.closed = not part
        self.received += part


def play(port: int, talk: Conversation) -> tuple[Counter[str], list[str]]:
    """Have a conversation with a server; counts, and what was wrong with the responses."""
    counts, faults = Counter[str](requests=len(talk.exchanges)), list[str]()
    client = Client(port)
    with client.socket:
        if talk.pipelined or talk.ends == "leaves":
            for piece in talk.pieces:
                client.send(piece)
            if talk.ends == "leaves":
                counts["left"] += 1
                return counts, faults
            if talk.ends == "half-closes" and not client.closed:
                try:
                    client.socket.shutdown(socket.SHUT_WR)
                except OSError:
                    client.closed = True
        for number, exchange in enumerate(talk.exchanges):
            if not talk.pipelined:
                client.send(exchange.content)
                if exchange.status == 0 and not client.closed:
                    try:
                        client.socket.shutdown(socket.SHUT_WR)
                    except OSError:
                        client.closed = True
            answer = client.response(exchange.head_only or exchange.status == 0)
            fault, closing = judged(exchange, answer, counts)
            if closing and number + 1 < len(talk.exchanges) and exchange.status not in (0, 413):
                needless = talk.exchanges[number + 1].status != 0  # a damaged request that has arrived ends all
                fault = fault or ("the connection is closed before the next request" if needless else "")
            if fault:
                faults.append(f"request {number + 1} of {len(talk.exchanges)}: {fault}")
            if answer is None or closing or exchange.status == 0:
                break
        else:
            if rest := client.rest(0.02):
                faults.append(f"a response that nobody asked for: {rest[:300]!r}")
    return counts, faults


def judged(exchange: Exchange, answer: tuple[int, bytes, bytes] | None, counts: Counter[str]) -> tuple[str, bool]:
    """What is wrong with an answer, and whether it ends the connection."""
    if answer is None:
        blank = not exchange.content.strip(b"\r\n")  # which HTTP ignores before a request
        counts["blank" if blank else "lost"] += 1
        return ("" if blank else f"no response to {exchange.content[:300]!r} of {len(exchange.content)}"), True
    status, head, body = answer
    closing = b"\r\nconnection: close\r\n" in head
    identifier = re.search(rb"\r\nx-request-id: ([^\r]*)\r\n", head)
    own = identifier is not None and identifier[1].decode() == exchange.identifier
    counts[f"{'damaged' if exchange.status == 0 else 'valid'}: {status}"] += 1
    if exchange.status == 0:
        return (f"status {status} of a damaged request: {body[:200]!r}" if status == 500 else ""), True
    if status in OVERLOAD:  # refused before the API saw it, or by the API
        return ("" if identifier is None or own else f"the 503 of {identifier[1]!r}"), closing
    if not own or status != exchange.status:
        return f"expected {exchange.status} of {exchange.identifier}, got {head + body[:200]!r}", closing
    return "", closing
