"""`imparfait drift`: from training and serving to sentences, a page, JSON and exit codes; what is refused."""

import gzip
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.bars import draw_bars
from helpers.commands import WITHOUT_TORCH, refused, run
from helpers.photos import a_seven
from helpers.server import serving
from PIL import Image

from imparfait.cli.main import commands
from imparfait.serving.models import models_for

EASY = ("--recipe", "quick", "--epochs", 3, "--batch-size", 16, "--augmentation", "clean")

ONLY_TO_TRAIN = ("matplotlib", "jinja2", "sklearn", "pandas", "optuna", "onnx")


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def serve(folder: Path, log: Path, n: int, change: Callable[[np.ndarray], np.ndarray], first_source: int) -> None:
    """Have a server predict new bars, and log."""
    with serving(models_for(str(folder)), log=str(log)) as server:
        for pixels in draw_bars(n, first_source=first_source).pixels:
            assert server.post(png(change(pixels[0]))).status == 200
        server.wait_until(lambda: log.read_text().count("\n") == n)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bars in class folders, a run trained on them, and the logs of a server: usual images, and darker ones."""
    home = tmp_path_factory.mktemp("drift")
    for split, n in (("train", 120), ("val", 150)):
        data = draw_bars(n, first_source=1000 * (split == "val"))
        for row, (pixels, label) in enumerate(zip(data.pixels, data.labels, strict=True)):
            path = home / "mine" / split / data.classes[label] / f"{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(pixels[0]))
    run("train", "--data", home / "mine", "--out", home / "runs", *map(str, EASY))
    (folder,) = (path.parent for path in (home / "runs").glob("*/reference.json"))
    folder.rename(home / "run")
    serve(home / "run", home / "usual.log", 120, lambda pixels: pixels, 5000)
    serve(home / "run", home / "dark.log", 120, lambda pixels: pixels // 2, 6000)
    return home


def drift(home: Path, *words: object, code: int = 0) -> str:
    command = ["drift", *map(str, words), "--out", str(home / "reports")]
    result = CliRunner().invoke(commands, command, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout


def test_the_reference_is_what_the_server_logs_for_the_same_files(home: Path, tmp_path: Path) -> None:
    reference = json.loads((home / "run" / "reference.json").read_text())
    files = sorted((home / "mine" / "val").rglob("*.png"))
    with serving(models_for(str(home / "run")), log=str(tmp_path / "log")) as server:
        for file in files:
            server.post(file.read_bytes())
        server.wait_until(lambda: (tmp_path / "log").read_text().count("\n") == len(files))
    pages = [json.loads(line)["pages"][0] for line in (tmp_path / "log").read_text().splitlines()]
    for name, values in reference["properties"].items():
        assert sorted(page["image"][name] for page in pages) == sorted(values)
    labels = [reference["classes"][label] for label in reference["labels"]]
    assert sorted(page["label"] for page in pages) == sorted(labels)
    assert np.allclose(sorted(page["score"] for page in pages), sorted(reference["scores"]), atol=2e-4)


def test_nothing_is_called_where_nothing_changed(home: Path) -> None:
    said = drift(home, home / "usual.log", "--reference", home / "run", "--fail")
    assert "no change shown; a difference of more than" in said
    assert "120 images predicted by run, 20" in said
    assert "compared with 150 of 150 validation images of run" in said
    assert "requests count as independent, because" in said  # all within some seconds


def test_darker_images_are_said_and_on_the_page(home: Path) -> None:
    said = drift(home, home / "dark.log", "--reference", home / "run")
    sentence = re.search(r"images are darker: median brightness 0\.0\d+, 0\.\d+ in training \(p < 0\.001\)", said)
    assert sentence
    report = re.search(r"report: (\S+)", said)
    assert report
    page = Path(report[1]).read_text(encoding="utf-8")
    assert "Images are darker" in page
    assert "Distributions" in page
    assert "\\label{tab:drift-" in Path(report[1]).with_name("table.tex").read_text(encoding="utf-8")
    figures = {path.name for path in (Path(report[1]).parent / "figures").iterdir()}
    assert figures >= {"distributions.svg", "distributions.pdf", "classes.svg", "classes.pdf"}
    assert drift(home, home / "dark.log", "--reference", home / "run", "--fail", code=1) == said


def test_an_earlier_log_is_a_reference_too(home: Path, tmp_path: Path) -> None:
    said = drift(home, home / "dark.log", "--reference", home / "usual.log")
    assert "images are darker" in said
    assert re.search(r"0\.\d+ before \(p", said)
    both = [*(home / "usual.log").read_text().splitlines(), *(home / "dark.log").read_text().splitlines()]
    start = json.loads(both[120])["time"]
    (tmp_path / "all.log.gz").write_bytes(gzip.compress("\n".join(both).encode() + b"\n"))
    assert "images are darker" in drift(home, tmp_path / "all.log.gz", "--since", start)
    assert "zoom" not in said  # the same everywhere


def test_json_has_the_numbers_and_the_sentences(home: Path) -> None:
    found = json.loads(drift(home, home / "dark.log", "--reference", home / "run", "--json"))
    assert found["changed"] is True
    assert (found["images"], found["model"], found["unreadable_lines"]) == (120, "run", 0)
    brightness = next(change for change in found["changes"] if change["name"] == "brightness")
    assert brightness["outcome"] == "changed"
    assert brightness["now"] < brightness["before"]
    assert any(sentence.startswith("images are darker") for sentence in found["sentences"])
    kept = json.loads((Path(found.pop("folder")) / "drift.json").read_text())
    assert kept == found


def test_a_model_without_a_reference_takes_its_data(home: Path) -> None:
    older = shutil.copytree(home / "run", home / "older", ignore=shutil.ignore_patterns("reference.json"))
    message = refused("drift", home / "usual.log", "--reference", older)
    assert message.startswith(
        f"{older}: has no reference.json to compare with; write the --data that it was trained on"
    )
    found = json.loads(drift(home, home / "usual.log", "--reference", home / "run", "--data", home / "mine", "--json"))
    assert found["changed"] is False
    assert found["reference"].startswith("150 validation images of ")
    zoom = {change["name"] for change in found["changes"]}
    assert "zoom" not in zoom  # every file has the input's size
    of_file = json.loads((home / "run" / "reference.json").read_text())["properties"]["contrast"]
    contrast = next(change for change in found["changes"] if change["name"] == "contrast")
    assert contrast["before"] == pytest.approx(float(np.median(of_file)))


def test_a_final_run_is_no_reference_but_for_images_held_out(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "run", tmp_path / "final", ignore=shutil.ignore_patterns("reference.json"))
    settings = tmp_path / "final" / "settings.json"
    settings.write_text(settings.read_text().replace('"final": false', '"final": true'))
    for words in ((), ("--data", home / "mine")):
        message = refused("drift", home / "usual.log", "--reference", tmp_path / "final", *words)
        assert "was trained on its validation images too, so they are no reference; write its run without" in message


REFUSED = (
    ("usual.log", "--reference", "nowhere"), ("usual.log", "--since", "2999-01-01"), ("usual.log", "--since", "soon"),
    ("usual.log", "--since", "2000-01-01"), ("usual.log", "--reference", "run", "--model", "other"),
    ("nothing.log", "--reference", "run"), ("usual.log", "--reference", "usual.log", "--data", "mine"),
)  # fmt: skip


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_cannot_be_compared_is_refused(
    words: tuple[str, ...], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    refused("drift", *words, "--out", tmp_path / "reports")
    assert not (tmp_path / "reports").exists()


def test_a_log_of_other_classes_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "log").write_text((home / "usual.log").read_text().replace('"label":"flat"', '"label":"a cat"'))
    message = refused("drift", tmp_path / "log", "--reference", home / "run")
    assert message.startswith("the log has predictions of 'a cat', which is no class of ")


def test_a_log_of_several_models_is_compared_with_the_one_called_as_the_reference(home: Path, tmp_path: Path) -> None:
    lines = (home / "dark.log").read_text().replace('"model":"run"', '"model":"newer"')
    (tmp_path / "log").write_text((home / "usual.log").read_text() + lines)
    assert "no change shown" in drift(home, tmp_path / "log", "--reference", home / "run")
    assert "images are darker" in drift(home, tmp_path / "log", "--reference", home / "run", "--model", "newer")


def test_pytorch_is_not_needed(home: Path, tmp_path: Path) -> None:
    words = ["drift", str(home / "dark.log"), "--reference", str(home / "run"), "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *words], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert "images are darker" in done.stdout, done.stderr
    step = re.search(r"next: (imparfait label FOLDER --model \S+)", done.stderr)
    assert step
    assert shlex.split(step[1])[-1] == str(home / "run")


def test_a_pretrained_model_is_a_reference_in_the_base_installation(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(a_seven()).save(buffer, "PNG")
    log = tmp_path / "log"
    with serving(models_for("digits"), log=str(log)) as server:
        for _ in range(30):
            assert server.post(buffer.getvalue()).status == 200
        server.wait_until(lambda: log.read_text().count("\n") == 30)
    program = f"import sys; sys.modules |= dict.fromkeys({ONLY_TO_TRAIN!r}); {WITHOUT_TORCH}"
    words = [sys.executable, "-c", program, "drift", "log", "--reference", "digits"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "7 is predicted 9" in done.stdout
    assert "compared with 800 of 10,000 validation images of MNIST with digits" in done.stdout
    assert "no page and figures, which need matplotlib; write in the folder of the repository" in done.stderr
    (written,) = re.findall(r"numbers: (\S+)", done.stdout)
    assert json.loads((tmp_path / written).read_text())["changed"] is True
    assert "next: imparfait label FOLDER --model digits" in done.stderr
