"""Suites on executors, and by the command: the same scores wherever jobs run, and whatever is interrupted."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars, write_idx
from helpers.commands import SHORT, run
from helpers.counting import CONDITIONS, Counting, equal, model_of
from helpers.model_files import model_of as model_of_nodes
from onnx import helper

from imparfait.core.errors import UserError
from imparfait.core.hardware import torch_threads
from imparfait.data.load import load_data
from imparfait.evaluation.external.input_spec import SpecHint
from imparfait.inference import suite_jobs
from imparfait.inference.open_model import open_model
from imparfait.inference.suite_run import run_suite, unfinished
from imparfait.reports.evaluation import UNFINISHED
from imparfait.selection.executors import EXECUTORS, SUFFIX, executor_named, processes

EVALUATE = [sys.executable, "-m", "imparfait", "evaluate"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images and a run."""
    home = tmp_path_factory.mktemp("home")
    write_idx(home / "bars", draw_bars(600), draw_bars(30, first_source=600))
    run("train", "--data", home / "bars", "--out", home / "runs", *SHORT)
    return home


@pytest.fixture(scope="module")
def model_file(home: Path) -> Path:
    """A linear model on 0..255."""
    data = draw_bars(120)
    weights = np.linalg.lstsq(data.pixels.reshape(120, -1), np.eye(3)[data.labels], rcond=None)[0].astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["images"], ["row"]),
        helper.make_node("MatMul", ["row", "head"], ["outputs"]),
    ]
    path = home / "linear.onnx"
    path.write_bytes(model_of_nodes(nodes, ("n", 1, 16, 16), {"head": weights}).SerializeToString())
    return path


@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_executor_gives_the_same_scores_bit_for_bit(
    home: Path, model_file: Path, executor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if executor == "ray":
        pytest.importorskip("ray")
    monkeypatch.setattr(suite_jobs, "BATCH_IMAGES", 40)  # of 100 validation images: three shards
    monkeypatch.setattr(suite_jobs, "SHARD_IMAGES", 40)
    dataset = load_data(home / "bars")
    _, validation = dataset.train_val()
    [trained] = (home / "runs").glob("default-*")
    for path, spec in ((trained, None), (model_file, SpecHint("nchw", "255", "light", "logits"))):
        with open_model(path, dataset, spec=spec) as model, torch_threads(1):
            expected = run_suite(model, validation, CONDITIONS)
            one_core = replace(executor_named(executor), run=partial(processes, workers=2))
            runs_on = one_core if executor == "processes" else executor_named(executor)
            passed = []

            def watch(results: Iterable, total: int, passed: list = passed) -> Iterator:
                for result in results:
                    passed.append(result.corruption)
                    yield result
                    if len(passed) == 2:
                        raise KeyboardInterrupt

            store = tmp_path / path.name
            with pytest.raises(KeyboardInterrupt), unfinished(store) as folder:
                run_suite(model, validation, CONDITIONS, executor=runs_on, store=folder, watch=watch)
            kept = {each.name: each.stat().st_mtime_ns for each in store.glob(f"*{SUFFIX}")}
            assert len(kept) >= 6
            found = run_suite(model, validation, CONDITIONS, executor=runs_on, store=store)
            files = {each.name: each.stat().st_mtime_ns for each in store.glob(f"*{SUFFIX}")}
            assert kept.items() <= files.items()
            assert len(files) == 3 * len(CONDITIONS)
            assert equal(found, expected)


def test_a_function_is_run_in_this_process_only() -> None:
    with pytest.raises(UserError, match="bars is a function, which other processes cannot open"):
        run_suite(model_of(Counting(), source=None), draw_bars(9), CONDITIONS, executor=executor_named("serial"))


def test_a_model_that_has_changed_meanwhile_is_refused(home: Path, model_file: Path) -> None:
    dataset = load_data(home / "bars")
    copy = home / "changing.onnx"
    copy.write_bytes(model_file.read_bytes())
    with open_model(copy, dataset, spec=SpecHint("nchw", "255", "light", "logits")) as model:
        copy.write_bytes(model_file.read_bytes() + b"\0")
        with pytest.raises(UserError, match="has changed during the evaluation; give the same command again"):
            run_suite(model, draw_bars(9), CONDITIONS, executor=executor_named("serial"))


def test_a_model_that_crashes_keeps_what_was_finished(home: Path, model_file: Path, tmp_path: Path) -> None:
    dataset = load_data(home / "bars")
    with open_model(model_file, dataset, spec=SpecHint("nchw", "255", "light", "logits")) as model:
        calls = []

        def ends(images: np.ndarray) -> np.ndarray:
            calls.append(len(images))
            if len(calls) == 3:
                model.close()
            return model.classifier(images)

        with pytest.raises(UserError, match="is closed"), unfinished(tmp_path / "kept") as store:
            run_suite(replace(model, classifier=ends), draw_bars(9), CONDITIONS, store=store)
    assert len(list((tmp_path / "kept").glob(f"*{SUFFIX}"))) == 2
    with open_model(model_file, dataset, spec=SpecHint("nchw", "255", "light", "logits")) as again:
        said = list[str]()
        run_suite(again, draw_bars(9), CONDITIONS, store=tmp_path / "kept", say=said.append)
    assert said == [f"linear.onnx: 2 of {len(CONDITIONS)} conditions were finished earlier"]


def test_the_command_is_stopped_twice_and_continues(home: Path) -> None:
    [trained] = (home / "runs").glob("default-*")
    out, finished = home / "stopped", 0
    words = [*EVALUATE, trained, "--data", "bars", "--suite", "digits", "--out", out]
    for number in (signal.SIGTERM, signal.SIGINT):
        process = subprocess.Popen(
            words, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        while process.poll() is None and len(list(out.glob(f"*{UNFINISHED}/*{SUFFIX}"))) < finished + 4:
            time.sleep(0.02)
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
        assert process.returncode == 128 + number, said
        found = re.search(r"stopped; (\d+) conditions finished and kept, the same command continues from there", said)
        assert found, said
        assert "Traceback" not in said
        assert int(found[1]) >= finished + 3
        finished = int(found[1])
    again = subprocess.run(words, cwd=home, capture_output=True, text=True, timeout=600)
    assert again.returncode == 0, again.stderr
    earlier = re.search(r"(\d+) of \d+ conditions were finished earlier", again.stderr)
    assert earlier
    assert int(earlier[1]) >= finished
    assert [path.name.endswith(UNFINISHED) for path in out.iterdir()] == [False]
