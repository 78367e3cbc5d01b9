"""Latency, capacity and overload behaviour of the HTTP server, and requests lost at shutdown.

python benchmarks/speed/serving.py --out results/serving-load        # 2 minutes, on an idle machine
python benchmarks/speed/serving.py --workers 2 --out results/serving-load-2-workers

The load comes from its own process (load.py) on the same machine, over raw sockets. Requests are sent at random moments
at a fixed mean rate, whatever became of earlier ones, and timed from the moment they were due. Capacity is what 16
clients achieve that send their next request as soon as the last is answered.
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

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait.data.load import load_data

IMAGES = 500
DRAWN_SIDE = 140  # pixels; the web page sends drawings dark on light


def write_images(folder: Path, drawn: bool) -> None:
    """Write validation images as PNG files: as stored in MNIST, or enlarged and dark on light like drawings."""
    _, validation = load_data().train_val()
    for number, pixels in enumerate(validation.pixels[:IMAGES, 0]):
        image = Image.fromarray(pixels)
        if drawn:
            large = np.asarray(image.resize((DRAWN_SIDE, DRAWN_SIDE), Image.Resampling.BICUBIC))
            image = Image.fromarray(255 - large)
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        (folder / f"{number:04d}.png").write_bytes(buffer.getvalue())


@contextmanager
def running_server(*arguments: str):
    """Start a server in its own process and wait until it is ready; yields the process and its port."""
    command = [sys.executable, "-m", "imparfait", "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            port = int(process.stdout.readline().split(" (")[0].rpartition(":")[2])
            for _ in range(200):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5)
                    break
                except urllib.error.URLError:
                    time.sleep(0.05)
            yield process, port
        finally:
            process.kill()


def run_load(port: int, folder: Path, *arguments: object) -> dict[str, object]:
    """Run load.py and return its summary."""
    command = [sys.executable, Path(__file__).with_name("load.py"), "--port", port, "--images", folder, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, object] = json.loads(done.stdout)
    print(" ".join(map(str, arguments)), done.stdout.strip(), file=sys.stderr, flush=True)
    return result


def memory(process: subprocess.Popen[str], what: str) -> int:
    """MiB that a server and its workers use now (VmRSS) or used at most (VmHWM), without image workers."""
    task = Path(f"/proc/{process.pid}/task/{process.pid}")
    children = (task / "children").read_text().split()
    serving = [pid for pid in children if "imparfait.serving.worker" in Path(f"/proc/{pid}/cmdline").read_text()]
    status = [Path(f"/proc/{pid}/status").read_text() for pid in (process.pid, *serving)]
    return sum(int(text.split(f"{what}:")[1].split()[0]) for text in status) // 1024


def timed(port: int, path: str, image: bytes, times: int) -> dict[str, float]:
    """Milliseconds of sequential requests: the first, and the median of the others."""
    seconds = []
    for _ in range(times + 1):
        start = time.perf_counter()
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", image, {"Content-Type": "image/png"})
        urllib.request.urlopen(request, timeout=60).read()
        seconds.append(time.perf_counter() - start)
    return {"first": round(1000 * seconds[0], 1), "median": round(1000 * float(np.median(seconds[1:])), 1)}


def measure_load(folder: Path, seconds: float, flags: list[str]) -> dict[str, object]:
    """Latency, capacity, overload and shutdown with these images."""
    results: dict[str, object] = {}
    image = next(iter(sorted(folder.iterdir()))).read_bytes()
    with running_server(*flags) as (process, port):
        results["memory_MiB_at_start"] = memory(process, "VmRSS")
        run_load(port, folder, "--at-once", 16, "--seconds", 2)  # warm-up
        capacity = run_load(port, folder, "--at-once", 16, "--seconds", seconds)
        capacity_rate = float(capacity["200"]["per_second"])  # type: ignore[index,call-overload]
        results["capacity"] = capacity
        results["sequential_ms"] = timed(port, "/v1/predict", image, 200)
        results["load_70_percent"] = run_load(port, folder, "--rate", 0.7 * capacity_rate, "--seconds", 2 * seconds)
        results["load_500_per_second"] = run_load(port, folder, "--rate", 500, "--seconds", 2 * seconds)
        results["load_5000_per_second"] = run_load(port, folder, "--rate", 5000, "--seconds", seconds)
        results["load_10_times_capacity"] = run_load(port, folder, "--rate", 10 * capacity_rate, "--seconds", seconds)
        results["load_70_percent_again"] = run_load(port, folder, "--rate", 0.7 * capacity_rate, "--seconds", seconds)
        results["memory_MiB_peak"] = memory(process, "VmHWM")
        results["sigterm_at_70_percent"] = run_load(
            port, folder, "--rate", 0.7 * capacity_rate, "--seconds", seconds, "--term", process.pid
        )
        results["exit_code"] = process.wait(30)
    with running_server(*flags) as (process, port):
        results["sigterm_at_10_times_capacity"] = run_load(
            port, folder, "--rate", 10 * capacity_rate, "--seconds", seconds, "--term", process.pid
        )
        results["exit_code_at_10_times"] = process.wait(30)
    return results


def measure_page(folder: Path, flags: list[str]) -> dict[str, object]:
    """Latency of the requests that the web page sends while somebody draws."""
    image = next(iter(sorted(folder.iterdir()))).read_bytes()
    with running_server(*flags) as (process, port):
        results: dict[str, object] = {
            "predict_with_baseline": timed(port, "/v1/predict?baseline=1", image, 50),
            "corrupt": timed(port, "/v1/corrupt?name=rotate&severity=0.5", image, 50),
            "robustness": timed(port, "/v1/robustness", image, 10),
            "memory_MiB": memory(process, "VmRSS"),
        }
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="duration of each load [default: 8]")
    parser.add_argument("--workers", type=int, default=1, help="processes of the server [default: 1]")
    parser.add_argument("--threads", type=int, default=1, help="threads of each [default: 1]")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    flags = ["--workers", str(options.workers), "--threads", str(options.threads)]
    summary: dict[str, object] = {"flags": flags}
    with tempfile.TemporaryDirectory() as name:
        for kind in ("stored", "drawn"):
            folder = Path(name) / kind
            folder.mkdir()
            write_images(folder, kind == "drawn")
            summary[kind] = measure_load(folder, options.seconds, flags)
        summary["page_ms"] = measure_page(Path(name) / "drawn", flags)
    if options.out:
        write_claim(options.out, summary)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
