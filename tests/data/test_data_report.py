"""The data report: counts, sizes, copies within and across splits, and the sentences about them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.data.data_report import DataReport, report_data
from imparfait.data.dataset import LabelledImages
from imparfait.data.duplicates import copies_of, fingerprints, joined, near_copies_of, repeated
from imparfait.data.load import load_data
from imparfait.reports.data_text import data_lines, data_table, data_warnings


def shapes(n: int, seed: int, channels: int = 1, side: int = 32) -> np.ndarray:
    """Images of some soft discs each, none like another."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    images = np.zeros((n, channels, side, side))
    for image in images:
        for _ in range(6):
            row, column, radius = *random.uniform(0, side, 2), random.uniform(3, 9)
            distance = np.hypot(rows - row, columns - column)
            image += random.uniform(-150, 150, (channels, 1, 1)) * (distance < radius)
    low, high = (edge(images, axis=(1, 2, 3), keepdims=True) for edge in (np.min, np.max))
    return (20 + 215 * (images - low) / (high - low)).astype(np.uint8)


def jpeg(pixels: np.ndarray, path: Path) -> np.ndarray:
    Image.fromarray(pixels).save(path, quality=60)
    with Image.open(path) as image:
        return np.asarray(image)


def slow_copies(images: np.ndarray, others: np.ndarray) -> list[int]:
    return [next((place for place, other in enumerate(others) if np.array_equal(image, other)), -1) for image in images]


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 40), st.integers(0, 1000), st.sampled_from([1, 3]))
@settings(max_examples=40, deadline=None)
def test_copies_are_those_that_comparing_every_pair_finds(n: int, m: int, kinds: int, seed: int, channels: int) -> None:
    random = np.random.default_rng(seed)
    kind = random.integers(0, 256, (kinds, channels, 5, 7), dtype=np.uint8)
    images, others = kind[random.integers(0, kinds, n)], kind[random.integers(0, kinds, m)]
    assert copies_of(fingerprints(images), fingerprints(others)).tolist() == slow_copies(images, others)
    expected = [place >= 0 for place in (slow_copies(images[[row]], images[:row])[0] for row in range(n))]
    assert repeated(fingerprints(images)).tolist() == expected


