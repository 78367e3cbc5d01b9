"""Class folders are read by the one decoder, and training sees the pixels that `predict` feeds the network."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.image_modes import FILES, drawn, write
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import imparfait
from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.data.images.input_format import Normalization
from imparfait.data.images.normalize import read_normalized
from imparfait.data.load import Dataset, load_data
from imparfait.inference.loading import load_predictor

NORMALIZATIONS: list[Normalization] = ["none", "resize", "letterbox", "digit"]


def all_images(dataset: Dataset, ledger: Path) -> list[imparfait.LabelledImages]:
    """Every split of a data set, the test images too."""
    found = [dataset.train, *([dataset.validation] if dataset.validation else [])]
    if dataset.sealed:
        with dataset.sealed.open(ledger, "none") as access:
            found.append(access.images)
    return found


def check_inputs(dataset: Dataset, ledger: Path) -> None:
    """For every file of a data set: what `predict` feeds the network is what training has."""
    checked = 0
    for images in all_images(dataset, ledger):
        assert images.input_format == dataset.input_format
        for pixels, source in zip(images.pixels, images.sources, strict=True):
            first = next(read_normalized(dataset.files[source], dataset.input_format))
            assert np.array_equal(first.pixels, pixels), (dataset.files[source], first.preprocessing)
            checked += 1
    assert checked == len(dataset.files)


@pytest.mark.parametrize("mode", FILES)
@pytest.mark.parametrize("dark", [True, False], ids=["dark on light", "light on dark"])
def test_predict_feeds_the_network_the_training_pixels(mode: str, dark: bool, tmp_path: Path) -> None:
    sizes = {"equal": [(32, 32)], "larger": [(64, 64)], "other aspect": [(40, 60), (60, 40), (20, 33)]}
    for name, shapes in sizes.items():
        for number in range(6):
            pixels = drawn(*shapes[number % len(shapes)], dark, number)
            split = "test" if number > 3 else "train"
            write(tmp_path / name / split / f"class {number % 2}" / f"{number}", pixels, mode)
        for normalization in (None, *NORMALIZATIONS):
            if normalization == "none" and name != "equal":
                continue
            check_inputs(load_data(tmp_path / name, 32, normalization), tmp_path / "ledger.csv")
    for normalization in (None, *NORMALIZATIONS):  # the files' own size
        dataset = load_data(tmp_path / "larger", None, normalization)
        assert dataset.train.pixels.shape[2:] == ((28, 28) if normalization == "digit" else (64, 64))
        check_inputs(dataset, tmp_path / "ledger.csv")


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("mode", ["L", "JPEG", "CMYK"])
def test_files_that_exif_turns_are_trained_on_as_they_are_predicted(
    mode: str, orientation: int, tmp_path: Path
) -> None:
    for number in range(4):
        write(tmp_path / "data" / f"class {number % 2}" / f"{number}", drawn(40, 60, True, number), mode, orientation)
    for normalization in NORMALIZATIONS[1:]:
        check_inputs(load_data(tmp_path / "data", 32, normalization), tmp_path / "ledger.csv")
    assert load_data(tmp_path / "data").train.pixels.shape[2:] == ((60, 40) if orientation > 4 else (40, 60))


DRAWN = st.tuples(st.sampled_from(list(FILES)), st.booleans(), st.integers(9, 70), st.integers(9, 70))


@given(st.lists(DRAWN, min_size=4, max_size=8), st.sampled_from(NORMALIZATIONS[1:]))
@settings(max_examples=15, deadline=None)
def test_mixed_folders_too(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[str, bool, int, int]], normalization: Normalization
) -> None:
    folder = tmp_path_factory.mktemp("mixed")
    for number, (mode, dark, height, width) in enumerate(files):
        write(folder / "data" / f"class {number % 2}" / f"{number}", drawn(height, width, dark, number), mode)
    check_inputs(load_data(folder / "data", 24, normalization), folder / "ledger.csv")


def test_dark_on_light_files_keep_their_polarity(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / f"class {number % 2}" / f"{number}", drawn(32, 32, True, number), "L")
    for size in (None, 32):
        data = load_data(tmp_path, size)
        assert data.train.normalization == ("resize" if size else "none")
        assert np.array_equal(data.train.pixels[1, 0], drawn(32, 32, True, 2))
        assert f"normalization {data.train.normalization}" in data.remark


def test_files_framed_as_mnist_are_digits_by_default(tmp_path: Path) -> None:
    mnist = load_data("mnist").train
    for pixels, label, source in zip(mnist.pixels[:200, 0], mnist.labels, mnist.sources, strict=False):
        write(tmp_path / "data" / str(label) / f"{source}", pixels, "L")
    data = load_data(tmp_path / "data")
    assert data.train.normalization == "digit"
    check_inputs(data, tmp_path / "ledger.csv")
    assert np.array_equal(data.train.pixels, load_data(tmp_path / "data", normalize="none").train.pixels)
    assert load_data(tmp_path / "data", normalize="none").train.normalization == "none"


@pytest.mark.parametrize("normalize", [None, *NORMALIZATIONS])
def test_arrays_record_their_normalization(normalize: Normalization | None, tmp_path: Path) -> None:
    mnist = load_data("mnist").train.select(np.arange(100))
    for name, pixels in (("mnist", mnist.pixels), ("dark", 255 - mnist.pixels), ("colour", mnist.pixels.repeat(3, 1))):
        path = tmp_path / f"{name}.npz"
        np.savez(path, x_train=pixels.transpose(0, 2, 3, 1), y_train=mnist.labels)
        if name == "colour" and normalize == "digit":
            with pytest.raises(UserError, match="digit"):
                load_data(path, normalize=normalize)
            continue
        data = load_data(path, normalize=normalize)
        assert data.train.normalization == (normalize or ("digit" if name == "mnist" else "none"))
        assert data.train.normalization in data.remark
        as_digits = normalize == "digit" and name == "dark"
        assert np.array_equal(data.train.pixels, mnist.pixels if as_digits else pixels)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of scikit-learn's digits, dark on light, 32×32, and a run that was trained on it."""
    from sklearn.datasets import load_digits

    home = tmp_path_factory.mktemp("dark digits")
    found = load_digits()
    for number, (image, label) in enumerate(zip(found.images, found.target, strict=True)):
        grey = Image.fromarray((255 - image * 15.9).astype(np.uint8)).resize((32, 32), Image.Resampling.BICUBIC)
        path = home / "data" / ("val" if number % 5 == 0 else "train") / str(label) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        grey.save(path)
    result = CliRunner().invoke(
        commands,
        ["train", "--recipe", "quick", "--data", str(home / "data"), "--size", "32", "--out", str(home / "runs")],
    )
    assert result.exit_code == 0, result.output
    assert "normalization resize" in result.stderr
    return home / "data", next((home / "runs").glob("quick-*"))


