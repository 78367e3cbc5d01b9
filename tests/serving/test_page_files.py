"""The page's files: nothing from other hosts, nothing its policy forbids, the project's words, a valid gallery."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imparfait.corruptions import CORRUPTIONS
from imparfait.data.images.normalize import read_normalized
from imparfait.inference.loading import load_predictor_with_metadata
from imparfait.models.pretrained import PRETRAINED
from imparfait.serving.corruptions import corrupt_image

SERVING = Path(__file__).parents[2] / "imparfait" / "serving"
WEB = sorted((SERVING / "web").iterdir())
GALLERY: dict[str, Any] = json.loads((SERVING / "gallery.json").read_bytes())
ENTRIES: list[dict[str, Any]] = GALLERY["images"]
OLD_WORDS = re.compile(
    r"\b(pictures?|alter(s|ed|ing|ations?)?|beside|ink|inked|surely|asks?|asked|told|said|opened)\b", re.I
)


@pytest.mark.parametrize("path", WEB, ids=lambda path: path.name)
def test_files_are_short_self_contained_and_allowed_by_the_policy(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    hosts = {url for url in re.findall(r"\b(?:https?|wss?)://[^\"'\s)]+", text) if "www.w3.org" not in url}
    assert not hosts
    assert not OLD_WORDS.findall(text)
    if path.suffix == ".html":
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)
    if path.suffix == ".js":
        assert not re.search(r"\beval\(|new Function|innerHTML|outerHTML|setAttribute\(\"style\"", text)
        assert text.startswith("/** ")


def test_the_gallery_holds_the_predictions_of_the_pretrained_models() -> None:
    models = {name: load_predictor_with_metadata(name) for name in PRETRAINED}
    outdated = "the models have changed: run benchmarks/tools/build_gallery.py"
    assert GALLERY["models"] == {name: metadata.weights for name, (_, metadata) in models.items() if metadata}, outdated
    for entry in ENTRIES:
        (clean,) = read_normalized(content(entry["image"]), models["digits"][0].input_format)
        assert clean.unchanged  # so the server corrupts the very pixels that the program did
        corrupted = corrupt_image(clean.pixels, entry["corruption"], entry["severity"])
        assert (corrupted[0] == np.asarray(Image.open(io.BytesIO(content(entry["corrupted"]))))).all()
        for side, name in (("model", "digits"), ("baseline", "digits-clean")):
            predictor, _ = models[name]
            (probabilities,) = predictor.predict_proba(corrupted[None])
            recorded = [entry[side]["probabilities"][label] for label in predictor.classes]
            np.testing.assert_allclose(probabilities, recorded, atol=1e-5)


def test_in_the_gallery_the_baseline_is_confidently_wrong_and_the_model_correct() -> None:
    assert 12 <= len(ENTRIES) <= 18
    for entry in ENTRIES:
        model, baseline = (entry[side]["predictions"][0] for side in ("model", "baseline"))
        assert model["label"] == entry["truth"] != baseline["label"]
        assert min(model["score"], baseline["score"]) >= 0.9
    assert len({entry["corruption"] for entry in ENTRIES}) > 8
    assert len({entry["truth"] for entry in ENTRIES}) > 7
    assert {entry["corruption"] for entry in ENTRIES} <= set(CORRUPTIONS)


def content(url: str) -> bytes:
    """The content of a data URL."""
    return base64.b64decode(url.partition(",")[2])
