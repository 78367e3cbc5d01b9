"""The recipe `photo` against two baselines on six data sets: a plain ResNet in the same time, and HOG with an SVM.

python benchmarks/accuracy/own_images.py METERS [--out results/own-images] [--only NAME …]

METERS is a table of meter digits with a column of groups. Each set is split once into training and held-out images, the
meters by group, four folds of them. Only training images of published sets are used. `photo` trains as the command
does, pilots included, on one thread; the ResNet gets as many seconds, in whole epochs. The ResNet has three stages of
two residual blocks with 16, 32 and 64 filters, random crops of four pixels, AdamW and a one-cycle schedule. HOG has
cells of a quarter of the side and nine orientations per channel, with an RBF support vector machine. Differences are
paired; the exact test is McNemar's. About 90 minutes on one core.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import binomtest
from sklearn.datasets import load_digits, load_sample_images
from sklearn.svm import SVC
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait.core.hardware import torch_threads
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import load_data
from imparfait.data.split_dataset import Dataset
from imparfait.data.splits import fold, split, subsample
from imparfait.models.classifier import as_classifier
from imparfait.training.recipes import RECIPES
from imparfait.training.run import prepare_run

FASHION = Path("/usr/share/datasets/fashion-mnist")
Split = tuple[LabelledImages, LabelledImages]


def labelled(name: str, pixels: np.ndarray, labels: np.ndarray) -> LabelledImages:
    classes = tuple(f"class {index}" for index in range(int(labels.max()) + 1))
    return LabelledImages(pixels, labels.astype(np.int64), np.arange(len(labels)), classes, name, "train")


def eight_by_eight() -> LabelledImages:
    """scikit-learn's 1,797 digits of 8×8 pixels."""
    digits = load_digits()
    return labelled("8×8 digits", (digits.images * 15.9).astype(np.uint8)[:, None], digits.target)


def shapes(images: int = 1500, side: int = 48) -> LabelledImages:
    """Five coloured shapes on coloured, uneven ground: disc, square, triangle, ring, cross."""
    rng = np.random.default_rng(0)
    labels = np.arange(images) % 5
    down, right = np.mgrid[:side, :side] / side - 0.5
    pixels = np.empty((images, 3, side, side), np.uint8)
    for image, label in zip(pixels, labels, strict=True):
        angle, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.12, 0.28)
        y, x = down - rng.uniform(-0.18, 0.18), right - rng.uniform(-0.18, 0.18)
        u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
        radius = np.hypot(u, v)
        inside = [
            radius < size,
            np.maximum(abs(u), abs(v)) < size * 0.9,
            np.maximum(v, abs(u) * 1.73 - v) < size,
            abs(radius - size * 0.8) < size * 0.25,
            (np.minimum(abs(u), abs(v)) < size * 0.3) & (np.maximum(abs(u), abs(v)) < size * 1.1),
        ][label]
        ground, ink = rng.uniform(0, 1, (2, 3, 1, 1))
        slope = rng.normal(0, 0.5, (3, 2))
        light = ground + slope[:, :1, None] * right + slope[:, 1:, None] * down
        values = np.where(inside, ink, light) + rng.normal(0, 0.12, (3, side, side))
        image[:] = (values.clip(0, 1) * 255).astype(np.uint8)
    return labelled("coloured shapes", pixels, labels)


def textures(images: int = 1200, side: int = 32) -> Split:
    """Crops of scikit-learn's two photographs in six classes, two by three tiles; held out are the right thirds."""
    rng = np.random.default_rng(0)
    parts: list[list[np.ndarray]] = [[], []]
    labels: list[list[int]] = [[], []]
    for number in range(images):
        photograph = load_sample_images().images[number % 2].transpose(2, 0, 1)
        row = number // 2 % 3
        height, width = photograph.shape[1] // 3, photograph.shape[2]
        held_out = rng.random() < 1 / 3
        left, right = (2 * width // 3, width - side) if held_out else (0, 2 * width // 3 - side)
        top, start = row * height + rng.integers(height - side), rng.integers(left, right)
        parts[held_out].append(photograph[:, top : top + side, start : start + side])
        labels[held_out].append(3 * (number % 2) + row)
    fit, test = (labelled("textures", np.stack(part), np.array(own)) for part, own in zip(parts, labels, strict=True))
    return fit, replace(test, sources=test.sources + len(fit), split="validation")


def sets(meters: Path) -> dict[str, list[Split]]:
    """The splits of each data set."""
    by_group = load_data(meters, size=32).train
    return {
        "meters, 4 of 16 held out": [fold(by_group, 4, number, 0) for number in range(4)],
        "Fashion-MNIST, 3,000": [split(subsample(load_data(FASHION).train, 4500), 1 / 3)],
        "MNIST, 1,000": [split(subsample(load_data("mnist").train, 2000), 1 / 2)],
        "8×8 digits": [split(eight_by_eight(), 1 / 3)],
        "coloured shapes": [split(shapes(), 1 / 3)],
        "textures": [textures()],
    }


def with_photo(fit: LabelledImages, held_out: LabelledImages) -> tuple[np.ndarray, float, str]:
    started = time.perf_counter()
    run, network = prepare_run(Dataset(fit), RECIPES["photo"].settings, "photo", final=True)
    run = replace(run, compute=run.compute.model_copy(update={"threads": 1, "precision": "float32"}))
    for _ in run.training(network):
        pass
    seconds = time.perf_counter() - started
    return predicted(network, run, held_out), seconds, run.settings.augmentation


def predicted(network: nn.Module, run: Any, held_out: LabelledImages) -> np.ndarray:
    classifier = as_classifier(network, run.compute)
    parts = np.array_split(held_out.pixels, len(held_out) // 256 + 1)
    return np.concatenate([classifier(part.astype(np.float32) / 255).argmax(1) for part in parts])


class Block(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after))
        self.skip = nn.Conv2d(before, after, 1, stride, bias=False) if stride > 1 or before != after else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.skip(x) + self.second(self.first(x)))


