"""Searching: the same trials whatever happened in between, and an accuracy that no trial has seen."""

import csv
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers.bars import draw_bars
from helpers.fake_jobs import NOWHERE, SMALL

from imparfait.core.compute import ComputeConfig
from imparfait.data.dataset import LabelledImages
from imparfait.selection.jobs import Job, JobResult, failure, run_job
from imparfait.selection.search import (
    FOLDS,
    FRESH,
    LEADERS,
    METHODS,
    Search,
    choose_winners,
    confirm,
    fresh_places,
    jobs_on,
    run_trials,
)
from imparfait.selection.search_result import Finding
from imparfait.selection.search_space import Range, values_of
from imparfait.training.recipes import read_settings
from imparfait.training.settings import TrainingSettings

every_method = pytest.mark.parametrize("method", METHODS)
SPACE = {"learning_rate": Range(low=1e-3, high=0.1, log=True), "model_args.filters": Range(low=8, high=32, step=8)}


def job_for(settings: TrainingSettings, seed: int, number: int) -> Job:
    told = settings.model_copy(update={"seed": settings.seed + seed})
    return Job(data="x", settings=told, compute=ComputeConfig(), partition=seed, folds=5, fold=number)


def an_outcome(accuracy: float, seconds: float = 1.0) -> JobResult:
    truths = np.zeros(1000, np.int64)
    said = np.repeat((np.arange(1000) >= round(1000 * accuracy))[None].astype(np.uint8), 3, 0)
    return JobResult(np.arange(1000), truths, said, training_seconds=seconds, making=NOWHERE)


class World:
    """Settings are the better the nearer their step size is to 0.03; what was asked is noted."""

    def __init__(self) -> None:
        self.ran: list[Job] = []

    def run(self, jobs: Sequence[Job]) -> list[JobResult]:
        self.ran += jobs
        found = []
        for job in jobs:
            away = abs(np.log10(job.settings.learning_rate / 0.03))
            luck = np.random.default_rng([job.partition, job.fold, job.settings.model_args["filters"]]).normal(0, 0.01)
            found.append(
                an_outcome(float(np.clip(0.95 - 0.2 * away + luck, 0, 1)), job.settings.model_args["filters"] / 8)
            )
        return found


def searched(method: str, trials: int, world: World, seed: int = 0, stop_after: int | None = None) -> Search:
    search = Search(method, seed, SMALL, dict(SPACE))
    rounds = 0

    def go_on() -> bool:
        nonlocal rounds
        rounds += 1
        return stop_after is None or rounds <= stop_after

    list(run_trials([search], trials, job_for, world.run, go_on))
    return search


@every_method
def test_a_search_that_goes_on_proposes_what_it_would_have_without_the_stop(method: str) -> None:
    whole = searched(method, 24, World())
    stopped = searched(method, 24, World(), stop_after=3)
    assert len(stopped.trials) == 12
    assert stopped.trials == whole.trials[:12]
    assert searched(method, 24, World()).trials == whole.trials


def test_what_finishes_first_changes_nothing(tmp_path: Path) -> None:
    """The executor yields its jobs backwards; the trials are told in their order all the same."""
    from imparfait.cli.choosing import run_shown
    from imparfait.selection.executors import Executor

    data = draw_bars(60)
    found = []
    for backwards in (False, True):

        def runs(
            jobs: Sequence[Job], data: LabelledImages, turned: bool = backwards
        ) -> Iterator[tuple[Job, JobResult]]:
            for job in reversed(jobs) if turned else jobs:
                yield job, run_job(job, data)

        def run(jobs: Sequence[Job], executor: Executor) -> list[JobResult]:
            out = tmp_path / str(executor.name)
            return run_shown(jobs, data, out, executor, lambda more, told: None, [1.0] * len(jobs))

        executor = Executor(str(backwards), runs)
        search = Search("bayes", 0, SMALL, dict(SPACE))
        cells_here = jobs_on(data, None, 3, 1)
        list(run_trials([search], 16, cells_here, lambda jobs, executor=executor: run(jobs, executor), lambda: True))
        found.append([(trial.number, trial.values, trial.folds) for trial in search.trials])
    assert found[0] == found[1]


