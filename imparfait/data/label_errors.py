"""Published label errors of MNIST's test set: 15 labels that people did not confirm."""

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from imparfait.core.types import Labels
from imparfait.data.idx import as_idx
from imparfait.data.load import MNIST_SHA256

TEST_LABELS = MNIST_SHA256["t10k-labels-idx1-ubyte.xz"]


@dataclass(frozen=True)
class LabelError:
    """A test image (`index` in the published order), and how many of five people chose each label."""

    index: int
    label: int
    """The published label."""
    guess: int
    """The label that a classifier not trained on the image predicted: the alternative people could choose."""
    for_label: int
    for_guess: int
    for_neither: int


LABEL_ERRORS = tuple(
    LabelError(*row)
    for row in (
        (947, 8, 9, 0, 5, 0),
        (1621, 0, 6, 2, 3, 0),
        (1901, 9, 4, 2, 3, 0),
        (2130, 4, 9, 2, 2, 1),
        (2462, 2, 0, 0, 4, 1),
        (2597, 5, 3, 0, 4, 1),
        (2654, 6, 1, 0, 2, 3),
        (3520, 6, 4, 2, 0, 3),
        (3558, 5, 0, 1, 4, 0),
        (5937, 5, 3, 1, 3, 1),
        (6651, 0, 6, 0, 5, 0),
        (6783, 1, 6, 2, 3, 0),
        (8527, 4, 9, 2, 2, 1),
        (9679, 6, 3, 2, 0, 3),
        (9729, 5, 6, 2, 3, 0),
    )
)
"""Labels that fewer than three of five people confirmed, of about a hundred checked.

Not all of them are wrong, and images that were not checked may hold more.
Source: Northcutt, Athalye & Mueller, "Pervasive label errors in test sets destabilize machine learning benchmarks"
(NeurIPS 2021 Datasets and Benchmarks, arXiv 2103.14749), which counts these 15; the votes are in
github.com/cleanlab/label-errors, mturk/mnist_mturk.json, at commit 5457895eee26e49187de5c4d6617b9de6f172221.
"""


def is_mnist_test(labels: Labels) -> bool:
    """Whether these are the labels of all of MNIST's test images, in the published order."""
    if len(labels) != 10_000 or labels.min() < 0 or labels.max() > 9:
        return False
    return hashlib.sha256(as_idx(labels.astype(np.uint8))).hexdigest() == TEST_LABELS


def without_label_errors(labels: Labels) -> Bool[np.ndarray, " n"]:
    """A mask that leaves out the label errors of MNIST's test set; all True for other labels.

    The set is recognised by all its labels in the published order; a part of it is not: mask first, then select.
    """
    kept = np.ones(len(labels), bool)
    if is_mnist_test(labels):
        kept[[error.index for error in LABEL_ERRORS]] = False
    return kept
