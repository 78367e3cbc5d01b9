"""What a server makes of requests that are broken in endless ways, of broken images, and of what its OpenAPI allows.

python benchmarks/rude_requests.py --raw 20000 --images 10000 --examples 100 --out results/2026-12-05-rude-requests

Each raw request is a good one, damaged in a way that its number decides; images are those of malformed_pictures.py,
bombs last. `--examples` (of each operation) needs: pip install schemathesis==4.32.5
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.fuzz_images import BOMBS, a_broken_picture, a_sign, files_of

INTENDED = {501, 503}  # of the statuses from 500 on, those that the API describes
ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) ")
CORRUPTIONS = ("rotate", "fog", "stripe", "rotatoin", "%00", "a" * 200)
HEADERS = (
    b"Connection: close", b"Connection: Upgrade\r\nUpgrade: websocket", b"Expect: 100-continue", b"Host: evil.example",
    b"Origin: http://evil.example", b"Content-Type: text/plain", b"Content-Type: \xff\xfe", b"Content-Length: 0",
    b"Content-Length: 18446744073709551616", b"Content-Length: 1e3", b"Content-Length: +5", b"X-A: " + b"b" * 9000,
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b" folded: line", b": no name", b"\0: nul",
    b"Accept-Encoding: gzip", b"Range: bytes=0-", b"If-None-Match: \"\"", b"X-Forwarded-For: 1.2.3.4",
)  # fmt: skip


def a_good_request(chance: random.Random) -> tuple[bytes, list[bytes], bytes]:
    """First line, headers and body of a request that the API describes."""
    kind = chance.choice(("PNG", "JPEG"))
    body = chance.choice(files_of(kind))
    headers = [b"Host: localhost", b"Content-Type: image/" + kind.lower().encode()]
    match chance.randrange(8):
        case 0:
            path = chance.choice(("/v1/model", "/health/ready", "/", "/static/x.js", "/openapi.json", "/v1/gallery"))
            return f"GET {path} HTTP/1.1".encode(), headers[:1], b""
        case 1:
            name, severity = chance.choice(CORRUPTIONS), chance.choice((0, 0.5, 1, -1, "nan", 1e999))
            return f"POST /v1/alter?name={name}&severity={severity} HTTP/1.1".encode(), headers, body
        case 2:
            return b"POST /v1/read HTTP/1.1", headers, body
        case 3:
            return b"POST /v1/predict?beside=1 HTTP/1.1", headers, body
        case _:
            return b"POST /v1/predict HTTP/1.1", headers, body


def a_raw_request(number: int) -> bytes:
    """Raw request `number`: a good one, damaged."""
    chance = random.Random(number)
    first, headers, body = a_good_request(chance)
    length = b"Content-Length: %d" % len(body)
    match chance.randrange(10):
        case 0:  # cut off anywhere
            whole = b"\r\n".join([first, *headers, length, b"", body])
            return whole[: chance.randrange(len(whole))]
        case 1:  # a lie about the length
            lie = chance.choice((len(body) // 2, len(body) + 7, 0, -1, 10**7, 10**10, 2**63, 2**64))
            return b"\r\n".join([first, *headers, b"Content-Length: %d" % lie, b"", body])
        case 2:  # chunks, good and not
            chunks = b"".join(
                chance.choice((b"%x", b"%X;a=b", b"0%x", b"%x ", b"-%x")) % len(part) + b"\r\n" + part + b"\r\n"
                for part in (body[:50], body[50:])
            ) + chance.choice((b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"", b"fffffffffffffffff\r\n", b"0\r\n"))
            return b"\r\n".join([first, *headers, b"Transfer-Encoding: chunked", b"", chunks])
        case 3:  # headers that are rare, wrong or huge
            more = chance.sample(HEADERS, chance.randrange(1, 5))
            return b"\r\n".join([first, *headers, *more, length, b"", body])
        case 4:  # very many headers, or a very long one, or a very long path
            flood = chance.choice(
                ([b"A: b"] * chance.randrange(90, 5000), [b"A: " + b"b" * chance.randrange(20_000, 300_000)])
            )
            first = first.replace(b" HTTP", b"a" * chance.choice((0, 40_000)) + b" HTTP")
            return b"\r\n".join([first, *headers, *flood, length, b"", body])
        case 5:  # several at once, the last one broken
            others = [b"\r\n".join([f, *h, b"Content-Length: %d" % len(b), b"", b]) for f, h, b in (
                a_good_request(chance) for _ in range(chance.randrange(1, 30)))]  # fmt: skip
            return b"".join(others) + chance.randbytes(chance.randrange(30))
        case 6:  # a broken image
            _, body = a_broken_picture(number)
            return b"\r\n".join([first, *headers, b"Content-Length: %d" % len(body), b"", body])
        case 7:  # nothing of HTTP
            return chance.randbytes(chance.randrange(1, 3000))
        case _:  # bytes of its head changed, added, left out
            head = bytearray(b"\r\n".join([first, *headers, length, b"", b""]))
            for _ in range(chance.randrange(1, 6)):
                place = chance.randrange(len(head))
                match chance.randrange(3):
                    case 0:
                        head[place] = chance.randrange(256)
                    case 1:
                        head[place:place] = chance.randbytes(chance.randrange(1, 8))
                    case _:
                        del head[place : place + chance.randrange(1, 8)]
            return bytes(head) + body


def exchanged(port: int, sent: bytes, seconds: float = 30) -> bytes:
    """What comes back until the server ends the connection, after all is sent and no more will be."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        parts = []
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(1 << 16):
                parts.append(part)
        except (ConnectionResetError, BrokenPipeError):
            pass  # it was cut off while it still sent
        return b"".join(parts)


