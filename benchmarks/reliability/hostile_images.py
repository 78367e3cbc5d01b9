"""Images that are valid and meant to cost a lot, sent to a server while another client draws digits.

python benchmarks/reliability/hostile_images.py [--out FOLDER]

Over forty kinds: bombs of every format, extreme shapes, thousands of pieces, spirals, many scans, many pages. For each
and for both endpoints: seconds, processor time and memory of the process that has the image, and how long drawings
waited meanwhile. Processor time and memory are read from /proc every 20 ms. Memory is without that of the program, as
the processes share it with the one that they are forked from.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim
from tools.hostile import drawing, hostile_images, page, pieces

SECONDS, MEBIBYTES, WAIT = 2.0, 300, 0.1  # wanted at most: processor time, memory, and what a small drawing waits
DRAWINGS_PER_SECOND = 20
TICKS = os.sysconf("SC_CLK_TCK")


class Watcher:
    """Processor seconds and memory of the server's image workers, while a request runs."""

    def __init__(self, server: int) -> None:
        self.server = server
        self.known: dict[int, float] = {}
        self.seconds = self.mebibytes = self.shared = 0.0
        self._running = True
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """Count from here."""
        with self._lock:
            self.known = {pid: use[0] for pid, use in self._uses().items()}
            self.seconds = self.mebibytes = 0.0

    def _uses(self) -> dict[int, tuple[float, float]]:
        """Processor seconds and MiB by process, of all that the server started."""
        parents: dict[int, tuple[int, float, float]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    peak = re.search(r"VmHWM:\s+(\d+)", (entry / "status").read_text())
                except OSError:
                    continue
                seconds = (int(fields[11]) + int(fields[12])) / TICKS
                parents[int(entry.name)] = int(fields[1]), seconds, int(peak[1]) / 1024 if peak else 0.0
        found = {self.server}
        while more := {pid for pid, (parent, *_) in parents.items() if parent in found} - found:
            found |= more
        return {pid: parents[pid][1:] for pid in found - {self.server} if pid in parents}

    def _watch(self) -> None:
        while self._running:
            uses = self._uses()
            with self._lock:
                for pid, (seconds, mebibytes) in uses.items():
                    self.seconds = max(self.seconds, seconds - self.known.get(pid, 0.0))
                    if seconds > self.known.get(pid, -1.0):  # it worked
                        self.mebibytes = max(self.mebibytes, mebibytes - self.shared)
            time.sleep(0.02)


def post(url: str, body: bytes) -> int:
    """The status of the response."""
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, body, {"Content-Type": "image/png"}), timeout=60
        ) as response:
            response.read()
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.read()
        return error.code


def main() -> None:
    """Send all, print a table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    files = hostile_images()
    command = [sys.executable, "-c", "from imparfait.cli.main import main; main()", "serve", "digits", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert server.stdout
    url = next(found[0].rstrip("/") for line in server.stdout if (found := re.search(r"http://127\S+", line)))
    threading.Thread(target=lambda: [None for _ in server.stdout or ()], daemon=True).start()
    while True:
        try:
            urllib.request.urlopen(f"{url}/health/ready").read()
            break
        except OSError:
            time.sleep(0.1)
    waits: list[tuple[int, float]] = []
    stopped = threading.Event()

    def draw() -> None:
        body = drawing()
        while not stopped.wait(1 / DRAWINGS_PER_SECOND):
            started = time.perf_counter()
            status = post(f"{url}/v1/predict", body)
            waits.append((status, time.perf_counter() - started))

    post(
        f"{url}/v1/read", page(100, 100, pieces(40, 30, "seven"))
    )  # starts the process that the others are forked from
    watcher = Watcher(server.pid)
    watcher.shared = max((mebibytes for _, mebibytes in watcher._uses().values()), default=0.0)
    print(f"{watcher.shared:.0f} MiB are shared")
    client = threading.Thread(target=draw)
    client.start()
    rows = []
    for name, body in files.items():
        for path in ("predict", "read"):
            watcher.begin()
            started, first = time.perf_counter(), len(waits)
            status = post(f"{url}/v1/{path}", body)
            wall = time.perf_counter() - started
            slowest = max((wait for _, wait in waits[first:]), default=0.0)
            row = {"image": name, "bytes": len(body), "path": path, "status": status, "seconds": wall,
                   "cpu": watcher.seconds, "mebibytes": watcher.mebibytes, "slowest_drawing": slowest}  # fmt: skip
            rows.append(row)
            print(f"{name:42} {path:8} {status} {wall:6.2f} s {watcher.seconds:6.2f} s CPU "
                  f"{watcher.mebibytes:5.0f} MiB  drawings ≤ {1000 * slowest:4.0f} ms", flush=True)  # fmt: skip
    stopped.set()
    client.join()
    server.terminate()
    server.wait()
    within = sum(wait <= WAIT for status, wait in waits if status == 200)
    summary = {
        "requests": len(rows),
        "over 2 s": sum(row["seconds"] > SECONDS for row in rows),
        "over 2 s of processor time": sum(row["cpu"] > SECONDS for row in rows),
        "over 300 MiB": sum(row["mebibytes"] > MEBIBYTES for row in rows),
        "drawings": len(waits),
        "refused drawings": sum(status != 200 for status, _ in waits),
        "drawings within 100 ms": within / len(waits),
        "unintended 5xx": sum(row["status"] >= 500 and row["status"] != 503 for row in rows),
    }
    print(json.dumps(summary, indent=1))
    if options.out:
        write_claim(options.out, {"summary": summary, "rows": rows})


if __name__ == "__main__":
    main()
