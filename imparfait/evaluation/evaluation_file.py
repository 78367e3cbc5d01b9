"""The format of scores.json of an evaluation of several models, or on the digits or photo suite."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel

from imparfait.evaluation.intervals import GroupInterval, Interval
from imparfait.evaluation.model_comparison import Evaluation
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores_file import ConditionRecord, condition_records
from imparfait.evaluation.statistics import Crossing, Verdict
from imparfait.evaluation.uncertainty import CalibrationReport, OodReport


class WorstRecord(BaseModel, frozen=True):
    """The condition with the lowest accuracy."""

    corruption: str
    severity: float
    accuracy: float


class CorruptionRecord(BaseModel, frozen=True):
    """Accuracy under one corruption; fields as in CorruptionSummary."""

    corruption: str
    family: str
    severities: tuple[float, ...]
    accuracies: tuple[float, ...]
    intervals: tuple[Interval, ...]
    crossing: Crossing
    mnist_c: float | None
    in_kind: bool
    core: float | None
    accuracy: float


class SuiteRecord(BaseModel, frozen=True):
    """One trained model on a suite."""

    mean: float
    mean_interval: Interval
    mean_group_interval: GroupInterval | None = None
    clean: float
    core_mean: float | None
    mnist_c_mean: float | None
    imagenet_c_mean: float | None = None
    worst: WorstRecord
    corruptions: list[CorruptionRecord]
    classes: tuple[str, ...]
    conditions: list[ConditionRecord]

    @classmethod
    def of(cls, suite: SuiteResult) -> "SuiteRecord":
        """The record of `suite`."""
        worst = suite.worst
        return cls(
            mean=suite.mean,
            mean_interval=suite.mean_interval,
            mean_group_interval=suite.mean_group_interval,
            clean=suite.clean.score.accuracy,
            core_mean=suite.core_mean,
            mnist_c_mean=suite.mnist_c_mean,
            imagenet_c_mean=suite.imagenet_c_mean,
            worst=WorstRecord(corruption=worst.corruption, severity=worst.severity, accuracy=worst.accuracy),
            corruptions=[CorruptionRecord(**vars(summary), accuracy=summary.accuracy) for summary in suite.corruptions],
            classes=suite.scores.classes,
            conditions=condition_records(suite.scores),
        )


class ModelRecord(BaseModel, frozen=True):
    """One model, over all its seeds; calibration and OOD detection are those of the first seed."""

    name: str
    mean: float
    mean_error: float
    spread_over_seeds: float | None
    corruption_error: dict[str, float]
    mean_corruption_error: float | None
    seeds: list[SuiteRecord]
    calibration: list[CalibrationReport]
    ood: list[OodReport]


class ComparisonRecord(BaseModel, frozen=True):
    """The verdict on one pair of models; `p` is the test's own p value, `p_holm` the adjusted one."""

    sentence: str
    first: str
    second: str
    significant: bool
    mean: float
    error: float
    degrees_of_freedom: float
    interval: Interval
    p: float
    p_holm: float

    @classmethod
    def of(cls, verdict: Verdict, sentence: str) -> "ComparisonRecord":
        """The record of `verdict`, with the sentence about it."""
        first, second = verdict.names
        return cls(
            sentence=sentence,
            first=first,
            second=second,
            significant=verdict.is_significant,
            **vars(verdict.difference),
            interval=verdict.difference.interval,
            p=verdict.difference.p,
            p_holm=verdict.p,
        )


class EvaluationFile(BaseModel, frozen=True):
    """scores.json of an evaluation of several models, or on the digits or photo suite."""

    models: list[ModelRecord]
    comparisons: list[ComparisonRecord]

    @classmethod
    def of(cls, evaluation: Evaluation, sentences: Sequence[str]) -> "EvaluationFile":
        """The record of `evaluation`; `sentences` are those about its verdicts."""
        models = []
        for model in evaluation.models:
            errors = evaluation.corruption_errors[model.name]
            models.append(
                ModelRecord(
                    name=model.name,
                    mean=model.mean,
                    mean_error=1 - model.mean,
                    spread_over_seeds=model.spread,
                    corruption_error=errors,
                    mean_corruption_error=float(np.mean(list(errors.values()))) if errors else None,
                    seeds=[SuiteRecord.of(suite) for suite in model.seeds],
                    calibration=evaluation.calibration[model.name],
                    ood=evaluation.ood[model.name],
                )
            )
        comparisons = list(map(ComparisonRecord.of, evaluation.verdicts, sentences))
        return cls(models=models, comparisons=comparisons)
