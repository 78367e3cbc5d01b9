"""Engines: outcomes are the same wherever jobs run, and no job is lost or run twice, whoever is killed."""

import csv
import json
import os
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
from helpers.fake_jobs import SMALL, small_job

from imparfait.core.errors import UserError
from imparfait.data.dataset import LabelledImages
from imparfait.selection import executors
from imparfait.selection.executors import SUFFIX, Executor, executor_named, run
from imparfait.selection.jobs import Job, JobResult, made_here, run_job

pytestmark = pytest.mark.usefixtures("all_cores")

TESTS = Path(__file__).parents[1]
KILLER = """
import os, signal

def build(channels, classes):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def some_cells(data: LabelledImages, n: int, epochs: int = 1) -> list[Job]:
    return [small_job(data, partition=i, settings=SMALL.model_copy(update={"epochs": epochs})) for i in range(n)]


def counted(ran: list[str]) -> Executor:
    """The executor `here`, which also notes what it ran."""

    def runs(jobs: Sequence[Job], data: LabelledImages) -> Iterator[tuple[Job, JobResult]]:
        for job, outcome in executors.here(jobs, data):
            ran.append(job.key)
            yield job, outcome

    return Executor("here", runs)


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(after_name[1]) == pid and after_name[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def workers(driver: int) -> list[int]:
    """The processes that run jobs: those that the driver's fork server has started."""
    return [worker for child in children(driver) for worker in children(child)]


def wait_for(condition: Callable[[], object], seconds: float = 200) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_outcomes_are_the_same_in_several_processes_as_here() -> None:
    data = draw_bars(60)
    jobs = some_cells(data, 4)
    found = {job.key: outcome for job, outcome in executors.processes(jobs, data, workers=2)}
    assert found.keys() == {job.key for job in jobs}
    for job in jobs:
        assert np.array_equal(found[job.key].said, run_job(job, data).said)


def test_a_finished_cell_is_never_run_again(tmp_path: Path) -> None:
    data, ran = draw_bars(60), list[str]()
    jobs = some_cells(data, 4)
    first = {job.key: outcome for job, outcome in run([*jobs[:3], jobs[0]], data, tmp_path, counted(ran))}
    again = {job.key: outcome for job, outcome in run(jobs, data, tmp_path, counted(ran))}
    assert sorted(ran) == sorted(job.key for job in jobs)
    for key, outcome in first.items():
        assert np.array_equal(again[key].said, outcome.said)


def test_a_half_written_outcome_is_never_read(tmp_path: Path) -> None:
    data, ran = draw_bars(60), list[str]()
    [job] = some_cells(data, 1)
    list(run([job], data, tmp_path, counted(ran)))
    for tear in (lambda w: b"", lambda w: w[:10], lambda w: w[:-1], lambda w: w[:-1] + bytes([w[-1] ^ 1])):
        [path] = tmp_path.glob(f"[!.]*{SUFFIX}")
        whole = path.read_bytes()
        path.write_bytes(tear(whole))
        (tmp_path / f".{path.name}.tmp").write_bytes(whole[:100])
        [(_, outcome)] = run([job], data, tmp_path, counted(ran))
        assert not outcome.cause
        assert not list(tmp_path.glob(".*.tmp"))
    assert len(ran) == 5


def test_a_failure_of_the_cell_is_kept_and_a_lack_of_memory_is_tried_again(tmp_path: Path) -> None:
    data, ran = draw_bars(60), list[str]()
    diverges = small_job(data, settings=SMALL.model_copy(update={"learning_rate": 1e30, "epochs": 3}))
    for _ in range(2):
        [(_, outcome)] = run([diverges], data, tmp_path, counted(ran))
        assert "the loss became" in outcome.cause
    assert len(ran) == 1
    [job] = some_cells(data, 1)
    short = Executor("short", lambda jobs, data: iter([(jobs[0], executors.failure("no memory", lasting=False))]))
    assert [o.cause for _, o in run([job], data, tmp_path, short)] == ["no memory"]
    assert [o.cause for _, o in run([job], data, tmp_path, counted(ran))] == [""]


def test_an_outcome_of_other_code_is_refused(tmp_path: Path) -> None:
    data = draw_bars(60)
    [job] = some_cells(data, 1)
    other = replace(run_job(job, data), making=replace(made_here(), code="0123456789", host="far"))
    with pytest.raises(UserError, match=r"far has .* code 01234567, .* install the same versions on both"):
        list(run([job], data, tmp_path, Executor("far", lambda jobs, data: iter([(job, other)]))))
    assert not list(tmp_path.glob(f"*{SUFFIX}"))


def test_a_cell_whose_worker_is_killed_runs_again() -> None:
    data = draw_bars(240)
    jobs = some_cells(data, 6, epochs=8)
    found = {}
    for job, outcome in executors.processes(jobs, data, workers=2):
        found[job.partition] = outcome
        if len(found) == 2:
            os.kill(workers(os.getpid())[0], signal.SIGKILL)
    assert sorted(found) == list(range(6))
    for job in jobs:
        assert np.array_equal(found[job.partition].said, run_job(job, data).said)


