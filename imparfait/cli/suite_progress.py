"""How far evaluations on suites are: a bar with the mean accuracy so far, and what Ctrl-C leaves."""

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

import click

from imparfait.cli import console
from imparfait.cli.signals import Stopped
from imparfait.core.counts import counted

if TYPE_CHECKING:
    from imparfait.core.types import Watch
    from imparfait.evaluation.scores import ConditionResult


@dataclass
class SuiteProgress:
    """The conditions that are finished, of all models together."""

    finished: int = 0

    def watch(self, title: str) -> "Watch":
        """A `Watch` of the results of one model, with a bar."""
        from imparfait.reports.text import percent

        def over(results: "Iterable[ConditionResult]", total: int) -> "Iterator[ConditionResult]":
            accuracies = 0.0
            with console.bar(title, total) as (progress, task):
                for count, result in enumerate(results, 1):
                    self.finished += 1
                    accuracies += result.score.accuracy
                    said = f"{title}: {percent(accuracies / count)} on {count} of {total} conditions"
                    progress.update(task, completed=count, description=console.plain(said))
                    yield result

        return over

    def say(self, sentence: str) -> None:
        """Print it on stderr."""
        click.echo(console.plain(sentence), err=True)

    @contextmanager
    def saved(self) -> Iterator[None]:
        """Raises Stopped on Ctrl-C and SIGTERM, at once: finished conditions are kept."""
        received = [signal.SIGINT]

        def interrupt(number: int, frame: FrameType | None) -> None:
            received[0] = signal.Signals(number)
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGTERM, interrupt)
        try:
            yield
        except KeyboardInterrupt as error:
            kept = f"{counted(self.finished, 'condition')} finished and kept, {console.CONTINUES}"
            said = kept if self.finished else "no condition was finished"
            raise Stopped(f"stopped; {said}", 128 + received[0]) from error
        finally:
            signal.signal(signal.SIGTERM, before)
