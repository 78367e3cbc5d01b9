"""Whether a file answers as the classifier it was made from."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F

from imparfait.core.errors import UserError
from imparfait.core.rng import CounterRng
from imparfait.core.types import Pixels, Probabilities
from imparfait.corruptions import CORRUPTIONS
from imparfait.data.corrupted import corrupt_with
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import load_data
from imparfait.data.images.normalize import InputFormat
from imparfait.models.metadata import Parity

PICTURES = 1000
MOST = 1e-4
"""Of a probability's difference: rounding makes 1e-7 to 1e-6, one weight in the wrong place 1e-2."""

Ask = Callable[[Pixels], Probabilities]


def parity_of(original: Ask, exported: Ask, shown: InputFormat, name: str) -> Parity:
    """How `exported` answers beside `original`, on 1,000 corrupted images of the size and channels of `shown`.

    Raises UserError where a probability differs by more than rounding explains; `name` is whose file it would be.
    """
    images = same_label = 0
    largest = 0.0
    for pixels in corrupted_digits(shown):
        expected, came = original(pixels), exported(pixels)
        images += len(pixels)
        same_label += int((expected.argmax(1) == came.argmax(1)).sum())
        largest = float(np.maximum(largest, np.abs(expected - came).max()))  # stays a NaN once it is one
    if not largest <= MOST:
        raise UserError(
            f"{name}: nothing was written, for the file would answer otherwise: a probability differs by "
            f"{largest:.2g}, the label on {images - same_label:,} of {images:,} images; versions that agree: "
            "pip install -c constraints.txt 'imparfait[train]'"
        )
    return Parity(images=images, same_label=same_label, largest=largest)


def corrupted_digits(shown: InputFormat) -> Iterator[Pixels]:
    """1,000 of MNIST's validation images at this size, tinted where there are colours, in parts.

    Each part is corrupted in another way, at severities from 0 to 1.
    """
    _, development = load_data("mnist").train_val()
    digits = _fitted(development.select(np.arange(PICTURES)), shown)
    for place, (name, alter) in enumerate(CORRUPTIONS.items()):
        part = digits.select(np.arange(place, len(digits), len(CORRUPTIONS)))
        yield corrupt_with(part, name, alter, torch.linspace(0, 1, len(part))).pixels


def _fitted(digits: LabelledImages, shown: InputFormat) -> LabelledImages:
    if digits.pixels.shape[1:] == (shown.channels, shown.height, shown.width):
        return digits
    images = F.interpolate(
        torch.from_numpy(digits.pixels).float(), (shown.height, shown.width), mode="bilinear", antialias=True
    )
    tints = CounterRng(0, "tints", 0, torch.from_numpy(digits.sources)).uniform("tint", shown.channels, 1, 1)
    pixels = (images * (tints if shown.channels > 1 else 1)).round().to(torch.uint8).numpy()
    return LabelledImages(pixels, digits.labels, digits.sources, digits.classes, digits.name, digits.split)
