"""Lists of jobs run on one executor, with their progress."""

from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imparfait.core.progress import ShowProgress, reporting
from imparfait.core.storage import exclusive_lock
from imparfait.data.dataset import LabelledImages
from imparfait.selection.executors import Executor, run_jobs
from imparfait.selection.jobs import Job, JobResult

JOBS_FOLDER = "jobs"  # of finished jobs, in the folder of runs


@dataclass(frozen=True)
class Progress:
    """One more finished job of a comparison or search, and how much work is done."""

    stage: str
    job: Job
    result: JobResult
    done: int
    """Finished jobs, of `total`."""
    total: int
    seconds: float
    """Predicted duration of the finished jobs, one after the other, of `total_seconds`."""
    total_seconds: float


Steps = Generator[Progress, None, list[JobResult]]
"""Progress as jobs finish; returns their results in the order of the jobs."""


@dataclass
class JobRunner:
    """Runs lists of jobs on the same data and executor, and counts them."""

    data: LabelledImages
    executor: Executor
    store: Path | None
    total: int
    total_seconds: float
    done: int = 0
    seconds: float = 0.0

    def run(self, stage: str, jobs: Sequence[Job], seconds: Sequence[float]) -> Steps:
        """Run jobs whose predicted durations are `seconds`; equal jobs run once and count for all of them."""
        counts, predicted = Counter[str](), defaultdict[str, float](float)
        for job, duration in zip(jobs, seconds, strict=True):
            counts[job.key] += 1
            predicted[job.key] += duration
        results: dict[str, JobResult] = {}
        for job, result in run_jobs(jobs, self.data, self.executor, self.store):
            results[job.key] = result
            self.done += counts[job.key]
            self.seconds += predicted[job.key]
            yield Progress(stage, job, result, self.done, self.total, self.seconds, self.total_seconds)
        return [results[job.key] for job in jobs]


def run_all(steps: Iterable[Progress], progress: ShowProgress, title: str) -> None:
    """Run all jobs, and report how many are done."""
    with reporting(progress, title, 1) as report:
        for step in steps:
            report(step.done, step.total)


@contextmanager
def locked(store: Path | None) -> Iterator[None]:
    """Be the only process that adds jobs to `store`; raises UserError while there is another one."""
    if not store:
        yield
        return
    store.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(store, "running jobs"):
        yield
