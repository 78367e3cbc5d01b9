"""The references of the pretrained models are small, and what these models predict of MNIST's validation images."""

import sys
from pathlib import Path

import numpy as np
import pytest

from imparfait.data.load import load_data
from imparfait.evaluation.observations import FILE, drawn_rows, read_reference
from imparfait.inference.loading import load_predictor
from imparfait.models.pretrained import PRETRAINED

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "tools"))
from build_references import IMAGES, as_served

FEW = 20


@pytest.mark.parametrize("name", PRETRAINED)
def test_a_reference_is_what_the_model_predicts_of_files(name: str) -> None:
    folder = PRETRAINED[name].folder
    kept = read_reference(folder)
    assert kept
    assert (folder / FILE).stat().st_size < 50_000
    _, validation = load_data("mnist").train_val()
    rows = drawn_rows(validation.sources, IMAGES)
    assert len(kept.labels) == len(rows)
    assert kept.images == len(validation)
    now = as_served(load_predictor(name), validation.pixels[rows[:FEW]])
    assert now.classes == kept.classes
    assert now.labels == kept.labels[:FEW]
    assert np.allclose(now.scores, kept.scores[:FEW], atol=2e-4)
    for what, values in now.properties.items():
        assert values == kept.properties[what][:FEW]
