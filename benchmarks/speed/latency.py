"""How fast answers come: from the start of the command, over a folder, and for images that are in memory already.

python benchmarks/answering.py [--only start folder arrays] --out results/2026-12-05-answering

start: the command `imparfait predict` from its process's start to its end, one image of 28×28 and one photograph.
folder: 20,000 PNGs into a .jsonl file. arrays: images/s of PyTorch (bfloat16 where the processor has it, float32) and
of ONNX Runtime for an untrained network of each kind, on the same arrays, in turn, on all cores.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from claims import leave
from helpers.photos import SCENES, file

from imparfait import load_data, split
from imparfait.core.compute import ComputeConfig, usable_cores
from imparfait.core.hardware import has_bf16_units

IMPARFAIT = [sys.executable, "-m", "imparfait"]
PICTURES, FOLDER = 40_000, 20_000


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def start(rounds: int) -> dict[str, object]:
    _, development = split(load_data().train)
    digit = development.pixels[0, 0]
    told = {}
    with tempfile.TemporaryDirectory() as place:
        digit_file, photograph = Path(place) / "digit.png", Path(place) / "photograph.jpg"
        Image.fromarray(digit).save(digit_file)
        photograph.write_bytes(file(next(iter(SCENES.values()))(digit, np.random.default_rng(0)), "JPEG"))
        for path in (digit_file, photograph):
            command = [*IMPARFAIT, "predict", str(path)]
            times = [seconds(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(rounds)]  # noqa: B023
            told[path.name] = {
                "seconds_median": round(statistics.median(times), 3),
                "seconds_most": round(max(times), 3),
                "pixels": list(Image.open(path).size),
            }
    return told


def folder(rounds: int) -> dict[str, object]:
    fit, _ = split(load_data().train)
    with tempfile.TemporaryDirectory() as place:
        for row, pixels in enumerate(fit.pixels[:FOLDER, 0]):
            Image.fromarray(pixels).save(Path(place) / f"{row:06d}.png")
        times = []
        for number in range(rounds):
            command = [*IMPARFAIT, "predict", place, "--out", str(Path(place) / f"answers{number}.jsonl")]
            times.append(seconds(lambda: subprocess.run(command, check=True, capture_output=True)))  # noqa: B023
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
    return {
        "files": FOLDER,
        "seconds": [round(each, 2) for each in times],
        "pictures_per_second": round(FOLDER / statistics.median(times)),
        "peak_MiB_of_the_largest_process": round(peak),
    }


def arrays(rounds: int) -> dict[str, object]:
    import torch

    from imparfait.export import onnx
    from imparfait.inference.predictor import predictor_from_onnx
    from imparfait.models import build
    from imparfait.models.classifier import as_classifier
    from imparfait.models.metadata import Card, Input

    fit, _ = split(load_data().train)
    pixels = fit.pixels[:PICTURES]
    images = pixels.astype(np.float32) / 255
    cores, told = usable_cores(), {}
    torch.set_num_threads(cores)
    for name in ("petit", "duo"):
        torch.manual_seed(0)
        model = build(name, channels=1, classes=10, height=28, width=28, model_args={}).eval()
        mark = 64 * "0"  # untrained: there is nothing to identify
        shown = Input(channels=1, height=28, width=28)
        card = Card(
            name=name, model=name, recipe="none", classes=tuple("0123456789"), input=shown, weights=mark, settings=mark
        )
        ready, _ = predictor_from_onnx(onnx.told(onnx.content_of(model, card), card), name, threads=cores)
        ways: dict[str, Callable[[], object]] = {"onnxruntime_float32": lambda: ready.probabilities(pixels)}  # noqa: B023
        for precision in ("float32", "bfloat16") if has_bf16_units() else ("float32",):
            classifier = as_classifier(model, ComputeConfig(threads=cores, precision=precision))
            ways[f"torch_{precision}"] = lambda ask=classifier: ask(images)
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, work in ways.items():
                times[way].append(seconds(work))
        told[name] = {way: round(PICTURES / statistics.median(each)) for way, each in times.items()}
    return told


PARTS = {"start": (start, 15), "folder": (folder, 3), "arrays": (arrays, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    told = {}
    for name in options.only:
        work, rounds = PARTS[name]
        told[name] = work(rounds)
        print(name, json.dumps(told[name]), flush=True)
    if options.out:
        leave(options.out, told, ComputeConfig(threads=usable_cores()))


if __name__ == "__main__":
    main()
