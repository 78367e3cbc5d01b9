"""Executors: where jobs run (in this process, in several, on a Ray cluster), with equal results."""

import importlib.util
import logging
import multiprocessing
import socket
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imparfait.core.compute import exit_with_parent, usable_cores
from imparfait.core.errors import UserError, lookup
from imparfait.core.hardware import tune_malloc
from imparfait.core.storage import delete, exclusive_lock, get, put
from imparfait.data.dataset import LabelledImages
from imparfait.selection.jobs import Job, JobResult, failure, provenance_here, run_job

SUFFIX = ".job"
JOBS_FOLDER = "jobs"  # of finished jobs, in the folder of runs
ATTEMPTS = 3  # per job whose worker is killed: a third time is not by chance
CONNECT_SECONDS = 1.0  # time limit for connecting to a Ray cluster's address

Finished = Iterator[tuple[Job, JobResult]]
"""Jobs with their results, in the order in which they finish."""


@dataclass(frozen=True)
class Executor:
    """Where jobs run, and how many at once."""

    name: str
    run: Callable[[Sequence[Job], LabelledImages], Finished]
    workers: int = 1


def run_jobs(jobs: Sequence[Job], data: LabelledImages, executor: Executor, store: Path | None = None) -> Finished:
    """Each of `jobs` with its result: first those in `store`, then the others as `executor` finishes them.

    A result is on disk before it is yielded, and its job never runs again. Only failures for lack of memory or a lost
    worker are retried by the next call. Equal jobs are run and yielded once. Raises UserError when a result was
    computed by other code than this process has.
    """
    mark = (data.fingerprint(), data.grouping())
    assert {(job.data, job.groups) for job in jobs} <= {mark}, "jobs of other images or groups"
    missing = {job.key: job for job in jobs}
    if store:
        store.mkdir(parents=True, exist_ok=True)
        for partial in store.glob(".*.tmp"):  # left by a process that was killed
            partial.unlink()
        for key, job in list(missing.items()):
            content = get(store, key, SUFFIX)
            result = JobResult.from_bytes(content) if content else None
            if result and result.permanent:
                del missing[key]
                yield job, result
            else:
                delete(store, key, SUFFIX)
    if not missing:
        return
    for job, result in executor.run(list(missing.values()), data):
        _check_provenance(result)
        if store:
            put(store, job.key, result.to_bytes(), SUFFIX)
        yield job, result


def _check_provenance(result: JobResult) -> None:
    """Raises UserError when another machine computed this with another version of PyTorch or of the package."""
    here, other = provenance_here(), result.provenance
    if (other.code, other.torch) != (here.code, here.torch):
        raise UserError(
            f"{other.host} has PyTorch {other.torch} and imparfait's code {other.code[:8]}",
            expected=f"PyTorch {here.torch} and code {here.code[:8]}, as on this machine",
            hint="install the same versions on both",
        )


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


@contextmanager
def locked(store: Path | None) -> Iterator[None]:
    """Be the only process that adds jobs to `store`; raises UserError while there is another one."""
    if not store:
        yield
        return
    store.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(store, "running jobs"):
        yield


def serial(jobs: Sequence[Job], data: LabelledImages) -> Finished:
    """One job after the other, in this process."""
    for job in jobs:
        yield job, run_job(job, data)


