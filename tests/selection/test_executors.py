"""Executors: results are the same wherever jobs run, and no job is lost or run twice, whatever is killed."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars, write_idx
from helpers.fake_jobs import SMALL, small_job, write_settings
from helpers.workers import workers

from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import load_data
from imparfait.reports.comparison import comparison_json
from imparfait.selection import executors, profiling
from imparfait.selection.cross_validation import ComparisonRun, compare
from imparfait.selection.executors import SUFFIX, Executor, executor_named, run_jobs
from imparfait.selection.job_runner import JOBS_FOLDER, JobRunner
from imparfait.selection.jobs import Job, JobResult, failure, provenance_here, run_job

pytestmark = pytest.mark.usefixtures("all_cores")

TESTS = Path(__file__).parents[1]
EPOCHS = 24  # long enough that jobs are running when workers are killed
JOBS = 12  # of a comparison: 2 candidates, 3 folds, 2 seeds
KILLER = """
import os, signal

def build(channels, classes):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def some_jobs(data: LabelledImages, n: int, epochs: int = 1) -> list[Job]:
    return [small_job(data, partition=i, settings=SMALL.model_copy(update={"epochs": epochs})) for i in range(n)]


def counted(ran: list[str]) -> Executor:
    """The executor `serial`, which also notes what it ran."""

    def runs(jobs: Sequence[Job], data: LabelledImages) -> Iterator[tuple[Job, JobResult]]:
        for job, result in executors.serial(jobs, data):
            ran.append(job.key)
            yield job, result

    return Executor("serial", runs)


def wait_for(condition: Callable[[], object], seconds: float = 600) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_results_are_the_same_in_several_processes_as_in_this_one() -> None:
    data = draw_bars(60)
    jobs = some_jobs(data, 4)
    results = {job.key: result for job, result in executors.processes(jobs, data, workers=2)}
    assert results.keys() == {job.key for job in jobs}
    for job in jobs:
        assert np.array_equal(results[job.key].predicted, run_job(job, data).predicted)


def test_a_finished_job_is_never_run_again(tmp_path: Path) -> None:
    data, ran = draw_bars(60), list[str]()
    jobs = some_jobs(data, 4)
    first = {job.key: result for job, result in run_jobs([*jobs[:3], jobs[0]], data, counted(ran), tmp_path)}
    again = {job.key: result for job, result in run_jobs(jobs, data, counted(ran), tmp_path)}
    assert sorted(ran) == sorted(job.key for job in jobs)
    for key, result in first.items():
        assert np.array_equal(again[key].predicted, result.predicted)


def test_without_a_store_equal_jobs_are_run_once() -> None:
    data, ran = draw_bars(60), list[str]()
    jobs = some_jobs(data, 2)
    assert len(list(run_jobs([*jobs, jobs[0]], data, counted(ran)))) == 2
    assert sorted(ran) == sorted(job.key for job in jobs)


def test_a_partly_written_result_is_never_read(tmp_path: Path) -> None:
    data, ran = draw_bars(60), list[str]()
    [job] = some_jobs(data, 1)
    list(run_jobs([job], data, counted(ran), tmp_path))
    for tear in (lambda w: b"", lambda w: w[:10], lambda w: w[:-1], lambda w: w[:-1] + bytes([w[-1] ^ 1])):
        [path] = tmp_path.glob(f"[!.]*{SUFFIX}")
        whole = path.read_bytes()
        path.write_bytes(tear(whole))
        (tmp_path / f".{path.name}.tmp").write_bytes(whole[:100])
        [(_, result)] = run_jobs([job], data, counted(ran), tmp_path)
        assert not result.cause
        assert not list(tmp_path.glob(".*.tmp"))
    assert len(ran) == 5


