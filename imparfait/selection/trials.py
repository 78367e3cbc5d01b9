"""Trials of a hyperparameter search, proposed by random sampling or Bayesian optimisation (TPE)."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import optuna

from imparfait.core.rng import seed_of
from imparfait.selection.jobs import JobResult
from imparfait.selection.search_space import Space, Value, values_of, with_values
from imparfait.training.settings import TrainingSettings

ROUND_TRIALS = 4  # proposed at once, whatever the executor: proposals must not depend on the number of cores


def _tpe(seed: int) -> optuna.samplers.BaseSampler:
    """Optuna's tree-structured Parzen estimator over all settings jointly; its first ten trials are random."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True)


METHODS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "bayes": _tpe,
}


@dataclass(frozen=True)
class Trial:
    """Settings that were tried, with their accuracies."""

    number: int
    values: dict[str, Value]
    """The settings that the search varies."""
    settings: TrainingSettings
    folds: tuple[float | None, ...] = ()
    """The accuracy on each fold, first the search's own; None where a further fold failed, empty for a failed trial."""
    seconds: float = 0.0
    """Training and evaluation of its first fold."""
    cause: str = ""
    """Why it failed."""

    @property
    def holdout(self) -> float | None:
        """The accuracy on the search's own fold, by which later trials are proposed; None for a failed trial."""
        return self.folds[0] if self.folds else None

    @property
    def mean(self) -> float | None:
        """The mean over its folds; None where one of them failed."""
        accuracies = [accuracy for accuracy in self.folds if accuracy is not None]
        return float(np.mean(accuracies)) if accuracies and len(accuracies) == len(self.folds) else None


@dataclass(eq=False)
class Search:
    """One search by one method with one seed, which has its own fold: ask for trials, run them, tell their results.

    The first trial is the starting settings. Each trial's sampler is seeded by (seed, trial number), and results are
    reported in trial order: proposals depend on the results alone, not on which job finished first.
    """

    method: str
    seed: int
    start: TrainingSettings
    space: Space
    trials: list[Trial] = field(default_factory=list)
    winner: Trial | None = None
    confirmed: tuple[JobResult, ...] = ()
    """The winner's results on splits and seeds that no trial used."""

    def __post_init__(self) -> None:
        self.study = new_study()
        own = values_of(self.start, self.space)
        if all(name in own and own[name] in values for name, values in self.space.items()):
            self.study.enqueue_trial(own)

    def ask(self, n: int = ROUND_TRIALS) -> list[Trial]:
        """The next trials to run."""
        distributions = {name: values.for_optuna() for name, values in self.space.items()}
        asked = []
        for number in range(len(self.trials), len(self.trials) + n):
            self.study.sampler = METHODS[self.method](seed_of(self.seed, "trial", number) % 2**32)
            values = self.study.ask(distributions).params
            asked.append(Trial(number, values, with_values(self.start, values)))
        return asked

    def tell(self, asked: Sequence[Trial], results: Sequence[JobResult]) -> None:
        """The results of the trials that were asked for last, in their order."""
        for trial, result in zip(asked, results, strict=True):
            if result.mean is None:
                self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                self.trials.append(replace(trial, cause=result.cause))
                continue
            self.study.tell(trial.number, result.mean)
            seconds = result.training_seconds + result.evaluation_seconds
            self.trials.append(replace(trial, folds=(result.mean,), seconds=seconds))

    @property
    def cost_seconds(self) -> float:
        """Seconds of all its trials."""
        return sum(trial.seconds for trial in self.trials)

    def within(self, cost_seconds: float) -> list[Trial]:
        """Its trials up to this cost, at least one."""
        spent = np.cumsum([trial.seconds for trial in self.trials])
        return self.trials[: max(1, int(np.searchsorted(spent, cost_seconds * (1 + 1e-9), side="right")))]


def new_study() -> optuna.Study:
    """An Optuna study that maximises, created without a log line."""
    with _quiet():
        return optuna.create_study(direction="maximize")


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna logs warnings only, for the block."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
