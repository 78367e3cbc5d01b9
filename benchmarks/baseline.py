"""The baseline of the corruption error: the study's `cnn` trained on clean pictures, its errors over the full suite.

python benchmarks/baseline.py [--seeds 5] [--epochs 5] [--out imparfait/data/baseline.json]

Trained on the 50,000 pictures that are not for development, by the study's recipe but on clean pictures; scored on
the 10,000 development pictures. Writes each alteration's error at each level, in the mean over seeds, and prints the
file's sha256, which imparfait/robustness/suites.py checks.
"""

import argparse
import hashlib
import json
import os
from pathlib import Path

import numpy as np

from imparfait.classifiers import as_classifier
from imparfait.datasets.reading import load_data
from imparfait.datasets.suite import shown, the_full_suite
from imparfait.evaluation import evaluate
from imparfait.machine import has_bf16_units
from imparfait.models import network_for
from imparfait.robustness.suites import BASELINE, Suite
from imparfait.settings import RECIPES, Machine
from imparfait.training import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=BASELINE)
    options = parser.parse_args()
    precision = "bfloat16" if has_bf16_units() else "float32"
    machine = Machine.model_validate({"threads": os.cpu_count() or 1, "precision": precision})
    fit, validation = load_data("mnist").fitting()
    recipe = RECIPES["study"].settings.model_copy(update={"mixture": "clean", "epochs": options.epochs})
    errors: dict[str, dict[str, list[float]]] = {}
    clean = []
    for seed in range(options.seeds):
        settings = recipe.model_copy(update={"seed": seed})
        network = network_for(settings, fit)
        for epoch in train(network, fit, settings, machine):
            print(f"seed {seed}, epoch {epoch.number}: {epoch.accuracy:.2%}, {epoch.seconds:.0f} s", flush=True)
        suite = Suite(evaluate(as_classifier(network, machine), shown(validation, the_full_suite())))
        clean.append(suite.clean.score.accuracy)
        for row in suite.rows:
            for severity, accuracy in zip(row.severities, row.accuracies, strict=True):
                errors.setdefault(row.alteration, {}).setdefault(f"{severity:g}", []).append(1 - accuracy)
        print(f"seed {seed}: clean {clean[-1]:.2%}, suite {suite.mean:.2%}", flush=True)
    mean = {
        name: {level: round(float(np.mean(e)), 6) for level, e in levels.items()} for name, levels in errors.items()
    }
    told = {
        "what": "errors of the study's cnn trained on clean MNIST, by alteration and severity",
        "pictures": "10,000 development pictures",
        "seeds": options.seeds,
        "clean": round(float(np.mean(clean)), 6),
        "settings": recipe.model_dump(),
        "errors": mean,
    }
    content = json.dumps(told, indent=1) + "\n"
    options.out.write_text(content, encoding="utf-8")
    print(hashlib.sha256(content.encode()).hexdigest())


if __name__ == "__main__":
    main()
