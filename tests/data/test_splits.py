"""Folds: each source is held out once, with all its copies, and is never in the training images of that fold."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.bars import draw_bars
from hypothesis import given, settings
from hypothesis import strategies as st

from imparfait.core.errors import UserError
from imparfait.data.dataset import LabelledImages
from imparfait.data.splits import check_apart, fold, sample, split, subsample


def with_copies(n: int, copies: int, seed: int) -> LabelledImages:
    """Bars, each source with `copies` copies, in random order."""
    data = draw_bars(n)
    rows = np.random.default_rng(seed).permutation(np.repeat(np.arange(n), copies))
    return data.select(rows)


@settings(max_examples=30, deadline=None)
@given(st.integers(12, 60), st.integers(1, 3), st.integers(2, 4), st.integers(0, 1000))
def test_each_source_is_held_out_exactly_once_with_all_its_copies(n: int, copies: int, folds: int, seed: int) -> None:
    data = with_copies(n, copies, seed)
    held_out = []
    for number in range(folds):
        train, validation = fold(data, folds, number, seed)
        check_apart(train, validation)
        assert len(train) + len(validation) == len(data)
        held_out += np.unique(validation.sources).tolist()
    assert sorted(held_out) == np.unique(data.sources).tolist()


@settings(max_examples=30, deadline=None)
@given(st.integers(15, 90), st.integers(2, 5), st.integers(0, 1000))
def test_folds_are_of_equal_size_and_stratified(n: int, folds: int, seed: int) -> None:
    data = draw_bars(n)
    folds_held_out = [fold(data, folds, number, seed)[1] for number in range(folds)]
    counts = np.array([np.bincount(part.labels, minlength=3) for part in folds_held_out])
    assert (np.ptp(counts, 0) <= 1).all()
    assert np.ptp([len(part) for part in folds_held_out]) <= 1


@settings(max_examples=30, deadline=None)
@given(st.integers(30, 90), st.integers(20, 100), st.integers(0, 1000))
def test_a_sample_is_stratified_and_always_the_same(n: int, images: int, seed: int) -> None:
    data = draw_bars(n)
    shuffled = data.select(np.random.default_rng(seed).permutation(n), "validation")
    drawn, again = sample(data.select(np.arange(n), "validation"), images), sample(shuffled, images)
    assert set(drawn.sources) == set(again.sources)
    assert len(drawn) == min(n, images)
    assert np.ptp(np.bincount(drawn.labels, minlength=3)) <= 2
    assert drawn.split == "validation"


def test_partitions_differ_and_are_reproducible() -> None:
    data = draw_bars(90)
    partitions = [frozenset(fold(data, 5, 0, partition)[1].sources.tolist()) for partition in range(20)]
    assert len(set(partitions)) == 20
    assert partitions[3] == frozenset(fold(data, 5, 0, 3)[1].sources.tolist())


def test_the_order_of_the_images_changes_no_fold() -> None:
    data = draw_bars(60)
    shuffled = data.select(np.random.default_rng(0).permutation(60))
    assert set(fold(data, 5, 2, 1)[1].sources) == set(fold(shuffled, 5, 2, 1)[1].sources)


def test_more_folds_than_images_of_a_class_are_rejected() -> None:
    data = draw_bars(30).select(np.array([0, 3, 6, 9, 12, 1, 4, 7, 10, 2, 5, 8]))
    with pytest.raises(UserError, match="class steep has 4 images, fewer than the 5 folds; write --folds 4"):
        fold(data, 5, 0, 0)


def test_validation_images_are_not_split() -> None:
    _, validation = split(draw_bars(60))
    with pytest.raises(UserError, match="cannot be split; expected training images"):
        fold(validation, 5, 0, 0)


def test_subsamples_are_nested_and_stratified() -> None:
    data = draw_bars(120)
    few, more = subsample(data, 30), subsample(data, 60)
    assert len(few) == 30
    assert set(few.sources) < set(more.sources)
    assert np.bincount(few.labels).tolist() == [10, 10, 10]
    assert subsample(data, None) is data
    assert subsample(data, 500) is data


def test_a_planted_leak_is_detected_every_time() -> None:
    """A corrupted copy of a random held-out image among the training images, 100 times."""
    from helpers.fake_jobs import small_job

    from imparfait.data.corrupted import corrupt
    from imparfait.selection.jobs import fit_and_evaluate

    data = draw_bars(60)
    random = np.random.default_rng(0)
    for trial in range(100):
        train, validation = fold(data, 3, trial % 3, trial)
        leak = corrupt(
            validation.select(random.integers(0, len(validation), 1)), ("geometric", "shrunk")[trial % 2], 0.5
        )
        row = random.integers(0, len(train) + 1)
        joined = replace(
            train,
            pixels=np.insert(train.pixels, row, leak.pixels[0], 0),
            labels=np.insert(train.labels, row, leak.labels[0]),
            sources=np.insert(train.sources, row, leak.sources[0]),
        )
        with pytest.raises(UserError, match="leakage: 1 held-out source images"):
            fit_and_evaluate(small_job(data), joined, validation)
