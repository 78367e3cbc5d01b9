"""Random and Bayesian search: asked in rounds, told in trial order, and the same again from the outcomes on disk."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import optuna

from imparfait.core.compute import ComputeConfig
from imparfait.core.rng import seed_of
from imparfait.data.dataset import LabelledImages
from imparfait.data.splits import subsample
from imparfait.models.custom import custom_fingerprint
from imparfait.selection.jobs import Job, JobResult
from imparfait.selection.profiling import FEW, network_of
from imparfait.selection.search_space import Space, Value, values_of, with_values
from imparfait.training.settings import TrainingSettings

ROUND = 4  # trials asked at once, whatever the executor: what is proposed must not depend on how many cores there are
LEADERS, FOLDS = 4, 3  # of the trials, so many are judged on so many folds before one wins
FRESH = 1_000_000  # partitions and seeds from here on are used by no trial
optuna.logging.set_verbosity(optuna.logging.WARNING)


def _bayes(seed: int) -> optuna.samplers.BaseSampler:
    """Optuna's tree-structured Parzen estimator, all settings together; its first ten trials are random ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True)


METHODS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "bayes": _bayes,
}

JobFor = Callable[[TrainingSettings, int, int], Job]
"""The job of some settings on (partition and seed, fold)."""
RunJobs = Callable[[Sequence[Job]], list[JobResult]]
"""The outcomes of jobs, in their order."""


def jobs_on(data: LabelledImages, images: int | None, folds: int, threads: int) -> JobFor:
    """Jobs on `data`, of which `images` are used; precision by the fixed rule, found once for each network."""
    mark, few = data.fingerprint(), subsample(data, FEW)
    machines: dict[str, ComputeConfig] = {}

    def job_for(settings: TrainingSettings, seed: int, number: int) -> Job:
        network = f"{settings.model} {settings.model_args}"
        if network not in machines:
            _, machines[network] = network_of(settings, few, threads)
        return Job(
            data=mark,
            settings=settings.model_copy(update={"seed": settings.seed + seed}),
            network=custom_fingerprint(settings.model),
            compute=machines[network],
            partition=seed,
            folds=folds,
            fold=number,
            images=images,
        )

    return job_for


@dataclass(frozen=True)
class Trial:
    """Settings that were tried, and what came of it."""

    number: int
    values: dict[str, Value]
    settings: TrainingSettings
    folds: tuple[float, ...] = ()
    """The core mean on each fold it was judged on; the first is the holdout of its search."""
    seconds: float = 0.0
    """Of its first fold, training and judging."""
    cause: str = ""

    @property
    def mean(self) -> float:
        """Over its folds; NaN where it failed."""
        return float(np.mean(self.folds)) if self.folds else float("nan")


@dataclass(eq=False)
class Search:
    """One search by one method with one seed, which has its own holdout: ask, run, tell, as often as one likes.

    The first trial is the settings it starts from. Each trial's sampler is seeded from (seed, trial number), and trials
    are told in their order, so that what is proposed depends on the outcomes alone and not on who finished first.
    """

    method: str
    seed: int
    start: TrainingSettings
    space: Space
    trials: list[Trial] = field(default_factory=list)
    winner: Trial | None = None
    confirmed: tuple[JobResult, ...] = ()
    """The winner's outcomes on partitions and seeds that no trial used."""

    def __post_init__(self) -> None:
        self.study = optuna.create_study(direction="maximize")
        own = values_of(self.start, self.space)
        if all(name in own and own[name] in values for name, values in self.space.items()):
            self.study.enqueue_trial(own)

    def ask(self, n: int = ROUND) -> list[Trial]:
        """The next trials to run."""
        expected = {name: values.for_optuna() for name, values in self.space.items()}
        asked = []
        for number in range(len(self.trials), len(self.trials) + n):
            self.study.sampler = METHODS[self.method](seed_of(self.seed, "trial", number) % 2**32)
            values = self.study.ask(expected).params
            asked.append(Trial(number, values, with_values(self.start, values)))
        return asked

    def tell(self, asked: Sequence[Trial], outcomes: Sequence[JobResult]) -> None:
        """What came of the trials that were asked last, in their order."""
        for trial, outcome in zip(asked, outcomes, strict=True):
            if outcome.cause:
                self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                self.trials.append(replace(trial, cause=outcome.cause))
                continue
            self.study.tell(trial.number, outcome.mean)
            seconds = outcome.training_seconds + outcome.judging_seconds
            self.trials.append(replace(trial, folds=(outcome.mean,), seconds=seconds))

    @property
    def cost(self) -> float:
        """Seconds of all its trials."""
        return sum(trial.seconds for trial in self.trials)

    def within(self, cost: float) -> list[Trial]:
        """Its trials up to this cost, at least one."""
        spent = np.cumsum([trial.seconds for trial in self.trials])
        return self.trials[: max(1, int(np.searchsorted(spent, cost * (1 + 1e-9), side="right")))]


