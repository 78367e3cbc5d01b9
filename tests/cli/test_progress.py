"""Progress bars count all the work, and are full when it has ended; without a terminal there are lines."""

import os
import re
import signal
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.progress import Progress, Task

from imparfait.cli import console, progress
from imparfait.cli.signals import Stopped
from imparfait.cli.suite_progress import SuiteProgress


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Progress]:
    """The bars that were made."""
    made: list[Progress] = []
    init = progress.Bar.__init__

    def note(bar: progress.Bar) -> None:
        init(bar)
        made.append(bar)

    monkeypatch.setattr(progress.Bar, "__init__", note)
    return made


def test_without_a_terminal_a_line_is_printed_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with console.bar("images", 100) as (bar, task):
        for done in range(1, 101):
            now[0] += 2
            bar.update(task, completed=done)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[:2] for line in lines[:-1]] == [["images", f" {each} %"] for each in range(15, 100, 15)]
    assert all(re.search(r", \d\d:\d\d left$", line) for line in lines[:-1])


def test_a_short_work_without_a_terminal_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    list(console.watch("reading")(range(250), 250))
    assert re.fullmatch(r"reading ━+ .*\n", capsys.readouterr().err)


def test_the_time_left_is_said_after_two_seconds() -> None:
    now = [0.0]
    bar = Progress(progress.TimeLeftColumn(), console=Console(force_terminal=True), get_time=lambda: now[0])
    number = bar.add_task("work", total=10)
    task: Task = bar.tasks[0]
    for second, said in ((1, ""), (5, "0:00:05 left")):
        now[0] = second
        bar.update(number, completed=second)
        assert progress.TimeLeftColumn().render(task).plain == said


def job(done: int, seconds: float, total_seconds: float) -> SimpleNamespace:
    return SimpleNamespace(done=done, total=2, seconds=seconds, total_seconds=total_seconds)


def test_the_bar_of_jobs_is_full_after_the_report_and_not_before(bars: list[Progress]) -> None:
    seen = []
    jobs = [job(1, 5.0, 20.0), job(2, 12.0, 20.0)]  # the second took less than was predicted
    console.run_jobs(iter(jobs), "comparing", report=lambda: seen.append(bars[0].tasks[0].finished))
    [bar] = bars
    assert seen == [False]
    assert bar.tasks[0].finished
    assert bar.tasks[0].percentage == 100
    assert bar.tasks[0].description == "comparing: drawing the report"


def test_jobs_are_counted_in_the_unit_of_the_plan(bars: list[Progress]) -> None:
    console.run_jobs(iter([job(1, 1.0, 2.0)]), "searching", lambda: "best so far 97 %")
    assert bars[0].tasks[0].description == "searching: 1 of 2 jobs, best so far 97 %"


@pytest.mark.parametrize("report", [False, True])
def test_one_bar_counts_the_conditions_of_all_models_and_the_report(bars: list[Progress], report: bool) -> None:
    conditions = [SimpleNamespace(score=SimpleNamespace(accuracy=accuracy)) for accuracy in (1.0, 0.5, 0.6)]
    suite = SuiteProgress(2, report=report)
    shares = []
    with suite.saved():
        for model in ("first", "second"):
            for _ in suite.watch(model)(iter(conditions), len(conditions)):
                shares.append(bars[0].tasks[0].percentage)
        assert bars[0].tasks[0].finished != report
        last = "second: drawing the report" if report else "second: 70.00 % on 3 of 3 conditions"
        assert bars[0].tasks[0].description == last
    assert len(bars) == 1
    assert shares == sorted(shares)
    assert shares[2] == pytest.approx(100 / 2 / (1 + progress.REPORT_SHARE * report))
    assert bars[0].tasks[0].percentage == 100


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_jobs_and_conditions_end_with_the_code_of_the_signal(number: signal.Signals) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def stopped() -> Iterator[SimpleNamespace]:
        yield job(1, 1.0, 2.0)
        os.kill(os.getpid(), number)
        time.sleep(10)

    with pytest.raises(Stopped, match="stopped; 1 of 2 jobs are finished and kept") as jobs:
        console.run_jobs(stopped(), "comparing")
    with pytest.raises(Stopped, match="stopped; no condition was finished") as conditions, SuiteProgress().saved():
        list(stopped())
    assert jobs.value.code == conditions.value.code == 128 + number
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_work_that_fails_leaves_its_bar_as_it_is(bars: list[Progress]) -> None:
    def fail() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        console.run_jobs(iter([job(1, 1.0, 2.0)]), "comparing", report=fail)
    assert not bars[0].tasks[0].finished
