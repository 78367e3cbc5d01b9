"""The result of a hyperparameter search: the winner with an unbiased accuracy, and how the methods compare."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import optuna
from jaxtyping import Float

from imparfait.core.compute import ComputeConfig
from imparfait.evaluation.intervals import Interval
from imparfait.evaluation.statistics import Difference, Verdict
from imparfait.selection.comparison import mean_of, verdict_json, verdict_of
from imparfait.selection.intervals import AllImages, all_images, by_group, source_interval
from imparfait.selection.jobs import JobResult
from imparfait.selection.search_space import Space
from imparfait.selection.trials import Search, Trial, new_study
from imparfait.training.settings import TrainingSettings

TRIALS_PER_SETTING = (
    5  # for importances: a rule of thumb, as for regressions; from fewer they follow the luck of the trials
)
ENOUGH_REPEATS = 10  # with fewer, one method against another is described, not tested
FOUND = "the settings found"


@dataclass(frozen=True)
class MethodComparison:
    """Accuracy of one method's winners minus another's, repeat by repeat at equal cost."""

    first: str
    second: str
    differences: tuple[float, ...]
    """Second minus first, for the repeats in which both have a confirmed winner."""

    @property
    def difference(self) -> Difference | None:
        """The paired t test; None with fewer than two repeats."""
        n = len(self.differences)
        if n < 2:
            return None
        return Difference(float(np.mean(self.differences)), float(np.std(self.differences, ddof=1)) / n**0.5, n - 1)

    @property
    def is_tested(self) -> bool:
        """Whether there are enough repeats for a test."""
        return len(self.differences) >= ENOUGH_REPEATS


@dataclass(frozen=True, eq=False)
class SearchResult:
    """Finished searches from the same settings in the same space."""

    name: str
    """Of the candidate whose settings the searches started from."""
    start: TrainingSettings
    space: Space
    searches: Sequence[Search]
    start_results: tuple[JobResult, ...]
    """Results of the starting settings on splits and seeds that no trial used."""
    fit: int
    """Images that each job trained on."""
    held_out: int
    """Images that each job was evaluated on."""
    compute: ComputeConfig

    @property
    def methods(self) -> dict[str, list[Search]]:
        """The searches by method."""
        names = dict.fromkeys(search.method for search in self.searches)
        return {name: [search for search in self.searches if search.method == name] for name in names}

    @property
    def best(self) -> tuple[Search, Trial] | None:
        """The search whose winner has the highest mean among its own trials, with that winner; None if none finished.

        Chosen by what the searches saw, not by the confirmation, which therefore stays unbiased.
        """
        won = [(search, search.winner) for search in self.searches if search.winner]
        return max(won, key=lambda pair: pair[1].mean or 0.0, default=None)

    @property
    def accuracy(self) -> float | None:
        """The winner's accuracy on fresh splits, the only one that is reported; None where all those jobs failed."""
        return mean_of(self.best[0].confirmed) if self.best else None

    @property
    def start_accuracy(self) -> float | None:
        """The accuracy of the starting settings on the same splits."""
        return mean_of(self.start_results)

    @property
    def interval(self) -> Interval | None:
        """Its 95 % interval by source: how far it depends on the images that these networks were evaluated on."""
        finished = [result for result in self.best[0].confirmed if not result.cause] if self.best else []
        return source_interval(finished) if finished else None

    @property
    def all_images(self) -> AllImages | None:
        """Its accuracy on all images of those splits; None without groups."""
        return all_images([result for result in self.best[0].confirmed if not result.cause]) if self.best else None

    @property
    def verdict(self) -> Verdict | None:
        """Whether the winner is better than the starting settings, on splits that no trial used."""
        if not self.best:
            return None
        pairs = zip(self.best[0].confirmed, self.start_results, strict=True)
        both = [(found, start) for found, start in pairs if not found.cause and not start.cause]
        ahead = by_group([found for found, _ in both], [(f.mean or 0.0) - (s.mean or 0.0) for f, s in both])
        return verdict_of((FOUND, self.name), ahead, self.held_out / self.fit) if len(ahead) > 1 else None

    @property
    def method_comparison(self) -> MethodComparison | None:
        """The first two methods against each other; None for a single method."""
        if len(self.methods) < 2:
            return None
        (one, first), (other, second) = list(self.methods.items())[:2]
        pairs = [(mean_of(a.confirmed), mean_of(b.confirmed)) for a, b in zip(first, second, strict=True)]
        return MethodComparison(one, other, tuple(b - a for a, b in pairs if a is not None and b is not None))

    @property
    def trial_causes(self) -> list[str]:
        """Of each trial why it failed, or nothing."""
        return [trial.cause for search in self.searches for trial in search.trials]

    @property
    def confirmation_causes(self) -> list[str]:
        """Of each job on fresh splits why it failed, or nothing."""
        results = [*(search.confirmed for search in self.searches), self.start_results]
        return [result.cause for group in results for result in group]

    def curves(self) -> dict[str, list[Float[np.ndarray, "2 trials"]]]:
        """For each method and repeat: cost in seconds, and the best accuracy on the search's fold up to there."""
        curves: dict[str, list[np.ndarray]] = {}
        for method, searches in self.methods.items():
            for search in searches:
                accuracies = np.array([-np.inf if t.holdout is None else t.holdout for t in search.trials])
                costs = np.cumsum([trial.seconds for trial in search.trials])
                curves.setdefault(method, []).append(np.stack([costs, np.maximum.accumulate(accuracies)]))
        return curves

    @property
    def trials_for_importances(self) -> int:
        """How many trials with different accuracies `importances` takes."""
        return TRIALS_PER_SETTING * len(self.space)

    def importances(self) -> dict[str, float]:
        """The share of the variance between trials that each setting explains (fANOVA), the largest first.

        None of them from fewer trials than `trials_for_importances`.
        """
        study = new_study()
        distributions = {name: values.for_optuna() for name, values in self.space.items()}
        for search in self.searches:
            for trial in search.trials:
                if trial.folds:
                    study.add_trial(
                        optuna.trial.create_trial(
                            params=trial.values, distributions=distributions, value=trial.folds[0]
                        )
                    )
        if len({trial.value for trial in study.trials}) < self.trials_for_importances:
            return {}
        return optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
        )

    def to_json(self) -> dict[str, Any]:
        """As numbers."""
        best, methods = self.best, self.method_comparison
        return {
            "start": self.name,
            "settings": best[1].settings.model_dump() if best else None,
            "accuracy": self.accuracy,
            "interval": self.interval,
            **({"all_images": asdict(self.all_images)} if self.all_images else {}),
            "search_mean": best[1].mean if best else None,
            "verdict": verdict_json(self.verdict) if self.verdict else None,
            "start_accuracy": self.start_accuracy,
            "method_differences": methods.differences if methods else None,
            "importances": self.importances(),
            "searches": [
                {
                    "method": search.method,
                    "repeat": search.seed,
                    "trials": len(search.trials),
                    "failed": sum(bool(trial.cause) for trial in search.trials),
                    "seconds": search.cost_seconds,
                    "search_mean": search.winner.mean if search.winner else None,
                    "confirmed": [result.mean for result in search.confirmed],
                }
                for search in self.searches
            ],
        }
