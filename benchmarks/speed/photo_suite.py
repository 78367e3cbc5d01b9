"""Time and memory of the photo suite: seconds an image by corruption, and for all conditions.

python benchmarks/speed/photo_suite.py [--out FOLDER]

Photographs of 32 and 224 pixels a side in colour become uint8 arrays under every condition, as in an evaluation; no
model is run. Seconds are of the processor, of one thread: the best of several rounds.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from imparfait.core.compute import ComputeConfig, tune_malloc
from imparfait.core.hardware import environment
from imparfait.core.storage import write_json
from imparfait.corruptions import PHOTO_CORRUPTIONS
from imparfait.data.corrupted import corrupt
from imparfait.data.dataset import LabelledImages

SIZES = {32: 1000, 224: 24}  # side in pixels: number of images
ROUNDS = 3


def photographs(side: int, n: int) -> LabelledImages:
    """Crops of two photographs."""
    photos = [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    crops = []
    for number in range(n):
        left, top = 37 * number % 230, 23 * number % 20
        crop = photos[number % 2].resize((side, side), Image.Resampling.LANCZOS, (left, top, left + 400, top + 400))
        crops.append(np.asarray(crop).transpose(2, 0, 1))
    return LabelledImages(np.stack(crops), np.arange(n) % 2, np.arange(n), ("a", "b"), "photos", "validation")


def seconds_per_image(data: LabelledImages, name: str, severity: float) -> float:
    """The best of ROUNDS, in processor seconds."""
    taken = []
    for _ in range(ROUNDS):
        started = time.process_time()
        corrupt(data, name, severity)
        taken.append(time.process_time() - started)
    return min(taken) / len(data)


def main() -> None:
    """Measure, print a table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tune_malloc()  # as `imparfait evaluate` does
    results: dict[str, dict[str, object]] = {}
    for side, n in SIZES.items():
        data = photographs(side, n)
        for name in PHOTO_CORRUPTIONS:  # tables are made, and memory is claimed
            corrupt(data.select(np.arange(2)), name, 1.0)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        each = {
            name: [round(seconds_per_image(data, name, level / 5), 6) for level in range(1, 6)]
            for name in PHOTO_CORRUPTIONS
        }
        total = sum(map(sum, each.values()))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"{side} pixels, {n} images: ms an image at levels 1 to 5, and their sum")
        for name, levels in each.items():
            print(f"  {name:24s} {'  '.join(f'{1000 * one:5.2f}' for one in levels)}   {1000 * sum(levels):6.2f}")
        more = (peak - before) / 2**10
        print(f"  all 125 conditions: {total:.4f} s an image; memory: {peak / 2**10:.0f} MiB, {more:.0f} more")
        results[str(side)] = {"images": n, "seconds": each, "total": total, "peak_MiB": round(peak / 2**10)}
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        write_json(options.out / "scores.json", results)
        write_json(options.out / "environment.json", environment(ComputeConfig()))


if __name__ == "__main__":
    main()
