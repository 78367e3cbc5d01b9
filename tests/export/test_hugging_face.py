"""Hugging Face's layout: the classes, the preprocessing and the card beside the model; nothing is overwritten."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from sklearn.datasets import load_sample_image

from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.data.images.decode import page_of
from imparfait.data.images.input_format import InputFormat
from imparfait.data.images.normalize import normalize
from imparfait.export.hugging_face import NOTES, card_of, export_folder, preprocessor_of
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import predictor_from_onnx
from imparfait.models.pretrained import PRETRAINED

RUN_CARD = """---
library_name: imparfait
---

# a-run

| images | correct |

## Use

of the run's folder

## Settings

- seed: 0

## Files

- `model.safetensors`
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "digits"
    result = CliRunner().invoke(commands, ["export", "digits", "--hugging-face", str(folder)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert str(folder / "model.onnx") in result.output
    return folder


def test_the_folder_has_the_four_files(folder: Path) -> None:
    names = ["README.md", "config.json", "model.onnx", "preprocessor_config.json"]
    assert sorted(path.name for path in folder.iterdir()) == names


def test_the_model_is_the_exported_one(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 1, 28, 28), np.uint8)
    predictor, metadata = predictor_from_onnx((folder / "model.onnx").read_bytes(), "model")
    np.testing.assert_allclose(
        predictor.predict_proba(pixels), load_predictor("digits").predict_proba(pixels), atol=1e-4
    )
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {str(index): name for index, name in enumerate(metadata.classes)}
    assert config["label2id"] == {name: index for index, name in enumerate(metadata.classes)}
    assert (config["num_channels"], config["image_size"]) == (1, [28, 28])
    assert config["imparfait"] == metadata.model_dump(mode="json")


def test_the_card_has_front_matter_and_says_what_an_image_processor_cannot_do(folder: Path) -> None:
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: imparfait\npipeline_tag: image-classification\n")
    assert NOTES["digit"] in card
    assert "## Training data" in card


def test_sections_of_the_run_folder_are_replaced() -> None:
    metadata = predictor_from_onnx((PRETRAINED["digits"].folder / "model.onnx").read_bytes(), "run")[1]
    card = card_of(metadata, RUN_CARD)
    assert card.startswith("---\nlibrary_name: imparfait\n---\n\n# a-run\n")
    assert "model.safetensors" not in card
    assert "of the run's folder" not in card
    assert "- seed: 0" in card
    assert card.count("## Use") == card.count("## Files") == 1


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("mine")
    with pytest.raises(UserError, match="is there already; expected a new folder"):
        export_folder("digits", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_run_that_cannot_be_exported_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such run"):
        export_folder(tmp_path / "missing", tmp_path / "new")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError):
        export_folder(tmp_path / "empty", tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("flags", [["--out", "model.onnx"], ["--to", "keras"]])
def test_other_outputs_beside_the_folder_are_refused(flags: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(commands, ["export", "digits", "--hugging-face", str(tmp_path / "new"), *flags])
    assert result.exit_code != 0
    assert not (tmp_path / "new").exists()


SIZES = pytest.mark.parametrize("side", [64, 224])


@SIZES
def test_a_photo_is_resized_nearly_as_in_the_training(side: int) -> None:
    """With Pillow, as the image processor does it."""
    form = InputFormat(channels=3, height=side, width=side, normalization="resize")
    settings = preprocessor_of(form)
    photo = Image.fromarray(load_sample_image("china.jpg"))
    size = settings["size"]["width"], settings["size"]["height"]
    found = np.asarray(photo.resize(size, Image.Resampling(settings["resample"]))).transpose(2, 0, 1)
    assert np.abs(found.astype(int) - normalize(page_of(photo), form).pixels).mean() < 1.2


@SIZES
def test_transformers_prepares_a_photo_nearly_as_the_training_does(side: int, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    form = InputFormat(channels=3, height=side, width=side, normalization="resize")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor_of(form)))
    photo = Image.fromarray(load_sample_image("china.jpg"))
    found = transformers.AutoImageProcessor.from_pretrained(tmp_path)(photo, return_tensors="np")["pixel_values"]
    assert found.dtype == np.uint8
    assert np.abs(found[0].astype(int) - normalize(page_of(photo), form).pixels).mean() < 1.2