@every_method
def test_another_seed_proposes_other_trials(method: str) -> None:
    first, second = (searched(method, 8, World(), seed) for seed in (0, 1))
    assert first.trials[0].values == second.trials[0].values == values_of(SMALL, SPACE)
    assert all(a.values != b.values for a, b in zip(first.trials[1:], second.trials[1:], strict=True))


def test_bayes_begins_with_the_trials_of_random_and_then_goes_its_own_way() -> None:
    random, bayes = (searched(method, 32, World()) for method in METHODS)
    assert [t.values for t in random.trials[:8]] == [t.values for t in bayes.trials[:8]]
    assert [t.values for t in random.trials[16:]] != [t.values for t in bayes.trials[16:]]


def test_bayes_learns_from_what_it_is_told() -> None:
    """Its later trials are nearer to the best than random ones, over several seeds."""

    def away(method: str) -> float:
        trials = [t for seed in range(5) for t in searched(method, 40, World(), seed).trials[20:]]
        return float(np.median([abs(np.log10(t.settings.learning_rate / 0.03)) for t in trials]))

    assert away("bayes") < 0.6 * away("random")


@every_method
def test_a_failed_trial_is_told_as_one_and_the_search_goes_on(method: str) -> None:
    world = World()

    def sometimes(jobs: Sequence[Job]) -> list[JobResult]:
        found = world.run(jobs)
        wild = [job.settings.learning_rate > 0.05 for job in jobs]
        return [failure("diverged") if failed else outcome for failed, outcome in zip(wild, found, strict=True)]

    search = Search(method, 3, SMALL, dict(SPACE))
    list(run_trials([search], 40, job_for, sometimes, lambda: True))
    assert len(search.trials) == 40
    assert any(trial.cause == "diverged" for trial in search.trials)
    choose_winners([search], 5, job_for, sometimes)
    assert search.winner is not None
    assert not search.winner.cause


def test_cells_that_failed_where_no_trial_was_are_counted_once_and_are_null_in_json() -> None:
    searches = [Search(method, 0, SMALL, dict(SPACE)) for method in ("random", "bayes")]
    world = World()
    list(run_trials(searches, 4, job_for, world.run, lambda: True))
    choose_winners(searches, 5, job_for, world.run)
    confirm(searches, fresh_places(1, 3), job_for, lambda jobs: [failure("no memory")] * len(jobs))
    finding = Finding("x", SMALL, dict(SPACE), searches, tuple([failure("no memory")] * 3), 800, 200)
    assert "9 of 9 jobs where no trial was failed, such as: no memory" in finding.lines()
    told = json.loads(json.dumps(finding.to_json(), allow_nan=False))
    assert told["start_accuracy"] is None
    assert told["searches"][0]["confirmed"] == [None] * 3


def test_where_every_trial_fails_nothing_is_found() -> None:
    nothing = lambda jobs: [failure("diverged")] * len(jobs)  # noqa: E731
    search = Search("bayes", 0, SMALL, dict(SPACE))
    list(run_trials([search], 8, job_for, nothing, lambda: True))
    choose_winners([search], 5, job_for, nothing)
    confirm([search], fresh_places(2, 5), job_for, nothing)
    finding = Finding("x", SMALL, dict(SPACE), [search], (), 800, 200)
    assert finding.best is None
    assert "nothing was found" in finding.sentence()
    assert finding.to_json()["found"] is None


