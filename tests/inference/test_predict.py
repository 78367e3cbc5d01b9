"""Prediction of image files: the command, its output formats, resumption, and the same from Python."""

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from helpers.fake_predictors import CLASSES, DIGIT, FAKE, brightness
from helpers.photos import a_seven
from PIL import Image

import imparfait
from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.data.images.decode import SUFFIXES
from imparfait.data.images.normalize import read_normalized
from imparfait.inference.batch import files_in, predict_files
from imparfait.inference.file_results import FileResult
from imparfait.inference.predictor import NO_DIGIT, Predictor, predictor_from_onnx
from imparfait.inference.results_file import COLUMNS, ResultsWriter
from imparfait.models.loading import load_weights
from imparfait.models.pretrained import PRETRAINED, find_model

SEVEN = a_seven()


TWO_VIEWS = Predictor("both", CLASSES, DIGIT.model_copy(update={"two_views": True}), None, brightness)


def test_a_model_of_two_views_pools_the_cut_digit_and_the_whole_page(folder: Path) -> None:
    for path in sorted(folder.glob("*.*")):
        if path.suffix == ".txt":
            continue
        images = list(read_normalized(path, TWO_VIEWS.input_format))
        for image, prediction in zip(images, TWO_VIEWS.predict(images), strict=True):
            views = [image.pixels] if image.whole is None else [image.pixels, image.whole]
            assert (image.whole is None) == image.unchanged
            mean = np.prod(brightness(np.stack(views)), 0) ** (1 / len(views))
            assert prediction.label == CLASSES[mean.argmax()]
            assert prediction.score == pytest.approx((mean / mean.sum()).max(), abs=1e-6)
        assert all(image.whole is None for image in read_normalized(path, DIGIT))


