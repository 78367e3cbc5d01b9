"""Occlusion maps of predictions: the deciding place, two views, any model, the drawing, mistakes of the user."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.commands import refused, run
from helpers.exported import onnx_of
from helpers.photos import a_seven
from PIL import Image

import imparfait
from imparfait.core.errors import UserError
from imparfait.data.images.input_format import InputFormat
from imparfait.data.images.normalize import normalize
from imparfait.data.images.sources import pages_of
from imparfait.evaluation.occlusion import cover_places, ground_of
from imparfait.inference.explanation import Explanation, explain, explain_normalized, with_covers
from imparfait.inference.explanation_sheet import FAINTEST, LOWERS, RAISES, coloured, explanation_image, title_of
from imparfait.inference.predictor import Predictor

SEVEN = 255 - a_seven(56, 5.0)
SHAPES = [(1, 28, 28), (3, 40, 64), (3, 96, 128), (1, 5, 7)]


def sees(top: int, left: int) -> Callable[[np.ndarray], np.ndarray]:
    """Probabilities of a model that sees one pixel."""

    def run(pixels: np.ndarray) -> np.ndarray:
        light = pixels[:, :, top, left].mean(1) / 255
        return np.stack([1 - light, light], 1).astype(np.float32)

    return run


def model_of(shape: tuple[int, int, int], top: int, left: int) -> Predictor:
    channels, height, width = shape
    form = InputFormat(channels=channels, height=height, width=width, normalization="none")
    return Predictor("pixel", ("dark", "light"), form, None, sees(top, left))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_deciding_place_has_the_largest_value_and_each_is_a_drop_of_probability(
    shape: tuple[int, int, int],
) -> None:
    channels, height, width = shape
    image = np.zeros((height, width, channels), np.uint8)
    top, left = height // 2, width // 3
    image[top, left] = 255
    found = explain(image, model_of(shape, top, left))
    assert (found.label, found.score, found.lowest) == ("light", 1.0, 0.0)
    assert found.map.shape == (height, width)
    assert found.map[top, left] == found.map.max() == 1
    assert found.map.min() >= 0
    assert found.drops.size == len(cover_places(height, width))
    assert set(found.drops.ravel().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_pixel_is_under_a_cover_and_large_images_have_fewer(shape: tuple[int, int, int]) -> None:
    counts = np.zeros(shape[1:], int)
    for place in cover_places(*shape[1:]):
        counts[place] += 1
    assert counts.min() >= 1
    assert len(cover_places(*shape[1:])) <= (81 if max(shape) <= 64 else 25)


def test_another_class_can_be_explained() -> None:
    image = np.zeros((28, 28), np.uint8)
    image[14, 9] = 255
    found = explain(image, model_of((1, 28, 28), 14, 9), label="dark")
    assert (found.label, found.score, found.prediction.label) == ("dark", 0.0, "light")
    assert found.map.min() == found.map[14, 9] == -1
    assert title_of(found) == "dark  0.0% (predicted: light  100.0%)"


def test_a_cover_shows_the_ground_which_is_local_in_a_photograph() -> None:
    paper = np.full((1, 28, 28), 200, np.uint8)
    paper[:, 10:14, 10:14] = 0
    assert (ground_of(paper) == 200).all()
    steps = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, None], 64, 1)
    ground = ground_of(steps).astype(int)
    assert np.abs(ground - steps)[:, :, 8:-8].max() <= 4  # light from the left stays; a step is 4
    noise = np.random.default_rng(0).integers(0, 256, (3, 96, 96), np.uint8)
    assert ground_of(noise).std() < 0.1 * noise.std()


def test_equal_calls_have_equal_maps() -> None:
    first, second = explain(SEVEN), explain(SEVEN)
    assert np.array_equal(first.map, second.map)
    assert first.to_image().tobytes() == second.to_image().tobytes()


def test_of_two_views_the_same_place_is_covered_in_both() -> None:
    """What is left of a digit is the same in both: the page's pixels, in another size."""
    page = np.full((90, 60), 240, np.uint8)
    page[20:76, 2:58] = np.minimum(page[20:76, 2:58], SEVEN)
    form = InputFormat(channels=1, height=28, width=28, normalization="digit", two_views=True)
    [decoded] = pages_of(page)
    batch, places = with_covers(normalize(decoded, form))
    assert batch[0].whole is not None
    total, total_whole = (float(np.float64(ink).sum()) for ink in (batch[0].pixels, 255 - batch[0].whole))
    left = [float(np.float64(each.pixels).sum()) / total for each in batch[1:]]
    left_whole = [
        float(np.float64(255 - each.whole).sum()) / total_whole for each in batch[1:] if each.whole is not None
    ]
    assert len(left) == len(left_whole) == len(places)
    assert np.corrcoef(left, left_whole)[0, 1] > 0.9
    assert np.abs(np.array(left) - left_whole).max() < 0.2