def test_trials_share_one_holdout_a_seed_and_only_the_leading_ones_are_given_further_folds() -> None:
    world = World()
    search = searched("random", 20, world, seed=2)
    assert {(job.partition, job.fold, job.settings.seed) for job in world.ran} == {(2, 0, 2)}
    before = len(world.ran)
    choose_winners([search], 5, job_for, world.run)
    places = {(job.partition, job.fold) for job in world.ran[before:]}
    assert places == {(2, fold) for fold in range(1, FOLDS)}
    assert len(world.ran) - before == LEADERS * (FOLDS - 1)
    leaders = sorted(search.trials, key=lambda t: -t.folds[0])[:LEADERS]
    assert {t.number for t in search.trials if len(t.folds) == FOLDS} == {t.number for t in leaders}
    assert search.winner == max(leaders, key=lambda t: t.mean)


def test_a_leading_trial_that_fails_on_a_further_fold_does_not_win() -> None:
    world = World()
    search = searched("random", 20, world)
    first = max(search.trials, key=lambda trial: trial.mean)

    def fails_further(jobs: Sequence[Job]) -> list[JobResult]:
        lost = [job.settings.learning_rate == first.settings.learning_rate for job in jobs]
        return [failure("diverged") if gone else o for gone, o in zip(lost, world.run(jobs), strict=True)]

    choose_winners([search], 5, job_for, fails_further)
    assert search.winner is not None
    assert search.winner.number != first.number


def test_with_two_folds_the_leading_trials_are_judged_on_the_other_one() -> None:
    world = World()
    search = searched("random", 8, world)
    before = len(world.ran)
    choose_winners([search], 2, job_for, world.run)
    assert {job.fold for job in world.ran[before:]} == {1}


def test_the_winner_s_accuracy_comes_from_partitions_and_seeds_that_no_trial_used() -> None:
    world = World()
    searches = [Search(method, seed, SMALL, dict(SPACE)) for seed in range(3) for method in METHODS]
    list(run_trials(searches, 12, job_for, world.run, lambda: True))
    choose_winners(searches, 5, job_for, world.run)
    used = {(job.partition, job.settings.seed) for job in world.ran}
    before = len(world.ran)
    confirm(searches, fresh_places(2, 5), job_for, world.run)
    fresh = {(job.partition, job.settings.seed) for job in world.ran[before:]}
    assert fresh == {(FRESH, FRESH), (FRESH + 1, FRESH + 1)}
    assert not fresh & used
    own = tuple(world.run([job_for(SMALL, *place) for place in fresh_places(2, 5)]))
    finding = Finding("small", SMALL, dict(SPACE), searches, own, 800, 200)
    assert finding.best is not None
    assert finding.accuracy == np.mean([outcome.mean for outcome in finding.best[0].confirmed])
    assert finding.verdict is not None
    assert f"{100 * finding.accuracy:.2f} % is the accuracy" in finding.sentence()


def test_the_luckiest_of_equal_trials_loses_its_luck_where_no_trial_was() -> None:
    """A winner's curse, planted: all settings are equally good, the holdout is small."""

    def equal(jobs: Sequence[Job]) -> list[JobResult]:
        keys = [[job.partition, job.fold, round(1e9 * job.settings.learning_rate)] for job in jobs]
        return [an_outcome(float(np.random.default_rng(key).normal(0.9, 0.01))) for key in keys]

    search = Search("random", 0, SMALL, dict(SPACE))
    list(run_trials([search], 100, job_for, equal, lambda: True))
    choose_winners([search], 5, job_for, equal)
    confirm([search], fresh_places(2, 5), job_for, equal)
    own = tuple(equal([job_for(SMALL, *place) for place in fresh_places(2, 5)]))
    finding = Finding("small", SMALL, dict(SPACE), [search], own, 800, 200)
    assert search.winner is not None
    assert search.winner.folds[0] > 0.92
    assert abs(finding.accuracy - 0.9) < 0.01
    assert finding.verdict is not None
    assert not finding.verdict.shown


