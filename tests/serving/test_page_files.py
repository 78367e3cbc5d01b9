"""The page's files as they are packed: nothing from elsewhere, nothing its policy forbids, a gallery that is true."""

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
from imparfait.data.images.normalize import decode
from imparfait.inference.loading import load_predictor_with_card
from imparfait.models.pretrained import PRETRAINED
from imparfait.serving.corruptions import corrupt

SERVING = Path(__file__).parents[2] / "imparfait" / "serving"
WEB = sorted((SERVING / "web").iterdir())
GALLERY: dict[str, Any] = json.loads((SERVING / "gallery.json").read_bytes())
PICTURES: list[dict[str, Any]] = GALLERY["images"]


@pytest.mark.parametrize("path", WEB, ids=lambda path: path.name)
def test_no_file_is_long_and_none_asks_another_host_or_what_the_policy_forbids(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    elsewhere = {found for found in re.findall(r"\b(?:https?|wss?)://[^\"'\s)]+", text) if "www.w3.org" not in found}
    assert not elsewhere
    if path.suffix == ".html":
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)
    if path.suffix == ".js":
        assert not re.search(r"\beval\(|new Function|innerHTML|outerHTML|setAttribute\(\"style\"", text)
        assert text.startswith("/** ")


def test_the_gallery_shows_what_the_models_in_the_package_say() -> None:
    models = {name: load_predictor_with_card(name) for name in PRETRAINED}
    again = "the models have changed: run benchmarks/gallery.py"
    assert GALLERY["models"] == {name: card.weights for name, (_, card) in models.items() if card}, again
    for one in PICTURES:
        (seen,) = decode(content(one["image"]), models["digits"][0].frame)
        assert seen.unchanged  # so the server alters the very pixels that the program did
        changed = corrupt(seen.pixels, one["corruption"], one["severity"])
        assert (changed[0] == np.asarray(Image.open(io.BytesIO(content(one["altered"]))))).all()
        for side, name in (("model", "digits"), ("beside", "digits-clean")):
            model, _ = models[name]
            shares = model.probabilities(changed[None])[0]
            recorded = [one[side]["probabilities"][label] for label in model.classes]
            np.testing.assert_allclose(shares, recorded, atol=1e-5)


def test_in_the_gallery_the_one_is_surely_wrong_and_the_other_right() -> None:
    assert 12 <= len(PICTURES) <= 18
    for one in PICTURES:
        ours, clean = (one[side]["predictions"][0] for side in ("model", "beside"))
        assert ours["label"] == one["truth"] != clean["label"]
        assert min(ours["score"], clean["score"]) >= 0.9
    assert len({one["corruption"] for one in PICTURES}) > 8
    assert len({one["truth"] for one in PICTURES}) > 7
    assert {one["corruption"] for one in PICTURES} <= set(CORRUPTIONS)


def content(url: str) -> bytes:
    """What a data URL holds."""
    return base64.b64decode(url.partition(",")[2])
