"""Search: reproducible trials after any interruption, and an accuracy on splits that no trial used."""

import json
from collections.abc import Iterator, Sequence

import numpy as np
import optuna
import pytest
from helpers.bars import draw_bars
from helpers.fake_jobs import NOWHERE, SMALL, exhaust, running

import imparfait
from imparfait.core.compute import ComputeConfig
from imparfait.data.dataset import LabelledImages
from imparfait.reports.comparison_text import method_sentence, search_sentences
from imparfait.reports.search import search_json
from imparfait.selection.candidates import Candidate
from imparfait.selection.executors import Executor
from imparfait.selection.jobs import Job, JobResult, failure, run_job
from imparfait.selection.search import (
    FRESH_SEED,
    LEADER_FOLDS,
    LEADERS,
    choose_winners,
    confirm,
    fresh_folds,
    run_trials,
)
from imparfait.selection.search_result import SearchResult
from imparfait.selection.search_space import Range, values_of
from imparfait.selection.trials import METHODS, Search
from imparfait.training.settings import TrainingSettings

pytestmark = pytest.mark.usefixtures("quick_profiles")

CANDIDATE = Candidate("small", SMALL, frozenset({"epochs", "batch_size"}))
every_method = pytest.mark.parametrize("method", METHODS)
SPACE = {"learning_rate": Range(low=1e-3, high=0.1, log=True), "model_args.filters": Range(low=8, high=32, step=8)}


def job_for(settings: TrainingSettings, seed: int, number: int) -> Job:
    seeded = settings.model_copy(update={"seed": settings.seed + seed})
    return Job(data="x", settings=seeded, compute=ComputeConfig(), partition=seed, folds=5, fold=number)


def a_result(accuracy: float, seconds: float = 1.0) -> JobResult:
    truths = np.zeros(1000, np.int64)
    predicted = np.repeat((np.arange(1000) >= round(1000 * accuracy))[None].astype(np.uint8), 3, 0)
    return JobResult(np.arange(1000), truths, predicted, training_seconds=seconds, provenance=NOWHERE)


class World:
    """Settings are better the closer their learning rate is to 0.03; the jobs that ran are noted."""

    def __init__(self) -> None:
        self.ran: list[Job] = []
        self.run = running(self.results)

    def results(self, jobs: Sequence[Job]) -> list[JobResult]:
        self.ran += jobs
        results = []
        for job in jobs:
            rate, filters = job.settings.learning_rate, job.settings.model_args["filters"]
            luck = np.random.default_rng([job.partition, job.fold, filters]).normal(0, 0.01)
            results.append(a_result(float(np.clip(0.95 - 0.2 * abs(np.log10(rate / 0.03)) + luck, 0, 1)), filters / 8))
        return results


def searched(method: str, trials: int, world: World, seed: int = 0, stop_after: int | None = None) -> Search:
    search = Search(method, seed, SMALL, dict(SPACE))
    rounds = 0

    def may_continue() -> bool:
        nonlocal rounds
        rounds += 1
        return stop_after is None or rounds <= stop_after

    exhaust(run_trials([search], trials, job_for, world.run, may_continue))
    return search


def result_of(searches: list[Search], start_results: tuple[JobResult, ...] = ()) -> SearchResult:
    return SearchResult("small", SMALL, dict(SPACE), searches, start_results, 800, 200, ComputeConfig())


@every_method
def test_a_search_that_continues_proposes_what_it_would_have_without_the_stop(method: str) -> None:
    whole = searched(method, 24, World())
    stopped = searched(method, 24, World(), stop_after=3)
    assert len(stopped.trials) == 12
    assert stopped.trials == whole.trials[:12]
    assert searched(method, 24, World()).trials == whole.trials


def test_the_order_in_which_jobs_finish_changes_nothing() -> None:
    """An executor that yields its jobs backwards gets the same trials."""
    data, found = draw_bars(60), []
    for backwards in (False, True):

        def run(
            jobs: Sequence[Job], data: LabelledImages, backwards: bool = backwards
        ) -> Iterator[tuple[Job, JobResult]]:
            for job in reversed(jobs) if backwards else jobs:
                yield job, run_job(job, data)

        found.append(imparfait.search(CANDIDATE, data, space=SPACE, trials=8, folds=2, executor=Executor("", run)))
        exhaust(found[-1])
    trials = [[(t.number, t.values, t.folds) for t in run.searches[0].trials] for run in found]
    assert trials[0] == trials[1]
    assert len(trials[0]) == 8
    assert found[0].result.accuracy == found[1].result.accuracy