def run_predict(*words: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(commands, ["predict", *map(str, words)])
    assert (2 if isinstance(result.exception, UserError) else result.exit_code) == code, result.output
    return result


def json_lines(*words: str | Path, code: int = 0) -> list[dict[str, object]]:
    return [json.loads(line) for line in run_predict(*words, "--json", code=code).stdout.splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sevens in several formats, on several backgrounds, two of them in one file; and something that is no image."""
    (tmp_path / "images" / "inner").mkdir(parents=True)
    dark = Image.fromarray(255 - SEVEN)
    dark.save(tmp_path / "images" / "a.png")
    dark.resize((200, 200)).convert("RGB").save(tmp_path / "images" / "b.jpg", quality=95)
    Image.fromarray(SEVEN).save(tmp_path / "images" / "inner" / "c.bmp")
    dark.save(tmp_path / "images" / "d.tif", save_all=True, append_images=[Image.fromarray(SEVEN)])
    (tmp_path / "images" / "notes.txt").write_text("no image")
    return tmp_path / "images"


@pytest.mark.parametrize("model", PRETRAINED)
def test_each_pretrained_model_recognises_a_seven_however_it_is_stored(model: str, folder: Path) -> None:
    results = json_lines(folder, "--model", model)
    assert [Path(str(result["file"])).name for result in results] == ["a.png", "b.jpg", "d.tif", "d.tif", "c.bmp"]
    assert [result.get("page") for result in results] == [None, None, 1, 2, None]
    assert all(result["confident"] and result["model"] == model and result["preprocessing"] for result in results)
    for result in results:
        predictions: list[dict[str, float]] = result["predictions"]  # type: ignore[assignment]
        scores = [prediction["score"] for prediction in predictions]
        assert predictions[0]["label"] == "7"
        assert scores == sorted(scores, reverse=True)
        assert len(scores) == 3
        assert sum(scores) <= 1.00001


def test_python_predicts_as_the_command_does_from_files_bytes_images_and_arrays(folder: Path) -> None:
    (prediction,) = imparfait.predict(folder / "b.jpg")
    (result,) = json_lines(folder / "b.jpg")
    assert prediction.to_json()["predictions"] == result["predictions"]
    image = Image.open(folder / "b.jpg")
    for source in (str(folder / "b.jpg"), (folder / "b.jpg").read_bytes(), image, np.asarray(image)):
        assert imparfait.predict(source) == [prediction]
    planes = np.moveaxis(np.asarray(image), 2, 0)
    assert imparfait.predict(planes) == imparfait.predict(planes / np.float32(255)) == [prediction]
    assert imparfait.predict(SEVEN) == imparfait.predict(Image.fromarray(SEVEN))


def test_a_turned_image_of_pillow_is_turned_back(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(255 - SEVEN)).save(tmp_path / "turned.png", exif=exif)
    assert imparfait.predict(Image.open(tmp_path / "turned.png")) == imparfait.predict(tmp_path / "turned.png")


def test_all_output_formats_agree(folder: Path) -> None:
    by_json = json_lines(folder)
    by_csv = list(csv.DictReader(run_predict(folder, "--csv").stdout.splitlines()))
    best = [result["predictions"][0] for result in by_json]  # type: ignore[index]
    assert [row["label"] for row in by_csv] == [prediction["label"] for prediction in best]
    assert [float(row["score"]) for row in by_csv] == [prediction["score"] for prediction in best]
    assert [row["preprocessing"] for row in by_csv] == [result["preprocessing"] for result in by_json]
    lines = run_predict(folder).stdout.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith("     ")] == ["7"] * 5


def test_two_output_formats_are_one_too_many(folder: Path) -> None:
    assert "choose one" in str(run_predict(folder, "--json", "--csv", code=2).exception)


def test_a_blank_image_has_no_label_to_rely_on(tmp_path: Path) -> None:
    Image.new("L", (40, 50), 180).save(tmp_path / "blank.png")
    (result,) = json_lines(tmp_path / "blank.png")
    assert not result["confident"]
    assert result["reason"] == NO_DIGIT
    assert result["blank"]
    said = run_predict(tmp_path / "blank.png").stdout
    assert said.split()[0] == "–"
    assert NO_DIGIT in said


def test_an_image_with_several_digits_is_unsure_and_names_the_command_that_reads_them(folder: Path) -> None:
    page = Image.new("L", (280, 140), 255)
    for left in (20, 150):
        page.paste(Image.fromarray(255 - SEVEN).resize((112, 112)), (left, 14))
    page.save(folder / "two.png")
    printed = run_predict(folder / "two.png").stdout
    assert "unsure: 2 digits found; imparfait read" in printed
    assert "reads them all" in printed
    assert "digits found" not in run_predict(folder / "a.png").stdout


def test_a_broken_file_is_reported_and_the_others_are_predicted(folder: Path) -> None:
    (folder / "e.png").write_bytes((folder / "a.png").read_bytes()[:60])
    result = run_predict(folder, "--json", code=2)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["error"].split(" (")[0] for line in lines if "error" in line] == ["a broken image"]
    assert len(lines) == 6
    assert "1 of 5 could not be read" in str(result.exception)


def test_folders_are_searched_for_the_suffixes_of_class_folders(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        Image.fromarray(SEVEN).save(tmp_path / f"seven{suffix.upper()}")
    assert {Path(file).suffix.lower() for file in files_in([tmp_path])} == SUFFIXES
    assert {result["predictions"][0]["label"] for result in json_lines(tmp_path)} == {"7"}  # type: ignore[index]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["nowhere.png"], "nowhere.png: there is no such file"),
        (["empty"], "empty: no images in there"),
        (["a.png", "--model", "digitz"], "digitz: no such model; expected a run folder, an .onnx file"),
        (["a.png", "--model", "a.onnx"], "a.onnx: is no ONNX file, or a broken one"),
        (["a.png", "--out", "results.csv"], "results.csv: results can be resumed only as JSON lines"),
        (["a.png", "--out", "other.jsonl"], "other.jsonl: holds something else than results"),
    ],
)
def test_bad_input_is_a_user_error_and_loses_no_result(
    given: Sequence[str], sentence: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "empty").mkdir()
    others = {"a.onnx": "no model", "other.jsonl": "my diary", "results.csv": "day,weather\n1,rain"}
    for name, text in others.items():
        (folder / name).write_text(text)
    assert sentence in str(run_predict(*given, code=2).exception)
    assert all((folder / name).read_text() == text for name, text in others.items())


def test_wherever_it_was_stopped_the_same_command_ends_with_the_same_file(folder: Path) -> None:
    files = list(files_in([folder]))
    path = folder / "results.jsonl"
    results = list(predict_files(files, FAKE))
    with ResultsWriter(path, FAKE.name) as writer:
        writer.add(results)
    whole = path.read_bytes()
    for cut in [*range(0, len(whole), 5), *range(len(whole) - 40, len(whole))]:
        path.write_bytes(whole[:cut])
        with ResultsWriter(path, FAKE.name) as writer:
            assert len(writer.done) < len(files)
            writer.add([result for result in results if result.file not in writer.done])
        assert path.read_bytes() == whole, cut


def test_a_results_file_can_be_seen_as_csv_and_is_not_predicted_again(folder: Path) -> None:
    path = folder.parent / "results.jsonl"
    first = run_predict(folder, "--out", path, "--csv").stdout
    content = path.read_bytes()
    assert run_predict(folder, "--out", path, "--csv").stdout == first
    assert path.read_bytes() == content
    assert first == run_predict(folder, "--csv").stdout


def test_any_name_of_a_file_comes_back(tmp_path: Path) -> None:
    names = ["a,b.png", 'c"d.png', "e\nf.png", "g\rh.png", "\x1b[2J.png", "é.png", "\udcff.png", "plain.png"]
    path = tmp_path / "results.jsonl"
    with ResultsWriter(path, "m") as writer:
        writer.add([FileResult(name, error="made up") for name in names])
    with ResultsWriter(path, "m") as writer:
        assert writer.done == set(names)
    assert len(path.read_text(encoding="utf-8").splitlines()) == len(names)


def test_control_characters_of_a_name_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "\x1b[2J\n.png"
    Image.fromarray(SEVEN).save(path)
    shown = run_predict(path).stdout
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 1


def test_results_of_another_model_are_not_continued(tmp_path: Path) -> None:
    with ResultsWriter(tmp_path / "results.jsonl", "digits") as writer:
        writer.add([FileResult("a.png", error="made up")])
    with pytest.raises(UserError, match="holds results of digits, these would be of mine"):
        ResultsWriter(tmp_path / "results.jsonl", "mine")


def test_two_commands_do_not_write_one_file_at_once(tmp_path: Path) -> None:
    with (
        ResultsWriter(tmp_path / "results.jsonl", "digits"),
        pytest.raises(UserError, match="another process is writing results"),
    ):
        ResultsWriter(tmp_path / "results.jsonl", "digits")


def test_the_first_columns_are_the_file_and_its_label() -> None:
    assert COLUMNS[:6] == ("file", "page", "model", "label", "score", "confident")


def test_the_model_inputs_are_drawn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    run_predict(folder, "--show")
    sheet = Image.open(folder.parent / "imparfait-seen.png")
    assert min(sheet.size) > 400
    assert len(sheet.getcolors(1 << 20) or ()) > 50


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_predict_imports_light_packages_only(folder: Path, executor: str) -> None:
    code = (
        "import sys; sys.argv = ['imparfait', 'predict', *sys.argv[1:]]\n"
        "from imparfait.cli.main import main\n"
        "main()\n"
        "heavy = {'torch', 'scipy.ndimage', 'matplotlib', 'sklearn', 'pandas', 'onnx', 'optuna'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    words = [sys.executable, "-c", code, str(folder / "a.png"), "--executor", executor]
    subprocess.run(words, check=True, capture_output=True)


def test_the_pretrained_models_are_small_and_match_their_metadata() -> None:
    assert sum(file.stat().st_size for each in PRETRAINED.values() for file in each.folder.iterdir()) < 6_000_000
    for name, each in PRETRAINED.items():
        metadata = predictor_from_onnx((each.folder / "model.onnx").read_bytes(), name)[1]
        assert (metadata.name, metadata.model) == (name, "duo")
        assert metadata.input == DIGIT.model_copy(update={"two_views": name == "digits"})
        assert metadata.weights == sha256((each.folder / "model.safetensors").read_bytes()).hexdigest()
        assert metadata.weights in (each.folder / "README.md").read_text(encoding="utf-8")
        assert metadata.parity
        assert (metadata.parity.same_label, metadata.parity.largest < 1e-5) == (metadata.parity.images, True)
        assert load_weights(find_model(Path(name))).sha256 == metadata.weights
