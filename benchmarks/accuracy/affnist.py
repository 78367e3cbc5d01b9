"""Accuracy on affNIST-like digits: random affine transforms on a 40×40 canvas that the models never trained on.

python benchmarks/accuracy/affnist.py runs/best-s* --out results/best-validation/affnist
python benchmarks/accuracy/affnist.py runs/best-s0-… --final --out results/best-test/clean-twin  # one test access

The images are made from MNIST with affNIST's published ranges (Tieleman 2013, cs.toronto.edu/~tijmen/affNIST): rotation
up to 20°, shear up to 0.2, scale 0.8 to 1.2 along each axis, then translation to anywhere the whole digit fits. All are
sampled uniformly. affNIST's own files are not read, so its pixels and ours differ. Each source image is used once.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import validation_run, write_claim

import imparfait
from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.core.types import Classifier
from imparfait.corruptions.geometry import resample
from imparfait.data.corrupted import corrupt_with
from imparfait.data.dataset import ConditionImages, LabelledImages
from imparfait.data.load import Dataset
from imparfait.data.test_ledger import LEDGER
from imparfait.reports.figures.drawing import as_file
from imparfait.reports.figures.runs import contact_sheet

MARGIN = 6  # empty pixels added on each side
ROTATION, SHEAR, SCALE = math.radians(20), 0.2, 0.2
FOREGROUND = 0.02  # fainter pixels may leave the canvas


def affnist(images: Images, severity: float, rng: CounterRng) -> Images:
    """The images on a canvas 12 pixels larger, transformed as in affNIST."""
    images = F.pad(images, (MARGIN, MARGIN, MARGIN, MARGIN))
    n, side = len(images), images.shape[-1]
    amounts = 2 * rng.uniform("turned, slanted, tall, wide", 4).to(images.dtype) - 1
    angle, slope, tall, wide = (amounts * torch.tensor([ROTATION, SHEAR, SCALE, SCALE], dtype=images.dtype)).unbind(1)
    cos, sin = angle.cos(), angle.sin()
    rotation = torch.stack([cos, -sin, sin, cos], 1).view(n, 2, 2)
    one, zero = torch.ones(n, dtype=images.dtype), torch.zeros(n, dtype=images.dtype)
    shear = torch.stack([one, zero, slope, one], 1).view(n, 2, 2)
    scale = torch.diag_embed(torch.stack([1 + tall, 1 + wide], 1))
    forward = rotation @ shear @ scale  # from (row, column) of the digit to those of the canvas
    low, high = _extent(images, forward)
    edge = (side - 1) / 2
    position = rng.uniform("row, column", 2).to(images.dtype)
    lowest, highest = -edge - low, edge - high
    # A digit too large for the canvas stays centred.
    shift = torch.where(highest > lowest, lowest + position * (highest - lowest), (lowest + highest) / 2)
    back = torch.linalg.inv(forward)
    return resample(images, back, -(back @ shift[..., None])[..., 0], outside="zeros")


def _extent(images: Images, forward: Tensor) -> tuple[Tensor, Tensor]:
    """Lowest and highest row and column, from the centre, of each image's transformed foreground."""
    side = images.shape[-1]
    line = torch.arange(side, dtype=images.dtype) - (side - 1) / 2
    points = torch.stack(torch.meshgrid(line, line, indexing="ij"), 2).view(-1, 2)
    moved = points @ forward.mT  # n, pixels, (row, column)
    foreground = (images.amax(1) > FOREGROUND).flatten(1)[..., None]
    low = moved.masked_fill(~foreground, math.inf).amin(1)
    high = moved.masked_fill(~foreground, -math.inf).amax(1)
    return low.clamp(max=0), high.clamp(min=0)


def corrupt_like_affnist(data: LabelledImages) -> ConditionImages:
    """All images of `data`, transformed as in affNIST."""
    return ConditionImages("affnist", 1.0, corrupt_with(data, "affnist", affnist, 1.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="RUN")
    parser.add_argument("--final", action="store_true", help="evaluate each model on the test set, once")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder with the ledger of test accesses")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    dataset = imparfait.load_data("mnist")
    rows = [_evaluate_run(model, dataset, options) for model in options.models]
    _, validation = imparfait.split(dataset.train)
    examples = corrupt_like_affnist(validation.select(slice(0, 20))).data.pixels
    (options.out / "images.png").write_bytes(as_file(contact_sheet({"affNIST's ranges": examples}), "png"))
    write_claim(options.out, rows)
    for row in rows:
        print(row)


def _evaluate_run(model: str, dataset: Dataset, options: argparse.Namespace) -> dict[str, object]:
    classify = imparfait.load_classifier(model)
    if not options.final:
        validation_run(Path(model))
        return _row(model, classify, imparfait.split(dataset.train)[1])
    settings = json.loads((Path(model) / "settings.json").read_text())["hash"]
    with dataset.test.open(options.runs / LEDGER, settings) as access:
        row = _row(model, classify, access.images)
        access.result = f"affNIST's ranges on 40×40: {row['accuracy']:.2%}"
    return row


def _row(model: str, classify: Classifier, data: LabelledImages) -> dict[str, object]:
    score = imparfait.evaluate(classify, [corrupt_like_affnist(data)]).scores
    low, high = score[0].interval
    return {"model": Path(model).name, "images": data.split, "correct": score[0].correct, "total": score[0].total,
            "accuracy": score[0].accuracy, "low": low, "high": high}  # fmt: skip


if __name__ == "__main__":
    main()
