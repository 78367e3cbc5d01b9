"""Small PNGs opened a second from class folders, and the memory it takes beyond their pixels.

python benchmarks/opening.py --out results/2026-11-24-opening

MNIST's training images are written as PNGs, one folder a class; each count is opened by a process of its own.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from claims import leave
from PIL import Image

from imparfait.cli import console
from imparfait.data.load import load_data

COUNTS = (25_000, 50_000, 100_000)
ROUNDS = 3


def memory(what: str) -> float:
    """MiB that this process has (VmRSS), or has had at most (VmHWM); getrusage would count its parent's too."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{what}:")[1].split()[0]) / 1024


def write(folder: Path, count: int) -> None:
    """`count` PNGs, MNIST's images again and again."""
    data = load_data().train
    for name in data.classes:
        (folder / name).mkdir(parents=True)
    for index in range(count):
        row = index % len(data)
        Image.fromarray(data.pixels[row, 0]).save(folder / data.classes[data.labels[row]] / f"{index:06d}.png")


def open_once(folder: Path) -> None:
    """Print images/s and MiB beyond the pixels, behind the bar that users see."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the most there was while modules were imported
    before, start = memory("VmRSS"), time.perf_counter()
    train = console.loaded(folder).train
    seconds = time.perf_counter() - start
    pixels = train.pixels.nbytes / 2**20
    print(json.dumps({"per_second": len(train) / seconds, "MiB": pixels, "beyond": memory("VmHWM") - before - pixels}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.open:
        open_once(options.open)
        return
    rows = []
    with tempfile.TemporaryDirectory() as home:
        for count in COUNTS:
            folder = Path(home) / str(count)
            write(folder, count)
            words = [sys.executable, __file__, "--out", str(options.out), "--open", str(folder)]
            told = [json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout) for _ in range(ROUNDS)]
            rates = [each["per_second"] for each in told]
            row = {"images": count, "per_second_median": round(statistics.median(rates))}
            row |= {"range": [round(min(rates)), round(max(rates))], "pixels_MiB": round(told[0]["MiB"], 1)}
            row |= {"MiB_beyond_the_pixels": round(max(each["beyond"] for each in told), 1)}
            rows.append(row)
            print(json.dumps(row), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    summary = {"format": "PNG, 28 by 28, grey", "rounds": ROUNDS, "counts": rows}
    leave(options.out, summary)


if __name__ == "__main__":
    main()