CHANGES: dict[str, Callable[[np.ndarray, Path], np.ndarray]] = {
    "recompressed": lambda pixels, home: jpeg(pixels, home / "one.jpg"),
    "darker": lambda pixels, home: (pixels * 0.8).astype(np.uint8),
    "noisy": lambda pixels, home: (
        (pixels + np.random.default_rng(0).normal(0, 4, pixels.shape)).clip(0, 255).astype(np.uint8)
    ),
    "one pixel": lambda pixels, home: np.where(np.arange(32) == 3, pixels ^ 1, pixels),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_changed_copies_are_near_copies(change: Callable[[np.ndarray, Path], np.ndarray], tmp_path: Path) -> None:
    originals, unrelated = shapes(300, 0), shapes(100, 1)
    changed = np.stack([change(image[0], tmp_path) for image in originals[:40]])[:, None]
    found = near_copies_of(fingerprints(np.concatenate([changed, unrelated])), fingerprints(originals))
    assert np.mean(found[:40] == np.arange(40)) >= 0.9
    assert not ((found[:40] != np.arange(40)) & (found[:40] >= 0)).any()
    assert (found[40:] == -1).all()


@given(st.integers(0, 1000), st.sampled_from([1, 3]), st.integers(1, 20))
@settings(max_examples=15, deadline=None)
def test_fingerprints_do_not_depend_on_the_parts_they_are_made_in(seed: int, channels: int, cut: int) -> None:
    images = shapes(20, seed, channels, 20)
    whole, parts = fingerprints(images), joined([fingerprints(images[:cut]), fingerprints(images[cut:])])
    assert np.array_equal(whole.exact, parts.exact)
    assert np.array_equal(whole.perceptual, parts.perceptual)


def test_plain_images_have_no_near_copies() -> None:
    plain = np.stack([np.full((1, 16, 16), grey, np.uint8) for grey in range(0, 250, 5)])
    assert (near_copies_of(fingerprints(plain), fingerprints(plain)) == -1).all()


def saved(home: Path, split: str, data: LabelledImages, name: str = "") -> None:
    for pixels, label, source in zip(data.pixels, data.labels, data.sources, strict=True):
        path = home / split / data.classes[label] / f"{name}{source:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0]).save(path)


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """Three copies of training images among the test images, one with another label; a test class without images."""
    train, test = draw_bars(60, 32), draw_bars(30, 32, first_source=60)
    home = tmp_path / "leaky"
    saved(home, "train", train)
    saved(home, "test", test.select(test.labels != 2))
    saved(home, "test", train.select(np.array([0, 1, 3])), "copy")
    (home / "test" / "flat" / "copy000.png").rename(home / "test" / "steep" / "copy000.png")
    return home


def test_copies_of_training_images_in_the_test_set_are_reported(leaky: Path, tmp_path: Path) -> None:
    report = report_data(load_data(leaky))
    (overlap,) = report.overlaps
    assert (overlap.split, overlap.other, overlap.copies) == ("test", "train", 3)
    assert report.other_labels == 2
    assert all(Path(test).name == f"copy{Path(train).name}" for test, train in overlap.examples)
    warnings = "\n".join(data_warnings(report))
    assert "3 of 23 test images are copies of training images, such as " in warnings
    assert "the test accuracy will be too high; remove them from one split" in warnings
    assert "2 images have copies with another label: at least one label is wrong" in warnings
    assert "no test images of cross" in warnings
    assert not (tmp_path / "TEST_LEDGER.csv").exists()


def test_counts_are_in_the_table(leaky: Path) -> None:
    report = report_data(load_data(leaky))
    headings, rows, last = data_table(report)
    assert headings == ("class", "train", "test")
    assert rows == [["cross", "20", "0"], ["flat", "20", "11"], ["steep", "20", "12"]]
    assert last == ["all", "60", "23"]
    assert data_lines(report) == [
        "leaky: 60 training, 23 test images; 3 classes of 20 training images",
        "sizes: 32×32; grey; read as 32×32, grey",
    ]
    assert DataReport.model_validate_json(report.model_dump_json()) == report


def test_sizes_and_colour_modes_are_those_of_the_files(tmp_path: Path) -> None:
    images = shapes(12, 0, 3)
    for number, pixels in enumerate(images):
        image = Image.fromarray(pixels.transpose(1, 2, 0)).convert(("RGB", "L", "RGBA")[number % 3])
        path = tmp_path / "mixed" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.resize(((40, 30), (20, 20))[number % 4 == 0]).save(path)
    part = report_data(load_data(tmp_path / "mixed", 16)).splits["train"]
    assert part.sizes == {"30×40": 9, "20×20": 3}
    assert part.modes == {"RGB": 4, "L": 4, "RGBA": 4}


def test_many_test_images_are_reported_in_parts(leaky: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = report_data(load_data(leaky))
    monkeypatch.setattr("imparfait.data.image_dataset.IMAGES_AT_A_TIME", 4)
    assert report_data(load_data(leaky)) == whole


RECALL = "the recall of each class tells more than the accuracy"


def test_unreadable_test_images_of_all_parts_are_named_at_once(leaky: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imparfait.data.image_dataset.IMAGES_AT_A_TIME", 4)
    broken = sorted((leaky / "test").rglob("*.png"))[::3]
    for path in broken:
        path.write_bytes(b"no image")
    with pytest.raises(UserError, match=f"{len(broken)} of 23 files cannot be read: .*; --skip-unreadable") as error:
        report_data(load_data(leaky))
    assert all(f"{path.parent.name}/{path.name}" in str(error.value) for path in broken)
    assert report_data(load_data(leaky, skip_unreadable=True)).splits["test"].skipped == len(broken)


def with_counts(*counts: int) -> DataReport:
    labels = np.repeat(np.arange(len(counts)), counts)
    return report_data(load_data((shapes(len(labels), 0)[:, 0], labels)))


@pytest.mark.parametrize(("counts", "expected"), [
    ((30, 30), []),
    ((400, 20), ["the classes are imbalanced: 400 training images of 0, 20 of 1; " + RECALL]),
    ((30, 19), ["fewer than 20 training images of 1"]),
    ((5,) * 8, ["fewer than 20 training images of 0, 1, 2, 3, 4 and 3 more classes"]),
])  # fmt: skip
def test_few_and_imbalanced_classes_are_warned_of(counts: tuple[int, ...], expected: list[str]) -> None:
    assert data_warnings(with_counts(*counts)) == expected


def test_of_many_classes_the_rarest_are_in_the_table() -> None:
    _, rows, _ = data_table(with_counts(*([3] * 10 + [2] * 20)))
    assert [row[0] for row in rows] == [*map(str, range(10, 30)), "… 10 larger classes"]


def test_a_group_in_two_splits_is_a_warning(tmp_path: Path) -> None:
    lines = ["path,label,split,group"]
    for number, pixels in enumerate(shapes(60, 0)):
        Image.fromarray(pixels[0]).save(tmp_path / f"{number}.png")
        split, group = ("test", 29) if number == 59 else ("train", number // 2)
        lines.append(f"{number}.png,{'ab'[number % 2]},{split},{group}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    report = report_data(load_data(tmp_path / "labels.csv"))
    assert report.groups == 30
    assert "1 group with test images has training images too" in data_warnings(report)


def test_arrays_are_reported_too() -> None:
    images = shapes(60, 0)
    labels = np.arange(60) % 2
    report = report_data(load_data({"train": (images, labels), "test": (images[5:7], labels[5:7])}))
    assert report.overlaps[0].examples == [("test image 0", "train image 5"), ("test image 1", "train image 6")]
    assert report.splits["train"].modes == {"L": 60}
