"""Jobs behind a progress bar, kept as they finish."""

import signal
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from imparfait.cli import console
from imparfait.cli.signals import Stopped
from imparfait.core.storage import exclusive_lock
from imparfait.data.dataset import LabelledImages
from imparfait.selection.executors import Executor, run
from imparfait.selection.jobs import Job, JobResult

JOBS_FOLDER = "jobs"  # the store of outcomes, beside the runs


Note = Callable[[float, str], None]
"""Moves a bar on by so many seconds' worth of jobs, and says how far it is."""


@contextmanager
def jobs_bar(what: str, seconds: float) -> Iterator[Note]:
    """A bar for jobs that take so many seconds, alone and added up."""
    with console.bar(what, seconds) as (progress, task):

        def note(more: float, told: str) -> None:
            progress.update(task, advance=more, description=f"{what}: {told}")

        yield note


def run_shown(
    jobs: Sequence[Job], data: LabelledImages, out: Path, executor: Executor, note: Note, seconds: Sequence[float]
) -> list[JobResult]:
    """The outcome of each job; `seconds` are what each takes, for the time left.

    Raises Stopped on Ctrl-C and SIGTERM, with every finished job kept.
    """
    expected = defaultdict[str, float](float)  # equal jobs are run once and count for all of them
    for job, each in zip(jobs, seconds, strict=True):
        expected[job.key] += each
    outcomes: dict[str, JobResult] = {}
    try:
        for job, outcome in run(jobs, data, out / JOBS_FOLDER, executor):
            outcomes[job.key] = outcome
            note(expected[job.key], f"{len(outcomes)} of {len(expected)} jobs")
    except KeyboardInterrupt as error:
        raise Stopped(
            f"stopped; {len(outcomes)} of {len(expected)} jobs are kept, the same command goes on from there",
            128 + signal.SIGINT,
        ) from error
    return [outcomes[job.key] for job in jobs]


@contextmanager
def alone(out: Path, doing: str) -> Iterator[None]:
    """The only process that adds jobs in `out`; SIGTERM ends it as Ctrl-C does."""
    store = out / JOBS_FOLDER
    store.mkdir(parents=True, exist_ok=True)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with exclusive_lock(store, doing):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)
