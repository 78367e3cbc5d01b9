"""The Hub: uploads only where asked, by a stand-in client; results only from test images."""

import inspect
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from helpers.bars import draw_bars
from helpers.commands import refused, run
from PIL import Image

from imparfait.cli.main import commands
from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.export import hub
from imparfait.export.hub import check_repository, push_folder, results_of


class StandIn:
    """Takes what huggingface_hub's HfApi takes, and keeps it."""

    def __init__(self, refuses: str = "") -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.refuses = refuses

    def create_repo(self, **values: Any) -> str:
        if self.refuses:
            raise RuntimeError(self.refuses)
        self.calls.append(("create_repo", values))
        return f"https://huggingface.co/{values['repo_id']}"

    def upload_folder(self, **values: Any) -> None:
        names = sorted(path.name for path in Path(values["folder_path"]).iterdir())
        self.calls.append(("upload_folder", values | {"names": names}))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    monkeypatch.setattr(hub, "_api", lambda: stand_in)
    return stand_in


@pytest.fixture(scope="module")
def final_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home, bars = tmp_path_factory.mktemp("hub"), draw_bars(60, 8)
    for number, (pixels, label) in enumerate(zip(bars.pixels, bars.labels, strict=True)):
        path = home / "data" / ("test" if number % 4 == 3 else "train") / bars.classes[label] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0]).save(path)
    words = (
        "train",
        "--data",
        home / "data",
        "--size",
        "8",
        "--recipe",
        "quick",
        "--epochs",
        "1",
        "--out",
        home / "runs",
    )
    run(*words, "--final")
    [folder] = (home / "runs").glob("quick-*")
    return folder


def test_without_the_option_nothing_is_sent(client: StandIn, tmp_path: Path) -> None:
    run("export", "digits", "--hugging-face", tmp_path / "folder")
    assert client.calls == []


@pytest.mark.parametrize("public", [False, True])
def test_the_folder_is_uploaded(public: bool, client: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = run("export", "digits", "--push-to-hub", "me/my-digits", *(["--public"] if public else []))
    assert "uploaded: https://huggingface.co/me/my-digits" in said
    [(first, made), (second, sent)] = client.calls
    assert (first, second) == ("create_repo", "upload_folder")
    assert made == {"repo_id": "me/my-digits", "repo_type": "model", "private": not public, "exist_ok": True}
    assert sent["repo_id"] == "me/my-digits"
    assert sent["names"] == ["README.md", "config.json", "model.onnx", "preprocessor_config.json"]
    assert (tmp_path / "my-digits-folder" / "model.onnx").exists()


@pytest.mark.parametrize("name", ["digits", "a/b/c", "me/", "/x", "me/../x", "me/x y", "-/é", ""])
def test_other_names_are_refused_before_anything_is_written(name: str, client: StandIn, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected USER/NAME"):
        check_repository(name)
    assert client.calls == []


def test_a_refusal_of_the_hub_is_a_sentence_and_the_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"me/x: the Hub did not take it: 401 Unauthorized; .* hf auth login"):
        push_folder(tmp_path, "me/x", api=lambda: StandIn("401 Unauthorized\nmore"))
    assert (tmp_path / "config.json").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--public"], "--public without --push-to-hub"),
        (["--benchmark", "a/b:c"], "--benchmark without a folder"),
        (["--push-to-hub", "me/x", "--out", "x.onnx"], "--push-to-hub with --out or --to"),
        (["--push-to-hub", "me"], "expected USER/NAME"),
        (["--hugging-face", "new", "--benchmark", "mnist"], "expected USER/DATASET:TASK"),
        (["--hugging-face", "new", "--benchmark", "a/b:c"], "digits: has no scores on test images"),
    ],
)
def test_mistakes_are_said_first(words: list[str], said: str, client: StandIn, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in refused("export", "digits", *words)
    assert list(tmp_path.iterdir()) == []
    assert client.calls == []


def test_without_the_package_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.chdir(tmp_path)
    assert install_hint("hub") in refused("export", "digits", "--push-to-hub", "me/x")
    assert list(tmp_path.iterdir()) == []


def test_results_of_a_final_run_are_in_the_hubs_format(final_run: Path, tmp_path: Path) -> None:
    words = ["export", str(final_run), "--hugging-face", str(tmp_path / "new"), "--benchmark", "me/bars:classify"]
    result = CliRunner().invoke(commands, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    scores = json.loads((final_run / "scores.json").read_text())
    files = sorted((tmp_path / "new" / ".eval_results").iterdir())
    assert [path.name for path in files] == ["clean.yaml", "geometric.yaml", "shrunk.yaml"]
    for path, condition in zip(files, scores["conditions"], strict=True):
        [entry] = yaml.safe_load(path.read_text())
        assert entry["dataset"] == {"id": "me/bars", "task_id": "classify"}
        assert entry["value"] == pytest.approx(condition["correct"] / condition["total"], abs=1e-6)
        assert ("notes" in entry) == (path.stem != "clean")


def test_accuracies_on_validation_images_are_refused(final_run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(final_run, tmp_path / "run")
    settings = json.loads((other / "settings.json").read_text())
    (other / "settings.json").write_text(json.dumps(settings | {"final": False}))
    with pytest.raises(UserError, match="expected a run of train --final"):
        results_of(other, "me/bars:classify")


def test_the_client_of_the_package_has_what_is_called() -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    called = {
        "create_repo": {"repo_id", "repo_type", "private", "exist_ok"},
        "upload_folder": {"repo_id", "repo_type", "folder_path", "commit_message"},
    }
    for method, names in called.items():
        assert names <= set(inspect.signature(getattr(huggingface_hub.HfApi, method)).parameters)
    assert hub._api() is not None
