"""Accuracy at severity 1 of a network trained on that corruption alone: it defines the severity scale.

python benchmarks/accuracy/severity_one.py [CORRUPTION …] [--beyond 1.15] [--epochs 3] [--out FILE.csv]

Severity 1 is the strongest level at which the reference network (`witness.py`) still reaches 97 %. For each corruption
it trains on 50,000 images corrupted at severity 1, resampled each epoch, and is evaluated on the 10,000 validation
images with the same corruption. Both are repeated a step beyond 1, where accuracy should fall below 97 % unless the
corruption has a natural maximum. The severity scales come from these numbers alone.
"""

import argparse
import csv
import os
from pathlib import Path

from imparfait.core.compute import ComputeConfig
from imparfait.core.hardware import has_bf16_units
from imparfait.corruptions import CORRUPTIONS
from imparfait.data.augmentation import AUGMENTATIONS, Augmentation, AugmentationShare
from imparfait.data.corrupted import corrupt
from imparfait.data.dataset import ConditionImages
from imparfait.data.load import load_data
from imparfait.evaluation.scores import score_conditions
from imparfait.models.classifier import as_classifier
from imparfait.training.history import train
from imparfait.training.loop import network_for
from imparfait.training.settings import TrainingSettings

WITNESS = f"{Path(__file__).with_name('witness.py')}:build"


def accuracy(name: str, severity: float, epochs: int, compute: ComputeConfig) -> tuple[int, int]:
    """Correct predictions and images of the reference network, trained and evaluated at this severity only."""
    train_set, validation = load_data("mnist").train_val()
    AUGMENTATIONS["one"] = Augmentation(
        "one corruption at one severity", (AugmentationShare(name, severity, 1.0),), redrawn=True
    )
    settings = TrainingSettings(model=WITNESS, augmentation="one", epochs=epochs)
    network = network_for(settings, train_set)
    for _ in train(network, train_set, settings, compute):
        pass
    condition = ConditionImages(name, severity, corrupt(validation, name, severity))
    score = score_conditions(as_classifier(network, compute), [condition]).scores[0]
    return score.correct, score.total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corruptions", nargs="*", default=list(CORRUPTIONS), help="[default: all]")
    parser.add_argument("--beyond", type=float, default=1.15, help="the severity beyond 1 [default: 1.15]")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    precision = "bfloat16" if has_bf16_units() else "float32"
    compute = ComputeConfig.model_validate({"threads": options.threads, "precision": precision})
    rows = []
    for name in options.corruptions:
        levels = (1.0,) if len(CORRUPTIONS[name].levels) == 1 else (1.0, options.padding)
        for severity in levels:
            correct, total = accuracy(name, severity, options.epochs, compute)
            rows.append({"corruption": name, "severity": severity, "correct": correct, "total": total})
            print(f"{name:16} {severity:<5g} {correct / total:7.2%}", flush=True)
            if options.out:
                with options.out.open("w", newline="", encoding="utf-8") as file:
                    writer = csv.DictWriter(file, rows[0])
                    writer.writeheader()
                    writer.writerows(rows)


if __name__ == "__main__":
    main()
