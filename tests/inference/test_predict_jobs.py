"""Predictions of many files on executors: the same answers in the same order, few jobs at a time, none lost."""

import json
import os
import shutil
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.bars import draw_bars, write_idx
from helpers.commands import SHORT, run
from helpers.photos import a_seven
from helpers.workers import workers
from PIL import Image

from imparfait.cli.main import commands
from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.inference import batch
from imparfait.inference.batch import Batch, files_in, predict_files, predict_on
from imparfait.inference.loading import load_predictor
from imparfait.inference.predict_jobs import PredictJob, PredictorSource, versions_here
from imparfait.models.pretrained import PRETRAINED
from imparfait.selection.executors import AHEAD, EXECUTORS, Executor, executor_named, processes, run_in_order

pytestmark = pytest.mark.usefixtures("all_cores")

TWO = Executor("processes", partial(processes, workers=2), 2)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, some of them broken, of two pages or too large for the calling process; and with models."""
    home = tmp_path_factory.mktemp("home")
    (home / "images").mkdir()
    random = np.random.default_rng(0)
    for number in range(40):
        noisy = np.clip(a_seven() + random.integers(0, 60, a_seven().shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy if number % 2 else 255 - noisy).save(home / "images" / f"{number:02d}.png")
    pages = [Image.fromarray(each) for each in (a_seven(), 255 - a_seven())]
    pages[0].save(home / "images" / "10-pages.tif", save_all=True, append_images=pages[1:])
    Image.fromarray(random.integers(0, 255, (300, 300, 3), dtype=np.uint8)).save(home / "images" / "large.png")
    (home / "images" / "20-broken.png").write_bytes((home / "images" / "01.png").read_bytes()[:60])
    (home / "images" / "30-missing.png").symlink_to("nowhere")
    write_idx(home / "bars", draw_bars(60), draw_bars(9, first_source=60))
    run("train", "--data", home / "bars", "--out", home / "runs", *SHORT)
    shutil.copy(PRETRAINED["digits-clean"].folder / "model.onnx", home / "exported.onnx")
    return home


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "CHUNK_FILES", 7)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("executor", [name for name in EXECUTORS if name != "serial"])
def test_every_executor_prints_the_same_lines(home: Path, executor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if executor == "ray":
        pytest.importorskip("ray")
    monkeypatch.chdir(home)
    [trained] = Path("runs").glob("default-*")
    for model in (("digits",), ("exported.onnx",), ("exported.onnx", "--trust"), (str(trained),)):
        words = ["predict", "images", "--json", "--threads", "1", "--model", *model, "--executor"]
        expected, found = (CliRunner().invoke(commands, [*words, each]).stdout for each in ("serial", executor))
        assert found == expected
        lines = [json.loads(line) for line in found.splitlines()]
        assert len(lines) == 45
        assert [line["file"] for line in lines if "error" in line] == ["images/20-broken.png", "images/30-missing.png"]


@pytest.mark.usefixtures("small_chunks")
def test_the_chunk_of_a_killed_worker_is_predicted_again(home: Path) -> None:
    files = list(files_in([home / "images"]))
    expected = list(predict_files(files, load_predictor("digits")))
    results = predict_on(TWO, files, PredictorSource.of("digits"))
    found = [next(results)]
    for worker in workers(os.getpid()):
        os.kill(worker, signal.SIGKILL)
    found += results
    said = [[(each.file, each.page, each.prediction, each.error) for each in side] for side in (found, expected)]
    assert said[0] == said[1]


@dataclass(frozen=True)
class Number:
    """A job whose result is its number."""

    number: int
    compute: ClassVar = ComputeConfig()
    key: str = ""

    def run(self, data: list[int]) -> int:
        data.append(self.number)
        return self.number

    def failed(self, cause: str) -> int:
        return -1


def latest_first(jobs: Iterable[Number | None], data: list[int]) -> Iterator[tuple[Number, int]]:
    """Takes all jobs that there are, and finishes the latest one first."""
    waiting, under_way = iter(jobs), list[Number]()
    while True:
        while (job := next(waiting, None)) is not None:
            under_way.append(job)
        data.append(len(under_way))
        if not under_way:
            return
        latest = under_way.pop()
        yield latest, latest.run([])


def test_results_come_in_order_and_few_jobs_are_made_at_a_time() -> None:
    made, seen = list[int](), list[int]()
    waiting: list[int] = []

    def jobs() -> Iterator[Number]:
        for number in range(1000):
            made.append(number)
            waiting.append(len(made) - len(seen))
            yield Number(number)

    at_once: list[int] = []
    for job, result in run_in_order(jobs(), at_once, Executor("latest first", latest_first, 3)):
        assert job.number == result
        seen.append(result)
    assert seen == made == list(range(1000))
    assert max(at_once) == 3 * AHEAD
    assert max(waiting) <= 3 * AHEAD + 1


def test_leaving_the_loop_ends_the_workers(home: Path) -> None:
    before = set(workers(os.getpid()))
    results = predict_on(TWO, list(files_in([home / "images"])) * 50, PredictorSource.of("digits"))
    next(results)
    assert set(workers(os.getpid())) - before
    results.close()
    assert not set(workers(os.getpid())) - before


def test_many_files_are_predicted_in_several_processes_where_there_are_cores(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MANY_FILES", 40)
    chosen: list[Executor] = []

    def noted(executor: Executor, *words: object) -> Iterator[object]:
        chosen.append(executor)
        return iter(())

    monkeypatch.setattr(batch, "predict_on", noted)
    monkeypatch.setattr(batch, "executor_named", lambda threads: replace(executor_named("processes"), workers=threads))
    files = list(files_in([home / "images"]))
    assert len(list(Batch("digits").predict(files[:39]))) == 40
    assert not chosen
    assert not list(Batch("digits", threads=2).predict(files))
    assert [(each.name, each.workers) for each in chosen] == [("processes", 2)]


def test_a_model_that_has_changed_meanwhile_is_refused(home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.onnx"
    shutil.copy(home / "exported.onnx", copy)
    source = PredictorSource.of(str(copy))
    shutil.copy(PRETRAINED["digits"].folder / "model.onnx", copy)
    with pytest.raises(UserError, match=r"copy\.onnx: has changed, or is another model on .*; expected one model"):
        list(predict_on(executor_named("serial"), ["a.png"], source))


def test_predictions_of_other_versions_and_of_killed_workers_are_refused(home: Path) -> None:
    source = PredictorSource.of("digits")
    files = [str(home / "images" / f"{number:02d}.png") for number in range(3)]
    found = PredictJob(0, source.sha256, tuple(files), ComputeConfig()).run(source)
    assert found.checked(versions_here(False)) == found.results
    other = replace(found, versions=("numpy 1.0",), host="far")
    with pytest.raises(UserError, match=r"far has numpy 1\.0; expected .*as on this machine; install the same"):
        other.checked(versions_here(False))
    job = PredictJob(0, source.sha256, tuple(files), ComputeConfig())
    with pytest.raises(UserError, match=r"00\.png and 2 files after it: killed"):
        job.failed("killed").checked(versions_here(False))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--executor", "rey"), "no executor is called 'rey'"),
        (("--address", "1.2.3.4:6379"), "write --executor ray with it"),
    ],
)
def test_an_executor_that_is_not_there_is_refused(home: Path, words: tuple[str, str], sentence: str) -> None:
    result = CliRunner().invoke(commands, ["predict", str(home / "images"), *words])
    assert sentence in str(result.exception)
