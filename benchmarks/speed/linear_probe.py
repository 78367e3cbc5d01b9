"""Time and memory of a linear probe on a pretrained backbone: features and fit of synthetic photographs.

python benchmarks/speed/linear_probe.py --out results/linear-probe-speed

The images are noise with a tint per class, as JPEG files of 640 by 480 pixels; what is on them does
not change the time. Each number of threads runs in its own process, with an empty cache. Needs imparfait[efficientnet].
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

CLASSES = 10


def write_photos(folder: Path, count: int) -> None:
    random = np.random.default_rng(0)
    tints = random.integers(0, 256, (CLASSES, 3))
    for number in range(count):
        label = number % CLASSES
        noise = random.integers(0, 256, (60, 80, 3), dtype=np.uint8) // 2 + (tints[label] // 2).astype(np.uint8)
        path = folder / f"class{label}" / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC).save(path, quality=90)


def measure(folder: Path, threads: int, library: str) -> dict[str, object]:
    """Seconds of each part, by the clock and of this process on its cores, and the most memory."""
    started, worked = time.perf_counter(), time.process_time()
    seconds: dict[str, float] = {}
    cpu: dict[str, float] = {}

    def lap(name: str) -> None:
        nonlocal started, worked
        seconds[name], cpu[name] = time.perf_counter() - started, time.process_time() - worked
        started, worked = time.perf_counter(), time.process_time()

    from imparfait.core.compute import ComputeConfig
    from imparfait.data.load import load_data
    from imparfait.models.registry import build
    from imparfait.training import linear_probe
    from imparfait.training.backbones import load_backbone

    lap("imports")
    data = load_data(folder, 224).train
    lap("reading images")
    backbone = load_backbone("efficientnet-lite0")
    network = build(backbone.model, channels=3, classes=CLASSES)
    backbone.fill(network)
    lap("reading weights in the sandbox")
    if library == "pytorch":
        linear_probe.EfficientNetLite0 = type(None)  # type: ignore[misc,assignment]
    compute = ComputeConfig(threads=threads)
    for step in linear_probe.fit_probe(network, data, compute, backbone.sha256):
        if step.doing == "features" and step.done == step.total:
            lap("features")
    lap("fit")
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    return {
        "library": library,
        "threads": threads,
        "images": len(data),
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "CPU seconds": {name: round(value, 2) for name, value in cpu.items()},
        "features and fit, seconds": round(seconds["features"] + seconds["fit"], 2),
        "peak MiB": round(peak),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--libraries", nargs="+", default=["onnxruntime", "pytorch"])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", nargs=3, metavar=("FOLDER", "THREADS", "LIBRARY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        folder, threads, library = options.measure
        print(json.dumps(measure(Path(folder), int(threads), library)))
        return
    results = []
    with tempfile.TemporaryDirectory() as folder:
        write_photos(Path(folder, "photos"), options.images)
        for threads, library in itertools.product(options.threads, options.libraries):
            cache = Path(folder, f"cache-{threads}-{library}")
            environment = os.environ | {"XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": str(threads)}
            before = os.getloadavg()[0]
            line = subprocess.run(
                [sys.executable, __file__, "--measure", str(Path(folder, "photos")), str(threads), library],
                env=environment, check=True, capture_output=True, text=True,
            ).stdout  # fmt: skip
            results.append(json.loads(line.splitlines()[-1]) | {"load average before": round(before, 1)})
            print(results[-1], flush=True)
    if options.out:
        write_claim(options.out, results)


if __name__ == "__main__":
    main()
