"""The images that everything is scored on are the published ones."""

import hashlib
import json
from pathlib import Path

import pytest

from imparfait.data.corrupted import core_suite
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import load_data
from imparfait.data.splits import split

PUBLISHED = json.loads((Path(__file__).parents[1] / "results" / "images.json").read_text())


def sha256(data: LabelledImages) -> dict[str, str]:
    return {part.corruption: hashlib.sha256(part.data.pixels.tobytes()).hexdigest() for part in core_suite(data)}


def test_the_development_pictures_are_the_published_ones() -> None:
    fit, development = split(load_data("mnist").train)
    assert (len(fit), len(development)) == (50_000, 10_000)
    assert development.sources[:5].tolist() == PUBLISHED["development"]["first_sources"]
    assert sha256(development) == PUBLISHED["development"]["sha256"]


def test_the_test_pictures_are_the_published_ones(tmp_path: Path) -> None:
    """Only hashed: no classifier sees them here, and this ledger is thrown away."""
    with load_data("mnist").test.open(tmp_path / "ledger.csv", "none: pixels hashed only") as opening:
        assert sha256(opening.images) == PUBLISHED["test"]["sha256"]


@pytest.mark.parametrize("part", ["development", "test"])
def test_published_hashes_are_of_three_different_sets(part: str) -> None:
    assert len(set(PUBLISHED[part]["sha256"].values())) == 3
