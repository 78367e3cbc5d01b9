"""Is severity 1 the strongest level at which a network trained on that alteration alone still reads 97 %?

python benchmarks/severity_one.py [ALTERATION …] [--beyond 1.15] [--epochs 3] [--out FILE.csv]

For each alteration the witness (`witness.py`) is trained on 50,000 pictures altered by it alone at severity 1, drawn
anew each epoch, and scored on the 10,000 development pictures altered likewise; then the same a step beyond 1, which
should be under 97 % except where the alteration ends of itself. The table of alterations is made of these numbers; no
other model has a part in it.
"""

import argparse
import csv
import os
from pathlib import Path

from imparfait.core.compute import ComputeConfig
from imparfait.core.hardware import has_bf16_units
from imparfait.corruptions import CORRUPTIONS
from imparfait.data.augmentation import AUGMENTATIONS, Augmentation, Share
from imparfait.data.corrupted import altered
from imparfait.data.dataset import ConditionImages
from imparfait.data.load import load_data
from imparfait.evaluation.scores import evaluate
from imparfait.models.classifier import as_classifier
from imparfait.training.loop import network_for, train
from imparfait.training.settings import TrainingSettings

WITNESS = f"{Path(__file__).with_name('witness.py')}:build"


def accuracy(name: str, severity: float, epochs: int, machine: ComputeConfig) -> tuple[int, int]:
    """Right answers and pictures of the witness trained and judged at this one severity."""
    fit, validation = load_data("mnist").fitting()
    AUGMENTATIONS["one"] = Augmentation("one alteration at one severity", (Share(name, severity, 1.0),), anew=True)
    settings = TrainingSettings(model=WITNESS, mixture="one", epochs=epochs)
    network = network_for(settings, fit)
    for _ in train(network, fit, settings, machine):
        pass
    part = ConditionImages(name, severity, altered(validation, name, severity))
    score = evaluate(as_classifier(network, machine), [part]).each[0]
    return score.right, score.total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("alterations", nargs="*", default=list(CORRUPTIONS))
    parser.add_argument("--beyond", type=float, default=1.15)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    precision = "bfloat16" if has_bf16_units() else "float32"
    machine = ComputeConfig.model_validate({"threads": options.threads, "precision": precision})
    rows = []
    for name in options.alterations:
        levels = (1.0,) if len(CORRUPTIONS[name].levels) == 1 else (1.0, options.beyond)
        for severity in levels:
            right, total = accuracy(name, severity, options.epochs, machine)
            rows.append({"alteration": name, "severity": severity, "right": right, "total": total})
            print(f"{name:16} {severity:<5g} {right / total:7.2%}", flush=True)
            if options.out:
                with options.out.open("w", newline="", encoding="utf-8") as file:
                    writer = csv.DictWriter(file, rows[0])
                    writer.writeheader()
                    writer.writerows(rows)


if __name__ == "__main__":
    main()
