"""Jobs in threads: the ones in progress, and whether one of them is stuck."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")
GRACE_SECONDS = 5.0  # after a request's time limit, in which its work usually ends


class Jobs:
    """The jobs that wait for a thread or run in one. A waiting job ends with its request, a running one goes on."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: the time limit of a response."""
        self._stuck_after = seconds + GRACE_SECONDS
        self._started: dict[Future[Any], float] = {}

    @property
    def busy(self) -> bool:
        """Whether a thread is still working, even on a request that has timed out."""
        return bool(self._started)

    @property
    def stuck(self) -> str:
        """Why the server cannot answer: a job that should have ended long ago; empty where there is none."""
        oldest = time.monotonic() - min(list(self._started.values()), default=time.monotonic())
        return f"a thread has been busy for {oldest:.0f} s with one image" if oldest > self._stuck_after else ""

    async def run(self, executor: Executor, job: Callable[[], T], watched: bool = True) -> T:
        """The result of a job in a thread of `executor`; `watched`: whether it ends soon unless it is stuck."""
        future = executor.submit(job)
        self._started[future] = time.monotonic() if watched else float("inf")
        future.add_done_callback(lambda done: self._started.pop(done, None))
        return await asyncio.wrap_future(future)
