"""`imparfait label`: what is listed, what is printed at the end, and that the printed training works."""

import csv
import re
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest
from helpers.bars import draw_bars
from helpers.commands import SHORT, refused, run
from helpers.server import Address
from PIL import Image

from imparfait.inference.label_session import LabelSession

BARS = draw_bars(90, 16)


def write(folder: Path, rows: range, by_class: bool) -> None:
    for row in rows:
        path = folder / (BARS.classes[BARS.labels[row]] if by_class else ".") / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(BARS.pixels[row, 0]).save(path)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images in class folders, others without labels, and a run trained on the former."""
    folder = tmp_path_factory.mktemp("label")
    write(folder / "mine", range(45), by_class=True)
    write(folder / "new", range(45, 90), by_class=False)
    with chdir(folder):
        run("train", "--data", "mine", *SHORT)
    return folder


@pytest.fixture
def trained(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder, in a copy of what is prepared."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    (folder,) = (path.parent for path in Path("runs").glob("*/model.safetensors"))
    return folder


def labelled(model: Path, *words: str) -> str:
    """What the command prints at its end, when each image got its label on the page."""
    command = [sys.executable, "-m", "imparfait", "label", "new", "--model", str(model), "--no-open", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)/(\S+)/ ", line)
        assert found, line + process.stderr.read()
        address, token = Address(int(found[1])), found[2]
        page = address.request("GET", f"/{token}/images").json
        for number, image in enumerate(page["images"]):
            truth = int(BARS.labels[int(Path(image["file"]).stem)])
            body = f'{{"image": {number}, "label": {page["classes"].index(BARS.classes[truth])}}}'.encode()
            assert address.request("POST", f"/{token}/labels", body, Content_Type="application/json").status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        return process.stderr.read()


def test_labels_are_added_to_the_old_images_by_the_printed_command(trained: Path) -> None:
    printed = labelled(trained, "--count", "12", "--data", "mine")
    assert re.search(r"^labelled 12 of 12 images \(\d+ \w+, .*\): labels.csv$", printed, re.M)
    rows = list(csv.DictReader(Path("labels.csv").read_text().splitlines()))
    assert len(rows) == 12
    assert all(row["label"] == BARS.classes[BARS.labels[int(Path(row["image_path"]).stem)]] for row in rows)
    step = re.search(r"^next: imparfait (.*?)   \(", printed, re.M)
    assert step
    words = shlex.split(step[1])
    assert words[:3] == ["train", "--data", "mine+labels.csv"]
    assert "mine+labels: 57 training images" in run("check", "mine+labels.csv")
    assert "report:" in run(*words, *SHORT)


def test_the_same_command_chooses_others_once_all_are_labelled(trained: Path) -> None:
    labelled(trained, "--count", "5")
    again = labelled(trained, "--count", "5")
    assert ", 10 labels in all" in again
    assert len({row["image_path"] for row in csv.DictReader(Path("labels.csv").read_text().splitlines())}) == 10


def test_a_list_is_printed_without_a_page_and_without_files(trained: Path) -> None:
    before = set(Path().iterdir())
    rows = list(csv.DictReader(run("label", "new", "--model", trained, "--list", "--count", "7").splitlines()))
    assert len(rows) == 7
    assert all(row["predicted"] in BARS.classes and 0 <= float(row["uncertainty"]) <= 1 for row in rows)
    assert float(rows[0]["uncertainty"]) == max(float(row["uncertainty"]) for row in rows)
    assert set(Path().iterdir()) == before


def test_images_that_are_all_known_are_refused(trained: Path) -> None:
    message = refused("label", "mine", "--model", trained, "--data", "mine", "--list")
    assert message == "all of these 45 images are labelled or skipped already; name a folder with others"


def test_a_data_set_that_is_no_files_is_refused(trained: Path) -> None:
    assert "mnist: not a data set of image files; expected class folders" in refused(
        "label", "new", "--data", "mnist", "--list"
    )
    assert "no such file or folder as 'none.csv'" in refused("label", "new", "--data", "mine+none.csv", "--list")


def test_one_label_of_a_class_is_said_to_be_too_few(trained: Path) -> None:
    with LabelSession(Path("labels.csv")) as session:
        session.start(["new/45.png", "new/46.png"])
        session.decide("new/45.png", "flat")
        session.skip("new/46.png")
    printed = labelled(trained, "--count", "1")
    assert "too few to train on alone" in printed
    assert "next:" not in printed