def test_predict_is_as_accurate_as_training_reported(trained: tuple[Path, Path]) -> None:
    data, run = trained
    assert json.loads((run / "config.json").read_text())["input"]["normalization"] == "resize"
    scores = json.loads((run / "scores.json").read_text())["conditions"]
    clean = next(score for score in scores if score["corruption"] == "clean")
    result = CliRunner().invoke(commands, ["predict", "--model", str(run), "--json", str(data / "val")])
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    correct = sum(line["predictions"][0]["label"] == Path(line["file"]).parent.name for line in lines)
    assert (correct, len(lines)) == (clean["correct"], clean["total"])
    assert correct > 0.9 * len(lines)
    assert {line["preprocessing"] for line in lines} == {"unchanged"}


def test_the_run_and_its_export_are_fed_the_same_pixels(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, run = trained
    validation = load_data(data, 32).validation
    assert validation is not None
    written = imparfait.export(run, out=tmp_path / "run.onnx")
    predictors = [load_predictor(str(run)), load_predictor(str(written.path))]
    assert predictors[0].input_format == predictors[1].input_format == validation.input_format
    dataset = load_data(data, 32)
    for source, expected in zip(
        validation.sources[:20], predictors[0].predict_pixels(validation.pixels[:20]), strict=True
    ):
        for predictor in predictors:
            (prediction,) = imparfait.predict(dataset.files[source], predictor)
            assert prediction.label == expected.label
            assert prediction.score == pytest.approx(expected.score, abs=1e-4)


def test_a_run_of_whole_images_reads_no_lines(trained: tuple[Path, Path]) -> None:
    data, run = trained
    with pytest.raises(UserError, match="normalised by resize"):
        imparfait.read(next((data / "val").rglob("*.png")), load_predictor(str(run)))
