"""Robustness of the HTTP server against malformed requests, malformed images and unusual but valid requests.

python benchmarks/reliability/fuzz_http.py --examples 100 --out results/malformed-inputs/requests

Each raw request is a valid one, damaged in a way determined by its number. Images are those of fuzz_images.py,
decompression bombs last. `--examples` (per operation of the API) needs: pip install schemathesis==4.32.5
"""

import argparse
import json
import random
import re
import resource
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from helpers.fuzz_images import BOMBS, broken_image, files_of, glyph_image
from tools.claims import write_claim

DOCUMENTED = {501, 503}  # the 5xx status codes that the API describes
STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) ")
CORRUPTIONS = ("rotate", "fog", "stripe", "rotatoin", "%00", "a" * 200)
HEADERS = (
    b"Connection: close", b"Connection: Upgrade\r\nUpgrade: websocket", b"Expect: 100-continue", b"Host: evil.example",
    b"Origin: http://evil.example", b"Content-Type: text/plain", b"Content-Type: \xff\xfe", b"Content-Length: 0",
    b"Content-Length: 18446744073709551616", b"Content-Length: 1e3", b"Content-Length: +5", b"X-A: " + b"b" * 9000,
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b" folded: line", b": no name", b"\0: nul",
    b"Accept-Encoding: gzip", b"Range: bytes=0-", b"If-None-Match: \"\"", b"X-Forwarded-For: 1.2.3.4",
)  # fmt: skip


def valid_request(rng: random.Random) -> tuple[bytes, list[bytes], bytes]:
    """Request line, headers and body of a request that the API describes."""
    kind = rng.choice(("PNG", "JPEG"))
    body = rng.choice(files_of(kind))
    headers = [b"Host: localhost", b"Content-Type: image/" + kind.lower().encode()]
    match rng.randrange(8):
        case 0:
            path = rng.choice(("/v1/model", "/health/ready", "/", "/static/x.js", "/openapi.json", "/v1/gallery"))
            return f"GET {path} HTTP/1.1".encode(), headers[:1], b""
        case 1:
            name, severity = rng.choice(CORRUPTIONS), rng.choice((0, 0.5, 1, -1, "nan", 1e999))
            return f"POST /v1/corrupt?name={name}&severity={severity} HTTP/1.1".encode(), headers, body
        case 2:
            return b"POST /v1/read HTTP/1.1", headers, body
        case 3:
            return b"POST /v1/predict?baseline=1 HTTP/1.1", headers, body
        case _:
            return b"POST /v1/predict HTTP/1.1", headers, body


