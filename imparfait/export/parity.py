"""Parity of an exported file: its predictions compared with the run's on corrupted digits."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F

from imparfait.core.compute import images_at_once
from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.core.rng import CounterRng
from imparfait.core.types import Pixels, Probabilities
from imparfait.corruptions import CORRUPTIONS
from imparfait.data.corrupted import corrupt_with
from imparfait.data.dataset import LabelledImages
from imparfait.data.images.input_format import InputFormat
from imparfait.data.load import load_data
from imparfait.models.metadata import Parity

IMAGES = 1000  # compared, of sizes up to 129 by 129 in grey or 74 by 74 in colour
VALUES = 1 << 24  # in larger ones: 111 of 224 by 224 in colour, which take half a minute rather than four
MAX_DIFFERENCE = 1e-4  # of a probability: rounding makes 1e-7 to 1e-6, one misplaced weight 1e-2

PredictProba = Callable[[Pixels], Probabilities]


def measure_parity(original: PredictProba, exported: PredictProba, form: InputFormat, name: str) -> Parity:
    """How closely two classifiers agree on corrupted images of this input format: 1,000, fewer of large ones.

    Raises UserError where a probability differs by more than rounding explains; errors call the file `name`.
    """
    images = same_label = 0
    largest = 0.0
    for pixels in corrupted_digits(form):
        expected, received = original(pixels), exported(pixels)
        images += len(pixels)
        same_label += int((expected.argmax(1) == received.argmax(1)).sum())
        largest = float(np.maximum(largest, np.abs(expected - received).max()))  # keeps a NaN
    if not largest <= MAX_DIFFERENCE:
        raise UserError(
            f"{name}: not written, because its predictions differ from the run's: a probability by {largest:.2g}, the "
            f"label on {images - same_label:,} of {images:,} images",
            expected=f"at most {MAX_DIFFERENCE:g}",
            hint=f"for versions that agree, {install_hint('train')}",
        )
    return Parity(images=images, same_label=same_label, largest=largest)


def corrupted_digits(form: InputFormat) -> Iterator[Pixels]:
    """IMAGES of MNIST's validation images in this size, tinted where it has colours, one batch for each corruption.

    Severities go from 0 to 1 within a batch.
    """
    _, validation = load_data("mnist").train_val()
    count = images_at_once((form.channels, form.height, form.width), IMAGES, VALUES)
    digits = _resized(validation.select(np.arange(max(count, 2 * len(CORRUPTIONS)))), form)
    for index, (name, corruption) in enumerate(CORRUPTIONS.items()):
        part = digits.select(np.arange(index, len(digits), len(CORRUPTIONS)))
        yield corrupt_with(part, name, corruption, torch.linspace(0, 1, len(part))).pixels


def _resized(digits: LabelledImages, form: InputFormat) -> LabelledImages:
    if digits.pixels.shape[1:] == (form.channels, form.height, form.width):
        return digits
    images = F.interpolate(
        torch.from_numpy(digits.pixels).float(), (form.height, form.width), mode="bilinear", antialias=True
    )
    tints = CounterRng(0, "tints", 0, torch.from_numpy(digits.sources)).uniform("tint", form.channels, 1, 1)
    pixels = (images * (tints if form.channels > 1 else 1)).round().to(torch.uint8).numpy()
    return LabelledImages(pixels, digits.labels, digits.sources, digits.classes, digits.name, digits.split)
