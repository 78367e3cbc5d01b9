"""Whether images of an unknown class are taken for none of the classes, each class held out in turn.

python benchmarks/accuracy/held_out_classes.py [--ood SHARE] [--only NAME …] [--out results/held-out-classes]

For each class of a set, the recipe `photo` trains on the others, on one thread and without pilots. The rule is that of
`none_of_these`: a confidence that 5 % of the held-out images of known classes are below. Counted are images of the
unknown class below it. Other scores than the largest probability are given the same rate of false alarms, for
comparison: the entropy, the largest logit, and the energy. `--ood` is the recipe's share of out-of-distribution images.
The sets are those of own_images.py. The first takes a minute on one core, the others a quarter of an hour or more each.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logsumexp, softmax, xlogy

sys.path.insert(0, str(Path(__file__).parents[1]))

from accuracy.own_images import FASHION, eight_by_eight, shapes
from tools.claims import write_claim

from imparfait.core.hardware import torch_threads
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import load_data
from imparfait.data.split_dataset import Dataset
from imparfait.data.splits import split, subsample
from imparfait.evaluation.none_of_these import FALSE_RATE
from imparfait.models.classifier import as_classifier
from imparfait.training.recipes import RECIPES
from imparfait.training.run import prepare_run


def sets() -> dict[str, LabelledImages]:
    return {
        "8×8 digits": eight_by_eight(),
        "coloured shapes": shapes(),
        "MNIST, 2,000": subsample(load_data("mnist").train, 2000),
        "Fashion-MNIST, 3,000": subsample(load_data(FASHION).train, 3000),
    }


def confidences(logits: np.ndarray) -> dict[str, np.ndarray]:
    """Scores that are higher for images of known classes."""
    probabilities = softmax(logits, 1)
    return {
        "largest probability": probabilities.max(1),
        "entropy": xlogy(probabilities, probabilities).sum(1),
        "largest logit": logits.max(1),
        "energy": logsumexp(logits, 1),
    }


def caught_without(data: LabelledImages, label: int, ood: float) -> dict[str, float]:
    """The share of images of class `label` that each score catches, of a network that never saw that class."""
    known = data.labels != label
    names = tuple(name for index, name in enumerate(data.classes) if index != label)
    rest = replace(data.select(known), classes=names)
    rest = replace(rest, labels=rest.labels - (rest.labels > label))
    fit, validation = split(rest, 1 / 4)
    settings = RECIPES["photo"].settings.model_copy(update={"ood_fraction": ood})
    run, network = prepare_run(Dataset(fit), settings, "photo", final=True, fixed={"augmentation"})
    run = replace(run, compute=run.compute.model_copy(update={"threads": 1, "precision": "float32"}))
    for _ in run.training(network):
        pass
    classifier = as_classifier(network, run.compute)
    own, unknown = (
        confidences(classifier(images.pixels.astype(np.float32) / 255).astype(np.float64))
        for images in (validation, data.select(~known))
    )
    bounds = {name: np.quantile(each, FALSE_RATE, method="higher") for name, each in own.items()}
    return {name: float((unknown[name] < bound).mean()) for name, bound in bounds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ood", type=float, default=RECIPES["photo"].settings.ood_fraction)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows: dict[str, Any] = {}
    with torch_threads(1):
        for name, data in sets().items():
            if options.only and not any(name.startswith(each) for each in options.only):
                continue
            caught = [caught_without(data, label, options.ood) for label in range(len(data.classes))]
            rows[name] = {
                score: {
                    "mean": round(float(np.mean([each[score] for each in caught])), 4),
                    "by class": [round(each[score], 3) for each in caught],
                }
                for score in caught[0]
            }
            print(name, {score: row["mean"] for score, row in rows[name].items()}, flush=True)
    if options.out:
        write_claim(options.out, {"ood": options.ood, "sets": rows})


if __name__ == "__main__":
    main()