def test_a_cell_that_kills_its_worker_each_time_is_given_up_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    from imparfait.models.custom import custom_fingerprint

    data = draw_bars(60)
    name = f"{tmp_path / 'killer.py'}:build"
    deadly = small_job(
        data, settings=SMALL.model_copy(update={"model": name, "model_args": {}}), network=custom_fingerprint(name)
    )
    found = {job.key: outcome for job, outcome in executors.processes([deadly, *some_cells(data, 3)], data, workers=2)}
    assert "its worker was killed 3 times" in found.pop(deadly.key).cause
    assert [outcome.cause for outcome in found.values()] == ["", "", ""]


def test_cells_on_a_ray_cluster_survive_the_loss_of_a_node() -> None:
    pytest.importorskip("ray")
    result = subprocess.run(
        [sys.executable, "-m", "helpers.lose_a_node"], capture_output=True, text=True, timeout=300, cwd=TESTS
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert "a node lost after 3 of them: the same outcomes as here" in result.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("rey",), "no executor is called 'rey'; did you mean 'ray'"),
        (("here", "1.2.3.4:6379"), "is for a Ray cluster; write --executor ray with it"),
        (("ray", "nowhere"), "expected HOST:PORT"),
        (("ray", "127.0.0.1:9"), "nobody answers there"),
    ],
)
def test_an_engine_that_cannot_be_is_refused_at_once(words: tuple[str, ...], expected: str) -> None:
    started = time.monotonic()
    with pytest.raises(UserError, match=expected):
        executor_named(*words)
    assert time.monotonic() - started < 30  # far over the second that an address is given: it does not hang


def test_an_engine_that_is_not_installed_is_told_with_what_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"not installed; write: pip install 'imparfait\[ray\]'"):
        executor_named("ray")


def comparing(home: Path, out: str) -> list[str]:
    words = ["compare", "a.toml", "b.toml", "--data", "bars", "--seeds", "4", "--epochs", "12", "--out", out]
    return [sys.executable, "-m", "imparfait", *words, "--executor", "processes", "--json"]


def test_a_comparison_of_40_cells_survives_two_killed_workers_and_a_killed_driver(tmp_path: Path) -> None:
    """Nothing is lost, nothing is run or counted twice, and the table is that of a run that nobody disturbed."""
    write_idx(tmp_path / "bars", draw_bars(120), None)
    for name, rate in (("a", 0.01), ("b", 0.02)):
        (tmp_path / f"{name}.toml").write_text(
            f"learning_rate = {rate}\nbatch_size = 16\n[model_args]\nfilters = 8\ndepth = 1\nframe = 12\n"
        )
    calm = subprocess.run(comparing(tmp_path, "calm"), cwd=tmp_path, capture_output=True, text=True, check=True)

    store = tmp_path / "stormy" / "jobs"
    finished = lambda: len(list(store.glob(f"[!.]*{SUFFIX}")))  # noqa: E731
    driver = subprocess.Popen(
        comparing(tmp_path, "stormy"), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    for enough in (5, 12):
        wait_for(lambda enough=enough: finished() >= enough)  # type: ignore[misc]
        wait_for(lambda: workers(driver.pid))
        os.kill(workers(driver.pid)[-1], signal.SIGKILL)
    wait_for(lambda: finished() >= 20)
    orphans = workers(driver.pid)
    assert driver.poll() is None
    driver.kill()
    driver.communicate()
    kept = {path.name: path.stat().st_mtime_ns for path in store.glob(f"[!.]*{SUFFIX}")}
    assert 20 <= len(kept) < 40
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans))
    again = subprocess.run(comparing(tmp_path, "stormy"), cwd=tmp_path, capture_output=True, text=True, check=True)

    files = {path.name: path.stat().st_mtime_ns for path in store.glob(f"[!.]*{SUFFIX}")}
    assert len(files) == 40
    assert kept.items() <= files.items()
    tables = []
    for result in (calm, again):
        found = json.loads(result.stdout)
        with (tmp_path / found["folder"] / "jobs.csv").open(newline="") as file:
            jobs = [{k: v for k, v in row.items() if k != "training_seconds"} for row in csv.DictReader(file)]
        assert len({job["key"] for job in jobs}) == 40
        candidates = [
            {k: each[k] for k in ("name", "mean", "standard_deviation", "jobs")} for each in found["contenders"]
        ]
        tables.append((sorted(jobs, key=lambda job: job["key"]), candidates, found["verdicts"]))
    assert tables[0] == tables[1]


def test_ctrl_c_ends_the_workers_and_keeps_what_is_finished(tmp_path: Path) -> None:
    write_idx(tmp_path / "bars", draw_bars(120), None)
    for name, rate in (("a", 0.01), ("b", 0.02)):
        (tmp_path / f"{name}.toml").write_text(f"learning_rate = {rate}\nbatch_size = 16\n[model_args]\nfilters = 8\n")
    driver = subprocess.Popen(
        comparing(tmp_path, "out"), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # it may be ignored here
    )  # fmt: skip
    wait_for(lambda: len(list((tmp_path / "out" / "jobs").glob(f"[!.]*{SUFFIX}"))) >= 2)
    at_work = workers(driver.pid)
    driver.send_signal(signal.SIGINT)
    _, told = driver.communicate(timeout=60)
    assert driver.returncode == 130, told
    assert "of 40 jobs are kept, the same command goes on from there" in told
    assert "Traceback" not in told
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in at_work))
