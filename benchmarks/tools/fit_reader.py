"""Fit how scores of the reader become probabilities, on composed pages of writers and fonts that it was not trained on.

    python benchmarks/tools/train_reader.py compose build/choose --split choose --pages 1000 --meters METERS
    python benchmarks/tools/fit_reader.py build/choose

Prints the weights for imparfait/inference/ocr/pipeline.py, and how well they are calibrated on the last fifth.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn

from imparfait.inference.loading import load_predictor
from imparfait.inference.ocr.detector import DIGITS, detect
from imparfait.inference.ocr.pipeline import Weights, evidence, label_evidence, recognise

MIN_OVERLAP = 0.4  # intersection over union with a true box
BINS = 10


def examples(folder: Path, limit: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each glyph found on the pages: evidence, logarithms of both opinions, its true label, and its page."""
    predictor = load_predictor("digits")
    features, logs, truths, pages = [], [], [], []
    number = 0
    for path in sorted(folder.glob("choose-*.npz")):
        with np.load(path) as file:
            ends = np.cumsum(file["counts"])[:-1]
            parts = zip(file["images"], np.split(file["boxes"], ends), np.split(file["labels"], ends), strict=True)
            for image, boxes, labels in parts:
                if number >= limit:
                    break
                number += 1
                grey = image.astype(np.float32) / 255
                glyphs = detect(grey)
                if not len(glyphs):
                    continue
                found = recognise(grey, glyphs, predictor)
                opinions = found.opinions
                truth = matched(glyphs.boxes, boxes, labels)
                keep = truth <= DIGITS
                features.append(evidence(glyphs, opinions)[keep])
                logs.append(label_evidence(glyphs, opinions)[keep])
                truths.append(truth[keep])
                pages.append(np.full(int(keep.sum()), number))
    return np.concatenate(features), np.concatenate(logs), np.concatenate(truths), np.concatenate(pages)


def matched(found: np.ndarray, boxes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The true label of each box found: 0 to 9, 10 for none or another glyph, 11 to be left out."""
    if not len(boxes):
        return np.full(len(found), DIGITS)
    true = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
    low, high = np.maximum(found[:, None, :2], true[None, :, :2]), np.minimum(found[:, None, 2:], true[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(2)
    area, its = (found[:, 2:] - found[:, :2]).prod(1), (true[:, 2:] - true[:, :2]).prod(1)
    overlap = common / (area[:, None] + its - common)
    best = overlap.argmax(1)
    hit = overlap.max(1) >= MIN_OVERLAP
    # Parts of a digit and glyphs that were not labelled are none; what is under an ignored box is left out.
    ignored = (common / np.maximum(area[:, None], 1e-6) * (labels > DIGITS)).max(1) > 0.5
    return np.where(hit, labels[best], np.where(ignored, DIGITS + 1, DIGITS)).astype(int)


def fit_presence(features: np.ndarray, digit: np.ndarray) -> tuple[float, ...]:
    """Weights of a logistic regression."""
    x, y = torch.tensor(features), torch.tensor(digit, dtype=torch.float64)
    weights = nn.Parameter(torch.zeros(x.shape[1], dtype=torch.float64))
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = nn.functional.binary_cross_entropy_with_logits(x @ weights, y) + 1e-5 * weights.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return tuple(round(weight, 3) for weight in weights.tolist())


def fit_labels(logs: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Weights of both opinions on the label; `logs` [n, 2, 10]."""
    x, y = torch.tensor(logs), torch.tensor(truth)
    weights = nn.Parameter(torch.full((2,), 0.5, dtype=torch.float64))
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = nn.functional.cross_entropy((x * weights[None, :, None]).sum(1), y)
        value.backward()
        return value

    optimizer.step(loss)
    detector, classifier = weights.tolist()
    return round(detector, 3), round(classifier, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pages", type=int, default=1000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    features, logs, truth, pages = examples(options.folder, options.pages)
    fitted = pages <= 0.8 * pages.max()
    digit = truth < DIGITS
    presence = fit_presence(features[fitted], digit[fitted])
    detector, classifier = fit_labels(logs[fitted & digit], truth[fitted & digit])
    print(Weights(presence, detector, classifier))
    chance = 1 / (1 + np.exp(-features[~fitted] @ np.array(presence)))
    there = digit[~fitted]
    right = np.mean((chance >= 0.5) == there)
    print(f"{len(chance)} glyphs, digits {digit.mean():.1%}; accuracy of presence {right:.2%}")
    for low in np.arange(BINS) / BINS:
        inside = (chance >= low) & (chance < low + 1 / BINS)
        if inside.any():
            print(f"  presence from {low:.1f}: {inside.sum():5d} glyphs, digits {there[inside].mean():.2f}")
    rest = ~fitted & digit
    for name, weights in (("both", (detector, classifier)), ("detector", (1, 0)), ("classifier", (0, 1))):
        likely = np.tensordot(logs[rest], np.array(weights), (1, 0))
        print(f"labels by {name}: {np.mean(likely.argmax(1) == truth[rest]):.2%} of {rest.sum()}")


if __name__ == "__main__":
    main()
