"""The format of scores.json, for one evaluation and for several models on a suite; and predictions.csv."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from imparfait.core.storage import write_json
from imparfait.evaluation.model_comparison import Evaluation
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import Scores
from imparfait.evaluation.statistics import Crossing, Interval, Verdict
from imparfait.evaluation.uncertainty import CalibrationReport, OodReport


class ConditionRecord(BaseModel, frozen=True):
    """Counts under one condition."""

    corruption: str
    severity: float
    correct: int
    total: int
    interval: Interval
    confusion: list[list[int]]
    """Counts of images by true class (rows) and predicted class."""


class ScoresFile(BaseModel, frozen=True):
    """scores.json of a run, and of an evaluation of one model on the core suite."""

    mean: float
    mean_interval: Interval
    classes: tuple[str, ...]
    conditions: list[ConditionRecord]

    @classmethod
    def of(cls, scores: Scores) -> "ScoresFile":
        """The record of `scores`."""
        return cls(
            mean=scores.mean,
            mean_interval=scores.mean_interval,
            classes=scores.classes,
            conditions=_condition_records(scores),
        )


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
    clean: float
    core_mean: float | None
    mnist_c_mean: float | None
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
            clean=suite.clean.score.accuracy,
            core_mean=suite.core_mean,
            mnist_c_mean=suite.mnist_c_mean,
            worst=WorstRecord(corruption=worst.corruption, severity=worst.severity, accuracy=worst.accuracy),
            corruptions=[CorruptionRecord(**vars(summary), accuracy=summary.accuracy) for summary in suite.corruptions],
            classes=suite.scores.classes,
            conditions=_condition_records(suite.scores),
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
    """scores.json of an evaluation of several models, or on the full suite."""

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


def write_scores(folder: Path, scores: Scores) -> None:
    """scores.json, and every single prediction in predictions.csv."""
    write_json(folder / "scores.json", ScoresFile.of(scores).model_dump())
    with (folder / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["corruption", "severity", "source", "truth", *(f"p_{name}" for name in scores.classes)])
        for result in scores.conditions:
            rows = np.char.mod("%.5f", result.probabilities).tolist()
            for source, truth, row in zip(result.sources.tolist(), result.truths.tolist(), rows, strict=True):
                writer.writerow([result.corruption, result.severity, source, scores.classes[truth], *row])


def read_scores(folder: Path) -> ScoresFile:
    """scores.json in the folder of a run, or of an evaluation of one model on the core suite."""
    return ScoresFile.model_validate_json((folder / "scores.json").read_bytes())


def _condition_records(scores: Scores) -> list[ConditionRecord]:
    return [
        ConditionRecord(**vars(result.score), interval=result.score.interval, confusion=result.confusion().tolist())
        for result in scores.conditions
    ]
