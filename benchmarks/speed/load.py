"""Load generator for the HTTP server, open or closed loop; serving.py runs it in its own process."""

import argparse
import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

GRACE_SECONDS = 3.0  # responses within this time after the last request still count


class Connection(asyncio.Protocol):
    """A connection that carries one request at a time and reports to its `Load`."""

    def __init__(self, load: "Load"):
        self.load = load
        self.due = 0.0  # when the current request should have been sent
        self.sent = 0.0
        self.busy = False
        self.buffer = b""
        self.length = -1  # of the response, headers included

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def send(self, due: float, request: bytes) -> None:
        self.due, self.busy, self.sent = due, True, time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.length < 0:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].lower()
            start = head.find(b"content-length:") + 15
            stop = head.find(b"\r\n", start)
            self.length = end + 4 + int(head[start : stop if stop > 0 else None])
        if len(self.buffer) >= self.length:
            status, closing = int(self.buffer[9:12]), b"connection: close" in self.buffer[: self.length].lower()
            body, self.buffer, self.length, self.busy = self.buffer[: self.length], b"", -1, False
            self.load.answered(self, status, body, closing)

    def connection_lost(self, error: Exception | None) -> None:
        self.load.lost(self)


class Load:
    """Open connections and the outcome of each request."""

    def __init__(self, port: int, requests: list[bytes], max_connections: int):
        self.port, self.requests, self.max_connections = port, requests, max_connections
        self.idle: list[Connection] = []
        self.waiting: list[tuple[float, bytes]] = []
        self.open = 0
        self.seconds: dict[int, list[float]] = {}
        self.ended: Counter[str] = Counter()
        self.term = float("inf")
        """When SIGTERM was sent to the server."""
        self.elapsed = 0.0

    def send(self, due: float, request: bytes) -> None:
        if self.idle:
            self.idle.pop().send(due, request)
        elif self.open < self.max_connections:
            self.open += 1
            asyncio.get_running_loop().create_task(self._connect(due, request))
        else:
            self.waiting.append((due, request))

    async def _connect(self, due: float, request: bytes) -> None:
        try:
            _, made = await asyncio.get_running_loop().create_connection(
                lambda: Connection(self), "127.0.0.1", self.port
            )
        except OSError:
            self.open -= 1
            self.ended["refused after SIGTERM" if time.perf_counter() > self.term else "refused"] += 1
            return
        made.send(due, request)

    def answered(self, connection: Connection, status: int, body: bytes, closing: bool) -> None:
        now = time.perf_counter()
        self.seconds.setdefault(status, []).append(now - connection.due)
        if closing:
            connection.transport.close()
        elif self.waiting:
            connection.send(*self.waiting.pop(0))
        else:
            self.idle.append(connection)

    def lost(self, connection: Connection) -> None:
        self.open -= 1
        if connection in self.idle:
            self.idle.remove(connection)
        if connection.busy:
            # A request sent after the server had closed the connection never reached it.
            self.ended["lost" if connection.sent < self.term else "sent after SIGTERM, not accepted"] += 1


def percentile(values: list[float], share: float) -> float:
    """A percentile in milliseconds."""
    ordered = sorted(values)
    return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)


async def closed_loop(load: Load, seconds: float, at_once: int) -> None:
    """Send requests as fast as they are answered, with `at_once` in flight."""
    end = time.perf_counter() + seconds
    start, count = time.perf_counter(), 0

    def send_next() -> None:
        nonlocal count
        load.send(time.perf_counter(), load.requests[count % len(load.requests)])
        count += 1

    answered = load.answered

    def answered_and_next(connection: Connection, status: int, body: bytes, closing: bool) -> None:
        answered(connection, status, body, closing)
        if time.perf_counter() < end:
            send_next()

    load.answered = answered_and_next  # type: ignore[method-assign]
    for _ in range(at_once):
        send_next()
    await asyncio.sleep(seconds + 0.5)
    load.elapsed = time.perf_counter() - start - 0.5


async def open_loop(load: Load, rate: float, seconds: float, seed: int) -> None:
    """Send requests as a Poisson process with a mean rate per second."""
    rng = random.Random(seed)
    start = due = time.perf_counter()
    count = 0
    while due < start + seconds:
        now = time.perf_counter()
        while due <= now:
            load.send(due, load.requests[count % len(load.requests)])
            count += 1
            due += rng.expovariate(rate)
        await asyncio.sleep(max(0.0, min(due - time.perf_counter(), 0.002)))
    load.elapsed = time.perf_counter() - start
    end = time.perf_counter() + GRACE_SECONDS
    while time.perf_counter() < end and (load.waiting or len(load.idle) < load.open):
        await asyncio.sleep(0.02)


async def terminate(load: Load, pid: int, after: float) -> None:
    """Send SIGTERM to the server after some seconds."""
    await asyncio.sleep(after)
    load.term = time.perf_counter()
    os.kill(pid, signal.SIGTERM)


def summary(load: Load) -> dict[str, object]:
    """Counts, rates and latencies by status code."""
    elapsed = load.elapsed
    result: dict[str, object] = {"seconds": round(elapsed, 2), "connections": load.open}
    total = sum(map(len, load.seconds.values()))
    result["responses_per_second"] = round(total / elapsed, 1)
    for status, values in sorted(load.seconds.items()):
        result[str(status)] = {
            "count": len(values),
            "per_second": round(len(values) / elapsed, 1),
            "milliseconds": {
                "p50": percentile(values, 0.5),
                "p90": percentile(values, 0.9),
                "p99": percentile(values, 0.99),
                "max": percentile(values, 1),
            },
        }
    # Some requests may still be in flight; others were never sent for lack of a free connection.
    result["in_flight"], result["not_sent"] = load.open - len(load.idle), len(load.waiting)
    return result | {"unanswered": dict(load.ended)}


async def run(options: argparse.Namespace, requests: list[bytes]) -> dict[str, object]:
    """Apply the load and summarise it."""
    load = Load(options.port, requests, options.connections)
    term = asyncio.create_task(terminate(load, options.term, options.seconds / 2)) if options.term else None
    if options.at_once:
        await closed_loop(load, options.seconds, options.at_once)
    else:
        await open_loop(load, options.rate, options.seconds, options.seed)
    if term:
        await term
    return summary(load)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--images", type=Path, required=True, help="a folder of image files")
    parser.add_argument("--rate", type=float, default=100.0, help="requests per second [default: 100]")
    parser.add_argument(
        "--at-once", type=int, default=0, help="closed loop with this many requests in flight, instead of a rate"
    )
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--term", type=int, default=0, help="process that gets SIGTERM halfway through")
    options = parser.parse_args()
    contents = [path.read_bytes() for path in sorted(options.images.iterdir())]
    head = "POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: {}\r\n\r\n"
    requests = [head.format(len(content)).encode() + content for content in contents]
    try:
        import uvloop

        result = uvloop.run(run(options, requests))
    except ModuleNotFoundError:
        result = asyncio.run(run(options, requests))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
