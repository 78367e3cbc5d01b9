"""DataEval: it reads our images as a MAITE data set, and its views come back as images of ours."""

import numpy as np
import pytest
from helpers.bars import draw_bars

import imparfait
from imparfait.interop.maite import MaiteDataset, images_of

pytest.importorskip("dataeval")


def test_dataeval_finds_the_images_that_come_twice() -> None:
    from dataeval.quality import Duplicates

    _, validation = imparfait.load_data("mnist").train_val()
    found = Duplicates().evaluate(MaiteDataset(validation.select(np.r_[np.arange(60), 5])))
    assert [list(rows) for rows in found.data()["item_indices"]] == [[5, 60]]


def test_dataeval_reads_labels_classes_and_groups() -> None:
    from dataclasses import replace

    from dataeval import Metadata

    bars = draw_bars(30)
    found = Metadata(MaiteDataset(replace(bars, groups=np.arange(30) // 10)))
    assert list(found.class_labels) == bars.labels.tolist()
    assert found.index2label == dict(enumerate(bars.classes))
    assert "group" in found.factor_names


def test_a_view_of_dataeval_comes_back_as_images() -> None:
    from dataeval.data import Indices, View

    bars = draw_bars(30)
    view = View(MaiteDataset(bars), [Indices([4, 20, 7])])
    assert images_of(view, split="train", name="bars").fingerprint() == bars.select(np.array([4, 20, 7])).fingerprint()
