"""Asks one classifier in one way and prints what that took: the other half of benchmarks/inference.py.

Needs numpy and the one executor it is told; imparfait is imported for `torch` only.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Ask = Callable[[np.ndarray], np.ndarray]
SINGLY = 400  # images asked one by one


def torch(model: str, precision: str, threads: int) -> Ask:
    import torch as executor

    import imparfait
    from imparfait.models.loading import load_network

    executor.set_num_threads(threads)
    network, _ = load_network(Path(model))
    classify = imparfait.as_classifier(
        network,
        imparfait.ComputeConfig(threads=threads, precision=precision),  # type: ignore[arg-type]
    )
    return lambda pixels: classify(pixels.astype(np.float32) / 255).argmax(1)


def onnxruntime(model: str, precision: str, threads: int) -> Ask:
    import onnxruntime as executor

    options = executor.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = executor.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(["probabilities"], {"images": pixels})[0].argmax(1)


def openvino(model: str, precision: str, threads: int) -> Ask:
    import openvino as executor

    kinds = {"float32": executor.Type.f32, "bfloat16": executor.Type.bf16}
    hints = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    if precision in kinds:
        hints["INFERENCE_PRECISION_HINT"] = kinds[precision]
    compiled = executor.Core().compile_model(model, "CPU", hints)
    return lambda pixels: compiled([pixels])["probabilities"].argmax(1)


EXECUTORS = {"torch": torch, "onnxruntime": onnxruntime, "openvino": openvino}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=EXECUTORS)
    parser.add_argument("model")
    parser.add_argument("precision")
    parser.add_argument("--pixels", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    pixels = np.load(options.pixels)["pixels"]
    ask = EXECUTORS[options.executor](options.model, options.precision, options.threads)
    for size in (1, options.batch):
        for _ in range(3):
            ask(pixels[:size])
    times = []
    for row in range(SINGLY):
        started = time.perf_counter()
        ask(pixels[row : row + 1])
        times.append(time.perf_counter() - started)
    started = time.perf_counter()
    said = [ask(pixels[row : row + options.batch]) for row in range(0, len(pixels), options.batch)]
    seconds = time.perf_counter() - started
    told = {"milliseconds_a_picture": 1000 * float(np.median(times)), "pictures_a_second": len(pixels) / seconds}
    print(json.dumps(told | {"said": "".join(np.concatenate(said).astype(str))}))


if __name__ == "__main__":
    main()
