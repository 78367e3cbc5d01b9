"""Groups: where they come from, and that no split has one of them on both sides."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.bars import CLASSES, draw_bars
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.data import splits
from imparfait.data.dataset import LabelledImages
from imparfait.data.group_splits import count_folds, count_groups
from imparfait.data.load import load_data
from imparfait.data.split_dataset import Dataset
from imparfait.data.splits import check_apart, fold, shared_groups, split, split_calibration

VALIDATION = [1, 12, 14, 17, 24]  # of 30 bars, from before there were groups
FOLD = [0, 4, 10, 12, 14, 18, 19, 20, 22, 26]


def in_groups(groups: list[int] | np.ndarray) -> LabelledImages:
    """Bars of these groups: every class in each group of three images or more."""
    return replace(draw_bars(len(groups)), groups=np.asarray(groups, np.int64))


sizes_of_groups = st.lists(st.integers(1, 5), min_size=4, max_size=9)


def in_groups_of(sizes: list[int]) -> LabelledImages:
    """Groups of three times so many images, one after the other: each has every class."""
    return in_groups(np.repeat(np.arange(len(sizes)), 3 * np.array(sizes)))


@settings(max_examples=40, deadline=None)
@given(sizes_of_groups, st.integers(2, 4), st.integers(0, 1000))
def test_each_image_is_held_out_once_and_no_group_is_on_two_sides(sizes: list[int], folds: int, seed: int) -> None:
    data = in_groups_of(sizes)
    held_out = []
    for number in range(folds):
        train, validation = fold(data, folds, number, seed)
        check_apart(train, validation)
        assert shared_groups(train, validation) == 0
        assert len(validation) > 0
        assert len(np.unique(train.labels)) == len(CLASSES)
        held_out += validation.sources.tolist()
    assert sorted(held_out) == data.sources.tolist()


@settings(max_examples=40, deadline=None)
@given(sizes_of_groups, st.integers(0, 1000))
def test_a_seed_gives_the_same_folds_in_whatever_order_the_images_are(sizes: list[int], seed: int) -> None:
    data = in_groups_of(sizes)
    shuffled = data.select(np.random.default_rng(seed).permutation(len(data)))
    for divide in (lambda images: fold(images, 3, 1, seed), split):
        first, again = divide(data)[1], divide(shuffled)[1]
        assert sorted(first.sources) == sorted(again.sources)


@settings(max_examples=40, deadline=None)
@given(sizes_of_groups)
def test_validation_images_are_of_groups_that_are_not_trained_on(sizes: list[int]) -> None:
    train, validation = split(in_groups_of(sizes))
    assert shared_groups(train, validation) == 0
    assert len(train) > 0 < len(validation)
    assert (train.split, validation.split) == ("train", "validation")


def test_seeds_give_other_folds() -> None:
    data = in_groups_of([1] * 12)
    assert len({frozenset(fold(data, 4, 0, seed)[1].sources.tolist()) for seed in range(20)}) > 15


def test_folds_are_of_about_equal_size_and_stratified() -> None:
    random = np.random.default_rng(0)
    data = draw_bars(900)
    data = replace(data, groups=random.integers(0, 40, 900) + 100 * (data.labels == 2) * random.integers(0, 2, 900))
    held_out = [fold(data, 5, number, 0)[1] for number in range(5)]
    counts = np.array([np.bincount(part.labels, minlength=3) for part in held_out])
    assert np.ptp(counts.sum(1)) <= 20
    assert np.ptp(counts, 0).max() <= 12


def test_as_many_folds_as_groups_leave_one_group_out() -> None:
    data = in_groups_of([1, 4, 2, 2, 9])
    folds = count_folds(data, "groups")
    held_out = [np.unique(fold(data, folds, number, 7)[1].groups).tolist() for number in range(folds)]
    assert sorted(held_out) == [[0], [1], [2], [3], [4]]


def test_validation_takes_several_groups_rather_than_one_of_the_same_size() -> None:
    _, validation = split(in_groups_of([8, 8, 8, 8, 8, 2, 2, 2, 2]))
    assert count_groups(validation) == 4


def test_without_groups_splits_are_what_they_were() -> None:
    data = draw_bars(30)
    assert split(data)[1].sources.tolist() == VALIDATION
    assert fold(data, 3, 1, 2)[1].sources.tolist() == FOLD


@pytest.mark.parametrize(
    ("groups", "folds", "sentence"),
    [
        ([0] * 12, 2, "bars: 1 group; expected at least 2, one for each side of the split; name what tells"),
        ([0, 0, 0, 1, 1, 1], 5, "bars: 2 groups; expected one for each of 5; write --folds 2, or --folds groups"),
        ([0, 0, 2, 1, 1, 2, 0, 1, 2], 2, "bars: class cross has images of one group only; expected two groups or more"),
        ([0, 1, 2] * 4, 2, "classes flat, steep, cross have images of one group only"),
    ],
)
def test_too_few_groups_are_one_sentence(groups: list[int], folds: int, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        fold(in_groups(groups), folds, 0, 0)
    assert sentence in str(caught.value)


def test_too_few_groups_to_validate_on_are_one_sentence() -> None:
    with pytest.raises(UserError, match="bars: 1 group; expected at least 2"):
        split(in_groups([3] * 12))


def test_leaving_one_group_out_needs_groups() -> None:
    with pytest.raises(UserError, match="--folds groups: bars has no groups; write --group"):
        count_folds(draw_bars(12), "groups")


def test_a_group_on_both_sides_is_a_leak() -> None:
    data = in_groups([0, 0, 0, 1, 1, 1])
    with pytest.raises(UserError, match="leakage: 1 held-out group is also trained on"):
        check_apart(data.select(np.arange(4)), data.select(np.arange(4, 6)))


def test_calibration_images_are_of_other_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "MIN_CALIBRATION_IMAGES", 5)
    fit, calibration = split_calibration(in_groups_of([2] * 20))
    assert calibration is not None
    assert shared_groups(fit, calibration) == 0
    assert len(calibration) == 6


@pytest.mark.parametrize("sizes", [[20, 20, 20], [120]], ids=["large groups", "one group"])
def test_large_groups_are_not_held_out_for_calibration(sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "MIN_CALIBRATION_IMAGES", 5)
    fit, calibration = split_calibration(in_groups_of(sizes))
    assert calibration is None
    assert len(fit) == 3 * sum(sizes)


def test_groups_are_no_part_of_the_fingerprint_but_of_the_grouping() -> None:
    one, other = in_groups([0, 0, 0, 1, 1, 1]), in_groups([0, 0, 0, 1, 1, 2])
    assert one.fingerprint() == other.fingerprint() == draw_bars(6).fingerprint()
    assert len({one.grouping(), other.grouping(), draw_bars(6).grouping()}) == 3


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """bars/<split>/<class>/meter-<n>/<n>.png of four meters, and labels.csv beside them."""
    monkeypatch.chdir(tmp_path)
    rows = ["image_path,label,split,group,device id"]
    for name, data in (("train", draw_bars(36)), ("test", draw_bars(12, first_source=36))):
        for number, (image, label) in enumerate(zip(data.pixels, data.labels, strict=True)):
            meter = number // 3 % 4
            path = Path(name, CLASSES[label], f"meter-{meter}", f"{number}.png")
            (tmp_path / "bars" / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0]).save(tmp_path / "bars" / path)
            rows.append(f"{path},{CLASSES[label]},{name},{meter},{'ab'[meter // 2]}")
    (tmp_path / "bars" / "labels.csv").write_text("\n".join(rows))
    (tmp_path / "folders").symlink_to("bars/train")
    return tmp_path


@pytest.mark.parametrize(
    ("data", "group", "groups"),
    [
        ("bars/labels.csv", None, 4),
        ("bars/labels.csv", "group", 4),
        ("bars/labels.csv", "device id", 2),
        ("bars/labels.csv", "parent", 4),
        ("bars/labels.csv", r"meter-(\d)", 4),
        ("bars/labels.csv", "none", 0),
        ("bars", "device id", 2),
        ("folders", None, 0),
        ("folders", "parent", 4),
        ("folders", r"meter-([01])|meter-", None),
        ("folders", r"meter-\d/(\d)", 10),
    ],
)
def test_groups_come_from_columns_folders_and_paths(
    home: Path, data: str, group: str | None, groups: int | None
) -> None:
    if groups is None:
        with pytest.raises(
            UserError, match=r"18 of 36 images of folders are without a match in their path, such as cross/meter-2/20"
        ):
            load_data(data, group=group)
        return
    found = load_data(data, group=group).train
    assert count_groups(found) == groups
    assert (found.groups is None) == (groups == 0)


def test_a_group_has_the_same_id_in_all_classes_and_splits(home: Path, tmp_path: Path) -> None:
    (home / "bars" / "labels.csv").unlink()
    found = load_data("bars", group="parent")
    with found.test.open(tmp_path / "ledger.csv", "x") as access:
        test = access.images
    for images in (found.train, test):
        assert images.groups is not None
        names = [found.files[source].split("meter-")[1][0] for source in images.sources]
        assert images.groups.tolist() == list(map(int, names))


@pytest.mark.parametrize(
    ("data", "group", "sentence"),
    [
        ("bars/labels.csv", "devise id", "--group devise id; expected a column of the table, parent, or a regular"),
        ("bars/labels.csv", "devise id", "did you mean device id?"),
        ("bars/labels.csv", "(a)(b)", "expected a column of the table, parent, or a regular expression with one group"),
        ("bars/labels.csv", "(", "--group (: missing )"),
        ("flat", "parent", "--group parent: 36 of 36 images of flat are not in a folder inside their class folder"),
        ("array", "parent", "--group parent: the data has arrays of images, without paths and columns"),
    ],
)
def test_what_tells_no_groups_is_one_sentence(home: Path, data: str, group: str, sentence: str) -> None:
    for path in (home / "bars" / "train").rglob("*.png"):
        flat = home / "flat" / path.parent.parent.name / path.name
        flat.parent.mkdir(parents=True, exist_ok=True)
        flat.write_bytes(path.read_bytes())
    given = (draw_bars(12).pixels[:, 0], draw_bars(12).labels) if data == "array" else data
    with pytest.raises(UserError) as caught:
        load_data(given, group=group)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rows_in_memory_have_groups_too() -> None:
    bars = draw_bars(12)
    rows = [
        {"image": image[0], "label": CLASSES[label], "writer": f"w{number % 4}"}
        for number, (image, label) in enumerate(zip(bars.pixels, bars.labels, strict=True))
    ]
    assert count_groups(load_data(rows, group="writer").train) == 4
    assert load_data(rows).train.groups is None


def test_one_row_in_memory_without_a_group_is_refused() -> None:
    bars = draw_bars(12)
    rows = [
        {"image": image[0], "label": CLASSES[label], "group": f"w{number % 4}"}
        for number, (image, label) in enumerate(zip(bars.pixels, bars.labels, strict=True))
    ]
    del rows[7]["group"]
    with pytest.raises(UserError, match="train row 7: no groups, unlike train row 0; expected a column called group"):
        load_data(rows)
    assert load_data(rows, group="none").train.groups is None


def test_one_table_of_a_split_without_groups_is_refused(home: Path) -> None:
    for part, columns in enumerate((["image_path", "label", "group"], ["image_path", "label"])):
        found = pd.read_csv(home / "bars" / "labels.csv", dtype=str)[part::2]
        found[columns].to_csv(home / "bars" / f"train-0000{part}-of-00002.csv", index=False)
    (home / "bars" / "labels.csv").unlink()
    with pytest.raises(UserError, match=r"train-00001-of-00002.csv: no groups, unlike bars/train-00000-of-00002.csv"):
        load_data("bars")
    assert load_data("bars", group="none").train.groups is None


def test_training_and_validation_images_are_joined_only_if_both_have_groups() -> None:
    data = in_groups_of([2] * 6)
    validation = replace(draw_bars(6), split="validation")
    mixed = Dataset(data, validation=validation)
    assert mixed.train_val() == (data, validation)
    with pytest.raises(UserError, match="the validation images of bars: no groups, unlike the train images of bars"):
        mixed.train_and_val()
    both = Dataset(data, validation=replace(validation, groups=np.arange(6))).train_and_val().groups
    assert both is not None
    assert both.tolist() == [*np.repeat(np.arange(6), 6), *range(6)]


def test_shared_groups_are_those_of_any_other_part() -> None:
    one, *others = (in_groups(groups) for groups in ([0, 1, 2, 2], [2, 3], [2, 1]))
    assert shared_groups(one, *others) == 2
    assert shared_groups(one, draw_bars(6), others[0]) == 1
    assert shared_groups(one, draw_bars(6)) == shared_groups(draw_bars(6), *others) == 0
