"""Time one model in one runtime for inference.py and print latency, throughput and predictions.

Needs NumPy and the chosen runtime only; imparfait is imported for `torch` alone.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Predict = Callable[[np.ndarray], np.ndarray]
"""From images, uint8 [n, 1, 28, 28], to classes."""
SINGLE_IMAGES = 400  # for the latency


def torch(model: str, precision: str, threads: int) -> Predict:
    import torch as runtime

    import imparfait
    from imparfait.models.loading import load_network

    runtime.set_num_threads(threads)
    network, _ = load_network(Path(model))
    classify = imparfait.as_classifier(
        network,
        imparfait.ComputeConfig(threads=threads, precision=precision),  # type: ignore[arg-type]
    )
    return lambda pixels: classify(pixels.astype(np.float32) / 255).argmax(1)


def onnxruntime(model: str, precision: str, threads: int) -> Predict:
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda pixels: session.run(["probabilities"], {name: pixels})[0].argmax(1)


def openvino(model: str, precision: str, threads: int) -> Predict:
    import openvino as runtime

    kinds = {"float32": runtime.Type.f32, "bfloat16": runtime.Type.bf16}
    hints = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    if precision in kinds:
        hints["INFERENCE_PRECISION_HINT"] = kinds[precision]
    compiled = runtime.Core().compile_model(model, "CPU", hints)
    return lambda pixels: compiled([pixels])["probabilities"].argmax(1)


RUNTIMES = {"torch": torch, "onnxruntime": onnxruntime, "openvino": openvino}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runtime", choices=RUNTIMES)
    parser.add_argument("model")
    parser.add_argument("precision")
    parser.add_argument("--pixels", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    pixels = np.load(options.pixels)["pixels"]
    predict = RUNTIMES[options.runtime](options.model, options.precision, options.threads)
    for size in (1, options.batch):
        for _ in range(3):
            predict(pixels[:size])
    times = []
    for row in range(SINGLE_IMAGES):
        started = time.perf_counter()
        predict(pixels[row : row + 1])
        times.append(time.perf_counter() - started)
    started = time.perf_counter()
    labels = [predict(pixels[row : row + options.batch]) for row in range(0, len(pixels), options.batch)]
    seconds = time.perf_counter() - started
    result = {"latency_ms": 1000 * float(np.median(times)), "images_per_second": len(pixels) / seconds}
    print(json.dumps(result | {"predicted": "".join(np.concatenate(labels).astype(str))}))


if __name__ == "__main__":
    main()
