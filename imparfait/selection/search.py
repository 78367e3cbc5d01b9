"""Hyperparameter search: trials on one fold, further folds for the leaders, and fresh splits for the winner."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import lookup
from imparfait.core.progress import ShowProgress
from imparfait.core.storage import fingerprint
from imparfait.data.dataset import LabelledImages
from imparfait.data.group_splits import count_folds
from imparfait.data.splits import fold, subsample
from imparfait.models.custom import custom_fingerprint
from imparfait.selection.candidates import Candidate, candidate_named
from imparfait.selection.executors import Executor, executor_named
from imparfait.selection.job_runner import JobRunner, Progress, Steps, locked, run_all
from imparfait.selection.jobs import Job
from imparfait.selection.plan import parallel_seconds
from imparfait.selection.profiling import (
    PROFILE_IMAGES,
    CandidateProfile,
    network_and_compute,
    profile_candidates,
)
from imparfait.selection.search_result import SearchResult
from imparfait.selection.search_space import Space, read_space, space_of
from imparfait.selection.trials import METHODS, ROUND_TRIALS, Search, Trial
from imparfait.training.settings import TrainingSettings, changed, enough_steps

LEADERS = 4  # trials of a search that are evaluated on further folds
LEADER_FOLDS = 3  # folds of a leading trial, its first one included
FRESH_SEED = 1_000_000  # splits and seeds from this number on are used by no trial
CONFIRMATION_SEEDS = 2  # splits, each with all its folds, on which a winner's accuracy is measured

JobFor = Callable[[TrainingSettings, int, int], Job]
"""The job of some settings on (split and seed, fold)."""
RunJobs = Callable[[str, Sequence[Job]], Steps]
"""Runs the jobs of a stage, yields progress, and returns their results in order."""


def search(
    model: str | Candidate,
    data: LabelledImages,
    *,
    methods: Sequence[str] = ("bayes",),
    trials: int = 40,
    repeats: int = 1,
    minutes: float | None = None,
    space: str | Path | Space | None = None,
    epochs: int | None = None,
    images: int | None = None,
    folds: int | Literal["groups"] = 5,
    executor: str | Executor | None = None,
    threads: int = 1,
    store: str | Path | None = None,
    progress: ShowProgress = False,
) -> SearchRun:
    """Search settings for `model` (a model, a recipe or a TOML file of settings) on the training images `data`.

    Iterate over the returned run to execute its jobs; its `result` is the SearchResult. `methods` are random and
    bayes, at equal cost; each makes `repeats` searches of `trials`, and none starts a round after `minutes`. `space`
    is what to vary, or a TOML file of it. `images` of `data` are used; "groups" as `folds` holds out one
    group at a time. Finished jobs are kept in the folder `store`. `progress` is as `compare` takes it. Raises
    UserError when a name is unknown, a value cannot be, or a class has fewer images than `folds`.

    >>> few = imparfait.load_data("mnist").train.select(range(100))
    >>> run = imparfait.search("petit", few, methods=["random"], trials=1, folds=2, epochs=1, executor="serial")
    >>> run.num_jobs
    10
    """
    methods = tuple(dict.fromkeys(methods))
    for method in methods:
        lookup("method", method, METHODS)
    candidate = model if isinstance(model, Candidate) else candidate_named(model)
    part = subsample(data, images)
    folds = count_folds(part, folds)
    fit, _ = fold(part, folds, 0, 0)
    start = changed(candidate.settings, {"epochs": epochs}) if epochs else candidate.settings
    start = enough_steps(start, len(fit), candidate.fixed | ({"epochs"} if epochs else set()))
    if isinstance(space, str | Path):
        space, start = read_space(Path(space), start)
    space = space or space_of(start)
    [profile] = profile_candidates([Candidate(candidate.name, start)], part, threads)
    varied = (f"{name} {values}" for name, values in space.items())
    request = repr([methods, trials, minutes, repeats, folds, images, threads])
    groups = [data.grouping()] if data.groups is not None else []
    mark = fingerprint(data.fingerprint(), *groups, request, start, *varied)
    return SearchRun(
        f"search-{candidate.name}-{'-'.join(methods)}-{mark[:6]}",
        profile,
        [Search(method, repeat, start, space) for repeat in range(repeats) for method in methods],
        data,
        trials=trials,
        minutes=minutes,
        images=images,
        folds=folds,
        executor=executor if isinstance(executor, Executor) else executor_named(executor, threads=threads),
        store=None if store is None else Path(store),
        progress=progress,
    )


class SearchRun:
    """Searches from the same settings in the same space: iterating runs their jobs, `result` is what they found."""

    def __init__(
        self,
        name: str,
        profile: CandidateProfile,
        searches: list[Search],
        data: LabelledImages,
        *,
        trials: int,
        minutes: float | None = None,
        images: int | None = None,
        folds: int = 5,
        confirmation_seeds: int = CONFIRMATION_SEEDS,
        executor: Executor,
        store: Path | None = None,
        progress: ShowProgress = False,
    ):
        fit, held_out = fold(subsample(data, images), folds, 0, 0)
        self.name, self.profile, self.searches, self.data = name, profile, searches, data
        self.trials, self.minutes, self.folds, self.seeds = trials, minutes, folds, confirmation_seeds
        self.images, self.executor, self.store, self.progress = images, executor, store, progress
        self.fit, self.held_out = len(fit), len(held_out)
        self.job_seconds = profile.job_seconds(self.fit, self.held_out)
        self.num_jobs = jobs_of_search(len(searches), trials, folds, confirmation_seeds)
        self._result: SearchResult | None = None

    @property
    def seconds(self) -> float:
        """Predicted duration."""
        return parallel_seconds(self.num_jobs * self.job_seconds, self.executor.workers)

    @property
    def best(self) -> Trial | None:
        """The best trial so far, by what the searches saw."""
        finished = [trial for search in self.searches for trial in search.trials if trial.mean is not None]
        return max(finished, key=lambda trial: trial.mean or 0.0, default=None)

    @property
    def result(self) -> SearchResult:
        """What was found; runs the jobs that are still missing."""
        if not self._result:
            run_all(self, self.progress, "searching")
        assert self._result
        return self._result

    def __iter__(self) -> Iterator[Progress]:
        """Run the searches, and yield each job as it finishes."""
        if self._result:
            return
        job_for = job_builder(self.data, self.images, self.folds, self.profile.compute.threads)
        total_seconds = self.num_jobs * self.job_seconds
        runner = JobRunner(self.data, self.executor, self.store, self.num_jobs, total_seconds)

        def run(stage: str, jobs: Sequence[Job]) -> Steps:
            return runner.run(stage, jobs, [self.job_seconds] * len(jobs))

        deadline = time.monotonic() + 60 * self.minutes if self.minutes else math.inf
        with locked(self.store):
            yield from run_trials(self.searches, self.trials, job_for, run, lambda: time.monotonic() < deadline)
            runner.total -= len(self.searches) * (self.trials - len(self.searches[0].trials))  # not started in time
            runner.total_seconds = runner.total * self.job_seconds
            yield from choose_winners(self.searches, self.folds, job_for, run)
            fresh = fresh_folds(self.seeds, self.folds)
            yield from confirm(self.searches, fresh, job_for, run)
            start = self.searches[0].start
            start_results = yield from run("confirmation", [job_for(start, *slot) for slot in fresh])
        self._result = SearchResult(
            self.profile.name,
            start,
            self.searches[0].space,
            self.searches,
            tuple(start_results),
            self.fit,
            self.held_out,
            self.profile.compute,
        )


def jobs_of_search(searches: int, trials: int, folds: int, confirmation_seeds: int) -> int:
    """Jobs of searches: trials, further folds of the leaders, and the confirmation of winners and starting settings."""
    further = min(LEADERS, trials) * (min(LEADER_FOLDS, folds) - 1)
    confirmation = confirmation_seeds * folds
    return searches * (trials + further + confirmation) + confirmation


def job_builder(data: LabelledImages, images: int | None, folds: int, threads: int) -> JobFor:
    """Builds jobs on `images` of `data`; precision by the fixed rule, determined once per network."""
    mark, groups, few = data.fingerprint(), data.grouping(), subsample(data, PROFILE_IMAGES)
    computes: dict[str, ComputeConfig] = {}

    def job_for(settings: TrainingSettings, seed: int, number: int) -> Job:
        network = f"{settings.model} {settings.model_args}"
        if network not in computes:
            _, computes[network] = network_and_compute(settings, few, threads)
        return Job(
            data=mark,
            settings=settings.model_copy(update={"seed": settings.seed + seed}),
            network=custom_fingerprint(settings.model),
            compute=computes[network],
            partition=seed,
            folds=folds,
            fold=number,
            images=images,
            groups=groups,
        )

    return job_for


def run_trials(
    searches: Sequence[Search], trials: int, job_for: JobFor, run: RunJobs, may_continue: Callable[[], bool]
) -> Iterator[Progress]:
    """Run `trials` of each search, one round of each at a time; `may_continue` decides whether another one starts."""
    while (done := len(searches[0].trials)) < trials and may_continue():
        rounds = [search.ask(min(ROUND_TRIALS, trials - done)) for search in searches]
        jobs = [job_for(t.settings, s.seed, 0) for s, asked in zip(searches, rounds, strict=True) for t in asked]
        results = iter((yield from run("trials", jobs)))
        for search, asked in zip(searches, rounds, strict=True):
            search.tell(asked, [next(results) for _ in asked])


def choose_winners(searches: Sequence[Search], folds: int, job_for: JobFor, run: RunJobs) -> Iterator[Progress]:
    """Evaluate the leading trials of each search on further folds; the highest mean wins.

    Searches with the same seed get the same cost: trials of one beyond it do not count.
    """
    leading: list[tuple[Search, list[Trial]]] = []
    for search in searches:
        cost = min(other.cost_seconds for other in searches if other.seed == search.seed)
        finished = [trial for trial in search.within(cost) if not trial.cause]
        leading.append((search, sorted(finished, key=lambda trial: -(trial.mean or 0.0))[:LEADERS]))
    further = range(1, min(LEADER_FOLDS, folds))
    slots = [(search, trial, number) for search, trials in leading for trial in trials for number in further]
    results = yield from run("leaders", [job_for(t.settings, search.seed, number) for search, t, number in slots])
    for (search, trial, _), result in zip(slots, results, strict=True):
        evaluated = search.trials[trial.number]
        search.trials[trial.number] = replace(evaluated, folds=(*evaluated.folds, result.mean))
    for search, trials in leading:
        candidates = [search.trials[trial.number] for trial in trials]
        complete = [trial for trial in candidates if trial.mean is not None]  # one that failed on a fold cannot win
        search.winner = max(complete, key=lambda trial: trial.mean or 0.0, default=None)


def fresh_folds(seeds: int, folds: int) -> list[tuple[int, int]]:
    """(Split and seed, fold) pairs that no trial uses."""
    return [(FRESH_SEED + seed, number) for seed in range(seeds) for number in range(folds)]


def confirm(
    searches: Sequence[Search], slots: Sequence[tuple[int, int]], job_for: JobFor, run: RunJobs
) -> Iterator[Progress]:
    """Run the winners again on `slots` that no trial used: the accuracies there are what is reported."""
    won = [(search, search.winner) for search in searches if search.winner]
    results = iter((yield from run("confirmation", [job_for(w.settings, *slot) for _, w in won for slot in slots])))
    for search, _ in won:
        search.confirmed = tuple(next(results) for _ in slots)
