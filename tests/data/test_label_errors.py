"""The label errors are those of MNIST's test set, and of no other. Reads labels only, no test images."""

import numpy as np
import pytest

from imparfait.data.idx import read_idx
from imparfait.data.label_errors import LABEL_ERRORS, is_mnist_test, without_label_errors
from imparfait.data.load import MNIST


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return read_idx(MNIST / "t10k-labels-idx1-ubyte.xz").astype(np.int64)


def test_fifteen_labels_with_five_votes_each_were_not_confirmed() -> None:
    assert len({error.index for error in LABEL_ERRORS}) == 15
    assert [error.index for error in LABEL_ERRORS] == sorted(error.index for error in LABEL_ERRORS)
    for error in LABEL_ERRORS:
        assert error.for_label + error.for_guess + error.for_neither == 5
        assert error.for_label < 3
        assert error.guess != error.label


def test_the_published_votes_are_about_the_labels_of_the_file(labels: np.ndarray) -> None:
    assert [labels[error.index] for error in LABEL_ERRORS] == [error.label for error in LABEL_ERRORS]


def test_the_mask_leaves_out_the_label_errors(labels: np.ndarray) -> None:
    kept = without_label_errors(labels)
    assert np.flatnonzero(~kept).tolist() == [error.index for error in LABEL_ERRORS]


@pytest.mark.parametrize("change", ["another label", "another order", "fewer", "one more", "wrapped"])
def test_other_labels_have_no_known_errors(labels: np.ndarray, change: str) -> None:
    other = labels.copy()
    if change == "another label":
        other[0] = (other[0] + 1) % 10
    elif change == "another order":
        other = other[::-1].copy()
    elif change == "fewer":
        other = other[:-1]
    elif change == "one more":
        other = np.append(other, 0)
    else:
        other += 256  # the same bytes
    assert not is_mnist_test(other)
    assert without_label_errors(other).all()
    assert len(without_label_errors(other)) == len(other)