def test_both_methods_are_given_the_same_cost() -> None:
    world = World()
    searches = [Search(method, 0, SMALL, dict(SPACE)) for method in METHODS]
    list(run_trials(searches, 24, job_for, world.run, lambda: True))
    cost = min(search.cost for search in searches)
    for search in searches:
        counted = search.within(cost)
        assert sum(trial.seconds for trial in counted) <= cost * 1.0001
        rest = search.trials[len(counted) :]
        assert not rest or sum(trial.seconds for trial in [*counted, rest[0]]) > cost
    assert any(len(search.within(cost)) == 24 for search in searches)


def test_under_ten_repeats_are_described_and_ten_are_tested() -> None:
    for repeats, expected in ((3, "described, not tested"), (10, "(95 %:")):
        world = World()
        searches = [Search(method, seed, SMALL, dict(SPACE)) for seed in range(repeats) for method in METHODS]
        list(run_trials(searches, 8, job_for, world.run, lambda: True))
        choose_winners(searches, 5, job_for, world.run)
        confirm(searches, fresh_places(1, 2), job_for, world.run)
        assert expected in Finding("small", SMALL, dict(SPACE), searches, (), 800, 200).between_methods()


def imparfait(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "imparfait", *words], cwd=home, capture_output=True, text=True)


def test_a_search_leaves_its_trials_and_settings_that_train_takes_and_goes_on_where_it_was_stopped(
    bars_folder: Path,
) -> None:
    home = bars_folder.parent
    (home / "space.toml").write_text("batch_size = [8, 16]\n[model_args]\nfilters = [8, 16]\ndepth = 1\nframe = 12\n")
    words = ["search", "petit", "--method", "random", "bayes", "--trials", "8", "--epochs", "1"]
    words += ["--space", "space.toml", "--data", "bars", "--folds", "3", "--executor", "here"]
    result = imparfait(*words, home=home)
    assert result.returncode == 0, result.stderr
    assert "is the accuracy of what was found" in result.stdout
    assert "described, not tested" in result.stdout
    [folder] = (home / "runs").glob("search-petit-random-bayes-*")
    files = {path.name for path in folder.iterdir()}
    assert {"report.html", "search.json", "trials.csv", "best.toml", "best_so_far.png", "slices.png"} <= files
    with (folder / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    assert sum(row["won"] == "True" for row in rows) == 2
    best = tomllib.loads((folder / "best.toml").read_text())
    assert best["model_args"]["filters"] in (8, 16)
    assert best["epochs"] == 1

    lost = sorted((home / "runs" / "jobs").glob("*.job"))[::3]
    for path in lost:  # as if it had been killed before these
        path.unlink()
    (folder / "trials.csv").rename(home / "before.csv")
    assert imparfait(*words, home=home).returncode == 0
    with (folder / "trials.csv").open(newline="") as file:
        again = list(csv.DictReader(file))
    names = ["method", "repeat", "trial", "learning_rate", "batch_size", "model_args.filters", "holdout", "cause"]
    assert [[row[name] for name in names] for row in again] == [[row[name] for name in names] for row in rows]

    trained = imparfait("train", "--settings", str(folder / "best.toml"), "--data", "bars", home=home)
    assert trained.returncode == 0, trained.stderr
    [run] = (home / "runs").glob("best-petit-s0-*")
    told = json.loads((run / "settings.json").read_text())["settings"]
    assert told == read_settings(folder / "best.toml").model_dump()  # also where images are few


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["petti"], "no recipe or model is called 'petti'; did you mean 'petit'?"),
        (["petit", "--method", "baies"], "no method is called 'baies'; did you mean 'bayes'?"),
        (["petit", "--space", "none.toml"], "none.toml: cannot be read"),
        (["petit", "--executor", "rey"], "no executor is called 'rey'; did you mean 'ray'?"),
    ],
)
def test_what_cannot_be_searched_is_refused(words: list[str], expected: str, bars_folder: Path) -> None:
    result = imparfait("search", *words, "--data", "bars", home=bars_folder.parent)
    assert result.returncode == 2
    assert expected in result.stderr
    assert len(result.stderr.splitlines()) == 1
