"""The disputed labels are those of MNIST's test set, and of no other. Only labels are read here, no test image."""

import numpy as np
import pytest

from imparfait.data.idx import read_idx
from imparfait.data.label_errors import DISPUTED, is_mnist_test, without_disputed
from imparfait.data.load import MNIST


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return read_idx(MNIST / "t10k-labels-idx1-ubyte.xz").astype(np.int64)


def test_there_are_fifteen_of_five_votes_each_and_most_people_did_not_confirm_them() -> None:
    assert len({each.index for each in DISPUTED}) == 15
    assert [each.index for each in DISPUTED] == sorted(each.index for each in DISPUTED)
    for each in DISPUTED:
        assert each.for_label + each.for_guess + each.for_neither == 5
        assert each.for_label < 3
        assert each.guess != each.label


def test_the_published_votes_speak_of_the_labels_that_are_there(labels: np.ndarray) -> None:
    assert [labels[each.index] for each in DISPUTED] == [each.label for each in DISPUTED]


def test_the_mask_leaves_out_these_fifteen(labels: np.ndarray) -> None:
    kept = without_disputed(labels)
    assert np.flatnonzero(~kept).tolist() == [each.index for each in DISPUTED]


@pytest.mark.parametrize("change", ["another label", "another order", "fewer", "one more", "wrapped"])
def test_nothing_is_disputed_of_other_labels(labels: np.ndarray, change: str) -> None:
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
    assert without_disputed(other).all()
    assert len(without_disputed(other)) == len(other)
