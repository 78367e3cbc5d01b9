"""Loading, splitting and augmenting images, and the sealed test set."""

import csv
import gzip
import lzma
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.bars import draw_bars, write_idx
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.core.rng import CounterRng
from imparfait.corruptions import CORRUPTIONS
from imparfait.data.augmentation import AUGMENTATIONS, Augmentation, AugmentationShare, describe_overlap
from imparfait.data.corrupted import corrupt
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import load_data
from imparfait.data.splits import split
from imparfait.data.test_ledger import BEGUN, count_accesses


@pytest.fixture(scope="module")
def mnist() -> LabelledImages:
    return load_data("mnist").train


def test_mnist_is_whole(mnist: LabelledImages) -> None:
    assert repr(mnist) == "<60,000 train images of mnist: 28×28, 1 channel, 10 classes>"
    assert np.bincount(mnist.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert len(np.unique(mnist.sources)) == 60_000


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["plain", "gz", "xz"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_of_idx_files_is_a_data_set(tmp_path: Path, pack, channels: int) -> None:
    train, test = draw_bars(12, channels=channels), draw_bars(6, channels=channels, first_source=12)
    folder = write_idx(tmp_path / "mine", train, test)
    for path in list(folder.iterdir()):
        suffix = {gzip.compress: ".gz", lzma.compress: ".xz"}.get(pack, "")
        content = pack(path.read_bytes())
        path.unlink()
        path.with_name(path.name + suffix).write_bytes(content)
    data = load_data(folder)
    assert np.array_equal(data.train.pixels, train.pixels)
    assert data.train.classes == ("0", "1", "2")
    with data.test.open(tmp_path / "ledger.csv", "hash") as opening:
        assert np.array_equal(opening.images.labels, test.labels)
        assert not set(opening.images.sources) & set(data.train.sources)


@pytest.mark.parametrize(
    ("file", "change", "sentence"),
    [
        ("train-labels-idx", lambda b: b[:-1], "the header says 12 = 12 values, the file holds 11"),
        ("train-images-idx", lambda b: b + b"x", "the header says 12 x 16 x 16 = 3072 values, the file holds more"),
        (
            "train-images-idx",
            lambda b: b"\x89PNG" + b[4:],
            "not an IDX file of bytes; its first four bytes are 89504e47",
        ),
        ("train-images-idx", lambda b: b"", "its first four bytes are missing"),
        ("train-images-idx", lambda b: b[:6], "the header says 3 dimensions, the file ends before their sizes"),
        (
            "t10k-labels-idx",
            lambda b: b[:-1] + b"\x09",
            "a test label is 9; expected one of the train labels, 0, 1, 2",
        ),
    ],
)
def test_a_file_with_a_false_header_is_a_user_error_that_names_it(
    tmp_path: Path, file: str, change, sentence: str
) -> None:
    folder = write_idx(tmp_path / "mine", draw_bars(12), draw_bars(6))
    (folder / file).write_bytes(change((folder / file).read_bytes()))
    with pytest.raises(UserError) as error, load_data(folder).test.open(tmp_path / "ledger.csv", "hash"):
        pass
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_misspelt_data_set_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="no data set is called 'mnits'; did you mean 'mnist'"):
        load_data("mnits")


def test_a_missing_folder_is_a_user_error() -> None:
    with pytest.raises(UserError, match=r"my_images: no such file or folder; --data wants .* or one of mnist"):
        load_data("my_images")
    with pytest.raises(UserError, match="my/images: no such file or folder"):
        load_data("my/images")


def test_copies_of_a_source_stay_on_one_side_of_the_split() -> None:
    once = draw_bars(60)
    rows = np.concatenate([np.arange(60), np.arange(60), np.arange(0, 60, 2)])
    fit, validation = split(once.select(rows))
    assert not set(fit.sources) & set(validation.sources)
    assert len(fit) + len(validation) == len(rows)
    assert np.bincount(once.labels[np.unique(validation.sources)]).tolist() in ([3, 3, 4], [3, 4, 3], [4, 3, 3])


def test_the_split_does_not_depend_on_the_order_of_the_images() -> None:
    data = draw_bars(60)
    _, validation = split(data)
    _, shuffled = split(data.select(np.random.default_rng(0).permutation(60)))
    assert set(shuffled.sources) == set(validation.sources)


def test_test_images_are_not_split(bars: LabelledImages) -> None:
    with pytest.raises(UserError, match="test images cannot be split"):
        split(bars.select(np.arange(32), "test"))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_matches_its_description(name: str) -> None:
    sources = torch.arange(60, dtype=torch.int64) + 100
    augmentation = AUGMENTATIONS[name]
    for epoch in range(3):
        source, share = augmentation.rows(0, epoch, sources).T
        counts = torch.bincount(share, minlength=len(augmentation.shares)).tolist()
        expected = {"clean": [60], "balanced": [60, 60, 60], "study": [60, 20, 25]}
        if augmentation.round_robin:
            assert sorted(source.tolist()) == list(range(60))
        else:
            assert counts == expected[name]
            assert len(set(zip(source.tolist(), share.tolist(), strict=True))) == len(source)


def test_an_augmentation_of_many_corruptions_uses_each_source_once_and_no_omitted_one() -> None:
    for name, augmentation in AUGMENTATIONS.items():
        shown = {share.corruption for share in augmentation.shares} - {"clean"}
        if augmentation.round_robin:
            assert sum(share.part for share in augmentation.shares) == pytest.approx(1)
        if name.startswith("without_"):
            left_out = {key for key, known in CORRUPTIONS.items() if known.family == name.removeprefix("without_")}
            assert left_out
            assert shown == set(CORRUPTIONS) - left_out
        if name == "unlike_mnist_c":
            assert not any(CORRUPTIONS[key].mnist_c for key in shown)
            assert len(shown) == len(CORRUPTIONS) - 15
    assert {share.corruption for share in AUGMENTATIONS["everything"].shares} == {"clean", *CORRUPTIONS}


def test_a_range_of_severities_is_sampled_per_image() -> None:
    augmentation = Augmentation("", (AugmentationShare("brightness", (0.2, 0.8), 1.0),), redrawn=True)
    images, sources = torch.zeros(500, 1, 8, 8), torch.arange(500)
    first, second = (
        augmentation.apply(images.clone(), torch.zeros(500, dtype=torch.int64), 0, epoch, sources)[:, 0, 0, 0]
        for epoch in (0, 1)
    )
    most = float(CORRUPTIONS["brightness"](images[:1], 1.0, CounterRng(0, "", 0, sources[:1])).max())
    assert 0.2 * most - 1e-6 <= first.min() < 0.25 * most
    assert 0.75 * most < first.max() <= 0.8 * most + 1e-6
    assert not torch.equal(first, second)


def test_an_augmentation_lists_its_corruptions() -> None:
    assert describe_overlap(AUGMENTATIONS["everything"]).endswith("all of them.")
    assert "all but shot noise, impulse noise, gaussian noise" in describe_overlap(AUGMENTATIONS["without_noise"])
    assert describe_overlap(AUGMENTATIONS["core"]).startswith("Seen in training: geometric and shrunk;")
    assert describe_overlap(AUGMENTATIONS["clean"]) == "No corruption was seen in training."


def test_fresh_shows_each_source_in_each_form_within_three_epochs() -> None:
    sources = torch.arange(600)
    seen = torch.stack([r[r[:, 0].argsort(), 1] for r in (AUGMENTATIONS["core"].rows(1, e, sources) for e in range(3))])
    assert (seen.sort(0).values == torch.tensor([[0], [1], [2]])).all()


@pytest.mark.parametrize(("name", "redrawn"), [("core", True), ("study", False), ("balanced", False)])
def test_images_are_corrupted_once_or_again_each_epoch_as_the_augmentation_states(
    name: str, redrawn: bool, images: torch.Tensor
) -> None:
    share, sources = torch.ones(32, dtype=torch.int64), torch.arange(32)
    first, later = (AUGMENTATIONS[name].apply(images.clone(), share, 0, epoch, sources) for epoch in (0, 7))
    assert torch.equal(first, later) != redrawn


def test_the_order_changes_every_epoch_and_with_the_seed() -> None:
    sources = torch.arange(50)
    orders = {tuple(AUGMENTATIONS["clean"].rows(s, e, sources)[:, 0].tolist()) for s, e in ((0, 0), (0, 1), (1, 0))}
    assert len(orders) == 3


def test_evaluated_images_are_the_same_in_any_subset_of_conditions() -> None:
    data = draw_bars(50)
    assert np.array_equal(
        corrupt(data.select(np.arange(20, 30)), "geometric", 0.5).pixels, corrupt(data, "geometric", 0.5).pixels[20:30]
    )


def test_each_test_access_is_a_line_in_the_ledger(bars_folder: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "runs" / "TEST_LEDGER.csv"
    test = load_data(bars_folder).test
    for times in (1, 2):
        with test.open(ledger, "abc") as opening:
            opening.result = "90 %"
            mark = opening.images.fingerprint()
        assert opening.times == times
    with pytest.raises(ZeroDivisionError), test.open(ledger, "abc"):
        _ = 1 / 0
    with ledger.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["result"] for line in lines] == [BEGUN, "90 %", BEGUN, "90 %", BEGUN, "no result"]
    assert {line["test_images"] for line in lines} == {mark}
    assert count_accesses(ledger, mark) == 3
    assert count_accesses(ledger, "another test set") == 0


def test_a_link_that_leads_to_itself_is_no_folder_and_stops_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "bars"
    for label, name in enumerate(("a", "b")):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            image = Image.new("L", (12, 12), 40 * label + number)
            image.save(folder / name / f"{number}.png")
        (folder / name / "loop").symlink_to(folder / name / "loop")
    assert len(load_data(folder).train) == 8
