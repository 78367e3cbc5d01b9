"""What searches found: a winner with an accuracy of its own, and how the methods compare."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from jaxtyping import Float
from scipy.special import stdtrit

from imparfait.evaluation.scores import percent
from imparfait.evaluation.statistics import Interval, bootstrap_interval
from imparfait.selection.comparison import Verdict, points, signed, verdict_of
from imparfait.selection.jobs import JobResult
from imparfait.selection.search import Search, Trial
from imparfait.selection.search_space import Space, Value, values_of
from imparfait.training.settings import TrainingSettings

ENOUGH = 10  # repeats: with fewer, one method against another is described, not tested


@dataclass(frozen=True, eq=False)
class Finding:
    """Finished searches from the same settings in the same space."""

    name: str
    """Of the settings it started from."""
    start: TrainingSettings
    space: Space
    searches: Sequence[Search]
    own: tuple[JobResult, ...]
    """Of the settings it started from, on the places that no trial used."""
    fit: int
    """Images that trials and winners were fitted on …"""
    held_out: int
    """… and judged on, each time."""

    @property
    def methods(self) -> dict[str, list[Search]]:
        """The searches by method."""
        names = dict.fromkeys(search.method for search in self.searches)
        return {name: [search for search in self.searches if search.method == name] for name in names}

    @property
    def best(self) -> tuple[Search, Trial] | None:
        """The search whose winner has the highest mean among its own trials, and this winner; None if none finished.

        Chosen by what the searches saw, not by its confirmation: that stays a measurement.
        """
        won = [(search, search.winner) for search in self.searches if search.winner]
        return max(won, key=lambda pair: pair[1].mean, default=None)

    @property
    def headings(self) -> tuple[str, str, str]:
        """Of the table."""
        return "setting", self.name, "found"

    def rows(self) -> list[tuple[str, str, str]]:
        """The table: each setting that was varied, as it was at the start and as it was found."""
        if not self.best:
            return []
        before = values_of(self.start, self.space)
        return [(name, _short(before.get(name, "-")), _short(value)) for name, value in self.best[1].values.items()]

    @property
    def accuracy(self) -> float:
        """The winner's, where no trial was: the only number called its accuracy. NaN where it failed."""
        return mean_of(self.best[0].confirmed) if self.best else float("nan")

    @property
    def interval(self) -> Interval:
        """95 %, by source: how far it depends on the images that these networks were judged on."""
        assert self.best
        finished = [outcome for outcome in self.best[0].confirmed if not outcome.cause]
        _, place = np.unique(np.concatenate([outcome.sources for outcome in finished]), return_inverse=True)
        correct = np.bincount(place, weights=np.concatenate([outcome.hits for outcome in finished]))
        whole = np.bincount(place) == np.bincount(place).max()  # where a fold failed its sources were judged less often
        each = finished[0].weights.sum() * np.bincount(place).max()
        return bootstrap_interval(correct[whole].astype(np.int64), int(each))

    @property
    def verdict(self) -> Verdict | None:
        """Whether what was found is better than what the search started from, on places that no trial used."""
        if not self.best:
            return None
        pairs = zip(self.best[0].confirmed, self.own, strict=True)
        both = [found.mean - own.mean for found, own in pairs if not found.cause and not own.cause]
        if len(both) < 2:
            return None
        return verdict_of(("what was found", self.name), np.array(both), self.held_out / self.fit)

    def sentence(self) -> str:
        """What was found, and how good it is."""
        if not self.best or np.isnan(self.accuracy):
            return "nothing was found: no winner finished its jobs"
        return (
            f"{percent(self.accuracy)} is the accuracy of what was found, on divisions and seeds that no trial used "
            f"(95 %: {points(self.interval)}); the search itself had seen {percent(self.best[1].mean)}"
        )

    def lines(self) -> list[str]:
        """What there is to say of it."""
        verdict = [str(self.verdict)] if self.verdict else []
        if self.best and self.best[1].settings == self.start:
            verdict = [f"nothing better than {self.name} was found"]
        methods = [self.between_methods()] if len(self.methods) > 1 else []
        lost = []
        for what, causes in (
            ("trials", [trial.cause for search in self.searches for trial in search.trials]),
            (
                "jobs where no trial was",
                [o.cause for each in (*(search.confirmed for search in self.searches), self.own) for o in each],
            ),
        ):
            failed = [cause for cause in causes if cause]
            lost += [f"{len(failed)} of {len(causes)} {what} failed, such as: {failed[0]}"] if failed else []
        told = f"each time fitted on {self.fit:,} images and judged on {self.held_out:,} others"
        return [self.sentence(), *verdict, *methods, *lost, told]

    def between_methods(self) -> str:
        """How the methods' winners compare, repeat by repeat; empty for one method."""
        if len(self.methods) < 2:
            return ""
        (one, first), (other, second) = list(self.methods.items())[:2]
        pairs = [(mean_of(a.confirmed), mean_of(b.confirmed)) for a, b in zip(first, second, strict=True)]
        ahead = np.array([b - a for a, b in pairs if not np.isnan(a + b)])
        n = len(ahead)
        if n == 0:
            return f"{other} and {one} cannot be compared: no repeat has a winner of both"
        told = f"{other} over {one}, at equal cost, {n} repeat{'s' * (n != 1)}: {signed(ahead.mean())} points"
        if n < ENOUGH:
            spread = f" ({points((ahead.min(), ahead.max()))})" if n > 1 else ""
            return f"{told}{spread}; described, not tested, for there are under {ENOUGH} repeats"
        error = ahead.std(ddof=1) / np.sqrt(n)
        low, high = ahead.mean() + np.array([1, -1]) * stdtrit(n - 1, 0.025) * error
        found = "a difference" if low > 0 or high < 0 else "no difference shown"
        return f"{told} (95 %: {points((low, high))}): {found}"

    def curves(self) -> dict[str, list[Float[np.ndarray, "2 trials"]]]:
        """For each method and repeat: cost in seconds, and the best mean on the holdout up to there."""
        found: dict[str, list[np.ndarray]] = {}
        for method, searches in self.methods.items():
            for search in searches:
                first = [trial.folds[0] if trial.folds else -np.inf for trial in search.trials]
                costs = np.cumsum([trial.seconds for trial in search.trials])
                found.setdefault(method, []).append(np.stack([costs, np.maximum.accumulate(first)]))
        return found

    def importances(self) -> dict[str, float]:
        """How much of the differences between trials each setting explains (fANOVA), the largest first."""
        study = optuna.create_study(direction="maximize")
        expected = {name: values.for_optuna() for name, values in self.space.items()}
        for search in self.searches:
            for trial in search.trials:
                if trial.folds:
                    made = optuna.trial.create_trial(params=trial.values, distributions=expected, value=trial.folds[0])
                    study.add_trial(made)
        values = [trial.value for trial in study.trials]
        if len(set(values)) < 4:  # too few to explain anything by
            return {}
        return optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
        )

    def to_json(self) -> dict[str, Any]:
        """As numbers."""
        best = self.best
        return {
            "start": self.name,
            "found": best[1].settings.model_dump() if best else None,
            "accuracy": _or_none(self.accuracy),
            "interval": self.interval if best and not np.isnan(self.accuracy) else None,
            "seen_in_search": best[1].mean if best else None,
            "verdict": self.verdict.to_json() if self.verdict else None,
            "start_accuracy": _or_none(mean_of(self.own)),
            "between_methods": self.between_methods(),
            "importances": self.importances(),
            "searches": [
                {
                    "method": search.method,
                    "repeat": search.seed,
                    "trials": len(search.trials),
                    "failed": sum(bool(trial.cause) for trial in search.trials),
                    "seconds": search.cost,
                    "seen_in_search": search.winner.mean if search.winner else None,
                    "confirmed": [_or_none(outcome.mean) for outcome in search.confirmed],
                }
                for search in self.searches
            ],
        }


def mean_of(outcomes: Sequence[JobResult]) -> float:
    """The mean accuracy of those that finished; NaN where none did."""
    means = [outcome.mean for outcome in outcomes if not outcome.cause]
    return float(np.mean(means)) if means else float("nan")


def _or_none(mean: float) -> float | None:
    """For JSON, which has no NaN."""
    return None if np.isnan(mean) else mean


def _short(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
