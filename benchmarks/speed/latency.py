"""Latency of `imparfait predict` and throughput over a folder and over arrays in memory.

python benchmarks/speed/latency.py [--only start folder arrays] --out results/prediction-time

start: wall time of the whole `imparfait predict` process, for one 28×28 image and for one photo.
folder: 20,000 PNG files, with results written to a .jsonl file.
arrays: images/s of PyTorch (float32, and bfloat16 where the processor supports it) and of ONNX Runtime, on the same
arrays, in turn, on all cores. The networks are untrained, which does not change their speed.
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

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from helpers.photos import SCENES, file
from tools.claims import write_claim

from imparfait import load_data, split
from imparfait.core.compute import ComputeConfig, usable_cores
from imparfait.core.hardware import has_bf16_units

IMPARFAIT = [sys.executable, "-m", "imparfait"]
ARRAY_IMAGES, FOLDER_IMAGES = 40_000, 20_000


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def start(rounds: int) -> dict[str, object]:
    """Seconds of a whole `imparfait predict` process."""
    _, validation = split(load_data().train)
    digit = validation.pixels[0, 0]
    results = {}
    with tempfile.TemporaryDirectory() as home:
        digit_file, photo = Path(home) / "digit.png", Path(home) / "photo.jpg"
        Image.fromarray(digit).save(digit_file)
        photo.write_bytes(file(next(iter(SCENES.values()))(digit, np.random.default_rng(0)), "JPEG"))
        for path in (digit_file, photo):
            command = [*IMPARFAIT, "predict", str(path)]
            times = [seconds(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(rounds)]  # noqa: B023
            results[path.name] = {
                "seconds_median": round(statistics.median(times), 3),
                "seconds_max": round(max(times), 3),
                "pixels": list(Image.open(path).size),
            }
    return results


def folder(rounds: int) -> dict[str, object]:
    """Throughput of `imparfait predict` over a folder of PNG files."""
    train, _ = split(load_data().train)
    with tempfile.TemporaryDirectory() as home:
        for row, pixels in enumerate(train.pixels[:FOLDER_IMAGES, 0]):
            Image.fromarray(pixels).save(Path(home) / f"{row:06d}.png")
        times = []
        for number in range(rounds):
            command = [*IMPARFAIT, "predict", home, "--out", str(Path(home) / f"results{number}.jsonl")]
            times.append(seconds(lambda: subprocess.run(command, check=True, capture_output=True)))  # noqa: B023
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
    return {
        "files": FOLDER_IMAGES,
        "seconds": [round(each, 2) for each in times],
        "images_per_second": round(FOLDER_IMAGES / statistics.median(times)),
        "peak_MiB_of_largest_process": round(peak),
    }


def arrays(rounds: int) -> dict[str, object]:
    """Throughput of PyTorch and ONNX Runtime on arrays in memory."""
    import torch

    from imparfait.data.images.input_format import InputFormat
    from imparfait.export import onnx
    from imparfait.inference.predictor import predictor_from_onnx
    from imparfait.models.classifier import as_classifier
    from imparfait.models.metadata import ExportMetadata
    from imparfait.models.registry import build

    train, _ = split(load_data().train)
    pixels = train.pixels[:ARRAY_IMAGES]
    images = pixels.astype(np.float32) / 255
    cores, results = usable_cores(), {}
    torch.set_num_threads(cores)
    for name in ("petit", "duo"):
        torch.manual_seed(0)
        model = build(name, channels=1, classes=10, height=28, width=28, model_args={}).eval()
        digest = 64 * "0"  # untrained: nothing to identify
        spec = InputFormat(channels=1, height=28, width=28, normalization="digit")
        metadata = ExportMetadata(
            name=name,
            model=name,
            recipe="none",
            classes=tuple("0123456789"),
            input=spec,
            weights=digest,
            settings=digest,
        )
        predictor, _ = predictor_from_onnx(onnx.serialize(model, metadata), name, threads=cores)
        variants: dict[str, Callable[[], object]] = {"onnxruntime_float32": lambda: predictor.predict_proba(pixels)}  # noqa: B023
        for precision in ("float32", "bfloat16") if has_bf16_units() else ("float32",):
            classifier = as_classifier(model, ComputeConfig(threads=cores, precision=precision))
            variants[f"torch_{precision}"] = lambda classify=classifier: classify(images)
        times: dict[str, list[float]] = {variant: [] for variant in variants}
        for _ in range(rounds):
            for variant, work in variants.items():
                times[variant].append(seconds(work))
        results[name] = {variant: round(ARRAY_IMAGES / statistics.median(each)) for variant, each in times.items()}
    return results


MEASUREMENTS = {"start": (start, 15), "folder": (folder, 3), "arrays": (arrays, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=MEASUREMENTS, default=list(MEASUREMENTS), help="[default: all]")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    results = {}
    for name in options.only:
        work, rounds = MEASUREMENTS[name]
        results[name] = work(rounds)
        print(name, json.dumps(results[name]), flush=True)
    if options.out:
        write_claim(options.out, results, ComputeConfig(threads=usable_cores()))


if __name__ == "__main__":
    main()
