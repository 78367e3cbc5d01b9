"""Comparison of candidates by repeated cross-validation: planned, run job by job, and resumable."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from imparfait.core.errors import UserError
from imparfait.core.progress import ShowProgress
from imparfait.core.storage import atomic_write, fingerprint
from imparfait.data.dataset import LabelledImages
from imparfait.data.group_splits import count_folds
from imparfait.data.splits import fold, subsample
from imparfait.evaluation.suite import conditions_for
from imparfait.models.custom import custom_fingerprint
from imparfait.selection.candidates import Candidate, candidates_from
from imparfait.selection.comparison import Comparison
from imparfait.selection.executors import Executor, executor_named
from imparfait.selection.job_runner import JobRunner, Progress, locked, run_all
from imparfait.selection.jobs import JobResult
from imparfait.selection.plan import Plan, Slot, make_plan
from imparfait.training.settings import TrainingSettings, enough_steps

PLAN_SUFFIX = ".plan.json"


def compare(
    candidates: Sequence[str | Candidate] | Mapping[str, TrainingSettings],
    data: LabelledImages,
    *,
    folds: int | Literal["groups"] = 5,
    seeds: int = 3,
    epochs: int | None = None,
    seconds: float | None = None,
    images: int | None = None,
    suite: str | Sequence[str] = "core",
    minutes: float | None = None,
    executor: str | Executor | None = None,
    threads: int = 1,
    store: str | Path | None = None,
    progress: ShowProgress = False,
) -> ComparisonRun:
    """Compare recipes, models, settings files or settings on the training images `data`, by cross-validation.

    Iterate over the returned run to execute its jobs; its `result` is the Comparison. Each seed uses a new random split
    into `folds`, the same for all candidates; "groups" holds out one group at a time. They train for `epochs` (default:
    the fewest that one has) or for about `seconds` each. `images` of `data` are used; `suite` is "core", "digits",
    "photo" or corruptions by name; `minutes` limits the plan; `executor` is serial, processes or ray. Finished jobs are
    kept in the folder `store`. `progress` True draws a bar while `result` runs them; a function is called with how many
    are done and the total. The Comparison has `to_frame()` and `plot()`. Raises UserError when a name is unknown, a
    value cannot be, or a class has fewer images than `folds`.

    >>> few = imparfait.load_data("mnist").train.select(range(100))
    >>> run = imparfait.compare(["petit", "cnn"], few, folds=2, seeds=1, epochs=1, executor="serial")
    >>> len(run.result.to_frame())
    2
    """
    store = None if store is None else Path(store)
    if epochs and seconds:
        raise UserError("--epochs and --seconds both set the training time", hint="leave one out")
    chosen = candidates_from(candidates)
    conditions = [(one.corruption, one.severity) for one in conditions_for(suite, data)]
    part = subsample(data, images)
    folds = count_folds(part, folds)
    fit, _ = fold(part, folds, 0, 0)
    own = {"epochs"} if epochs or seconds else set()
    chosen = [replace(c, settings=enough_steps(c.settings, len(fit), c.fixed | own)) for c in chosen]
    request = repr([folds, seeds, epochs, seconds, images, minutes, threads, conditions])
    networks = [custom_fingerprint(candidate.settings.model) for candidate in chosen]
    groups = [data.grouping()] if data.groups is not None else []
    mark = fingerprint(data.fingerprint(), *groups, request, *networks, *(candidate.settings for candidate in chosen))
    name = "-".join(
        ["compare", *(candidate.name for candidate in chosen), *([suite] if suite in ("digits", "photo") else [])]
    )
    name = f"{name}-{mark[:6]}"
    runs_on = executor if isinstance(executor, Executor) else executor_named(executor, threads=threads)
    plan = _stored_plan(name, store)
    if not plan:
        plan = make_plan(
            chosen,
            data,
            folds=folds,
            seeds=seeds,
            epochs=epochs,
            seconds=seconds,
            images=images,
            minutes=minutes,
            threads=threads,
            workers=runs_on.workers,
            corruptions=conditions,
        )
        if store:
            store.mkdir(parents=True, exist_ok=True)
            atomic_write(store / f"{name}{PLAN_SUFFIX}", plan.model_dump_json(indent=2).encode())
    return ComparisonRun(name, plan, data, runs_on, store, progress)


def _stored_plan(name: str, store: Path | None) -> Plan | None:
    """The plan of an equal comparison begun or finished earlier, so that it continues unchanged."""
    if store:
        with contextlib.suppress(FileNotFoundError, ValidationError):  # another version's plan is made anew
            return Plan.model_validate_json((store / f"{name}{PLAN_SUFFIX}").read_bytes())
    return None


class ComparisonRun:
    """A planned comparison: iterating runs its jobs, `result` is the Comparison."""

    def __init__(
        self,
        name: str,
        plan: Plan,
        data: LabelledImages,
        executor: Executor,
        store: Path | None = None,
        progress: ShowProgress = False,
    ):
        self.name, self.plan, self.data, self.executor, self.store = name, plan, data, executor, store
        self.progress = progress
        self._results: dict[Slot, JobResult] = {}

    @property
    def result(self) -> Comparison:
        """What the jobs show; runs those that are still missing."""
        run_all(self, self.progress, "comparing")
        return Comparison(self.plan, self.data.classes, self._results)

    def __iter__(self) -> Iterator[Progress]:
        """Run the jobs, and yield each as it finishes."""
        if self._results:
            return
        slots = self.plan.slots()
        jobs, seconds = [self.plan.job(*slot) for slot in slots], [self.plan.job_seconds(name) for name, _, _ in slots]
        runner = JobRunner(self.data, self.executor, self.store, len(jobs), sum(seconds))
        with locked(self.store):
            results = yield from runner.run("cross-validation", jobs, seconds)
        self._results = dict(zip(slots, results, strict=True))
