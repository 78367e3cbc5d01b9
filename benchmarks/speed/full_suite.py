"""Time and memory of the full suite: corruption, inference and total.

python benchmarks/speed/full_suite.py [--model petit] [--out FOLDER]

Uses MNIST's 10,000 validation images under every corruption at every severity of the suite. The network is untrained,
which does not change the time.
"""

import argparse
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from imparfait import load_data
from imparfait.core.compute import ComputeConfig
from imparfait.core.hardware import environment, has_bf16_units
from imparfait.core.storage import write_json
from imparfait.data.dataset import ConditionImages
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import score_conditions
from imparfait.evaluation.suite import apply_conditions, full_suite
from imparfait.models.classifier import as_classifier
from imparfait.models.registry import build


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="petit")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    threads, precision = os.cpu_count() or 1, "bfloat16" if has_bf16_units() else "float32"
    compute = ComputeConfig.model_validate({"threads": threads, "precision": precision})
    _, validation = load_data("mnist").train_val()
    _, channels, height, width = validation.pixels.shape
    model = build(options.model, channels=channels, classes=len(validation.classes), height=height, width=width)
    classifier, conditions = as_classifier(model, compute), full_suite()
    classifier(validation.pixels[:2000].astype(np.float32) / 255)  # warm-up
    seconds = {"corruption": 0.0, "inference": 0.0}

    def corrupted() -> Iterator[ConditionImages]:
        images = apply_conditions(validation, conditions)
        while True:
            started = time.perf_counter()
            condition = next(images, None)
            seconds["corruption"] += time.perf_counter() - started
            if condition is None:
                return
            yield condition

    def timed_classifier(images: np.ndarray) -> np.ndarray:
        started = time.perf_counter()
        logits = classifier(images)
        seconds["inference"] += time.perf_counter() - started
        return logits

    started = time.perf_counter()
    suite = SuiteResult(score_conditions(timed_classifier, corrupted()))
    # Crossings and intervals are part of the suite, so they are timed too.
    print(f"{len(suite.corruptions)} corruptions, {suite.mean:.2%}, {suite.mean_interval}")
    result = {
        "model": options.model,
        "conditions": len(conditions),
        "images": len(conditions) * len(validation),
        **{name: round(value, 1) for name, value in seconds.items()},
        "total": round(time.perf_counter() - started, 1),
        "peak_memory_GiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }
    print(result)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        write_json(options.out / f"{options.model}.json", result)
        write_json(options.out / "environment.json", environment(compute))


if __name__ == "__main__":
    main()
