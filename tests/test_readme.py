"""README is true: each of its commands and programs runs, on small pictures to be quick."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.bars import draw_bars, write_idx
from helpers.photos import a_seven
from PIL import Image

from imparfait.selection.search_space import read_space
from imparfait.training.recipes import RECIPES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", README, re.S) for line in block.splitlines() if line.strip()
]
MY_NET = """
from torch import nn

def build(channels, classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * channels, classes))
"""
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.S)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("readme")
    write_idx(home / "small", draw_bars(60, 28), draw_bars(30, 28, first_source=60))
    (home / "my_net.py").write_text(MY_NET)
    Image.fromarray(255 - a_seven()).resize((120, 120)).save(home / "photo.jpg")
    mine = draw_bars(60, 30)
    for number, (image, label) in enumerate(zip(mine.pixels, mine.labels, strict=True)):
        path = home / "my_pictures" / mine.classes[label] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(path)
    return home


def paged(here: Path, command: list[str]) -> None:
    """A server says where it is, and ends when it is asked to."""
    with subprocess.Popen([*command, "--port", "0"], cwd=here, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        assert "http://127.0.0.1:" in server.stdout.readline()
        server.terminate()
        assert server.wait(30) == 0


def is_final(run: Path) -> bool:
    """Whether a run was fitted on all training pictures; other results come last too."""
    settings = run / "settings.json"
    return not settings.exists() or bool(json.loads(settings.read_text(encoding="utf-8"))["final"])


def on_small_pictures(command: str, here: Path) -> list[str]:
    """The command as README has it, but with --data added where pictures are read, and a run that exists."""
    words = shlex.split(command.split("  #")[0])
    runs = [word.replace("…", "*") for word in words if word.startswith("runs/")]
    for pattern in runs:
        found = sorted(here.glob(pattern), key=is_final)
        words = [str(found[0]) if word.replace("…", "*") == pattern else word for word in words]
    if words[1] == "train" and "cnn" in words:
        words += ["--epochs", "1"]  # its own recipe's ten take half a minute here
    if words[1] == "compare":
        words += ["--seeds", "1", "--folds", "2", "--epochs", "1"]
    if words[1] == "search":
        words += ["--trials", "4", "--folds", "2", "--epochs", "1"]
    reads = words[1] in ("train", "compare", "search", "evaluate", "alter")
    if reads and "--help" not in words and "--data" not in words:
        words += ["--data", "small"]
    return [sys.executable, "-m", *words]


def test_readme_has_the_commands_it_is_there_for() -> None:
    assert {"make run", "make test"} <= {command.split("  #")[0].strip() for command in COMMANDS}
    assert any(command.startswith("imparfait evaluate") for command in COMMANDS)
    assert PROGRAMS


def test_every_imparfait_command_of_readme_runs_in_its_order(here: Path) -> None:
    for command in COMMANDS:
        if command.startswith("imparfait"):
            words = on_small_pictures(command, here)
            if "serve" in words:
                paged(here, words)
                continue
            result = subprocess.run(words, cwd=here, capture_output=True, text=True)
            assert result.returncode == 0, f"{command}\n{result.stderr}"


def test_the_quick_study_of_readme_leaves_its_page_its_figures_and_a_keras_file_that_opens(here: Path) -> None:
    folder = here / "runs" / "study-quick"
    figures = {"accuracy_loss", "matrice_conf_1", "matrice_conf_2", "mixtures", "differences", "accuracy_seconds"}
    assert figures <= {path.stem for path in folder.glob("*.png")}
    told = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    assert {claim["outcome"] for claim in told["claims"]} == {"not tried"}
    assert len(told["finals"]) == 4
    assert "macro avg" in (folder / "classification_report_2.txt").read_text(encoding="utf-8")
    assert (folder / "cross-validation" / "report.html").exists()
    assert not (here / "runs" / "TEST_LEDGER.csv").read_text(encoding="utf-8").count("study")  # the test stays sealed
    ask = "import keras; print(keras.saving.load_model('model/mon_model.keras').count_params())"
    environment = os.environ | {"KERAS_BACKEND": "torch"}
    opened = subprocess.run(
        [sys.executable, "-c", ask], cwd=folder, capture_output=True, text=True, env=environment, check=True
    )
    assert int(opened.stdout) > 1_000_000


def test_a_finished_study_is_told_again_without_training(here: Path) -> None:
    jobs = {path: path.stat().st_mtime_ns for path in (here / "runs" / "cells").glob("*.cell")}
    command = [sys.executable, "-m", "imparfait", "study", "--quick", "--json"]
    again = subprocess.run(command, cwd=here, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["verdict"]
    assert {path: path.stat().st_mtime_ns for path in (here / "runs" / "cells").glob("*.cell")} == jobs


def test_every_make_target_of_readme_exists() -> None:
    for command in COMMANDS:
        if command.startswith("make"):
            words = shlex.split(command.split("  #")[0])
            assert subprocess.run([*words, "--dry-run"], cwd=ROOT, capture_output=True).returncode == 0, command


def test_every_pip_line_of_readme_can_be_resolved() -> None:
    """From the checkout; torch from PyTorch's own index is left out, for that index may be out of reach."""
    for command in COMMANDS:
        if command.startswith("pip") and "--index-url" not in command:
            words = shlex.split(command.split("  #")[0])[1:]
            result = subprocess.run(
                [sys.executable, "-m", "pip", *words, "--dry-run", "--quiet"], cwd=ROOT, capture_output=True, text=True
            )
            assert result.returncode == 0, f"{command}\n{result.stderr}"


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_of_readme_runs(program: str, here: Path) -> None:
    small = program.replace('load_data("mnist")', 'load_data("small")')
    result = subprocess.run([sys.executable, "-c", small], cwd=here, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_readme_names_every_recipe() -> None:
    for name in RECIPES:
        assert f"`{name}`" in README


def test_every_space_of_readme_can_be_searched(tmp_path: Path) -> None:
    spaces = re.findall(r"```toml\n(.*?)```", README, re.S)
    assert spaces
    for space in spaces:
        (tmp_path / "space.toml").write_text(space)
        varied, _ = read_space(tmp_path / "space.toml", RECIPES["default"].settings)
        assert "learning_rate" in varied
        assert "label_smoothing" not in varied
