"""The baseline of the corruption error: errors of the study's `cnn`, trained on clean images, over the full suite.

python benchmarks/accuracy/baseline.py [--seeds 5] [--epochs 5] [--store JOBS] [--out imparfait/data/baseline.json]

Uses the study's recipe on clean images. Each seed trains on five sixths of MNIST's training images and is evaluated on
the remaining sixth, a different one for each seed. Writes the error of each corruption at each severity, averaged over
seeds, and prints the file's sha256, which imparfait/evaluation/robustness.py checks. Finished jobs are kept in JOBS.
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np

from imparfait.core.compute import ComputeConfig
from imparfait.core.hardware import has_bf16_units
from imparfait.data.load import load_data
from imparfait.evaluation.robustness import BASELINE
from imparfait.evaluation.suite import full_suite
from imparfait.selection.executors import executor_named, run_jobs
from imparfait.selection.jobs import Job
from imparfait.training.recipes import RECIPES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--store", type=Path, default=Path("runs/jobs"))
    parser.add_argument("--out", type=Path, default=BASELINE)
    options = parser.parse_args()
    data = load_data("mnist").train_and_val()
    recipe = RECIPES["study"].settings.model_copy(update={"augmentation": "clean", "epochs": options.epochs})
    conditions = tuple((condition.corruption, condition.severity) for condition in full_suite())
    jobs = [
        Job(
            data=data.fingerprint(),
            settings=recipe.model_copy(update={"seed": seed}),
            compute=ComputeConfig(threads=1, precision="bfloat16" if has_bf16_units() else "float32"),
            partition=seed,
            folds=6,
            fold=0,
            corruptions=conditions,
        )
        for seed in range(options.seeds)
    ]
    errors = []
    for job, result in run_jobs(jobs, data, executor_named(), options.store):
        if result.cause:
            raise SystemExit(f"seed {job.settings.seed}: {result.cause}")
        errors.append(1 - result.correct.mean(1))
        print(f"seed {job.settings.seed}: clean {1 - errors[-1][0]:.2%}", flush=True)
    mean = np.mean(errors, 0)
    by_corruption: dict[str, dict[str, float]] = {}
    for (name, severity), error in zip(conditions, mean, strict=True):
        by_corruption.setdefault(name, {})[f"{severity:g}"] = round(float(error), 6)
    clean = by_corruption.pop("clean")
    baseline = {
        "what": "errors of the study's cnn trained on clean MNIST, by corruption and severity",
        "images": "10,000 validation images per seed",
        "seeds": options.seeds,
        "clean": 1 - clean["0"],
        "settings": recipe.model_dump(),
        "errors": by_corruption,
    }
    content = json.dumps(baseline, indent=1) + "\n"
    options.out.write_text(content, encoding="utf-8")
    print(hashlib.sha256(content.encode()).hexdigest())


if __name__ == "__main__":
    main()
