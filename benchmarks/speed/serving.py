"""How fast a server answers, how it says no to ten times what it can answer, and whether it loses any when it ends.

python benchmarks/serving.py --out results/2026-12-05-serving        # 2 minutes, on a machine with nothing else to do

The load comes from a process of its own (load.py) on the same computer, by raw sockets: so many requests a second at
random moments, sent whatever became of those before, and timed from the moment at which they should have been sent.
Capacity is what 16 clients get who ask again as soon as they are answered.
"""

import argparse
import io
import json
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from imparfait.data.load import load_data

HERE = Path(__file__).parent
PICTURES = 500
DRAWN = 140  # pixels a side, dark on light, as a page sends what is drawn on it


def write_pictures(folder: Path, drawn: bool) -> None:
    """PNGs of images that the models were not fitted on: as they are in MNIST, or enlarged and dark on light."""
    _, validation = load_data().fitting()
    for number, pixels in enumerate(validation.pixels[:PICTURES, 0]):
        image = Image.fromarray(pixels)
        if drawn:
            large = np.asarray(image.resize((DRAWN, DRAWN), Image.Resampling.BICUBIC))
            image = Image.fromarray(255 - large)
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        (folder / f"{number:04d}.png").write_bytes(buffer.getvalue())


@contextmanager
def a_server(*words: str):
    """A server in a process of its own that is ready, and its port."""
    command = [sys.executable, "-m", "imparfait", "serve", "--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            port = int(process.stdout.readline().split()[3].rpartition(":")[2])
            for _ in range(200):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5)
                    break
                except urllib.error.URLError:
                    time.sleep(0.05)
            yield process, port
        finally:
            process.kill()


def loaded(port: int, folder: Path, *words: object) -> dict[str, object]:
    """What became of a load."""
    command = [sys.executable, HERE / "load.py", "--port", port, "--images", folder, *words]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    told: dict[str, object] = json.loads(done.stdout)
    print(" ".join(map(str, words)), done.stdout.strip(), file=sys.stderr, flush=True)
    return told


def memory(process: subprocess.Popen[str], what: str) -> int:
    """MiB that a process has (VmRSS), or has had at most (VmHWM)."""
    return int(Path(f"/proc/{process.pid}/status").read_text().split(f"{what}:")[1].split()[0]) // 1024


def timed(port: int, path: str, image: bytes, times: int) -> dict[str, float]:
    """Milliseconds of one question after the other: the first, and the middle of the others."""
    seconds = []
    for _ in range(times + 1):
        start = time.perf_counter()
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", image, {"Content-Type": "image/png"})
        urllib.request.urlopen(request, timeout=60).read()
        seconds.append(time.perf_counter() - start)
    return {"first": round(1000 * seconds[0], 1), "median": round(1000 * float(np.median(seconds[1:])), 1)}


def measured(folder: Path, seconds: float) -> dict[str, object]:
    """All there is to measure with these images."""
    found: dict[str, object] = {}
    image = next(iter(sorted(folder.iterdir()))).read_bytes()
    with a_server() as (process, port):
        found["memory_MiB_at_start"] = memory(process, "VmRSS")
        loaded(port, folder, "--at-once", 16, "--seconds", 2)  # warm
        capacity = loaded(port, folder, "--at-once", 16, "--seconds", seconds)
        most = float(capacity["200"]["per_second"])  # type: ignore[index,call-overload]
        found["capacity"] = capacity
        found["one_after_the_other_ms"] = timed(port, "/v1/predict", image, 200)
        found["load_70_percent"] = loaded(port, folder, "--rate", 0.7 * most, "--seconds", 2 * seconds)
        found["load_500_per_second"] = loaded(port, folder, "--rate", 500, "--seconds", 2 * seconds)
        found["load_5000_per_second"] = loaded(port, folder, "--rate", 5000, "--seconds", seconds)
        found["load_10_times_capacity"] = loaded(port, folder, "--rate", 10 * most, "--seconds", seconds)
        found["load_70_percent_again"] = loaded(port, folder, "--rate", 0.7 * most, "--seconds", seconds)
        found["memory_MiB_at_most"] = memory(process, "VmHWM")
        found["sigterm_at_70_percent"] = loaded(
            port, folder, "--rate", 0.7 * most, "--seconds", seconds, "--term", process.pid
        )
        found["exit_code"] = process.wait(30)
    with a_server() as (process, port):
        found["sigterm_at_10_times_capacity"] = loaded(
            port, folder, "--rate", 10 * most, "--seconds", seconds, "--term", process.pid
        )
        found["exit_code_at_10_times"] = process.wait(30)
    return found


def altering(folder: Path) -> dict[str, object]:
    """What the page asks for while somebody draws."""
    image = next(iter(sorted(folder.iterdir()))).read_bytes()
    with a_server() as (process, port):
        found: dict[str, object] = {
            "predict_beside": timed(port, "/v1/predict?beside=1", image, 50),
            "alter": timed(port, "/v1/alter?name=rotate&severity=0.5", image, 50),
            "break": timed(port, "/v1/break", image, 10),
            "memory_MiB": memory(process, "VmRSS"),
        }
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each load")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    summary: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        for kind in ("stored", "drawn"):
            folder = Path(name) / kind
            folder.mkdir()
            write_pictures(folder, kind == "drawn")
            summary[kind] = measured(folder, options.seconds)
        summary["page_ms"] = altering(Path(name) / "drawn")
    if options.out:
        from claims import leave

        leave(options.out, summary)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