def test_the_score_is_that_of_predict_and_an_own_file_is_explained(tmp_path: Path) -> None:
    Image.fromarray(SEVEN).resize((160, 160)).save(tmp_path / "seven.png")
    found = imparfait.explain(tmp_path / "seven.png")
    [prediction] = imparfait.predict(tmp_path / "seven.png")
    assert found.prediction == prediction
    assert (found.label, found.score) == (prediction.label, pytest.approx(prediction.score, abs=1e-6))
    assert found.name.endswith("seven.png")


def test_any_opened_model_is_explained(tmp_path: Path) -> None:
    """A file in the sandbox, and a function with the data that it is for."""
    file = onnx_of([0.2, 0.7, 0.1], tmp_path / "fake.onnx")
    constant = explain(np.full((8, 8), 9, np.uint8), str(file))
    assert constant.label == "bright"
    assert not constant.map.any()
    opened = SimpleNamespace(to_predictor=lambda: model_of((1, 28, 28), 3, 3))
    assert explain(np.full((28, 28), 255, np.uint8), opened).label == "light"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"label": "ten"}, "no class is called 'ten'"),
        ({"page": 2}, "there is no page 2; expected a page of the image, from 1"),
        ({"image": np.zeros((3, 3, 3, 3, 3), np.uint8)}, "an array of shape"),
        ({"image": "nowhere.png"}, "nowhere.png: cannot be read"),
        ({"model": "nowhere"}, "nowhere: no such model"),
    ],
)
def test_mistakes_are_said_in_a_sentence(changes: dict[str, object], said: str) -> None:
    with pytest.raises(UserError) as error:
        explain(**{"image": SEVEN, **changes})
    assert said in str(error.value)


def an_explanation(drop: np.ndarray, **changes: object) -> Explanation:
    form = InputFormat(channels=1, height=28, width=28, normalization="none")
    [page] = pages_of(np.zeros((28, 28), np.uint8))
    found = explain_normalized(normalize(page, form), model_of((1, 28, 28), 0, 0))
    return Explanation(**{**vars(found), "map": drop.astype(np.float32), **changes})


def test_colours_are_orange_where_covering_lowers_the_probability_and_blue_where_it_raises_it() -> None:
    drop = np.zeros((4, 4))
    drop[0, 0], drop[3, 3] = 0.5, -0.5
    found = coloured(np.full((1, 4, 4), 128, np.uint8), drop).astype(int)
    for place, colour in (((0, 0), LOWERS), ((3, 3), RAISES)):
        expected = [int(colour[index : index + 2], 16) for index in (1, 3, 5)]
        assert np.abs(found[:, place[0], place[1]] - expected).max() <= 20
    assert found[:, 1, 1].max() - found[:, 1, 1].min() == 0


def test_small_changes_are_not_coloured_at_full_strength_and_said_to_matter_little() -> None:
    tiny = coloured(np.full((1, 4, 4), 128, np.uint8), np.full((4, 4), FAINTEST / 10)).astype(int)
    assert np.ptp(tiny) < 25
    images = [explanation_image(an_explanation(np.full((28, 28), drop))) for drop in (FAINTEST / 10, 0.5)]
    assert images[0].size == images[1].size
    assert images[0].tobytes() != images[1].tobytes()


@pytest.mark.parametrize("label", ["$\\foo$", "_", "<b>", "x" * 300, "\u202eabc", "a\nb\x1b[31m"])
def test_odd_names_are_drawn(label: str) -> None:
    found = an_explanation(np.zeros((28, 28)), label=label, name=f"{label}.png")
    assert found.to_image().width < 1000
    figure = found.plot().get_figure()
    assert figure is not None
    figure.canvas.draw()


def test_the_command_draws_and_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(SEVEN).save("seven.png")
    Image.new("L", (40, 30), 255).save("blank.png")
    printed = run("predict", "seven.png", "blank.png", "--explain")
    assert "7" in printed
    with Image.open("imparfait-explained.png") as sheet:
        assert sheet.height > 2 * 168
    assert "imparfait-explained.png: is where --explain draws" in refused(
        "predict", "imparfait-explained.png", "--explain"
    )


def test_a_broken_file_leaves_no_drawing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.png").write_bytes(b"no image")
    assert "broken.png" in refused("predict", "broken.png", "--explain")
    assert not Path("imparfait-explained.png").exists()


def test_an_explanation_is_saved_or_refused(tmp_path: Path) -> None:
    found = explain(SEVEN)
    found.save(tmp_path / "why.png")
    with Image.open(tmp_path / "why.png") as image:
        assert image.size == found.to_image().size
    for name in ("why.nothing", "nowhere/why.png"):
        with pytest.raises(UserError, match=r"why\.png"):
            found.save(tmp_path / name)
