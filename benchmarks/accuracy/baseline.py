"""The baseline of the corruption error: the study's `cnn` trained on clean pictures, its errors over the full suite.

python benchmarks/baseline.py [--seeds 5] [--epochs 5] [--store CELLS] [--out imparfait/data/baseline.json]

Trained by the study's recipe but on clean pictures. Each seed fits on five sixths of MNIST's training pictures and is
scored on the last sixth, another one each. Writes each alteration's error at each level, in the mean over seeds, and
prints the file's sha256, which imparfait/robustness/suites.py checks. Finished trainings are kept in CELLS.
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
from imparfait.selection.executors import executor_named, run
from imparfait.selection.jobs import Job
from imparfait.training.recipes import RECIPES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--store", type=Path, default=Path("runs/cells"))
    parser.add_argument("--out", type=Path, default=BASELINE)
    options = parser.parse_args()
    data = load_data("mnist").everything()
    recipe = RECIPES["study"].settings.model_copy(update={"mixture": "clean", "epochs": options.epochs})
    parts = tuple((part.alteration, part.severity) for part in full_suite())
    cells = [
        Job(
            data=data.fingerprint(),
            settings=recipe.model_copy(update={"seed": seed}),
            machine=ComputeConfig(threads=1, precision="bfloat16" if has_bf16_units() else "float32"),
            partition=seed,
            folds=6,
            fold=0,
            alterations=parts,
        )
        for seed in range(options.seeds)
    ]
    errors = []
    for cell, outcome in run(cells, data, options.store, executor_named()):
        if outcome.cause:
            raise SystemExit(f"seed {cell.settings.seed}: {outcome.cause}")
        errors.append(1 - outcome.right.mean(1))
        print(f"seed {cell.settings.seed}: clean {1 - errors[-1][0]:.2%}", flush=True)
    mean = np.mean(errors, 0)
    by_alteration: dict[str, dict[str, float]] = {}
    for (name, severity), error in zip(parts, mean, strict=True):
        by_alteration.setdefault(name, {})[f"{severity:g}"] = round(float(error), 6)
    clean = by_alteration.pop("clean")
    told = {
        "what": "errors of the study's cnn trained on clean MNIST, by alteration and severity",
        "pictures": "training pictures kept out of fitting, 10,000 a seed",
        "seeds": options.seeds,
        "clean": 1 - clean["0"],
        "settings": recipe.model_dump(),
        "errors": by_alteration,
    }
    content = json.dumps(told, indent=1) + "\n"
    options.out.write_text(content, encoding="utf-8")
    print(hashlib.sha256(content.encode()).hexdigest())


if __name__ == "__main__":
    main()
