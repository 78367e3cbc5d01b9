"""The core suite's images on MNIST have the published sha256."""

import hashlib
import json
from pathlib import Path

import pytest

from imparfait.data.corrupted import core_suite
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import load_data
from imparfait.data.splits import split

PUBLISHED = json.loads((Path(__file__).parent / "data" / "published_images.json").read_text())


def sha256(data: LabelledImages) -> dict[str, str]:
    suite = core_suite(data)
    return {condition.corruption: hashlib.sha256(condition.data.pixels.tobytes()).hexdigest() for condition in suite}


def test_the_validation_images_are_the_published_ones() -> None:
    train, validation = split(load_data("mnist").train)
    assert (len(train), len(validation)) == (50_000, 10_000)
    assert validation.sources[:5].tolist() == PUBLISHED["validation"]["first_sources"]
    assert sha256(validation) == PUBLISHED["validation"]["sha256"]


def test_the_test_images_are_the_published_ones(tmp_path: Path) -> None:
    """Only hashed: no classifier is run on them, and the ledger is temporary."""
    with load_data("mnist").test.open(tmp_path / "ledger.csv", "none: pixels hashed only") as access:
        assert sha256(access.images) == PUBLISHED["test"]["sha256"]


@pytest.mark.parametrize("name", ["validation", "test"])
def test_published_hashes_are_of_three_different_sets(name: str) -> None:
    assert len(set(PUBLISHED[name]["sha256"].values())) == 3
