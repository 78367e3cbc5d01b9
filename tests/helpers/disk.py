"""A disk that fails at a chosen step of a save."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

STEPS_OF_A_SAVE = ("open", "write", "fsync", "close", "replace", "unlink")


class Crash(BaseException):
    """The process ends here."""


class Disk:
    """Ends the process at the `at`-th call to the system of a save: before it, after it, or in the middle of a write.

    It also knows what a power cut would take: what was written into a file and not yet flushed.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, when: str):
        self.calls, self.at, self.when = 0, at, when
        self.paths: dict[int, Path] = {}
        self.unflushed: set[Path] = set()
        for name in STEPS_OF_A_SAVE:
            monkeypatch.setattr(os, name, self._step(name, getattr(os, name)))

    def _step(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*words: Any, **more: Any) -> Any:
            self.calls += 1
            here = self.calls == self.at
            if here and self.when == "before":
                raise Crash
            if here and self.when == "half" and name == "write":
                call(words[0], words[1][: len(words[1]) // 2])
                raise Crash
            result = call(*words, **more)
            self._note(name, words, result)
            if here and self.when == "after":
                raise Crash
            return result

        return step

    def _note(self, name: str, words: tuple[Any, ...], result: Any) -> None:
        if name == "open":
            self.paths[result] = Path(words[0])
        elif name == "write":
            self.unflushed.add(self.paths[words[0]])
        elif name == "fsync":
            self.unflushed.discard(self.paths[words[0]])
        elif name == "replace" and Path(words[0]) in self.unflushed:
            self.unflushed |= {Path(words[1])}

    def cut_power(self) -> None:
        for path in self.unflushed:
            if path.exists():
                path.write_bytes(b"\0" * (path.stat().st_size // 3))


@contextmanager
def crash(at: int, when: str) -> Iterator[Disk]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Disk(monkeypatch, at, when)
