"""`imparfait serve` in its own process, and its workers."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from helpers.server import Address


def children(process: int) -> list[int]:
    """The processes that a process has started, the oldest first."""
    found = [Path(task, "children").read_text().split() for task in Path(f"/proc/{process}/task").iterdir()]
    return sorted(int(child) for each in found for child in each)


def printed_address(process: subprocess.Popen[str]) -> str:
    """The address in the first line that the command prints."""
    assert process.stdout
    line = process.stdout.readline()
    address = re.search(r"http://\S+", line)
    assert address, line
    return address[0]


@dataclass(frozen=True)
class Served(Address):
    """A running command."""

    process: subprocess.Popen[str]

    def workers(self) -> list[int]:
        """The processes of its workers."""
        return children(self.process.pid)

    def said(self) -> str:
        """The next line on stderr."""
        assert self.process.stderr
        return self.process.stderr.readline()


def arguments(model: str, *flags: str) -> list[str]:
    """The command that serves a model."""
    return [sys.executable, "-m", "imparfait", "serve", model, *flags]


@contextmanager
def served(model: str, *flags: str) -> Iterator[Served]:
    """The command, once it listens; killed at the end of the block."""
    command = arguments(model, "--port", "0", *flags)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            yield Served(int(line.split(" (")[0].rpartition(":")[2]), process)
        finally:
            process.kill()
