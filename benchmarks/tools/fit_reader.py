"""Fit how scores of the reader become probabilities, on composed pages of writers and fonts that it was not trained on.

    python benchmarks/tools/train_reader.py compose build/choose --split choose --pages 1000 --meters METERS
    python benchmarks/tools/fit_reader.py build/choose

Prints the weights for imparfait/inference/ocr/evidence.py, and how well they are calibrated on the last fifth.
"""

import argparse
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from imparfait.inference.loading import load_predictor
from imparfait.inference.ocr.crops import Opinions, opinions_on
from imparfait.inference.ocr.detector import DIGITS, Glyphs, detect
from imparfait.inference.ocr.evidence import (
    ROUNDS,
    Weights,
    context,
    context_lines,
    evidence,
    label_evidence,
    logistic,
    relative_height,
)

MIN_OVERLAP = 0.4  # intersection over union with a true box
BINS = 10


@dataclass(frozen=True, eq=False)
class FoundOnPage:
    """What was found on a page."""

    glyphs: Glyphs
    opinions: Opinions
    truth: np.ndarray
    """0 to 9, 10 for none or another glyph, 11 to be left out."""

    @property
    def kept(self) -> np.ndarray:
        """Those with a truth."""
        return self.truth <= DIGITS


def examples(folder: Path, limit: int) -> list[FoundOnPage]:
    """The glyphs found on so many pages."""
    predictor = load_predictor("digits")
    found: list[FoundOnPage] = []
    for path in sorted(folder.glob("choose-*.npz")):
        with np.load(path) as file:
            ends = np.cumsum(file["counts"])[:-1]
            parts = zip(file["images"], np.split(file["boxes"], ends), np.split(file["labels"], ends), strict=True)
            for image, boxes, labels in itertools.islice(parts, limit - len(found)):
                grey = image.astype(np.float32) / 255
                glyphs = detect(grey)
                opinions = opinions_on(grey, glyphs, predictor)
                found.append(FoundOnPage(glyphs, opinions, matched(glyphs.boxes, boxes, labels)))
    return found


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


def fit_labels(logs: np.ndarray, height: np.ndarray, truth: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Weights of the opinions on the label, and of each times `height`; `logs` [n, opinions, 10]."""
    x, y = torch.tensor(logs), torch.tensor(truth)
    size = torch.tensor(np.stack([np.ones_like(height), height], 1))
    weights = nn.Parameter(torch.full((2, logs.shape[1]), 0.3, dtype=torch.float64))
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = nn.functional.cross_entropy((x * (size @ weights)[:, :, None]).sum(1), y)
        value.backward()
        return value

    optimizer.step(loss)
    constant, by_height = (tuple(round(weight, 3) for weight in row) for row in weights.tolist())
    return constant, by_height


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pages", type=int, default=1000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pages = examples(options.folder, options.pages)
    fitted = np.concatenate([np.full(int(page.kept.sum()), n < 0.8 * len(pages)) for n, page in enumerate(pages)])
    truth = np.concatenate([page.truth[page.kept] for page in pages])
    digit = truth < DIGITS

    def of_kept(features: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([each[page.kept] for each, page in zip(features, pages, strict=True)])

    own = [evidence(page.glyphs, page.opinions) for page in pages]
    alone = in_line = fit_presence(of_kept(own)[fitted], digit[fitted])
    features, lines = own, [context_lines(page.glyphs) for page in pages]
    for _ in range(ROUNDS):
        chances = [logistic(each @ np.array(in_line)) for each in features]
        parts = zip(pages, lines, chances, strict=True)
        around = [context(page.glyphs, page.opinions.contrast, its, chance) for page, its, chance in parts]
        features = [np.concatenate(both, 1) for both in zip(own, around, strict=True)]
        in_line = fit_presence(of_kept(features)[fitted], digit[fitted])
    logs = of_kept([label_evidence(page.glyphs, page.opinions) for page in pages])
    height = of_kept([relative_height(page.glyphs) for page in pages])
    known = fitted & digit
    label, by_height = fit_labels(logs[known], height[known], truth[known])
    print(Weights(alone, in_line, label, by_height))
    there = digit[~fitted]
    chance = logistic(of_kept(own)[~fitted] @ np.array(alone))
    print(f"accuracy of presence, each alone {np.mean((chance >= 0.5) == there):.2%}")
    chance = logistic(of_kept(features)[~fitted] @ np.array(in_line))
    print(f"in its line {np.mean((chance >= 0.5) == there):.2%}, {len(chance)} glyphs, digits {digit.mean():.1%}")
    for low in np.arange(BINS) / BINS:
        inside = (chance >= low) & (chance < low + 1 / BINS)
        if inside.any():
            print(f"  presence from {low:.1f}: {inside.sum():5d} glyphs, digits {there[inside].mean():.2f}")
    rest = ~fitted & digit
    all_weights = np.array(label) + np.outer(height[rest], by_height)
    opinions = ("the detector", "the classifier", "the glyph classifier")
    for name, weights in [("all", all_weights), *zip(opinions, np.eye(len(opinions)), strict=True)]:
        likely = (logs[rest] * np.broadcast_to(weights, (rest.sum(), len(opinions)))[:, :, None]).sum(1)
        print(f"labels by {name}: {np.mean(likely.argmax(1) == truth[rest]):.2%} of {rest.sum()}")


if __name__ == "__main__":
    main()