def rss(process: int) -> float:
    """MiB that a process has."""
    return int(Path(f"/proc/{process}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


@contextmanager
def a_server(*words: str):
    """A server in a process of its own, and its port."""
    command = [sys.executable, "-m", "imparfait", "serve", "--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process, int(process.stdout.readline().split()[3].rpartition(":")[2])
        finally:
            process.terminate()


def many(port: int, process: int, requests: "list[tuple[object, bytes]]", make, at_once: int) -> dict[str, object]:
    """Send them all, so many at once; what became of them, in numbers."""
    statuses: Counter[str] = Counter()
    bad: list[dict[str, object]] = []
    slowest, most, start = (0.0, ""), rss(process), time.perf_counter()
    before = most

    def one(which: object) -> tuple[object, bytes, float]:
        sent, begun = make(which), time.perf_counter()
        try:
            said = exchanged(port, sent)
        except TimeoutError:
            said = b"HTTP/1.1 000 no answer"
        return which, said, time.perf_counter() - begun

    with ThreadPoolExecutor(at_once) as pool:
        for count, (which, said, seconds) in enumerate(pool.map(one, requests)):
            found = [int(status) for status in ANSWER.findall(said)] or ["closed without a word"]
            for status in found:
                statuses[str(status)] += 1
                if status == 0 or (isinstance(status, int) and status >= 500 and status not in INTENDED):
                    bad.append({"request": which, "said": said[-400:].decode("latin-1")})
            slowest = max(slowest, (round(seconds, 3), str(which)))
            if count % 100 == 0:
                most = max(most, rss(process))
    return {
        "sent": len(requests),
        "seconds": round(time.perf_counter() - start, 1),
        "answers": dict(sorted(statuses.items())),
        "unintended": len(bad),
        "the_first_of_them": bad[:5],
        "slowest_seconds": slowest,
        "memory_MiB": {"before": round(before), "most": round(most), "after": round(rss(process))},
    }


def picture_request(which: object) -> bytes:
    """A request with broken image number `which`, or the bomb of that name."""
    content = a_broken_picture(which)[1] if isinstance(which, int) else BOMBS[str(which)]()
    head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: {len(content)}"
    return head.encode() + b"\r\nConnection: close\r\n\r\n" + content


def by_schemathesis(port: int, examples: int) -> dict[str, object]:
    """What schemathesis finds, in its own words."""
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


def still_well(port: int) -> dict[str, str]:
    """Whether it still answers as it should."""
    from imparfait.serving.self_test import image

    body = image()
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    ready = exchanged(port, b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return {"ready": ready[9:12].decode(), "seven": "7" if b'[{"label": "7"' in exchanged(port, head + body) else "no"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raw", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first raw request")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--examples", type=int, default=0, help="of each operation, by schemathesis")
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    a_sign()
    summary: dict[str, object] = {}
    with a_server() as (process, port):
        while still_well(port)["ready"] != "200":
            time.sleep(0.1)
        summary["well_before"] = still_well(port)
        if options.raw:
            numbers = list(range(options.first, options.first + options.raw))
            summary["raw"] = many(port, process.pid, numbers, a_raw_request, options.at_once)
        if options.images:
            summary["images"] = many(port, process.pid, list(range(options.images)), picture_request, 2)
            summary["bombs"] = many(port, process.pid, list(BOMBS), picture_request, 1)
        if options.examples:
            summary["schemathesis"] = by_schemathesis(port, options.examples)
        summary["well_after"] = still_well(port)
        process.terminate()
        summary["exit_code"] = process.wait(30)
    if options.out:
        from claims import leave

        leave(options.out, summary)
    print(json.dumps(summary, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
