"""Where jobs run: in this process, in several beside it, or on a Ray cluster; their outcomes are equal."""

import importlib.util
import logging
import multiprocessing
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from imparfait.core.compute import exit_with_parent, usable_cores
from imparfait.core.errors import UserError, lookup
from imparfait.core.storage import delete, get, put
from imparfait.data.dataset import LabelledImages
from imparfait.selection.jobs import Job, JobResult, failure, provenance_here, run_job

SUFFIX = ".job"
ATTEMPTS = 3  # of a job whose worker is killed: a third time it is not by chance
ANSWERS_WITHIN = 1.0  # seconds for an address

Runs = Callable[[Sequence[Job], LabelledImages], Iterator[tuple[Job, JobResult]]]
"""Runs jobs on these training images and yields each with its outcome, as they finish."""


@dataclass(frozen=True)
class Executor:
    """Where jobs run, and how many of them at once."""

    name: str
    run: Runs
    at_once: int = 1


def run(jobs: Sequence[Job], data: LabelledImages, store: Path, executor: Executor) -> Iterator[tuple[Job, JobResult]]:
    """Each of `jobs` with its outcome: first those that `store` has, then the others as `executor` finishes them.

    An outcome is on the disk, whole, before it is yielded, and its job is then never run again; only a failure for
    lack of memory or of a worker is tried anew by the next call. Raises UserError when an outcome comes from other
    code than this.
    """
    marks = {job.data for job in jobs} - {data.fingerprint()}
    assert not marks, "jobs of other images"
    store.mkdir(parents=True, exist_ok=True)
    for half_written in store.glob(".*.tmp"):  # by a driver that was killed
        half_written.unlink()
    missing: dict[str, Job] = {}
    for key, job in {job.key: job for job in jobs}.items():
        content = get(store, key, SUFFIX)
        result = JobResult.from_bytes(content) if content else None
        if result and result.permanent:
            yield job, result
        else:
            delete(store, key, SUFFIX)
            missing[key] = job
    if not missing:
        return
    for job, result in executor.run(list(missing.values()), data):
        here, there = provenance_here(), result.provenance
        if (there.code, there.torch) != (here.code, here.torch):
            raise UserError(
                f"{there.host} has PyTorch {there.torch} and imparfait's code {there.code[:8]}, this computer PyTorch "
                f"{here.torch} and code {here.code[:8]}; install the same versions on both"
            )
        put(store, job.key, result.to_bytes(), SUFFIX)
        yield job, result


def here(jobs: Sequence[Job], data: LabelledImages) -> Iterator[tuple[Job, JobResult]]:
    """One job after the other, in this process."""
    for job in jobs:
        yield job, run_job(job, data)


def processes(jobs: Sequence[Job], data: LabelledImages, workers: int | None = None) -> Iterator[tuple[Job, JobResult]]:
    """Jobs side by side, as many as there are cores for; each worker has the images once.

    A job whose worker is killed runs again in a new one, up to three times. Each worker is a pool of its own: where
    one is lost, it is known which job it had, and the others go on.
    """
    there = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in there else "spawn")
    context.set_forkserver_preload([__name__])  # imported once, not once a worker
    threads = max(job.compute.threads for job in jobs)
    workers = min(workers or max(1, usable_cores() // threads), len(jobs))

    def hire() -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, context, _begin_work, (data,))

    waiting, lost = deque(jobs), Counter[str]()
    idle = [hire() for _ in range(workers)]
    busy: dict[Future[JobResult], tuple[ProcessPoolExecutor, Job]] = {}
    try:
        while waiting or busy:
            while waiting and idle:
                worker, job = idle.pop(), waiting.popleft()
                try:
                    busy[worker.submit(_work, job)] = worker, job
                except BrokenProcessPool:  # killed while it had nothing to do
                    idle.append(hire())
                    waiting.appendleft(job)
            done, _ = wait(busy, return_when=FIRST_COMPLETED)
            for future in done:
                worker, job = busy.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    worker.shutdown()
                    idle.append(hire())
                    lost[job.key] += 1
                    if lost[job.key] < ATTEMPTS:
                        waiting.appendleft(job)
                        continue
                    result = failure(f"its worker was killed {ATTEMPTS} times, perhaps for lack of memory", False)
                else:
                    idle.append(worker)
                yield job, result
    finally:  # also when the caller stops listening: what is under way is of no more use
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            for process in list((worker._processes or {}).values()):
                process.kill()
            worker.shutdown(wait=True, cancel_futures=True)


_pictures: LabelledImages | None = None


def _begin_work(data: LabelledImages) -> None:
    global _pictures
    _pictures = data
    exit_with_parent()


def _work(job: Job) -> JobResult:
    assert _pictures is not None
    return run_job(job, _pictures)


def on_ray(jobs: Sequence[Job], data: LabelledImages) -> Iterator[tuple[Job, JobResult]]:
    """Jobs on the Ray cluster that this process has joined; a lost node's jobs run elsewhere.

    Thin over Ray: it places the jobs, holds the images once a node, and retries what was lost.
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
                result = failure(f"Ray gave it up: {str(error).splitlines()[0][:200]}", permanent=False)
            yield job, result
    finally:
        for task in running:
            ray.cancel(task, force=True)


EXECUTORS: dict[str, Runs] = {"here": here, "processes": processes, "ray": on_ray}


def executor_named(name: str | None = None, address: str | None = None, threads: int = 1) -> Executor:
    """The executor of that name for jobs of so many threads; without one, `processes` where there is room for several.

    Raises UserError when it is not installed, and when nobody answers at a Ray cluster's `address`.
    """
    room = max(1, usable_cores() // threads)
    name = name or ("processes" if room > 1 else "here")
    runs = lookup("engine", name, EXECUTORS)
    if address and name != "ray":
        raise UserError(f"--address {address} is for a Ray cluster; write --executor ray with it")
    if name != "ray":
        return Executor(name, runs, 1 if name == "here" else room)
    if not importlib.util.find_spec("ray"):
        raise UserError("--executor ray needs Ray, which is not installed; write: pip install 'imparfait[ray]'")
    if address:
        _check_answers(address)
    cores = _join(address)
    return Executor(name, runs, max(1, cores // threads))


def _join(address: str | None) -> int:
    """Join the Ray cluster at `address`, or start one here; how many cores it has."""
    import ray

    if not ray.is_initialized():
        # "local": one of its own, also where another program's cluster is or was running
        told = {"address": address} if address else {"address": "local", "num_cpus": usable_cores()}
        try:
            ray.init(**told, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, TimeoutError) as error:
            raise UserError(
                f"--address {address}: what answers is no Ray cluster; `ray start --head` prints the address of one"
            ) from error
    return int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]


def _check_answers(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"--address {address}: expected HOST:PORT, as `ray start --head` prints it")
    try:
        socket.create_connection((host, int(port)), ANSWERS_WITHIN).close()
    except OSError as error:
        raise UserError(
            f"--address {address}: nobody answers there ({error.strerror or error}); "
            "`ray start --head` on one computer starts a cluster and prints its address"
        ) from error
