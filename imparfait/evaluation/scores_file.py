"""The format of scores.json of a run or of one model on the core suite, and of predictions.csv."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from imparfait.core.names import as_cell
from imparfait.core.storage import write_json
from imparfait.evaluation.intervals import GroupInterval, Interval
from imparfait.evaluation.scores import Scores


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
    mean_group_interval: GroupInterval | None = None
    """Over groups of images; None without groups."""
    classes: tuple[str, ...]
    conditions: list[ConditionRecord]

    @classmethod
    def of(cls, scores: Scores) -> "ScoresFile":
        """The record of `scores`."""
        return cls(
            mean=scores.mean,
            mean_interval=scores.mean_interval,
            mean_group_interval=scores.mean_group_interval,
            classes=scores.classes,
            conditions=condition_records(scores),
        )


def write_scores(folder: Path, scores: Scores, files: Sequence[str] = ()) -> None:
    """scores.json, and every single prediction in predictions.csv; `files` names the file of each source id."""
    write_json(folder / "scores.json", ScoresFile.of(scores).model_dump())
    with (folder / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = ["file"] if files else []
        head = ["corruption", "severity", "source", *names, "truth"]
        writer.writerow([*head, *(as_cell(f"p_{name}") for name in scores.classes)])
        for result in scores.conditions:
            rows = np.char.mod("%.5f", result.probabilities).tolist()
            for source, truth, row in zip(result.sources.tolist(), result.truths.tolist(), rows, strict=True):
                named = [as_cell(files[source])] if files else []
                writer.writerow(
                    [result.corruption, result.severity, source, *named, as_cell(scores.classes[truth]), *row]
                )


def read_scores(folder: Path) -> ScoresFile:
    """scores.json in the folder of a run, or of an evaluation of one model on the core suite."""
    return ScoresFile.model_validate_json((folder / "scores.json").read_bytes())


def condition_records(scores: Scores) -> list[ConditionRecord]:
    """A record for each condition."""
    return [
        ConditionRecord(**vars(result.score), interval=result.score.interval, confusion=result.confusion().tolist())
        for result in scores.conditions
    ]
