"""Digits on 40×40 as affNIST has them, turned, slanted, stretched and moved: read by who never saw that canvas.

python benchmarks/affnist.py runs/best-s* --out results/<date>-affnist
python benchmarks/affnist.py runs/best-s0-… --final --out results/<date>-affnist-test      # opens the test, once

Made here of MNIST by affNIST's published ranges (Tieleman 2013, cs.toronto.edu/~tijmen/affNIST): turned by up to 20°,
slanted by up to 0.2, each axis stretched to 0.8 to 1.2 of its length, then moved to any place where no ink leaves the
canvas; all drawn evenly. affNIST's own files are not read, so its pixels and ours differ. Each source is shown once.
"""

import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from claims import development_run, leave
from torch import Tensor

import imparfait
from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.core.types import Classifier
from imparfait.corruptions.geometry import resample
from imparfait.data.corrupted import corrupt_with
from imparfait.data.dataset import ConditionImages, LabelledImages
from imparfait.data.load import Dataset
from imparfait.data.sealed_test import LEDGER
from imparfait.reports.figures import as_png, contact_sheet

RIM = 6  # pixels of empty ground around a digit
TURN, SLANT, STRETCH = math.radians(20), 0.2, 0.2
INK = 0.02  # what is paler than this does not hold a digit back from the edge


def affnist(images: Images, severity: float, draw: CounterRng) -> Images:
    """The pictures on a canvas 12 pixels larger, as affNIST has them."""
    images = F.pad(images, (RIM, RIM, RIM, RIM))
    n, side = len(images), images.shape[-1]
    drawn = 2 * draw.uniform("turned, slanted, tall, wide", 4).to(images.dtype) - 1
    angle, slant, tall, wide = (drawn * torch.tensor([TURN, SLANT, STRETCH, STRETCH], dtype=images.dtype)).unbind(1)
    cos, sin = angle.cos(), angle.sin()
    turned = torch.stack([cos, -sin, sin, cos], 1).view(n, 2, 2)
    one, none = torch.ones(n, dtype=images.dtype), torch.zeros(n, dtype=images.dtype)
    slanted = torch.stack([one, none, slant, one], 1).view(n, 2, 2)
    stretched = torch.diag_embed(torch.stack([1 + tall, 1 + wide], 1))
    forward = turned @ slanted @ stretched  # from (row, column) of the digit to those of the canvas
    low, high = _extent(images, forward)
    edge = (side - 1) / 2
    place = draw.uniform("row, column", 2).to(images.dtype)
    least, most = -edge - low, edge - high
    # A digit too large for the canvas stays in its middle.
    moved = torch.where(most > least, least + place * (most - least), (least + most) / 2)
    back = torch.linalg.inv(forward)
    return resample(images, back, -(back @ moved[..., None])[..., 0], outside="zeros")


def _extent(images: Images, forward: Tensor) -> tuple[Tensor, Tensor]:
    """From where to where, by row and by column from the centre, the ink of each picture reaches once transformed."""
    side = images.shape[-1]
    line = torch.arange(side, dtype=images.dtype) - (side - 1) / 2
    points = torch.stack(torch.meshgrid(line, line, indexing="ij"), 2).view(-1, 2)
    there = points @ forward.mT  # n, pixels, (row, column)
    inked = (images.amax(1) > INK).flatten(1)[..., None]
    low = there.masked_fill(~inked, math.inf).amin(1)
    high = there.masked_fill(~inked, -math.inf).amax(1)
    return low.clamp(max=0), high.clamp(min=0)


def altered(data: LabelledImages) -> ConditionImages:
    """All of `data`, so."""
    return ConditionImages("affnist", 1.0, corrupt_with(data, "affnist", affnist, 1.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--final", action="store_true", help="open the test pictures, once, for each model")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder with the ledger of test openings")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    dataset = imparfait.load_data("mnist")
    rows = [_asked(model, dataset, options) for model in options.models]
    _, validation = imparfait.split(dataset.train)
    sheet = altered(validation.select(slice(0, 20))).data.pixels
    (options.out / "pictures.png").write_bytes(as_png(contact_sheet({"affNIST's ranges": sheet})))
    leave(options.out, rows)
    for row in rows:
        print(row)


def _asked(model: str, dataset: Dataset, options: argparse.Namespace) -> dict[str, object]:
    classify = imparfait.load_classifier(model)
    if not options.final:
        development_run(Path(model))
        return _scored(model, classify, imparfait.split(dataset.train)[1])
    settings = json.loads((Path(model) / "settings.json").read_text())["hash"]
    with dataset.test.open(options.runs / LEDGER, settings) as opening:
        row = _scored(model, classify, opening.pictures)
        opening.result = f"affNIST's ranges on 40×40: {row['accuracy']:.2%}"
    return row


def _scored(model: str, classify: Classifier, data: LabelledImages) -> dict[str, object]:
    score = imparfait.evaluate(classify, [altered(data)]).each
    low, high = score[0].interval
    return {"model": Path(model).name, "pictures": data.split, "right": score[0].right, "of": score[0].total,
            "accuracy": score[0].accuracy, "low": low, "high": high}  # fmt: skip


if __name__ == "__main__":
    main()
