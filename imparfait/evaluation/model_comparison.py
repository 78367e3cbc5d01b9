"""Comparison of several models on one suite: seeds of a recipe are one model, and each pair gets one verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from imparfait.core.optional import frame_of
from imparfait.core.types import Classifier
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.intervals import mean_error
from imparfait.evaluation.result_plots import plot_models
from imparfait.evaluation.robustness import SuiteResult, published_baseline
from imparfait.evaluation.statistics import AdjustedDifference, Difference, Discordance, Verdict, holm, mcnemar
from imparfait.evaluation.suite import CLEAN
from imparfait.evaluation.uncertainty import CalibrationReport, OodReport, calibration_by_family, ood_reports

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class ModelGroup:
    """A model as the runs of one recipe: the suite result of each seed, on the same images."""

    name: str
    seeds: tuple[SuiteResult, ...]

    @property
    def means(self) -> list[float]:
        """The suite's mean of each seed."""
        return [suite.mean for suite in self.seeds]

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return float(np.mean(self.means))

    @property
    def spread(self) -> float | None:
        """The standard deviation over seeds; None for one seed."""
        return float(np.std(self.means, ddof=1)) if len(self.seeds) > 1 else None

    def by_source(self, corruption: str | None = None) -> Float[np.ndarray, " sources"]:
        """The share of correct copies of each source image, averaged over seeds."""
        return np.asarray(np.mean([suite.by_source(corruption) for suite in self.seeds], 0))


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Models on one suite of the same images: their scores, the tests between them, calibration and OOD detection."""

    models: list[ModelGroup]
    """Seeds of one recipe are one model."""
    verdicts: list[Verdict]
    """One per pair of models."""
    calibration: dict[str, list[CalibrationReport]]
    """By model; of several seeds, the first's."""
    ood: dict[str, list[OodReport]]
    corruption_errors: dict[str, dict[str, float]]
    """By model and corruption, relative to the package's baseline."""

    def to_frame(self) -> pd.DataFrame:
        """A pandas row per model, seed and condition, then the columns of `SuiteResult.to_frame`."""
        rows = [
            {"model": model.name, "seed": number, **row}
            for model in self.models
            for number, suite in enumerate(model.seeds)
            for row in suite.rows()
        ]
        return frame_of(rows)

    def plot(self, ax: Axes | None = None) -> Axes:
        """The accuracy of each model on clean images and under each corruption, and the means, in matplotlib axes."""
        names = [summary.corruption for summary in self.models[0].seeds[0].corruptions]
        values = {}
        for model in self.models:
            clean = [float(suite.clean.correct.mean()) for suite in model.seeds]
            under = [float(model.by_source(name).mean()) for name in names]
            values[model.name] = [float(np.mean(clean)), *under, model.mean]
        return plot_models(ax, [CLEAN, *names, "mean"], values)


def assess(
    suites: Mapping[str, SuiteResult],
    classifiers: Mapping[str, Classifier],
    images: LabelledImages,
    groups: Mapping[str, str],
    thresholds: Mapping[str, float | None],
) -> Evaluation:
    """The evaluation of models from their suite results on `images`; equal `groups` differ only in their seed."""
    models = group_by_recipe(suites, groups.__getitem__)
    _, channels, height, width = images.pixels.shape
    baseline = published_baseline()
    return Evaluation(
        models,
        compare_models(models),
        {model.name: calibration_by_family(model.seeds[0]) for model in models},
        {
            model.name: ood_reports(
                classifiers[model.name],
                model.seeds[0],
                channels,
                height,
                width,
                thresholds[model.name],
                data=images.name,
            )
            for model in models
        },
        {model.name: model.seeds[0].corruption_error(baseline) for model in models},
    )


def compare_models(models: Sequence[ModelGroup]) -> list[Verdict]:
    """A verdict for each pair of models, on the mean of the suite, adjusted over the pairs (Holm)."""
    pairs = list(combinations(models, 2))
    primary = [difference(first, second) for first, second in pairs]
    adjusted = holm([tested.p for tested in primary])
    verdicts = []
    for (first, second), tested, p in zip(pairs, primary, adjusted, strict=True):
        shared = [name for name in first.seeds[0].levels if name in second.seeds[0].levels]
        secondary = [difference(first, second, name) for name in shared]
        within_pair = map(AdjustedDifference, secondary, holm([one.p for one in secondary]))
        verdicts.append(
            Verdict(
                (first.name, second.name),
                tested,
                p,
                pairs=len(pairs),
                corruptions=dict(zip(shared, within_pair, strict=True)),
                single_runs=tuple(model.name for model in (first, second) if len(model.seeds) == 1),
            )
        )
    return verdicts


def difference(first: ModelGroup, second: ModelGroup, corruption: str | None = None) -> Difference:
    """The paired difference of two models in the suite's mean, or in one corruption's mean over its severities.

    Images and seeds are crossed random effects: each seed classifies the same images. The variance of the mean adds
    the variance over images (paired, by source) and, where a model has several seeds, the one over seeds. Both hold
    how seeds differ image by image, so one share of that is taken off. Satterthwaite's degrees of freedom. Where the
    images are of several groups, the variance is over groups instead of images.
    Source: Searle, Casella & McCulloch (Variance Components, 1992), chapter 4, the two-way crossed model.
    """
    shares = [np.stack([suite.by_source(corruption) for suite in model.seeds]) for model in (first, second)]
    ahead, groups = shares[0].mean(0) - shares[1].mean(0), first.seeds[0].scores.groups
    error, freedom = mean_error(ahead, groups)
    terms = [(error**2, freedom)]
    twice = 0.0
    for own in shares:
        seeds = len(own)
        if seeds > 1:
            means = own.mean(1)
            terms.append((float(means.var(ddof=1)) / seeds, seeds - 1.0))
            apart = own - own.mean(0) - means[:, None] + means.mean()
            twice += sum(mean_error(each, groups)[0] ** 2 for each in apart) / ((seeds - 1) * seeds)
    total = sum(term for term, _ in terms)
    variance = max(total - twice, max(term for term, _ in terms))  # an estimate of a variance must not fall under them
    freedom = variance**2 / sum(term**2 / degrees for term, degrees in terms) if variance > 0 else 1.0
    return Difference(float(ahead.mean()), variance**0.5, freedom)


def discordance(first: SuiteResult, second: SuiteResult, corruption: str, severity: float) -> Discordance:
    """McNemar's exact test of two single models under one condition."""
    return mcnemar(*(suite.conditions[corruption, severity].correct for suite in (first, second)))


def group_by_recipe(suites: Mapping[str, SuiteResult], recipe_of: Callable[[str], str]) -> list[ModelGroup]:
    """Models from runs: those that differ only in their seed form one, named by its first run."""
    groups: dict[str, list[str]] = {}
    for name in suites:
        groups.setdefault(recipe_of(name), []).append(name)
    return [ModelGroup(names[0], tuple(suites[name] for name in names)) for names in groups.values()]
