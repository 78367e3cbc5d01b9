"""A person's images get an answer, right after installing, and many of them can be gone on with."""

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
from helpers.photos import a_seven
from PIL import Image

import imparfait
from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.data.images.normalize import Frame
from imparfait.inference.batch import FileResult, files_in, predict_files, predict_many
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import BLANK_MESSAGE, Predictor, predictor_from_onnx
from imparfait.inference.results_file import COLUMNS, ResultsWriter
from imparfait.models.loading import load_weights
from imparfait.models.metadata import Threshold
from imparfait.models.pretrained import PRETRAINED, find_model

SEVEN = a_seven()


def brightness(pixels: np.ndarray) -> np.ndarray:
    """A model made up: the brighter, the surer of the second class."""
    share = pixels.mean((1, 2, 3)) / 255
    return np.stack([1 - share, share, 0 * share], 1).astype(np.float32)


MADE_UP = Predictor(
    "made up", ("dark", "bright", "neither"), Frame(28, 28), Threshold(confidence=0.8, error_rate=0.01), brightness
)


def asked(*words: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(commands, ["predict", *map(str, words)])
    assert (2 if isinstance(result.exception, UserError) else result.exit_code) == code, result.output
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sevens in several formats, on several grounds, two of them in one file; and something that is no image."""
    (tmp_path / "images" / "inner").mkdir(parents=True)
    dark = Image.fromarray(255 - SEVEN)
    dark.save(tmp_path / "images" / "a.png")
    dark.resize((200, 200)).convert("RGB").save(tmp_path / "images" / "b.jpg", quality=95)
    Image.fromarray(SEVEN).save(tmp_path / "images" / "inner" / "c.bmp")
    dark.save(tmp_path / "images" / "d.tif", save_all=True, append_images=[Image.fromarray(SEVEN)])
    (tmp_path / "images" / "notes.txt").write_text("not looked at")
    return tmp_path / "images"


@pytest.mark.parametrize("model", PRETRAINED)
def test_each_model_in_the_box_reads_a_seven_however_it_is_stored(model: str, folder: Path) -> None:
    told = [json.loads(line) for line in asked(folder, "--json", "--model", model).stdout.splitlines()]
    assert [Path(each["file"]).name for each in told] == ["a.png", "b.jpg", "d.tif", "d.tif", "c.bmp"]
    assert [each.get("page") for each in told] == [None, None, 1, 2, None]
    assert {each["predictions"][0]["label"] for each in told} == {"7"}
    assert all(each["sure"] and each["model"] == model for each in told)
    scores = [[one["score"] for one in each["predictions"]] for each in told]
    assert all(each == sorted(each, reverse=True) and len(each) == 3 and sum(each) <= 1.00001 for each in scores)


def test_python_answers_as_the_command_does(folder: Path) -> None:
    (answer,) = imparfait.predict(folder / "b.jpg")
    told = json.loads(asked(folder / "b.jpg", "--json").stdout)
    assert answer.to_json()["predictions"] == told["predictions"]
    assert imparfait.predict((folder / "b.jpg").read_bytes()) == [answer]


def test_all_forms_say_the_same(folder: Path) -> None:
    by_json = [json.loads(line) for line in asked(folder, "--json").stdout.splitlines()]
    by_csv = list(csv.DictReader(asked(folder, "--csv").stdout.splitlines()))
    assert [row["label"] for row in by_csv] == [each["predictions"][0]["label"] for each in by_json]
    assert [float(row["score"]) for row in by_csv] == [each["predictions"][0]["score"] for each in by_json]
    lines = asked(folder).stdout.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith("     ")] == ["7"] * 5


def test_a_blank_picture_is_refused_and_nothing_is_said_to_be_on_it(tmp_path: Path) -> None:
    Image.new("L", (40, 50), 180).save(tmp_path / "blank.png")
    told = json.loads(asked(tmp_path / "blank.png", "--json").stdout)
    assert not told["sure"]
    assert told["reason"] == BLANK_MESSAGE
    assert asked(tmp_path / "blank.png").stdout.split()[0] == "–"


@pytest.mark.parametrize(("grey", "sure"), [(250, True), (190, False)])
def test_an_answer_under_the_threshold_is_not_sure_and_says_so(grey: int, sure: bool) -> None:
    pixels = np.full((1, 1, 28, 28), grey, np.uint8)
    pixels[0, 0, ::2] -= 40
    (answer,) = MADE_UP.predict_pixels(pixels)
    assert answer.label == "bright"
    assert answer.sure == sure
    assert (answer.reason is None) == sure
    assert sure or "from 0.80 on at most 1.0% are wrong" in (answer.reason or "")


def test_one_broken_file_among_many_is_told_and_the_others_answered(folder: Path) -> None:
    (folder / "e.png").write_bytes((folder / "a.png").read_bytes()[:60])
    result = asked(folder, "--json", code=2)
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each.get("error", "")[:16] for each in told if "error" in each] == ["a broken image"]
    assert len(told) == 6
    assert "1 of 5 could not be read" in str(result.exception)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["nowhere.png"], "nowhere.png: there is no such file"),
        (["empty"], "empty: no images in there"),
        (["a.png", "--model", "digitz"], "digitz: no such model; expected one of digits, digits-clean"),
        (["a.png", "--model", "a.onnx"], "a.onnx: is no ONNX file, or a broken one"),
        (["a.png", "--out", "answers.txt"], "answers.txt: answers go into a file that ends in .jsonl or .csv"),
        (["a.png", "--out", "other.jsonl"], "other.jsonl: holds something else than answers"),
        (["a.png", "--out", "other.csv"], "other.csv: holds something else than answers"),
    ],
)
def test_bad_input_gets_one_sentence_and_loses_nothing(
    given: Sequence[str], sentence: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "empty").mkdir()
    others = {"a.onnx": "no model", "other.jsonl": "my diary", "other.csv": "day,weather\n1,rain"}
    for name, text in others.items():
        (folder / name).write_text(text)
    assert sentence in str(asked(*given, code=2).exception)
    assert all((folder / name).read_text() == text for name, text in others.items())


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_wherever_it_was_stopped_the_same_command_ends_with_the_same_file(suffix: str, folder: Path) -> None:
    files = list(files_in([folder]))
    path = folder / f"answers.{suffix}"
    answers = list(predict_files(files, MADE_UP))
    with ResultsWriter(path, MADE_UP.name) as kept:
        kept.add(answers)
    whole = path.read_bytes()
    for cut in [*range(0, len(whole), 5), *range(len(whole) - 40, len(whole))]:
        path.write_bytes(whole[:cut])
        with ResultsWriter(path, MADE_UP.name) as kept:
            assert len(kept.done) < len(files)
            kept.add([each for each in answers if each.file not in kept.done])
        assert path.read_bytes() == whole, cut


def test_names_with_commas_quotes_and_line_breaks_come_back_from_both_forms(tmp_path: Path) -> None:
    names = ["a,b.png", 'c"d.png', "e\nf.png", "é.png", "plain.png"]
    for suffix in ("jsonl", "csv"):
        path = tmp_path / f"answers.{suffix}"
        with ResultsWriter(path, "m") as kept:
            kept.add([FileResult(name, error="made up") for name in names])
        with ResultsWriter(path, "m") as kept:
            assert kept.done == set(names[:-1])  # the last one might have had further pages


def test_answers_of_another_model_are_not_gone_on_with(tmp_path: Path) -> None:
    with ResultsWriter(tmp_path / "answers.jsonl", "digits") as kept:
        kept.add([FileResult("a.png", error="made up")])
    with pytest.raises(UserError, match="holds answers of digits, these would be of mine"):
        ResultsWriter(tmp_path / "answers.jsonl", "mine")


def test_columns_begin_with_what_people_look_for() -> None:
    assert COLUMNS[:6] == ("file", "page", "model", "label", "score", "sure")


def test_several_processes_say_the_same_in_the_same_order(folder: Path) -> None:
    files = list(files_in([folder])) * 40
    here = list(predict_files(files, load_predictor("digits")))
    there = list(predict_many(files, "digits", processes=2))
    assert [(each.file, each.page, each.said) for each in here] == [(each.file, each.page, each.said) for each in there]
    shares = ([each.answer.score for each in side if each.answer] for side in (here, there))
    assert np.allclose(*shares, rtol=0, atol=1e-5)


def test_what_the_model_saw_is_drawn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    asked(folder, "--show")
    sheet = Image.open(folder.parent / "imparfait-seen.png")
    assert min(sheet.size) > 400
    assert len(sheet.getcolors(1 << 20) or ()) > 50


def test_nothing_heavy_is_imported_to_answer(folder: Path) -> None:
    code = (
        "import sys; sys.argv = ['imparfait', 'predict', sys.argv[1]]\n"
        "from imparfait.cli.main import main\n"
        "main()\n"
        "heavy = {'torch', 'scipy.ndimage', 'matplotlib', 'sklearn', 'pandas', 'onnx', 'optuna'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code, str(folder / "a.png")], check=True, capture_output=True)


def test_the_box_is_small_and_holds_what_its_cards_say() -> None:
    assert sum(file.stat().st_size for each in PRETRAINED.values() for file in each.folder.iterdir()) < 6_000_000
    for name, each in PRETRAINED.items():
        card = predictor_from_onnx((each.folder / "model.onnx").read_bytes(), name)[1]
        assert (card.name, card.model) == (name, "duo")
        assert card.weights == sha256((each.folder / "model.safetensors").read_bytes()).hexdigest()
        assert card.weights in (each.folder / "README.md").read_text(encoding="utf-8")
        assert card.parity
        assert (card.parity.same_label, card.parity.largest < 1e-5) == (card.parity.images, True)
        assert load_weights(find_model(name)).sha256 == card.weights
