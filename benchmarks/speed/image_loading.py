"""Loading speed of class folders of small PNG files, and memory beyond their pixels.

python benchmarks/speed/image_loading.py --out results/image-folder-loading

MNIST's training images are written as PNG files, one folder per class. Each count is loaded in its own process.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait.cli import console
from imparfait.data.load import load_data

COUNTS = (25_000, 50_000, 100_000)
ROUNDS = 3


def memory(what: str) -> float:
    """MiB this process uses now (VmRSS) or used at most (VmHWM); getrusage would include its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{what}:")[1].split()[0]) / 1024


def write(folder: Path, count: int) -> None:
    """Write `count` PNG files, repeating MNIST's images."""
    data = load_data().train
    for name in data.classes:
        (folder / name).mkdir(parents=True)
    for index in range(count):
        row = index % len(data)
        Image.fromarray(data.pixels[row, 0]).save(folder / data.classes[data.labels[row]] / f"{index:06d}.png")


def open_once(folder: Path) -> None:
    """Print images/s and MiB beyond the pixels, with the progress bar that users see."""
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak reached while importing
    before, start = memory("VmRSS"), time.perf_counter()
    train = console.loaded(folder).train
    seconds = time.perf_counter() - start
    pixels = train.pixels.nbytes / 2**20
    print(
        json.dumps(
            {
                "images_per_second": len(train) / seconds,
                "pixels_MiB": pixels,
                "extra_MiB": memory("VmHWM") - before - pixels,
            }
        )
    )


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
            command = [sys.executable, __file__, "--out", str(options.out), "--open", str(folder)]
            results = [
                json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout) for _ in range(ROUNDS)
            ]
            rates = [each["images_per_second"] for each in results]
            row = {"images": count, "images_per_second_median": round(statistics.median(rates))}
            row |= {"range": [round(min(rates)), round(max(rates))], "pixels_MiB": round(results[0]["pixels_MiB"], 1)}
            row |= {"MiB_beyond_pixels": round(max(each["extra_MiB"] for each in results), 1)}
            rows.append(row)
            print(json.dumps(row), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    summary = {"format": "PNG, 28×28, grey", "rounds": ROUNDS, "counts": rows}
    write_claim(options.out, summary)


if __name__ == "__main__":
    main()