def test_a_permanent_failure_is_kept_and_a_lack_of_memory_is_retried(tmp_path: Path) -> None:
    data, ran = draw_bars(60), list[str]()
    diverges = small_job(data, settings=SMALL.model_copy(update={"learning_rate": 1e30, "epochs": 3}))
    for _ in range(2):
        [(_, result)] = run_jobs([diverges], data, counted(ran), tmp_path)
        assert "loss" in result.cause
    assert len(ran) == 1
    [job] = some_jobs(data, 1)
    short = Executor("short", lambda jobs, data: iter([(jobs[0], failure("no memory", permanent=False))]))
    assert [result.cause for _, result in run_jobs([job], data, short, tmp_path)] == ["no memory"]
    assert [result.cause for _, result in run_jobs([job], data, counted(ran), tmp_path)] == [""]


def test_a_result_of_other_code_is_rejected(tmp_path: Path) -> None:
    data = draw_bars(60)
    [job] = some_jobs(data, 1)
    other = replace(run_job(job, data), provenance=replace(provenance_here(), code="0123456789", host="far"))
    with pytest.raises(UserError) as refused:
        list(run_jobs([job], data, Executor("far", lambda jobs, data: iter([(job, other)])), tmp_path))
    assert "far has" in refused.value.received
    assert "code 01234567" in refused.value.received
    assert provenance_here().code[:8] in refused.value.expected
    assert "install the same versions on both" in refused.value.hint
    assert not list(tmp_path.glob(f"*{SUFFIX}"))


def test_progress_counts_equal_jobs_and_returns_results_in_order() -> None:
    data = draw_bars(60)
    one, two = some_jobs(data, 2)
    backwards = Executor("backwards", lambda jobs, data: ((job, run_job(job, data)) for job in reversed(jobs)))
    runner = JobRunner(data, backwards, None, total=4, total_seconds=10.0)
    steps, seen = runner.run("stage", [one, two, one], [1.0, 2.0, 3.0]), []
    with pytest.raises(StopIteration) as end:  # noqa: PT012 - its value is what the steps return
        while True:
            seen.append(next(steps))
    assert [(step.job.key, step.done, step.seconds) for step in seen] == [(two.key, 1, 2.0), (one.key, 3, 6.0)]
    assert {(step.stage, step.total, step.total_seconds) for step in seen} == {("stage", 4, 10.0)}
    first, second, third = end.value.value
    assert first is third
    assert np.array_equal(first.predicted, run_job(one, data).predicted)
    assert np.array_equal(second.predicted, run_job(two, data).predicted)


def test_a_job_whose_worker_is_killed_runs_again() -> None:
    data = draw_bars(240)
    jobs = some_jobs(data, 4, epochs=8)
    results = {}
    for job, result in executors.processes(jobs, data, workers=2):
        results[job.partition] = result
        if len(results) == 1:
            os.kill(workers(os.getpid())[0], signal.SIGKILL)
    assert sorted(results) == list(range(4))
    for job in jobs:
        assert np.array_equal(results[job.partition].predicted, run_job(job, data).predicted)


def test_a_job_that_kills_its_worker_each_time_is_given_up_and_the_others_continue(tmp_path: Path) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    from imparfait.models.custom import custom_fingerprint

    data = draw_bars(60)
    name = f"{tmp_path / 'killer.py'}:build"
    deadly = small_job(
        data, settings=SMALL.model_copy(update={"model": name, "model_args": {}}), network=custom_fingerprint(name)
    )
    results = {job.key: result for job, result in executors.processes([deadly, *some_jobs(data, 3)], data, workers=2)}
    assert "its worker was killed 3 times" in results.pop(deadly.key).cause
    assert [result.cause for result in results.values()] == ["", "", ""]


def test_jobs_on_a_ray_cluster_survive_the_loss_of_a_node() -> None:
    pytest.importorskip("ray")
    result = subprocess.run(
        [sys.executable, "-m", "helpers.lose_a_node"], capture_output=True, text=True, timeout=300, cwd=TESTS
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert "6 jobs, a node lost after 2 of them: the same results as in this process" in result.stdout
    assert "120 images, a node lost after the first: the same predictions as in this process" in result.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("rey",), "no executor is called 'rey'; did you mean 'ray'"),
        (("serial", "1.2.3.4:6379"), "without a Ray cluster; write --executor ray with it"),
        (("ray", "nowhere"), "expected HOST:PORT"),
        (("ray", "127.0.0.1:9"), "no connection"),
    ],
)
def test_an_unavailable_executor_is_rejected_at_once(words: tuple[str, ...], expected: str) -> None:
    pytest.importorskip("ray")
    started = time.monotonic()
    with pytest.raises(UserError, match=expected):
        executor_named(*words)
    assert time.monotonic() - started < 30  # far over the second that an address is given: it does not hang