def processes(jobs: Sequence[Job], data: LabelledImages, workers: int | None = None) -> Finished:
    """Jobs in parallel, by default in as many processes as there are cores for; each worker loads the images once.

    A job whose worker is killed runs again in a new one, up to three times. Each worker is a pool of its own, so that
    it is known which job a lost one had, and the others continue.
    """
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    context.set_forkserver_preload([__name__])  # imported once, not once per worker
    threads = max(job.compute.threads for job in jobs)
    workers = min(workers or max(1, usable_cores() // threads), len(jobs))

    def start_worker() -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, context, _start, (data,))

    waiting, lost = deque(jobs), Counter[str]()
    idle = [start_worker() for _ in range(workers)]
    busy: dict[Future[JobResult], tuple[ProcessPoolExecutor, Job]] = {}
    try:
        while waiting or busy:
            while waiting and idle:
                worker, job = idle.pop(), waiting.popleft()
                try:
                    busy[worker.submit(_work, job)] = worker, job
                except BrokenProcessPool:  # killed while idle
                    idle.append(start_worker())
                    waiting.appendleft(job)
            done, _ = wait(busy, return_when=FIRST_COMPLETED)
            for future in done:
                worker, job = busy.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    worker.shutdown()
                    idle.append(start_worker())
                    lost[job.key] += 1
                    if lost[job.key] < ATTEMPTS:
                        waiting.appendleft(job)
                        continue
                    result = failure(f"its worker was killed {ATTEMPTS} times, perhaps for lack of memory", False)
                else:
                    idle.append(worker)
                yield job, result
    finally:  # also when the caller stops iterating: nobody needs what is running
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            for process in list((worker._processes or {}).values()):
                process.kill()
            worker.shutdown(wait=True, cancel_futures=True)


_data: LabelledImages | None = None


def _start(data: LabelledImages) -> None:
    global _data
    _data = data
    exit_with_parent()
    tune_malloc()


def _work(job: Job) -> JobResult:
    assert _data is not None
    return run_job(job, _data)


def on_ray(jobs: Sequence[Job], data: LabelledImages) -> Finished:
    """Jobs on the Ray cluster that this process has joined; the jobs of a lost node run elsewhere.

    Ray places the jobs, holds the images once per node, and retries what was lost.
    """
    import ray

    images = ray.put(data)
    remote = ray.remote(max_retries=ATTEMPTS - 1)(run_job)
    running = {remote.options(num_cpus=job.compute.threads).remote(job, images): job for job in jobs}
    try:
        while running:
            (done, *_), _ = ray.wait(list(running))
            job = running.pop(done)
            try:
                result = ray.get(done)
            except ray.exceptions.RayError as error:
                result = failure(f"Ray gave up the job: {str(error).splitlines()[0][:200]}", permanent=False)
            yield job, result
    finally:
        for task in running:
            ray.cancel(task, force=True)


EXECUTORS = {"serial": serial, "processes": processes, "ray": on_ray}


def executor_named(name: str | None = None, address: str | None = None, threads: int = 1) -> Executor:
    """The executor called `name` for jobs of `threads` threads; by default `processes` if several jobs fit the cores.

    Raises UserError for an unknown name, when Ray is not installed, and when no Ray cluster answers at `address`.
    """
    fitting = max(1, usable_cores() // threads)
    name = name or ("processes" if fitting > 1 else "serial")
    run = lookup("executor", name, EXECUTORS)
    if address and name != "ray":
        raise UserError(f"--address {address} without a Ray cluster", hint="write --executor ray with it")
    if name != "ray":
        return Executor(name, run, 1 if name == "serial" else fitting)
    if not importlib.util.find_spec("ray"):
        raise UserError("--executor ray: Ray is not installed", hint="write: pip install 'imparfait[ray]'")
    if address:
        _check_address(address)
    return Executor(name, run, max(1, _join(address) // threads))


def _join(address: str | None) -> int:
    """Join the Ray cluster at `address`, or start a local one; returns its number of cores."""
    import ray

    if not ray.is_initialized():
        # "local": a new cluster, also where another program's is or was running
        options = {"address": address} if address else {"address": "local", "num_cpus": usable_cores()}
        try:
            ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, TimeoutError) as error:
            raise UserError(
                f"--address {address}: no Ray cluster answers there",
                hint="`ray start --head` starts one and prints its address",
            ) from error
    return int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]


def _check_address(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"--address {address}", expected="HOST:PORT, as `ray start --head` prints it")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise UserError(
            f"--address {address}: no connection ({error.strerror or error})",
            hint="`ray start --head` starts a cluster and prints its address",
        ) from error
