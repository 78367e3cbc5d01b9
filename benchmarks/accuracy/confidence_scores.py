"""Which score tells wrong predictions and images of no digit best: probability, energy, neighbours, or two views?

    python benchmarks/accuracy/confidence_scores.py FOLDER --digits build/digits [--model digits] [--out results/NAME]

FOLDER is that of real_images.py, `--digits` that of build_digit_data.py. Scores, higher for what to accept:

- probability: of the predicted label, pooled over both views of a file
- margin: between the logits of the first two labels, of the digit cut out
- energy: the log-sum-exp of its logits (Liu et al., NeurIPS 2020)
- neighbours: minus the distance of its normalised features to their 10th neighbour among 20,000
  training images (Sun et al., ICML 2022)
- views: the lower probability of the label in the two views
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
import torch
from scipy.special import logsumexp, softmax
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).parents[1]))

from accuracy.real_images import HANDWRITING
from tools.claims import write_claim

from imparfait.data.images.normalize import read_normalized
from imparfait.data.load import load_data
from imparfait.data.ood import LIKE, OOD_SETS
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import pooled
from imparfait.models.loading import load_network
from imparfait.models.pretrained import PRETRAINED

NEIGHBOURS, MEMORY, ABSTAINED, OOD_IMAGES = 10, 20_000, 0.05, 1000
LEFT_OUT = ("w28", "w54")  # writers whom `digits` was trained on


class Scored:
    """Logits, features and every score of images in one or two views."""

    def __init__(self, network: torch.nn.Module, temperature: float, memory: torch.Tensor | None):
        self.network, self.temperature, self.memory = network.eval(), temperature, memory

    def logits_and_features(self, pixels: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
        kept: list[torch.Tensor] = []
        hook = self.network.head.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))  # type: ignore[union-attr]
        with torch.inference_mode():
            logits = [self.network(torch.from_numpy(part).reshape(-1, 1, 28, 28) / 255) for part in batches(pixels)]
        hook.remove()
        return torch.cat(logits).numpy() / self.temperature, torch.nn.functional.normalize(torch.cat(kept), dim=1)

    def scores(self, pixels: np.ndarray, whole: list[np.ndarray | None]) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Each score by name, and the predicted labels."""
        logits, features = self.logits_and_features(pixels)
        own = softmax(logits, 1).astype(np.float32)
        twice = [row for row, view in enumerate(whole) if view is not None]
        second = own[:0]
        if twice:
            second = softmax(self.logits_and_features(np.stack([whole[row] for row in twice]))[0], 1).astype(np.float32)
        both = pooled(np.concatenate([own, second]), np.array([*range(len(own)), *twice]))
        label = both.argmax(1)
        rows = np.arange(len(own))
        lower = own[rows, label].copy()
        lower[twice] = np.minimum(lower[twice], second[np.arange(len(twice)), label[twice]])
        first, then = -np.sort(-logits, 1)[:, :2].T
        assert self.memory is not None
        near = torch.cat([(part @ self.memory.T).topk(NEIGHBOURS).values[:, -1] for part in features.split(500)])
        return {
            "probability": both.max(1),
            "margin": first - then,
            "energy": logsumexp(logits, 1),
            "neighbours": near.numpy(),
            "views": lower,
        }, label


def batches(pixels: np.ndarray) -> list[np.ndarray]:
    return np.array_split(pixels, max(1, len(pixels) // 256))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--digits", type=Path, required=True)
    parser.add_argument("--model", default="digits")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    path = PRETRAINED[options.model].folder if options.model in PRETRAINED else Path(options.model)
    form = load_predictor(options.model).input_format
    network, config = load_network(path)
    scored = Scored(network, config.temperature or 1.0, None)
    with np.load(options.digits / "digits.npz") as file:
        rows = np.random.default_rng(0).permutation(len(file["x_train"]))[:MEMORY]
        scored.memory = scored.logits_and_features(file["x_train"][rows])[1]
    with (options.folder / "real.csv").open(encoding="utf-8") as opened:
        real = [
            r
            for r in csv.DictReader(opened)
            if r["several"] == "0" and r["kind"] in HANDWRITING and r["group"] not in LEFT_OUT
        ]
    images = [next(read_normalized(options.folder / row["image_path"], form)) for row in real]
    found, label = scored.scores(np.stack([i.pixels for i in images]), [i.whole for i in images])
    wrong = label != np.array([int(row["label"]) for row in real])
    mnist = load_data("mnist").train_val()[1].pixels[:OOD_IMAGES]
    known = {"MNIST": scored.scores(mnist, [None] * len(mnist))[0], "real handwriting": found}
    table: dict[str, dict[str, float]] = {}
    for name in found:
        accepted = np.argsort(-found[name], kind="stable")[: round(len(real) * (1 - ABSTAINED))]
        table[name] = {
            "wrong": int(wrong.sum()),
            "auroc_of_errors": float(roc_auc_score(~wrong, found[name])),
            "wrong_among_accepted": float(wrong[accepted].mean()),
        }
    for kind, ood in OOD_SETS.items():
        if ood.purpose == "testing" and kind != LIKE:
            pixels = ood.draw(OOD_IMAGES, 28, 28, 1, 0)
            if pixels is not None:
                unknown = scored.scores(pixels, [None] * len(pixels))[0]
                for name, against in ((name, against) for name in found for against in known):
                    values = np.concatenate([known[against][name], unknown[name]])
                    truth = np.repeat([1, 0], [len(known[against][name]), len(pixels)])
                    table[name][f"auroc {kind} against {against}"] = float(roc_auc_score(truth, values))
    for key in table["probability"]:
        print(f"{key:44}", *(f"{name} {numbers[key]:.4g}" for name, numbers in table.items()), sep="  ")
    if options.out:
        write_claim(options.out, {"scores": table, "images": len(real)}, FOLDER=str(options.folder))


if __name__ == "__main__":
    main()