def test_an_executor_that_is_not_installed_is_named_with_what_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=f"not installed; {re.escape(install_hint('ray'))}"):
        executor_named("ray")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images and two candidates."""
    home = tmp_path_factory.mktemp("home")
    write_idx(home / "bars", draw_bars(120), None)
    write_settings(home, a=0.01, b=0.02)
    return home


def planned(home: Path, out: str) -> ComparisonRun:
    """The comparison of `comparing`, whose plan is stored: the command then measures nothing."""
    names = [str(home / f"{name}.toml") for name in "ab"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiling, "TURN_SECONDS", 0.01)
        data = load_data(home / "bars").train_and_val()
        return compare(names, data, folds=3, seeds=2, epochs=EPOCHS, store=home / out / JOBS_FOLDER, executor="serial")


def comparing(home: Path, out: str) -> subprocess.Popen[str]:
    words = ["compare", "a.toml", "b.toml", "--data", "bars", "--folds", "3", "--seeds", "2", "--epochs", f"{EPOCHS}"]
    return subprocess.Popen(
        [sys.executable, "-m", "imparfait", *words, "--out", out, "--executor", "processes", "--json"],
        cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # it may be ignored here
    )  # fmt: skip


def stored(home: Path, out: str) -> dict[str, int]:
    """The finished jobs in the store, and when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in (home / out / JOBS_FOLDER).glob(f"[!.]*{SUFFIX}")}


def test_a_comparison_survives_two_killed_workers_and_a_killed_driver(home: Path) -> None:
    """Nothing is lost, nothing is run or counted twice, and the result is that of an undisturbed run."""
    run = planned(home, "stormy")
    driver = comparing(home, "stormy")
    for enough in (1, 4):
        wait_for(lambda enough=enough: len(stored(home, "stormy")) >= enough)  # type: ignore[misc]
        wait_for(lambda: workers(driver.pid))
        os.kill(workers(driver.pid)[-1], signal.SIGKILL)
    wait_for(lambda: len(stored(home, "stormy")) >= 7)
    orphans = workers(driver.pid)
    assert driver.poll() is None
    driver.kill()
    driver.communicate()
    kept = stored(home, "stormy")
    assert 7 <= len(kept) < JOBS
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans))
    again = comparing(home, "stormy")
    output, errors = again.communicate()
    assert again.returncode == 0, errors

    files = stored(home, "stormy")
    assert len(files) == JOBS
    assert kept.items() <= files.items()
    found = json.loads(output)
    assert found["folder"].endswith(run.name)
    calm = ComparisonRun("calm", run.plan, run.data, executor_named("serial"))
    expected = json.loads(json.dumps(comparison_json(calm.result)))
    assert found["candidates"] == expected["candidates"]
    assert found["verdicts"] == expected["verdicts"]
    with (home / found["folder"] / "jobs.csv").open(newline="") as file:
        rows = {row["key"]: row for row in csv.DictReader(file)}
    assert len(rows) == JOBS
    for slot, result in calm.result.results.items():
        row = rows[run.plan.job(*slot).key]
        assert (row["candidate"], row["seed"], row["fold"]) == tuple(map(str, slot))
        assert [int(row[f"correct_{name}"]) for name, _ in result.corruptions] == result.correct_counts.tolist()
        assert (int(row["images"]), row["cause"]) == (len(result.sources), "")


def test_ctrl_c_ends_the_workers_and_keeps_what_is_finished(home: Path) -> None:
    planned(home, "out")
    driver = comparing(home, "out")
    wait_for(lambda: len(stored(home, "out")) >= 2)
    pids = workers(driver.pid)
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 130, errors
    assert f"of {JOBS} jobs are finished and kept, the same command continues from there" in errors
    assert "Traceback" not in errors
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
