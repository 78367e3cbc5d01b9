"""How far evaluations on suites are: a bar to the end of the report, and what Ctrl-C leaves."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from imparfait.cli import console
from imparfait.cli.signals import stopped_at_once
from imparfait.core.counts import counted

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from imparfait.core.types import Watch
    from imparfait.evaluation.scores import ConditionResult


@dataclass
class SuiteProgress:
    """One bar for the conditions of all models together, and the report that is drawn after them."""

    models: int = 1
    report: bool = False
    """Whether a report is drawn inside of `saved`."""
    finished: int = 0
    _bar: "tuple[Progress, TaskID] | None" = None
    _open: ExitStack = field(default_factory=ExitStack)

    def watch(self, title: str) -> "Watch":
        """A `Watch` of the results of one model, with the bar."""
        from imparfait.reports.text import percent

        def over(results: "Iterable[ConditionResult]", total: int) -> "Iterator[ConditionResult]":
            accuracies, shown = 0.0, console.plain(title)
            progress, task = self._shown(title, total)
            for count, result in enumerate(results, 1):
                self.finished += 1
                accuracies += result.score.accuracy
                said = f"{shown}: {percent(accuracies / count)} on {count} of {counted(total, 'condition')}"
                progress.update(task, completed=self.finished, description=said)
                yield result
            if self.finished == self.models * total and self.report:
                progress.update(task, description=f"{shown}: drawing the report")

        return over

    def _shown(self, title: str, conditions: int) -> "tuple[Progress, TaskID]":
        """The bar, which is opened for the first model."""
        if not self._bar:
            from imparfait.cli.progress import REPORT_SHARE

            total = self.models * conditions * (1 + REPORT_SHARE * self.report)
            self._bar = self._open.enter_context(console.bar(title, total))
        return self._bar

    def say(self, sentence: str) -> None:
        """Print it on stderr."""
        click.echo(console.plain(sentence), err=True)

    @contextmanager
    def saved(self) -> Iterator[None]:
        """Raises Stopped on Ctrl-C and SIGTERM, at once: finished conditions are kept."""
        with stopped_at_once(self._stopped), self._open:
            yield

    def _stopped(self) -> str:
        kept = f"{counted(self.finished, 'condition')} finished and kept, {console.CONTINUES}"
        return f"stopped; {kept if self.finished else 'no condition was finished'}"