@every_method
def test_another_seed_proposes_other_trials(method: str) -> None:
    first, second = (searched(method, 8, World(), seed) for seed in (0, 1))
    assert first.trials[0].values == second.trials[0].values == values_of(SMALL, SPACE)
    assert all(a.values != b.values for a, b in zip(first.trials[1:], second.trials[1:], strict=True))


def test_bayes_begins_with_the_trials_of_random_and_then_goes_its_own_way() -> None:
    random, bayes = (searched(method, 32, World()) for method in METHODS)
    assert [t.values for t in random.trials[:8]] == [t.values for t in bayes.trials[:8]]
    assert [t.values for t in random.trials[16:]] != [t.values for t in bayes.trials[16:]]


def test_bayes_uses_earlier_results() -> None:
    """Its later trials are nearer to the best than random ones, over several seeds."""

    def away(method: str) -> float:
        trials = [t for seed in range(5) for t in searched(method, 40, World(), seed).trials[20:]]
        return float(np.median([abs(np.log10(t.settings.learning_rate / 0.03)) for t in trials]))

    assert away("bayes") < 0.6 * away("random")


@every_method
def test_a_failed_trial_counts_as_one_and_the_search_continues(method: str) -> None:
    world = World()

    def sometimes(jobs: Sequence[Job]) -> list[JobResult]:
        found = world.results(jobs)
        wild = [job.settings.learning_rate > 0.05 for job in jobs]
        return [failure("diverged") if failed else result for failed, result in zip(wild, found, strict=True)]

    search = Search(method, 3, SMALL, dict(SPACE))
    exhaust(run_trials([search], 40, job_for, running(sometimes), lambda: True))
    assert len(search.trials) == 40
    assert any(trial.cause == "diverged" for trial in search.trials)
    exhaust(choose_winners([search], 5, job_for, running(sometimes)))
    assert search.winner is not None
    assert not search.winner.cause


def test_failed_jobs_on_fresh_splits_are_counted_once_and_are_null_in_json() -> None:
    searches = [Search(method, 0, SMALL, dict(SPACE)) for method in ("random", "bayes")]
    world, failing = World(), running(lambda jobs: [failure("no memory")] * len(jobs))
    exhaust(run_trials(searches, 4, job_for, world.run, lambda: True))
    exhaust(choose_winners(searches, 5, job_for, world.run))
    exhaust(confirm(searches, fresh_folds(1, 3), job_for, failing))
    result = result_of(searches, tuple([failure("no memory")] * 3))
    assert "9 of 9 jobs on fresh splits failed, for example: no memory" in search_sentences(result)
    content = json.loads(json.dumps(search_json(result), allow_nan=False))
    assert content["start_accuracy"] is None
    assert content["accuracy"] is None
    assert content["interval"] is None
    assert content["searches"][0]["confirmed"] == [None] * 3


def test_a_search_whose_trials_all_fail_has_no_result() -> None:
    failing = running(lambda jobs: [failure("diverged")] * len(jobs))
    search = Search("bayes", 0, SMALL, dict(SPACE))
    exhaust(run_trials([search], 8, job_for, failing, lambda: True))
    exhaust(choose_winners([search], 5, job_for, failing))
    exhaust(confirm([search], fresh_folds(2, 5), job_for, failing))
    result = result_of([search])
    assert result.best is None
    assert result.accuracy is None
    assert "nothing was found" in search_sentences(result)[0]
    assert result.to_json()["settings"] is None


def test_trials_share_one_fold_per_seed_and_only_the_leading_ones_get_further_folds() -> None:
    world = World()
    search = searched("random", 20, world, seed=2)
    assert {(job.partition, job.fold, job.settings.seed) for job in world.ran} == {(2, 0, 2)}
    before = len(world.ran)
    exhaust(choose_winners([search], 5, job_for, world.run))
    slots = {(job.partition, job.fold) for job in world.ran[before:]}
    assert slots == {(2, fold) for fold in range(1, LEADER_FOLDS)}
    assert len(world.ran) - before == LEADERS * (LEADER_FOLDS - 1)
    leaders = sorted(search.trials, key=lambda t: -t.folds[0])[:LEADERS]
    assert {t.number for t in search.trials if len(t.folds) == LEADER_FOLDS} == {t.number for t in leaders}
    assert search.winner == max(leaders, key=lambda t: t.mean)