def run_trials(
    searches: Sequence[Search], trials: int, job_for: JobFor, run: RunJobs, go_on: Callable[[], bool]
) -> Iterator[int]:
    """Run `trials` of each search, a round of each at a time, side by side; yields how many each has.

    Between two rounds `go_on` is asked whether there is to be another one.
    """
    while (done := len(searches[0].trials)) < trials and go_on():
        asked = [search.ask(min(ROUND, trials - done)) for search in searches]
        jobs = [job_for(t.settings, s.seed, 0) for s, round_ in zip(searches, asked, strict=True) for t in round_]
        outcomes = iter(run(jobs))
        for search, round_ in zip(searches, asked, strict=True):
            search.tell(round_, [next(outcomes) for _ in round_])
        yield len(searches[0].trials)


def choose_winners(searches: Sequence[Search], folds: int, job_for: JobFor, run: RunJobs) -> None:
    """Judge the leading trials of each search on further ones of its `folds`; the highest mean wins.

    Searches with the same seed are given the same cost: what one tried beyond it does not count.
    """
    leading: list[tuple[Search, list[Trial]]] = []
    for search in searches:
        cost = min(other.cost for other in searches if other.seed == search.seed)
        finished = [trial for trial in search.within(cost) if not trial.cause]
        leading.append((search, sorted(finished, key=lambda trial: -trial.mean)[:LEADERS]))
    further = range(1, min(FOLDS, folds))
    places = [(search, trial, number) for search, trials in leading for trial in trials for number in further]
    outcomes = run([job_for(trial.settings, search.seed, number) for search, trial, number in places])
    for (search, trial, _), outcome in zip(places, outcomes, strict=True):
        judged = search.trials[trial.number]
        search.trials[trial.number] = replace(judged, folds=(*judged.folds, outcome.mean))
    for search, trials in leading:
        judged_trials = [search.trials[trial.number] for trial in trials]
        whole = [trial for trial in judged_trials if not np.isnan(trial.mean)]  # one that failed on a fold cannot win
        search.winner = max(whole, key=lambda trial: trial.mean, default=None)


def fresh_places(seeds: int, folds: int) -> list[tuple[int, int]]:
    """(partition and seed, fold) that no trial used."""
    return [(FRESH + seed, number) for seed in range(seeds) for number in range(folds)]


def confirm(searches: Sequence[Search], places: Sequence[tuple[int, int]], job_for: JobFor, run: RunJobs) -> None:
    """Run the winners again on `places` that no trial used: what comes out there is their accuracy."""
    won = [(search, search.winner) for search in searches if search.winner]
    outcomes = iter(run([job_for(winner.settings, *place) for _, winner in won for place in places]))
    for search, _ in won:
        search.confirmed = tuple(next(outcomes) for _ in places)


def conclude(
    searches: Sequence[Search], folds: int, places: Sequence[tuple[int, int]], job_for: JobFor, run: RunJobs
) -> tuple[JobResult, ...]:
    """When all trials are told: winners, and their outcomes on `places` that no trial used.

    Returns those of the settings that the searches started from, on the same places.
    """
    choose_winners(searches, folds, job_for, run)
    confirm(searches, places, job_for, run)
    return tuple(run([job_for(searches[0].start, *place) for place in places]))
