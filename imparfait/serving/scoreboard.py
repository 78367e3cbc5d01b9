"""Shared memory of a server's processes: the state of each, and its counts."""

import json
import mmap
import os
import tempfile
import time
from collections import defaultdict
from enum import IntEnum

Key = tuple[str, ...]
Counts = defaultdict[Key, float]
KEYS = 1 << 14  # different counts of a process; later ones are not counted
KEY_BYTES = 2 << 20  # the text of their keys
FIELDS = 4  # of a process, before its counts
VALUE_BYTES = 8 * (FIELDS + KEYS)
REGION_BYTES = VALUE_BYTES + KEY_BYTES  # memory is taken only for the pages in use
SILENT_SECONDS = 5.0  # a process that has not been heard of for this time answers nobody


class State(IntEnum):
    """Whether a process accepts connections, and can answer them."""

    ABSENT = 0
    NOT_READY = 1
    READY = 2


class Region:
    """The part of one process. Only this process writes it, 8 bytes at a time, so that others may read it at any time.

    A process that replaces another, which has ended, counts on.
    """

    def __init__(self, memory: mmap.mmap, offset: int):
        region = memoryview(memory)[offset : offset + REGION_BYTES]
        self._values = region[:VALUE_BYTES].cast("d")
        self._text = region[VALUE_BYTES:]
        self._places = {key: place for place, key in enumerate(self._keys(), FIELDS)}

    @property
    def state(self) -> State:
        """What the process has said of itself."""
        return State(int(self._values[0]))

    @property
    def active(self) -> int:
        """Its requests in progress."""
        return int(self._values[1])

    @property
    def silent_seconds(self) -> float:
        """Time since the process was last heard of."""
        return time.monotonic() - self._values[2]

    def report(self, state: State, active: int) -> None:
        """Write the state of the process."""
        self._values[2] = time.monotonic()
        self._values[1] = active
        self._values[0] = state

    def add(self, key: Key, amount: float = 1) -> None:
        """Add to a count."""
        place = self._places.get(key)
        if place is None:
            place = self._new_place(key)
            if place is None:
                return
        self._values[place] += amount

    def counts(self) -> dict[Key, float]:
        """All counts."""
        return {key: self._values[place] for place, key in enumerate(self._keys(), FIELDS)}

    def _keys(self) -> list[Key]:
        text = bytes(self._text[: int(self._values[3])]).decode("ascii")
        return [tuple(json.loads(line)) for line in text.splitlines()]

    def _new_place(self, key: Key) -> int | None:
        line = json.dumps(key).encode("ascii") + b"\n"
        used, place = int(self._values[3]), FIELDS + len(self._places)
        if used + len(line) > KEY_BYTES or place >= FIELDS + KEYS:
            return None
        self._text[used : used + len(line)] = line
        self._values[3] = used + len(line)  # last: a reader sees whole lines
        self._places[key] = place
        return place


class Scoreboard:
    """A region for each process that serves, and one for the process that started them."""

    def __init__(self, workers: int = 1, descriptor: int | None = None):
        """`descriptor`: as `shared_memory` returns it; without it the memory is of this process alone."""
        size = REGION_BYTES * (workers + 1)
        self._memory = mmap.mmap(-1 if descriptor is None else descriptor, size)
        self.regions = [Region(self._memory, REGION_BYTES * number) for number in range(workers)]
        self.supervisor = Region(self._memory, REGION_BYTES * workers)

    def counts(self) -> Counts:
        """The counts of all processes together."""
        total: Counts = defaultdict(float)
        for region in (*self.regions, self.supervisor):
            for key, count in region.counts().items():
                total[key] += count
        return total

    @property
    def present(self) -> int:
        """Number of processes that accept connections."""
        return sum(region.state != State.ABSENT for region in self.regions)

    @property
    def active(self) -> int:
        """Requests in progress."""
        return sum(region.active for region in self.regions)

    def not_ready_reason(self, asking: int) -> str:
        """Why another process than `asking` cannot answer requests; empty where all can.

        One that is absent counts for nothing: the others get its connections.
        """
        for number, region in enumerate(self.regions):
            if number == asking or region.state == State.ABSENT:
                continue
            if region.silent_seconds > SILENT_SECONDS:
                return f"worker {number + 1} has not been heard of for {region.silent_seconds:.0f} s"
            if region.state == State.NOT_READY:
                return f"worker {number + 1} is not ready"
        return ""


def shared_memory(workers: int) -> int:
    """A descriptor of memory for the scoreboard of this number of workers; child processes get it by inheritance."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("imparfait-scoreboard")
    else:
        with tempfile.TemporaryFile() as file:  # which has no name, and ends with its last descriptor
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, REGION_BYTES * (workers + 1))
    return descriptor
