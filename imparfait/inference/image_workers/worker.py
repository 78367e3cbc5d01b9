"""One image worker, seen from the process that uses it: a job, its parts, and why it ended."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from imparfait.core.errors import UserError
from imparfait.core.types import Pixels, Probabilities
from imparfait.data.images.limits import TooLargeError
from imparfait.evaluation.external.sandbox.client import printable_line
from imparfait.evaluation.external.sandbox.protocol import ProtocolError
from imparfait.inference.image_workers import transfer


@dataclass(frozen=True)
class WorkerLimits:
    """What the work on one image file may use; by default, enough for a page with thousands of digits."""

    cpu_seconds: float = 20.0
    seconds: float = 120.0
    """Wall-clock time; where the computer is busy, processor time takes longer."""
    memory_bytes: int = 1 << 30
    """In addition to what the program uses."""
    of_each_page: bool = True
    """Whether the limits of time hold for each page of a file, not for the whole file."""


class WorkLimitError(UserError):
    """The work on an image has reached a limit of memory or time."""


class Worker:
    """One child process, which works on one file."""

    def __init__(self, channel: socket.socket, end: Callable[[], int], limits: WorkerLimits) -> None:
        self._channel, self._end, self._limits = channel, end, limits
        self._is_open = True

    def run(
        self, kind: str, job: dict[str, Any], name: str, predict: Callable[[Pixels], Probabilities] | None
    ) -> Iterator[Any]:
        """The parts of the job's result; raises UserError for a file that is refused or reaches a limit."""
        limits = self._limits
        deadline, predicting = time.monotonic() + limits.seconds, 0.0
        job |= {"cpu_seconds": limits.cpu_seconds, "of_each_page": limits.of_each_page}
        try:
            transfer.send(self._channel, kind, job, deadline)
            while (answer := transfer.receive(self._channel, deadline))[0] in (transfer.PART, transfer.PREDICT):
                if answer[0] == transfer.PART:
                    yield answer[1]
                    if limits.of_each_page:
                        deadline, predicting = time.monotonic() + limits.seconds, 0.0
                elif predict:
                    start = time.thread_time()
                    probabilities = predict(answer[1])
                    predicting += time.thread_time() - start
                    if predicting > limits.cpu_seconds:
                        raise self._too_long(name)
                    transfer.send(self._channel, transfer.PROBABILITIES, probabilities, deadline)
        except TimeoutError:
            raise WorkLimitError(
                f"{name}: takes longer than {limits.seconds:g} s", hint="give a smaller image"
            ) from None
        except ProtocolError as error:
            raise UserError(f"{name}: makes its process send nonsense", hint="do not trust it") from error
        except (EOFError, OSError) as error:
            raise self._ended(name) from error
        self._check(name, *answer)

    def _check(self, name: str, kind: str, value: Any) -> None:
        """Raises UserError where a job did not end as it should."""
        if kind == transfer.REFUSED:
            received, expected, hint, too_large = value
            error = UserError(received, expected=expected, hint=hint)
            raise error from (TooLargeError(received) if too_large else None)
        if kind == transfer.OUT_OF_MEMORY:
            raise too_much_memory(name, self._limits)
        if kind != transfer.DONE:
            raise UserError(f"{name}: cannot be decoded ({printable_line(str(value))})", hint="save it as PNG")

    def _too_long(self, name: str) -> WorkLimitError:
        seconds = self._limits.cpu_seconds
        return WorkLimitError(f"{name}: takes more than {seconds:g} s of processor time", hint="give a smaller image")

    def _ended(self, name: str) -> UserError:
        """Why a process is gone."""
        status = self.end()
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if number in (signal.SIGPROF, signal.SIGXCPU):
            return self._too_long(name)
        if os.WIFEXITED(status):  # it could not even take the job
            return too_much_memory(name, self._limits)
        return UserError(f"{name}: ends its process (signal {number})", hint="save it as PNG")

    def end(self) -> int:
        """Kill the process; its wait status."""
        if not self._is_open:
            return 0
        self._is_open = False
        self._channel.close()
        with contextlib.suppress(UserError):  # the forking process has ended, and its children with it
            return self._end()
        return 0


def too_much_memory(name: str, limits: WorkerLimits) -> WorkLimitError:
    """The error for a file that reaches the limit of memory."""
    most = limits.memory_bytes >> 20
    return WorkLimitError(f"{name}: needs more than {most} MiB of memory", hint="give a smaller image, or a JPEG")
