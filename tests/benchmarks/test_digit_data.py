"""Training data of the digit models: a function of the number, framed as files are, held out by source."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "tools"))
import build_digit_data as data
import inks

ROOT = Path(__file__).parents[2]
FOLDERS = {"hands": ROOT / "benchmarks" / "tools" / "hands"}
PARTS = ["strokes", "italy", "turkey"]
"""The parts that need no download."""


@pytest.mark.parametrize("part", PARTS)
def test_an_image_is_a_function_of_its_number(part: str) -> None:
    for number in (0, 17):
        one, other = (data.sample(data.Sample(part, "fit", number), FOLDERS) for _ in range(2))
        assert np.array_equal(one[0], other[0])
        assert one[1:] == other[1:]
    changed = data.sample(data.Sample(part, "fit", 18), FOLDERS)
    assert not np.array_equal(one[0], changed[0])


@pytest.mark.parametrize("part", PARTS)
def test_images_are_framed_as_mnist_frames(part: str) -> None:
    images = [data.sample(data.Sample(part, "fit", number), FOLDERS)[0] for number in range(40)]
    framed = 0
    for image in images:
        assert image.shape == (28, 28)
        rows, columns = (np.flatnonzero(image.max(axis) > 60) for axis in (1, 0))
        framed += 17 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 22
    assert framed >= 38


@pytest.mark.parametrize("part", PARTS)
def test_no_source_is_in_two_splits(part: str) -> None:
    def sources(split: data.Split) -> set[str]:
        many = data.images_in(part, split, 1000)
        return {data.sample(data.Sample(part, split, n), FOLDERS)[2] for n in range(0, many, 17)}

    fit, choose, test = (sources(split) for split in ("fit", "choose", "test"))
    assert not fit & choose
    assert not fit & test
    assert not choose & test
    assert fit
    assert test


def test_all_digits_are_drawn() -> None:
    assert {data.sample(data.Sample("strokes", "choose", number), FOLDERS)[1] for number in range(10)} == set(range(10))


def test_strength_0_bends_nothing_but_the_weight() -> None:
    ink = np.zeros((60, 30), np.uint8)
    ink[5:55, 12:18] = 255
    bent = inks.bent(ink, np.random.default_rng(0), strength=0)
    rows, columns = (np.flatnonzero(bent.max(axis) > 127) for axis in (1, 0))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == pytest.approx((50, 6), abs=2)


def test_crops_of_a_meter_stay_in_one_split(tmp_path: Path) -> None:
    devices = ["meter01", "meter02", "meter04"]
    with (tmp_path / "meters.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_path", "label", "group"])
        for number, device in enumerate(devices):
            pixels = np.full((40, 24, 3), 200, np.uint8)
            pixels[8:32, 10:14] = 20 + number
            Image.fromarray(pixels).save(tmp_path / f"{number}.png")
            writer.writerow([f"{number}.png", 1, device])
    found = {split: [s for _, _, s in data.meter_images(tmp_path, split)] for split in ("fit", "choose", "test")}
    assert found["fit"] == ["meter meter01", "meter meter01, whole", "meter meter01, inverted"]
    assert found["choose"] == ["meter meter02", "meter meter02, whole"]
    assert found["test"] == ["meter meter04", "meter meter04, whole"]
