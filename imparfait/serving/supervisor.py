"""The supervisor of a server with several workers: it starts, restarts, reloads and ends them."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from imparfait.core.errors import UserError
from imparfait.serving.metrics import RESTARTS
from imparfait.serving.scoreboard import Scoreboard, State, shared_memory
from imparfait.serving.settings import ServingSettings

MAX_ENDS, WITHIN_SECONDS = 5, 60.0  # a worker that ends more often ends the server
KILL_SECONDS = 5.0  # after the grace period, in which a worker ends by itself
AT_ONCE_SECONDS = 1.0  # the same after a second signal
ENDED = "it has ended"
PROGRAM = """
import sys
sys.path[:] = {path!r}
from imparfait.serving.worker import main
main({control}, {listener}, {memory})
"""


@dataclass(eq=False)
class Worker:
    """A running worker process."""

    number: int
    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    is_listening: bool = False
    failure: str = ""
    """Why it could not start."""
    loaded: "asyncio.Future[str]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Why it cannot replace its model, or an empty string."""
    finished: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Done once it uses the model that it loaded, or has ended."""

    def tell(self, **message: object) -> None:
        """Send it a message."""
        self.writer.write(json.dumps(message).encode() + b"\n")

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def load_again(self) -> str:
        """Let it load its model again; why it could not, or an empty string."""
        if not self.is_listening:
            return ENDED
        self.loaded = asyncio.get_running_loop().create_future()
        self.tell(do="load")
        return await self.loaded

    async def finish_reload(self, failure: str) -> None:
        """Let it use the model that it has loaded, or with a `failure` keep the old one; returns once it does."""
        if self.is_listening:
            self.finished = asyncio.get_running_loop().create_future()
            self.tell(do="finish", failure=failure)
            await self.finished

    async def read_messages(self, on_listening: Callable[[], None]) -> None:
        """Handle its messages until it ends."""
        with suppress(OSError):
            async for line in self.reader:
                match json.loads(line):
                    case {"listening": True}:
                        self.is_listening = True
                        on_listening()
                    case {"failed": failure}:
                        self.failure = failure
                    case {"loaded": failure}:
                        self.loaded.set_result(failure)
                    case {"finished": True}:
                        self.finished.set_result(None)
        self.is_listening = False
        if not self.loaded.done():
            self.loaded.set_result(ENDED)
        if not self.finished.done():
            self.finished.set_result(None)
        self.writer.close()


class Supervisor:
    """Keeps `settings.workers` processes that serve a model on one listening socket.

    The socket is shared: what a worker that ends has not accepted, another accepts. The supervisor loads no model.
    """

    def __init__(self, model: str, trust: bool, settings: ServingSettings, listener: socket.socket):
        self._start_message = {"model": model, "trust": trust, "settings": settings.model_dump()}
        self._settings, self._listener = settings, listener
        self._memory = shared_memory(settings.workers)
        self._board = Scoreboard(settings.workers, self._memory)
        self._workers: dict[int, Worker] = {}
        self._is_started = False
        self._ending = asyncio.Event()
        self._error: BaseException | None = None
        self._kill: asyncio.TimerHandle | None = None

    def run(self, on_started: Callable[[], None]) -> None:
        """Serve until SIGTERM or Ctrl-C, then let the workers finish their requests.

        Calls `on_started` once all workers listen. Raises UserError if the model cannot be served.
        """
        self._on_started = on_started
        try:
            asyncio.run(self._run())
        finally:
            os.close(self._memory)
        if self._error:
            raise self._error

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        self._reload_lock, self._retry = asyncio.Lock(), asyncio.Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._start_reload)
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._settings.workers):
                tasks.create_task(self._keep(number))
        if self._kill:
            self._kill.cancel()

    async def _keep(self, number: int) -> None:
        """Run one worker after the other until the server ends."""
        ends: deque[float] = deque(maxlen=MAX_ENDS)
        while not self._ending.is_set():
            worker = self._workers[number] = await self._start(number)
            if self._ending.is_set():
                worker.signal(signal.SIGTERM)
            await worker.read_messages(self._worker_listens)
            code = await worker.process.wait()
            del self._workers[number]
            self._board.regions[number].report(State.ABSENT, 0)
            if self._ending.is_set():
                return
            if worker.failure:
                await self._wait_for_reload(worker)
                continue
            reason = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
            if code:
                ends.append(time.monotonic())
            if len(ends) == MAX_ENDS and ends[-1] - ends[0] < WITHIN_SECONDS:
                _say(f"worker {number + 1} has ended {MAX_ENDS} times within a minute, at last {reason}")
                self._end(SystemExit(1))
                return
            _say(f"worker {number + 1} ended {reason}; it is started again")
            self._board.supervisor.add(RESTARTS)

    async def _start(self, number: int) -> Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            descriptors = {"control": theirs.fileno(), "listener": self._listener.fileno(), "memory": self._memory}
            path = [str(Path(entry).absolute()) for entry in sys.path]
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-c", PROGRAM.format(path=path, **descriptors)),
                pass_fds=[*descriptors.values()],
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C goes to the supervisor only, which lets the workers finish
            )
        worker = Worker(number, process, *await asyncio.open_unix_connection(sock=ours))
        worker.tell(number=number, **self._start_message)
        return worker

    async def _wait_for_reload(self, worker: Worker) -> None:
        """Leave a worker out whose model cannot be loaded, until SIGHUP; the others have loaded theirs."""
        if not self._is_started or not self._listening:
            self._end(UserError(worker.failure))
            return
        _say(f"worker {worker.number + 1} cannot start again: {worker.failure}; the others go on; SIGHUP tries again")
        self._retry.clear()
        await self._retry.wait()

    @property
    def _listening(self) -> list[Worker]:
        return [worker for _, worker in sorted(self._workers.items()) if worker.is_listening]

    def _worker_listens(self) -> None:
        if not self._is_started and len(self._listening) == self._settings.workers:
            self._is_started = True
            self._on_started()

    def _stop(self) -> None:
        """On the first signal end gracefully, on the second at once."""
        if not self._ending.is_set():
            self._end()
            return
        for worker in self._workers.values():
            worker.tell(do="exit")
        self._kill_after(AT_ONCE_SECONDS)

    def _end(self, error: BaseException | None = None) -> None:
        """Let every worker finish its requests."""
        if self._ending.is_set():
            return
        self._ending.set()
        self._error = error
        self._listener.close()  # else the kernel would accept clients after the workers have ended
        self._retry.set()
        for worker in self._workers.values():
            worker.signal(signal.SIGTERM)
        self._kill_after(self._settings.drain_seconds + KILL_SECONDS)

    def _kill_after(self, seconds: float) -> None:
        def kill() -> None:
            for worker in self._workers.values():
                worker.signal(signal.SIGKILL)

        if self._kill:
            self._kill.cancel()
        self._kill = asyncio.get_running_loop().call_later(seconds, kill)

    def _start_reload(self) -> None:
        self._reloading = asyncio.create_task(self._reload())

    async def _reload(self) -> None:
        """Let all workers load the model again; they use it only if all have loaded it."""
        async with self._reload_lock:
            workers = self._listening
            answers = await asyncio.gather(*(worker.load_again() for worker in workers))
            numbers: dict[str, list[int]] = defaultdict(list)
            for worker, answer in zip(workers, answers, strict=True):
                if answer:
                    numbers[answer].append(worker.number + 1)
            failure = "; ".join(f"{_workers(each)}: {answer}" for answer, each in numbers.items())
            await asyncio.gather(*(worker.finish_reload(failure) for worker in workers))
            if workers:
                loaded = _workers([worker.number + 1 for worker in workers])
                _say(f"not reloaded: {failure}" if failure else f"reloaded by {loaded}")
            self._retry.set()


def _workers(numbers: list[int]) -> str:
    return f"worker{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def _say(sentence: str) -> None:
    print(f"imparfait: {sentence}", file=sys.stderr, flush=True)