def with_resnet(fit: LabelledImages, held_out: LabelledImages, seconds: float) -> np.ndarray:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    blocks = [
        Block(16, 16, 1),
        Block(16, 16, 1),
        Block(16, 32, 2),
        Block(32, 32, 1),
        Block(32, 64, 2),
        Block(64, 64, 1),
    ]
    stem = nn.Sequential(nn.Conv2d(fit.channels, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, len(fit.classes)))
    network = nn.Sequential(stem, *blocks, head).to(memory_format=torch.channels_last)
    images, labels = torch.from_numpy(fit.pixels).float() / 255, torch.from_numpy(fit.labels)
    mean, spread = images.mean((0, 2, 3), keepdim=True), images.std((0, 2, 3), keepdim=True)
    images = F.pad((images - mean) / spread, (4, 4, 4, 4), mode="replicate")
    height, width = fit.pixels.shape[2:]

    def step(rows: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
        top, left = torch.randint(0, 9, (2,), generator=generator).tolist()
        shown = images[rows, :, top : top + height, left : left + width].contiguous(memory_format=torch.channels_last)
        loss = F.cross_entropy(network(shown), labels[rows], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    batches = max(1, len(fit) // 64)
    probe = torch.optim.AdamW(network.parameters(), lr=0.0)
    order = torch.randperm(len(fit), generator=generator).tensor_split(batches)
    started = time.perf_counter()
    for rows in order[:10]:
        step(rows, probe)
    each = (time.perf_counter() - started) / len(order[:10])
    epochs = max(1, round(seconds / (each * batches)))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=epochs * batches)
    for _ in range(epochs):
        for rows in torch.randperm(len(fit), generator=generator).tensor_split(batches):
            step(rows, optimizer)
            schedule.step()
    network.eval()
    with torch.inference_mode():
        shown = (torch.from_numpy(held_out.pixels).float() / 255 - mean) / spread
        return torch.cat([network(part) for part in shown.split(256)]).argmax(1).numpy()


def with_hog(fit: LabelledImages, held_out: LabelledImages) -> np.ndarray:
    classifier = SVC(C=10, gamma="scale").fit(hog(fit.pixels), fit.labels)
    return np.asarray(classifier.predict(hog(held_out.pixels)))


def hog(pixels: np.ndarray, cells: int = 4, orientations: int = 9) -> np.ndarray:
    """Histograms of gradient orientations in cells × cells cells, each normalised, and the cells' mean colours."""
    images = pixels.astype(np.float32) / 255
    down, right = np.gradient(images, axis=(2, 3))
    strength, angle = np.hypot(down, right), np.arctan2(down, right) % np.pi
    bins = np.minimum((angle / np.pi * orientations).astype(int), orientations - 1)
    features = []
    for rows in np.array_split(np.arange(images.shape[2]), cells):
        for columns in np.array_split(np.arange(images.shape[3]), cells):
            part = np.s_[:, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            of_cell = [(strength[part] * (bins[part] == index)).sum((2, 3)) for index in range(orientations)]
            histogram = np.concatenate(of_cell, 1)
            features += [
                histogram / (np.linalg.norm(histogram, axis=1, keepdims=True) + 0.1),
                images[part].mean((2, 3)),
            ]
    return np.concatenate(features, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("meters", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows: dict[str, Any] = {}
    with torch_threads(1):
        for name, splits in sets(options.meters).items():
            if options.only and not any(name.startswith(each) for each in options.only):
                continue
            correct: dict[str, list[np.ndarray]] = {"photo": [], "resnet": [], "hog": []}
            groups, seconds, augmentations = [], 0.0, []
            for fit, held_out in splits:
                found, spent, augmentation = with_photo(fit, held_out)
                seconds, augmentations = seconds + spent, [*augmentations, augmentation]
                answers = {"photo": found, "resnet": with_resnet(fit, held_out, spent), "hog": with_hog(fit, held_out)}
                for method, each in answers.items():
                    correct[method].append(each == held_out.labels)
                groups.append(held_out.groups if held_out.groups is not None else np.zeros(len(held_out), int))
            rows[name] = summary(correct, np.concatenate(groups), seconds / len(splits), augmentations)
            print(name, rows[name], flush=True)
    if options.out:
        write_claim(options.out, {"sets": rows}, METERS=str(options.meters))


def summary(
    correct: dict[str, list[np.ndarray]], groups: np.ndarray, seconds: float, augmentations: list[str]
) -> dict[str, Any]:
    """Counts, means over groups and paired differences of one data set."""
    hits = {method: np.concatenate(parts) for method, parts in correct.items()}
    found: dict[str, Any] = {"images": len(groups), "seconds": round(seconds, 1), "augmentations": augmentations}
    for method, right in hits.items():
        means = [float(right[groups == group].mean()) for group in np.unique(groups)]
        found[method] = {"correct": int(right.sum()), "mean of groups": round(float(np.mean(means)), 4)}
        if method != "photo":
            only_photo, only_other = int((hits["photo"] & ~right).sum()), int((right & ~hits["photo"]).sum())
            total = only_photo + only_other
            found[method]["only photo / only this"] = [only_photo, only_other]
            found[method]["p"] = round(binomtest(only_photo, total).pvalue, 4) if total else 1.0
    return found


if __name__ == "__main__":
    main()
