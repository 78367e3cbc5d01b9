"""A server of models behind HTTP, whose answers are chosen."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[bytes], Any]


class Server(ThreadingHTTPServer):
    answers: dict[str, Answer]
    paths: list[str]


class Handler(BaseHTTPRequestHandler):
    wbufsize = -1  # headers and body in one packet
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        self.server.paths.append(self.path)
        answer = self.server.answers.get(self.path)
        content = answer(self.rfile.read(int(self.headers.get("Content-Length", 0)))) if answer else None
        status, content = content if isinstance(content, tuple) else (200 if answer else 404, content)
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", "http://elsewhere.invalid/")
        self.send_header("Retry-After", "0")
        self.end_headers()
        with contextlib.suppress(OSError):  # a client that waits no longer
            self.wfile.write(body)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *arguments: object) -> None: ...


@contextmanager
def running_server() -> Iterator[Server]:
    """A server that runs until the block ends; what it answers at each path is in `answers`."""
    with Server(("127.0.0.1", 0), Handler) as running:
        running.answers, running.paths = {}, []
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()
