"""Pictures altered a second: ours beside Keras's ImageDataGenerator, in turn in one run.

pip install -r benchmarks/keras.txt   (an environment of its own, with imparfait installed in it)
KERAS_BACKEND=torch python benchmarks/altering.py --out results/2026-11-22-altering
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from keras.src.legacy.preprocessing.image import ImageDataGenerator

from imparfait import ALTERATIONS, Draw, Machine, load_data
from imparfait.machine import environment
from imparfait.workers import usable_cores

ROUNDS = 7
OURS, THEIRS = 20_000, 2_000  # pictures a round: about the same time for both


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    threads = usable_cores()
    torch.set_num_threads(threads)
    pixels = load_data().train.pixels[:OURS]
    images, draw = torch.from_numpy(pixels) / 255, Draw(0, "benchmark", 0, torch.arange(OURS))
    generator = ImageDataGenerator(rotation_range=15, zoom_range=0.1, width_shift_range=0.1, height_shift_range=0.1)
    flow = generator.flow(pixels[:THEIRS].transpose(0, 2, 3, 1).astype("float32"), batch_size=THEIRS, seed=0)

    def ours(name: str, severity: float) -> Callable[[], object]:
        # 4,000 at a time was the fastest of 250 to 10,000 here; 250 to 500 reach half of it
        return lambda: [
            ALTERATIONS[name](part, severity, draw.at(rows))
            for part, rows in zip(images.split(4000), torch.arange(OURS).split(4000), strict=True)
        ]

    contenders: dict[str, tuple[Callable[[], object], int]] = {
        "geometric": (ours("geometric", 0.5), OURS),
        "shrunk": (ours("shrunk", 1.0), OURS),
        "ImageDataGenerator": (lambda: next(flow), THEIRS),
    }
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, (work, pictures) in contenders.items():
            start = time.perf_counter()
            work()
            rates[name].append(pictures / (time.perf_counter() - start))
    medians = {name: round(statistics.median(values)) for name, values in rates.items()}
    summary = {
        "pictures_per_second_median": medians,
        "range": {name: [round(min(values)), round(max(values))] for name, values in rates.items()},
        "ratio_to_ImageDataGenerator": {
            name: round(medians[name] / medians["ImageDataGenerator"], 1) for name in ("geometric", "shrunk")
        },
        "rounds_in_turn": ROUNDS,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "scores.json").write_text(json.dumps(summary, indent=2) + "\n")
    (options.out / "environment.json").write_text(json.dumps(environment(Machine(threads=threads)), indent=2) + "\n")
    (options.out / "command.txt").write_text("KERAS_BACKEND=torch python " + " ".join(sys.argv) + "\n")
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
