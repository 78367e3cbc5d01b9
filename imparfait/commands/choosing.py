"""Cells behind a progress bar, kept as they finish."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from imparfait.cells import Cell, Outcome
from imparfait.commands import show
from imparfait.commands.stopping import Stopped
from imparfait.datasets.labelled import LabelledImages
from imparfait.engines import Engine, run
from imparfait.store import only_here

CELLS = "cells"  # the store of outcomes, beside the runs


def run_shown(
    cells: Sequence[Cell], data: LabelledImages, out: Path, engine: Engine, what: str, seconds: Sequence[float]
) -> list[Outcome]:
    """The outcome of each cell; `seconds` are what each takes, for the time left.

    Raises Stopped on Ctrl-C and SIGTERM, with every finished cell kept.
    """
    expected = dict(zip((cell.key for cell in cells), seconds, strict=True))
    outcomes: dict[str, Outcome] = {}
    with show.bar(what, sum(expected.values())) as (progress, task):
        try:
            for cell, outcome in run(cells, data, out / CELLS, engine):
                outcomes[cell.key] = outcome
                done = f"{what}: {len(outcomes)} of {len(expected)} cells"
                progress.update(task, advance=expected[cell.key], description=done)
        except KeyboardInterrupt as error:
            raise Stopped(
                f"stopped; {len(outcomes)} of {len(expected)} cells are kept, the same command goes on from there",
                128 + signal.SIGINT,
            ) from error
    return [outcomes[cell.key] for cell in cells]


@contextmanager
def alone(out: Path, doing: str) -> Iterator[None]:
    """The only process that adds cells in `out`; SIGTERM ends it as Ctrl-C does."""
    store = out / CELLS
    store.mkdir(parents=True, exist_ok=True)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with only_here(store, doing):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)