def test_a_leading_trial_that_fails_on_a_further_fold_does_not_win() -> None:
    world = World()
    search = searched("random", 20, world)
    first = max(search.trials, key=lambda trial: trial.mean)

    def fails_further(jobs: Sequence[Job]) -> list[JobResult]:
        lost = [job.settings.learning_rate == first.settings.learning_rate for job in jobs]
        return [failure("diverged") if gone else o for gone, o in zip(lost, world.results(jobs), strict=True)]

    exhaust(choose_winners([search], 5, job_for, running(fails_further)))
    assert search.winner is not None
    assert search.winner.number != first.number


def test_with_two_folds_the_leading_trials_are_judged_on_the_other_one() -> None:
    world = World()
    search = searched("random", 8, world)
    before = len(world.ran)
    exhaust(choose_winners([search], 2, job_for, world.run))
    assert {job.fold for job in world.ran[before:]} == {1}


def test_the_winner_s_accuracy_comes_from_splits_and_seeds_that_no_trial_used() -> None:
    world = World()
    searches = [Search(method, seed, SMALL, dict(SPACE)) for seed in range(3) for method in METHODS]
    exhaust(run_trials(searches, 12, job_for, world.run, lambda: True))
    exhaust(choose_winners(searches, 5, job_for, world.run))
    used = {(job.partition, job.settings.seed) for job in world.ran}
    before = len(world.ran)
    exhaust(confirm(searches, fresh_folds(2, 5), job_for, world.run))
    fresh = {(job.partition, job.settings.seed) for job in world.ran[before:]}
    assert fresh == {(FRESH_SEED, FRESH_SEED), (FRESH_SEED + 1, FRESH_SEED + 1)}
    assert not fresh & used
    start = tuple(world.results([job_for(SMALL, *slot) for slot in fresh_folds(2, 5)]))
    result = result_of(searches, start)
    assert result.best is not None
    assert result.accuracy == np.mean([confirmed.mean for confirmed in result.best[0].confirmed])
    assert result.verdict is not None
    assert f"accuracy of the settings found: {100 * result.accuracy:.2f} %" in search_sentences(result)[0]


def test_the_luckiest_of_equal_trials_loses_its_luck_on_fresh_splits() -> None:
    """A planted winner's curse: all settings are equally good, and the fold is small."""

    def equal(jobs: Sequence[Job]) -> list[JobResult]:
        keys = [[job.partition, job.fold, round(1e9 * job.settings.learning_rate)] for job in jobs]
        return [a_result(float(np.random.default_rng(key).normal(0.9, 0.01))) for key in keys]

    search = Search("random", 0, SMALL, dict(SPACE))
    exhaust(run_trials([search], 100, job_for, running(equal), lambda: True))
    exhaust(choose_winners([search], 5, job_for, running(equal)))
    exhaust(confirm([search], fresh_folds(2, 5), job_for, running(equal)))
    result = result_of([search], tuple(equal([job_for(SMALL, *slot) for slot in fresh_folds(2, 5)])))
    assert search.winner is not None
    assert search.winner.holdout is not None
    assert search.winner.holdout > 0.92
    assert result.accuracy is not None
    assert abs(result.accuracy - 0.9) < 0.01
    assert result.verdict is not None
    assert not result.verdict.is_significant


def test_both_methods_are_given_the_same_cost() -> None:
    world = World()
    searches = [Search(method, 0, SMALL, dict(SPACE)) for method in METHODS]
    exhaust(run_trials(searches, 24, job_for, world.run, lambda: True))
    cost = min(search.cost_seconds for search in searches)
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
        exhaust(run_trials(searches, 8, job_for, world.run, lambda: True))
        exhaust(choose_winners(searches, 5, job_for, world.run))
        exhaust(confirm(searches, fresh_folds(1, 2), job_for, world.run))
        methods = result_of(searches).method_comparison
        assert methods is not None
        assert len(methods.differences) == repeats
        assert expected in method_sentence(methods)


def test_what_settings_matter_is_shown_from_five_trials_for_each_of_them_on() -> None:
    enough = 5 * len(SPACE)
    for trials in (4, enough - 1, enough):
        result = result_of([searched("random", trials, World())])
        accuracies = {trial.folds[0] for search in result.searches for trial in search.trials if trial.folds}
        assert bool(result.importances()) == (len(accuracies) >= enough) == (trials == enough)


def test_optuna_s_verbosity_is_left_as_it_is() -> None:
    before = optuna.logging.get_verbosity()
    try:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        searched("bayes", 4, World())
        assert optuna.logging.get_verbosity() == optuna.logging.ERROR
    finally:
        optuna.logging.set_verbosity(before)
