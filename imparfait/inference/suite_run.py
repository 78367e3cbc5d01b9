"""Running a suite: its jobs on any executor, finished ones kept until the report is written, and joined to scores."""

import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.large_arrays import new_array
from imparfait.core.storage import exclusive_lock
from imparfait.core.types import Watch
from imparfait.data.dataset import LabelledImages
from imparfait.data.load import plainly
from imparfait.evaluation.scores import ConditionResult, Scores
from imparfait.evaluation.suite import Condition, is_published
from imparfait.inference.open_model import LoadedModel
from imparfait.inference.suite_jobs import (
    ShardResult,
    SuiteImages,
    SuiteJob,
    close_models,
    shard_probabilities,
    shards_of,
    suite_jobs,
)
from imparfait.selection.executors import SUFFIX, Executor, Finished, run_jobs, stored_result


def run_suite(
    model: LoadedModel,
    images: LabelledImages,
    conditions: Sequence[Condition],
    *,
    executor: Executor | None = None,
    threads: int = 1,
    store: Path | None = None,
    watch: Watch = plainly,
    say: Callable[[str], object] = str,
) -> Scores:
    """The scores of a model on `images` under each condition; finished jobs are kept in `store`, and run only once.

    In this process, or where `executor` runs jobs, on `threads` threads each: then the model is opened again there.
    Jobs of a function, and conditions of a user's own corruption, are not kept. `watch` passes the result of each
    condition as it is finished; `say` gets a sentence about those that were finished earlier.
    Raises UserError where the model or a worker fails.
    """
    own = {(each.corruption, each.severity) for each in conditions if not is_published(each)}
    if executor and (model.source is None or own):
        what = f"{model.name} is a function" if model.source is None else "the suite has a function of yours"
        raise UserError(f"{what}, which other processes cannot open", hint="leave out the executor")
    data = SuiteImages(images, model.source)
    compute = model.compute.model_copy(update={"threads": threads}) if executor else model.compute
    jobs, assembly, earlier = suite_jobs(data, conditions, compute), Assembly(images, conditions), []
    keep = {job for job in jobs if store and model.source and job.condition not in own}
    for job in jobs:
        if store and job in keep and store.exists() and (result := stored_result(job, store)):
            earlier += assembly.add(job, result)
    if earlier:
        say(f"{model.name}: {len(earlier)} of {len(conditions)} conditions were finished earlier")
    runs_on = executor or _in_this_process(model, conditions)

    def finished() -> Generator[ConditionResult, None, None]:
        yield from earlier
        for kept in (True, False):
            missing = [job for job in jobs if (job in keep) == kept and job not in assembly.done]
            for job, result in run_jobs(missing, data, runs_on, store if kept else None):
                if result.cause:
                    raise UserError(result.cause)
                yield from assembly.add(job, result)

    try:
        with closing(finished()) as results:  # ends the workers at once where it is interrupted
            found = {(each.corruption, each.severity): each for each in watch(results, len(conditions))}
    finally:
        close_models()
    return Scores(tuple(found[each.corruption, each.severity] for each in conditions), tuple(images.classes))


class Assembly:
    """The shards of each condition, until they make its result."""

    def __init__(self, images: LabelledImages, conditions: Sequence[Condition]) -> None:
        """For these images; the probabilities are in a file where they are too many for memory."""
        self.images, self.done = images, set[SuiteJob]()
        self._places = {(each.corruption, each.severity): place for place, each in enumerate(conditions)}
        self._missing = dict.fromkeys(self._places, len(shards_of(images)))
        self._all = new_array((len(conditions), len(images), len(images.classes)), np.dtype(np.float32))

    def add(self, job: SuiteJob, result: ShardResult) -> list[ConditionResult]:
        """The result of the condition that this shard completes, if it does."""
        self.done.add(job)
        probabilities = self._all[self._places[job.condition]]
        probabilities[job.start : job.stop] = result.probabilities
        self._missing[job.condition] -= 1
        if self._missing[job.condition]:
            return []
        images = self.images
        return [ConditionResult(*job.condition, images.sources, images.labels, probabilities, images.groups)]


@contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """The folder for finished jobs, which is removed at the end of the block; after an error it stays with them.

    Raises UserError while another process evaluates with it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder, "evaluating"):
        try:
            yield folder
        except BaseException:
            if not any(folder.glob(f"[!.]*{SUFFIX}")):
                shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)


def _in_this_process(model: LoadedModel, conditions: Sequence[Condition]) -> Executor:
    """The executor of the model as it is open here."""
    named = {(each.corruption, each.severity): each for each in conditions}

    def run(jobs: Iterable[SuiteJob], data: SuiteImages) -> Finished[SuiteJob]:
        for job in jobs:
            condition = named[job.condition]
            yield job, ShardResult(shard_probabilities(model.classifier, data.images, condition, job.start, job.stop))

    return Executor("serial", run)