def raw_request(number: int) -> bytes:
    """Raw request `number`: a valid one, damaged."""
    rng = random.Random(number)
    first, headers, body = valid_request(rng)
    length = b"Content-Length: %d" % len(body)
    match rng.randrange(10):
        case 0:  # truncated anywhere
            whole = b"\r\n".join([first, *headers, length, b"", body])
            return whole[: rng.randrange(len(whole))]
        case 1:  # wrong Content-Length
            wrong_length = rng.choice((len(body) // 2, len(body) + 7, 0, -1, 10**7, 10**10, 2**63, 2**64))
            return b"\r\n".join([first, *headers, b"Content-Length: %d" % wrong_length, b"", body])
        case 2:  # valid and invalid chunks
            chunks = b"".join(
                rng.choice((b"%x", b"%X;a=b", b"0%x", b"%x ", b"-%x")) % len(part) + b"\r\n" + part + b"\r\n"
                for part in (body[:50], body[50:])
            ) + rng.choice((b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"", b"fffffffffffffffff\r\n", b"0\r\n"))
            return b"\r\n".join([first, *headers, b"Transfer-Encoding: chunked", b"", chunks])
        case 3:  # rare, invalid or huge headers
            more = rng.sample(HEADERS, rng.randrange(1, 5))
            return b"\r\n".join([first, *headers, *more, length, b"", body])
        case 4:  # very many headers, a very long one, or a very long path
            flood = rng.choice(([b"A: b"] * rng.randrange(90, 5000), [b"A: " + b"b" * rng.randrange(20_000, 300_000)]))
            first = first.replace(b" HTTP", b"a" * rng.choice((0, 40_000)) + b" HTTP")
            return b"\r\n".join([first, *headers, *flood, length, b"", body])
        case 5:  # several pipelined requests, the last one broken
            others = [b"\r\n".join([f, *h, b"Content-Length: %d" % len(b), b"", b]) for f, h, b in (
                valid_request(rng) for _ in range(rng.randrange(1, 30)))]  # fmt: skip
            return b"".join(others) + rng.randbytes(rng.randrange(30))
        case 6:  # a broken image
            _, body = broken_image(number)
            return b"\r\n".join([first, *headers, b"Content-Length: %d" % len(body), b"", body])
        case 7:  # not HTTP
            return rng.randbytes(rng.randrange(1, 3000))
        case _:  # header bytes changed, added or removed
            head = bytearray(b"\r\n".join([first, *headers, length, b"", b""]))
            for _ in range(rng.randrange(1, 6)):
                place = rng.randrange(len(head))
                match rng.randrange(3):
                    case 0:
                        head[place] = rng.randrange(256)
                    case 1:
                        head[place:place] = rng.randbytes(rng.randrange(1, 8))
                    case _:
                        del head[place : place + rng.randrange(1, 8)]
            return bytes(head) + body


def exchange(port: int, sent: bytes, seconds: float = 30) -> bytes:
    """Send bytes, close our side, and return everything until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        parts = []
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(1 << 16):
                parts.append(part)
        except (ConnectionResetError, BrokenPipeError):
            pass  # the server closed while we were sending
        return b"".join(parts)


def rss(process: int) -> float:
    """Memory of a process, in MiB."""
    return int(Path(f"/proc/{process}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


@contextmanager
def running_server(*arguments: str):
    """Start a server in its own process; yields the process and its port."""
    command = [sys.executable, "-m", "imparfait", "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process, int(process.stdout.readline().split(" (")[0].rpartition(":")[2])
        finally:
            process.terminate()


def send_all(
    port: int, process: int, ids: list[int] | list[str], make: Callable[[int | str], bytes], at_once: int
) -> dict[str, object]:
    """Send all requests, `at_once` in parallel; returns counts, times and memory."""
    statuses: Counter[str] = Counter()
    unexpected: list[dict[str, object]] = []
    slowest, peak, start = (0.0, ""), rss(process), time.perf_counter()
    before = peak

    def send(number: int | str) -> tuple[int | str, bytes, float]:
        request, started = make(number), time.perf_counter()
        try:
            response = exchange(port, request)
        except TimeoutError:
            response = b"HTTP/1.1 000 no response"
        return number, response, time.perf_counter() - started

    with ThreadPoolExecutor(at_once) as pool:
        for count, (number, response, seconds) in enumerate(pool.map(send, ids)):
            found = [int(status) for status in STATUS_LINE.findall(response)] or ["closed without a response"]
            for status in found:
                statuses[str(status)] += 1
                if status == 0 or (isinstance(status, int) and status >= 500 and status not in DOCUMENTED):
                    unexpected.append({"request": number, "response": response[-400:].decode("latin-1")})
            slowest = max(slowest, (round(seconds, 3), str(number)))
            if count % 100 == 0:
                peak = max(peak, rss(process))
    return {
        "sent": len(ids),
        "seconds": round(time.perf_counter() - start, 1),
        "statuses": dict(sorted(statuses.items())),
        "unexpected": len(unexpected),
        "first_unexpected": unexpected[:5],
        "slowest_seconds": slowest,
        "memory_MiB": {"before": round(before), "peak": round(peak), "after": round(rss(process))},
    }


def image_request(number: int | str) -> bytes:
    """A request with malformed image `number`, or the bomb of that name."""
    content = broken_image(number)[1] if isinstance(number, int) else BOMBS[number]()
    head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: {len(content)}"
    return head.encode() + b"\r\nConnection: close\r\n\r\n" + content


def run_schemathesis(port: int, examples: int) -> dict[str, object]:
    """Run schemathesis and return its summary."""
    done = subprocess.run(
        [
            "schemathesis", "run", f"http://127.0.0.1:{port}/openapi.json", "--max-examples", str(examples),
            "--seed", "0", "--no-color", "--continue-on-failure", "--exclude-checks", "positive_data_acceptance",
            "--request-timeout", "30",
        ],
        capture_output=True, text=True, cwd="/tmp",
    )  # fmt: skip
    print(done.stdout[-6000:], file=sys.stderr)
    summary = done.stdout[done.stdout.rfind("SUMMARY") :]
    return {"exit_code": done.returncode, "summary": [line.strip() for line in summary.splitlines() if line.strip()]}


def health(port: int) -> dict[str, str]:
    """Readiness, and whether the self-test image is still predicted as 7."""
    from imparfait.serving.self_test import image

    body = image()
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    ready = exchange(port, b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return {
        "ready": ready[9:12].decode(),
        "self_test": "7" if b'[{"label": "7"' in exchange(port, head + body) else "no",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raw", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first raw request [default: 0]")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--examples", type=int, default=0, help="schemathesis examples per operation [default: 0]")
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    glyph_image()
    summary: dict[str, object] = {}
    with running_server() as (process, port):
        while health(port)["ready"] != "200":
            time.sleep(0.1)
        summary["health_before"] = health(port)
        if options.raw:
            numbers = list(range(options.first, options.first + options.raw))
            summary["raw"] = send_all(port, process.pid, numbers, raw_request, options.at_once)
        if options.images:
            summary["images"] = send_all(port, process.pid, list(range(options.images)), image_request, 2)
            summary["bombs"] = send_all(port, process.pid, list(BOMBS), image_request, 1)
        if options.examples:
            summary["schemathesis"] = run_schemathesis(port, options.examples)
        summary["health_after"] = health(port)
        process.terminate()
        summary["exit_code"] = process.wait(30)
    if options.out:
        write_claim(options.out, summary)
    print(json.dumps(summary, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
