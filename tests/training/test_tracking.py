"""Trackers: each gets settings, every epoch and the final scores; offline, and only where its package is installed."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.bars import draw_bars
from helpers.commands import refused, run
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.training import tracking
from imparfait.training.tracking import TRACKERS, Tracked, Tracker, check_tracker

EPOCHS = 2
METRICS = {"loss", "accuracy", "seconds", "validation_clean", "validation_shrunk"}
FINAL = {"final_mean", "final_clean", "final_geometric", "final_shrunk"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, bars = tmp_path_factory.mktemp("tracked") / "data", draw_bars(60, 8)
    for number, (pixels, label) in enumerate(zip(bars.pixels, bars.labels, strict=True)):
        path = folder / bars.classes[label] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0]).save(path)
    return folder


def trained(data: Path, out: Path, name: str) -> None:
    run(
        "train",
        "--data",
        data,
        "--size",
        "8",
        "--recipe",
        "quick",
        "--epochs",
        str(EPOCHS),
        "--out",
        out,
        "--track",
        name,
    )


def test_a_tracker_gets_settings_epochs_and_scores(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[tuple[set[str], int]] = []
    opened: list[Mapping[str, str]] = []

    @contextmanager
    def fake(name: str, settings: Mapping[str, str], out: Path) -> Iterator[Tracked]:
        assert out == tmp_path
        opened.append(settings)
        yield Tracked(lambda metrics, step: logged.append((set(metrics), step)), "nowhere")

    monkeypatch.setitem(TRACKERS, "wandb", Tracker(fake, ()))
    trained(data, tmp_path, "wandb")
    [settings] = opened
    assert settings["epochs"] == str(EPOCHS)
    assert settings["recipe"] == "quick"
    assert [step for _, step in logged] == [1, 2, 2]
    assert all(metrics >= METRICS for metrics, _ in logged[:EPOCHS])
    assert logged[-1][0] == FINAL
    trained(data, tmp_path, "wandb")  # finished earlier
    assert len(logged) == 3


@pytest.mark.parametrize("name", TRACKERS)
def test_a_missing_package_is_said_before_the_training(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking.importlib.util, "find_spec", lambda package: None)
    said = refused("train", "--data", "mnist", "--track", name)
    assert f"--track {name}: " in said
    assert "is not installed" in said
    assert install_hint(name) in said


def test_an_unknown_tracker_is_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'mlflow'"):
        check_tracker("mlfow")


@pytest.mark.filterwarnings("ignore")  # of the trackers' own code
def test_tensorboard_has_it_all(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trained(data, tmp_path, "tensorboard")
    [folder] = (tmp_path / "tensorboard").iterdir()
    events = EventAccumulator(str(folder)).Reload()
    assert set(events.Tags()["scalars"]) >= METRICS | FINAL
    assert [event.step for event in events.Scalars("loss")] == [1, 2]
    assert "settings/text_summary" in events.Tags()["tensors"]


@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_it_all(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    trained(data, tmp_path / "runs", "mlflow")
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}")
    [found] = client.search_runs([client.get_experiment_by_name("imparfait").experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.params["epochs"] == str(EPOCHS)
    assert set(found.data.metrics) >= METRICS | FINAL
    assert [each.step for each in client.get_metric_history(found.info.run_id, "loss")] == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


@pytest.mark.filterwarnings("ignore")
def test_wandb_is_offline(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    trained(data, tmp_path, "wandb")
    [found] = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    names = METRICS | FINAL | {"augmentation"}
    for _ in range(300):  # its own process writes the file
        if all(name.encode() in found.read_bytes() for name in names):
            break
        time.sleep(0.1)
    content = found.read_bytes()
    for name in names:
        assert name.encode() in content
