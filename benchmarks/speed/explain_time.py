"""Seconds of an occlusion map on one core, by model and by size of its input.

python benchmarks/speed/explain_time.py [--rounds 15] --out results/explain-time

`digits` on a file of one digit, which it sees twice: 164 predictions. Untrained networks, as fast as trained ones:
`petit` and `duo` at 28 pixels (82 predictions), `cnn` and `resnet` at 32 (82), `resnet` at 224 (26). From decoded
pixels to the map: covers, predictions and the map, without drawing it.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from helpers.photos import a_seven
from tools.claims import write_claim

from imparfait import build
from imparfait.core.compute import ComputeConfig
from imparfait.data.images.input_format import InputFormat
from imparfait.data.images.normalize import normalize
from imparfait.data.images.sources import pages_of
from imparfait.export import onnx
from imparfait.inference.explanation import explain_normalized, with_covers
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import Predictor, predictor_from_onnx
from imparfait.models.metadata import ExportMetadata

NETWORKS = (("petit", 1, 28), ("duo", 1, 28), ("cnn", 3, 32), ("resnet", 3, 32), ("resnet", 3, 224))


def predictors() -> Iterator[tuple[str, Predictor]]:
    """Each model by a name, on one thread of ONNX Runtime."""
    yield "digits", load_predictor("digits", threads=1)
    for name, channels, side in NETWORKS:
        model = build(name, channels=channels, classes=10, height=side, width=side, model_args={}).eval()
        form = InputFormat(channels=channels, height=side, width=side, normalization="none")
        unknown = 64 * "0"  # untrained: nothing to identify
        metadata = ExportMetadata(
            name=name, model=name, recipe="none", classes=tuple("0123456789"), input=form, weights=unknown,
            settings=unknown,
        )  # fmt: skip
        yield f"{name}, {channels}×{side}×{side}", predictor_from_onnx(onnx.serialize(model, metadata), name, 1)[0]


def measured(predictor: Predictor, rounds: int) -> dict[str, object]:
    """Seconds of a map, and the predictions that it takes."""
    form = predictor.input_format
    if form.normalization == "digit":
        image = 255 - a_seven(200, 9.0)
    else:
        image = np.random.default_rng(0).integers(0, 256, (form.height, form.width, form.channels), np.uint8)
    [page] = pages_of(image)
    normalized = normalize(page, form)
    batch, _ = with_covers(normalized)
    views = sum(1 + (form.two_views and each.whole is not None) for each in batch)
    explain_normalized(normalized, predictor)
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        explain_normalized(normalized, predictor)
        times.append(time.perf_counter() - started)
    return {
        "predictions": views,
        "seconds_median": round(statistics.median(times), 4),
        "seconds_max": round(max(times), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    results = {}
    for name, predictor in predictors():
        results[name] = measured(predictor, options.rounds)
        print(name, json.dumps(results[name]), flush=True)
    if options.out:
        write_claim(options.out, results, ComputeConfig(threads=1))


if __name__ == "__main__":
    main()
