"""Signals as a request to stop after the current step, when everything can be saved."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Of Ctrl-C, of the system, and of a terminal that is closed, which Windows does not have."""


class Stopped(Exception):  # noqa: N818 - not an error: the user asked for it
    """The user or the system asked to stop, and everything is saved; `code` is the exit code shells expect."""

    def __init__(self, sentence: str, code: int):
        super().__init__(sentence)
        self.code = code


@dataclass
class Stop:
    """A request to stop: `signal` is the number of the signal received, or 0."""

    signal: int = 0

    @property
    def code(self) -> int:
        """The exit code of a process ended by this signal."""
        return 128 + self.signal


@contextmanager
def stopped_at_once(sentence: Callable[[], str]) -> Iterator[None]:
    """Raises Stopped with `sentence()` at once on Ctrl-C and SIGTERM; for what is saved step by step."""
    stop = Stop(signal.SIGINT)

    def interrupt(number: int, frame: FrameType | None) -> None:
        stop.signal = number
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt as error:
        raise Stopped(sentence(), stop.code) from error
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def asked_to_stop() -> Iterator[Stop]:
    """A `Stop` that notes the first of SIGNALS; the second ends the process as usual."""
    stop = Stop()
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def note(number: int, frame: FrameType | None) -> None:
        stop.signal = number
        for known, handler in before.items():
            signal.signal(known, handler)

    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # as in a shell's background jobs, and of SIGHUP after nohup: keep that
            signal.signal(number, note)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
