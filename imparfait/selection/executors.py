"""Executors: where jobs run (in this process, in several, on a Ray cluster), with equal results."""

import importlib.util
import logging
import multiprocessing
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from imparfait.core.compute import exit_with_parent, tune_malloc, usable_cores
from imparfait.core.errors import UserError, lookup
from imparfait.core.install import install_hint
from imparfait.core.storage import delete, get, put
from imparfait.selection.any_job import AnyJob, KeptJob

SUFFIX = ".job"
ATTEMPTS = 3  # per job whose worker is killed: a third time is not by chance
AHEAD = 4  # jobs per worker that may be under way, or wait for an earlier one, where results are wanted in order
CONNECT_SECONDS = 1.0  # time limit for connecting to a Ray cluster's address

J = TypeVar("J", bound=AnyJob)
K = TypeVar("K", bound=KeptJob)
Finished = Iterator[tuple[J, Any]]
"""Jobs with their results, in the order in which they finish."""


@dataclass(frozen=True)
class Executor:
    """Where jobs run, and how many at once."""

    name: str
    run: Callable[[Iterable[Any], Any], Finished[Any]]
    """Jobs are taken one by one, when a worker is free; None instead of one says: none until another has finished."""
    workers: int = 1


def run_jobs(jobs: Sequence[K], data: Any, executor: Executor, store: Path | None = None) -> Finished[K]:
    """Each of `jobs` with its result: first those in `store`, then the others as `executor` finishes them.

    A result is on disk before it is yielded, and its job never runs again. Only failures for lack of memory or a lost
    worker are retried by the next call. Equal jobs are run and yielded once. Raises UserError when a result was
    computed by other code than this process has. `data` are the images of the jobs, or hold them.
    """
    mark = (data.fingerprint(), data.grouping())
    assert {(job.data, job.groups) for job in jobs} <= {mark}, "jobs of other images or groups"
    missing = {job.key: job for job in jobs}
    if store:
        store.mkdir(parents=True, exist_ok=True)
        for partial in store.glob(".*.tmp"):  # left by a process that was killed
            partial.unlink()
        for key, job in list(missing.items()):
            if result := stored_result(job, store):
                del missing[key]
                yield job, result
    if not missing:
        return
    for job, result in executor.run(list(missing.values()), data):
        result.provenance.check_like(job.provenance)
        if store:
            put(store, job.key, result.to_bytes(), SUFFIX)
        yield job, result


def stored_result(job: KeptJob, store: Path) -> Any:
    """The result of a job in `store`; None where there is none, and one that is corrupted or to retry is removed."""
    content = get(store, job.key, SUFFIX)
    result = job.read(content) if content else None
    if result and result.permanent:
        return result
    delete(store, job.key, SUFFIX)
    return None


def run_in_order(jobs: Iterable[J], data: Any, executor: Executor) -> Finished[J]:
    """Each of `jobs`, no two of them equal, with its result, in order; only a few are made and kept at a time.

    So memory does not grow with the number of jobs, where `jobs` makes them one by one.
    """
    order, results = deque[J](), dict[J, Any]()

    def source() -> Iterator[J | None]:
        for job in jobs:
            while len(order) >= AHEAD * executor.workers:
                yield None
            order.append(job)
            yield job

    with closing(executor.run(source(), data)) as finished:  # type: ignore[type-var]
        for job, result in finished:
            results[job] = result
            while order and order[0] in results:
                first = order.popleft()
                yield first, results.pop(first)


def serial(jobs: Iterable[J | None], data: Any) -> Finished[J]:
    """One job after the other, in this process."""
    for job in jobs:
        if job is not None:
            yield job, job.run(data)


def processes(jobs: Iterable[J | None], data: Any, workers: int | None = None) -> Finished[J]:
    """Jobs in parallel, by default in as many processes as there are cores for; each worker loads the images once.

    A job whose worker is killed runs again in a new one, up to three times. Each worker is a pool of its own, so that
    it is known which job a lost one had, and the others continue.
    """
    waiting = iter(jobs)
    if (job := next(waiting, None)) is None:
        return
    waiting = chain([job], waiting)
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    context.set_forkserver_preload([__name__, type(job).__module__])  # imported once, not once per worker
    workers = workers or max(1, usable_cores() // job.compute.threads)
    again, lost = deque[J](), Counter[str]()
    idle: list[ProcessPoolExecutor] = []
    busy: dict[Future[Any], tuple[ProcessPoolExecutor, J]] = {}
    try:
        while True:
            while len(busy) < workers and (job := again.popleft() if again else next(waiting, None)) is not None:
                worker = idle.pop() if idle else ProcessPoolExecutor(1, context, _start, (data,))
                try:
                    busy[worker.submit(_work, job)] = worker, job
                except BrokenProcessPool:  # killed while idle
                    worker.shutdown()
                    again.appendleft(job)
            if not busy:
                return
            done, _ = wait(busy, return_when=FIRST_COMPLETED)
            for future in done:
                worker, job = busy.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    worker.shutdown()
                    lost[job.key] += 1
                    if lost[job.key] < ATTEMPTS:
                        again.appendleft(job)
                        continue
                    result = job.failed(f"its worker was killed {ATTEMPTS} times, perhaps for lack of memory")
                else:
                    idle.append(worker)
                yield job, result
    finally:  # also when the caller stops iterating: nobody needs what is running
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            for process in list((worker._processes or {}).values()):
                process.kill()
            worker.shutdown(wait=True, cancel_futures=True)


_data: Any = None


def _start(data: Any) -> None:
    global _data
    _data = data
    exit_with_parent()
    tune_malloc()


def _work(job: AnyJob) -> Any:
    assert _data is not None
    return job.run(_data)


def _run(job: AnyJob, data: Any) -> Any:
    return job.run(data)


def on_ray(jobs: Iterable[J | None], data: Any) -> Finished[J]:
    """Jobs on the Ray cluster that this process has joined; the jobs of a lost node run elsewhere.

    Ray places the jobs, holds the images once per node, and retries what was lost.
    """
    import ray

    images = ray.put(data)
    remote = ray.remote(max_retries=ATTEMPTS - 1)(_run)
    waiting, running = iter(jobs), dict[Any, J]()
    try:
        while True:
            while (job := next(waiting, None)) is not None:
                running[remote.options(num_cpus=job.compute.threads).remote(job, images)] = job
            if not running:
                return
            (done, *_), _ = ray.wait(list(running))
            job = running.pop(done)
            try:
                result = ray.get(done)
            except ray.exceptions.RayError as error:
                result = job.failed(f"Ray gave up the job: {str(error).splitlines()[0][:200]}")
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
        raise UserError("--executor ray: Ray is not installed", hint=install_hint("ray"))
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
