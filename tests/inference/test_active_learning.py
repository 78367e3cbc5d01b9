"""The images chosen for labelling are uncertain, unlike each other, and the same whatever else is in the folder."""

from pathlib import Path

import numpy as np
import pytest
from helpers.server import fake_model
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.data.images.input_format import InputFormat
from imparfait.data.load import plainly
from imparfait.inference import active_learning, batch
from imparfait.inference.active_learning import choose_images, features_of, spread_out, uncertainties
from imparfait.inference.batch import Batch
from imparfait.inference.predictor import Predictor

FORM = InputFormat(channels=1, height=8, width=8, normalization="none")


@pytest.fixture
def brightness(monkeypatch: pytest.MonkeyPatch) -> Batch:
    """A model that is most uncertain of images of medium brightness."""
    run = fake_model()["model"][0].run
    fake = Predictor("fake", ("dark", "bright", "x"), FORM, None, run)
    monkeypatch.setattr(batch, "load_predictor", lambda *_, **options: fake)
    return Batch("fake")


def write(folder: Path, name: str, level: int, across: bool = False) -> str:
    """A PNG file with a gradient, whose mean is `level`."""
    ramp = np.tile(np.linspace(-40, 40, 8), (8, 1)) + level
    Image.fromarray((ramp.T if across else ramp).clip(0, 255).astype(np.uint8)).save(folder / name)
    return str(folder / name)


def test_uncertain_are_images_whose_two_most_probable_classes_are_close() -> None:
    rows = np.array([[0.5, 0.5, 0], [1, 0, 0], [0.4, 0.35, 0.25]], np.float32)
    assert uncertainties(rows) == pytest.approx([1, 0, 0.95])


def test_the_most_uncertain_image_comes_first_and_its_copies_last() -> None:
    features = np.array([[0.0, 0], [0, 0], [0, 0], [1, 0], [0, 1]])
    assert spread_out(np.array([0.8, 0.9, 0.85, 0.5, 0.2]), features, 3).tolist() == [1, 3, 4]
    assert sorted(spread_out(np.full(5, 0.5), features, 9)) == [0, 1, 2, 3, 4]


def test_images_differ_by_how_they_are_drawn_not_by_their_brightness() -> None:
    same = np.full((3, 3), 1 / 3, np.float32)
    ramp = np.tile(np.arange(0, 80, 10, dtype=np.uint8), (8, 1))
    dark, bright, turned = features_of(same, np.stack([ramp, ramp + 100, ramp.T])[:, None])
    assert np.linalg.norm(dark - bright) < 1e-6 < 1 < np.linalg.norm(dark - turned)


@pytest.mark.parametrize("shape", [(1, 3, 5), (3, 8, 8), (3, 31, 17), (1, 28, 28)])
def test_images_of_any_shape_have_features(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, *shape), dtype=np.uint8)
    assert np.isfinite(features_of(np.full((4, 2), 0.5, np.float32), pixels)).all()
    assert np.isfinite(features_of(np.full((4, 2), 0.5, np.float32), 0 * pixels)).all()


def test_of_a_folder_the_uncertain_and_unlike_images_are_chosen(tmp_path: Path, brightness: Batch) -> None:
    files = [write(tmp_path, f"sure-{number}.png", 60 + number) for number in range(5)]
    files += [write(tmp_path, f"copy-{number}.png", 128) for number in range(5)]
    files += [write(tmp_path, "other.png", 130, across=True)]
    chosen = choose_images(files, brightness, 2, plainly)
    assert {Path(each.file).name for each in chosen} == {"copy-0.png", "other.png"}
    assert all(each.uncertainty > 0.9 for each in chosen)
    assert brightness.predictor.classes[chosen[0].ranked()[0]] in ("dark", "bright")


def test_blank_and_unreadable_images_are_left_out(tmp_path: Path, brightness: Batch) -> None:
    Image.new("L", (8, 8), 0).save(tmp_path / "blank.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    files = [str(tmp_path / "blank.png"), str(tmp_path / "broken.png")]
    with pytest.raises(UserError, match=r"no image to label among 2 files.*broken.png"):
        choose_images(files, brightness, 5, plainly)
    fine = write(tmp_path, "fine.png", 120)
    assert [each.file for each in choose_images([*files, fine], brightness, 5, plainly)] == [fine]


def test_only_the_most_uncertain_images_are_kept_in_memory(
    tmp_path: Path, brightness: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    candidates_of = active_learning.candidates_of
    monkeypatch.setattr(
        active_learning, "candidates_of", lambda files, model: candidates_of(read.extend(files) or files, model)
    )
    monkeypatch.setattr(active_learning, "POOL", 3)
    files = [write(tmp_path, f"{number}.png", 50 + 3 * number) for number in range(40)]
    choose_images(files, brightness, 2, plainly)
    assert sorted(int(Path(file).stem) for file in read) == [23, 24, 25, 26, 27, 28]  # about half as bright as white
