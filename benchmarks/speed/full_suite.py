"""How long the full suite takes: altering, answering and all of it, and the memory it peaks at.

python benchmarks/full_suite.py [--model petit] [--out FOLDER]

The 10,000 validation images of MNIST, corrupted in every way of the table at every severity of the suite, and a
network's answers to them; untrained, for what it says makes no difference to how long it takes.
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
from imparfait.evaluation.scores import evaluate
from imparfait.evaluation.suite import full_suite, shown
from imparfait.models import build
from imparfait.models.classifier import as_classifier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="petit")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    threads, precision = os.cpu_count() or 1, "bfloat16" if has_bf16_units() else "float32"
    compute = ComputeConfig.model_validate({"threads": threads, "precision": precision})
    _, subset = load_data("mnist").fitting()
    _, channels, height, width = subset.pixels.shape
    model = build(options.model, channels=channels, classes=len(subset.classes), height=height, width=width)
    classifier, parts = as_classifier(model, compute), full_suite()
    classifier(subset.pixels[:2000].astype(np.float32) / 255)  # what is set up once is set up
    seconds = {"altering": 0.0, "answering": 0.0}

    def altering() -> Iterator[ConditionImages]:
        made = shown(subset, parts)
        while True:
            started = time.perf_counter()
            part = next(made, None)
            seconds["altering"] += time.perf_counter() - started
            if part is None:
                return
            yield part

    def answering(images: np.ndarray) -> np.ndarray:
        started = time.perf_counter()
        logits = classifier(images)
        seconds["answering"] += time.perf_counter() - started
        return logits

    started = time.perf_counter()
    suite = SuiteResult(evaluate(answering, altering()))
    print(
        f"{len(suite.rows)} corruptions, {suite.mean:.2%}, {suite.mean_interval}"
    )  # crossings and intervals belong to it
    told = {
        "model": options.model,
        "sets": len(parts),
        "images": len(parts) * len(subset),
        **{name: round(value, 1) for name, value in seconds.items()},
        "all": round(time.perf_counter() - started, 1),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }
    print(told)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        write_json(options.out / f"{options.model}.json", told)
        write_json(options.out / "environment.json", environment(compute))


if __name__ == "__main__":
    main()
