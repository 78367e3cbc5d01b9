"""Two models by their predictions for the same files: which is better, beyond chance, and where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.evaluation.intervals import GroupInterval, Interval, group_interval, mean_error, wilson_interval
from imparfait.evaluation.metrics import calibration_error, error_by_chance, log_loss, max_probability
from imparfait.evaluation.prediction_files import Predictions, same_names
from imparfait.evaluation.statistics import Difference, Discordance, Verdict, holm, mcnemar

MIN_FILES = 2
CHANCE_RESAMPLES = 200  # of which a 20th lie above the value


@dataclass(frozen=True)
class ModelSummary:
    """The accuracy of one model, and where there are probabilities their log loss and calibration error."""

    name: str
    correct: int
    total: int
    interval: Interval
    """95 %, over images."""
    over_groups: GroupInterval | None
    log_loss: float | None
    calibration_error: float | None
    calibration_error_by_chance: float | None
    """A perfectly calibrated model with these confidences stays below it in 95 % of draws."""


@dataclass(frozen=True)
class PartDifference:
    """The images of one class, or of one group: how many each model has right, and Holm's p value within its kind."""

    name: str
    images: int
    correct: tuple[int, int]
    p: float


@dataclass(frozen=True, eq=False)
class PairedComparison:
    """Two models on the files that both predict."""

    models: tuple[ModelSummary, ModelSummary]
    verdict: Verdict
    """By McNemar's exact test; with groups by a t test over the groups."""
    discordance: Discordance
    by_class: list[PartDifference]
    by_group: list[PartDifference]
    left_out: tuple[int, int]
    """Files that only one of the two predicts."""

    @property
    def files(self) -> int:
        """How many both predict."""
        return self.models[0].total


def compare_predictions(
    first: Predictions,
    second: Predictions,
    truths: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None,
) -> PairedComparison:
    """Compare two models on the files that both predict.

    Truths are those given, else those of either table; groups likewise. Raises UserError where they are missing, or
    contradict each other, or where fewer than two files are in both.
    """
    names, other_names = same_names(first.files, second.files)
    shared, rows, other_rows = np.intersect1d(names, other_names, return_indices=True)
    labels = _truths(first, second, rows, other_rows, truths)
    of_group = _groups(first, second, rows, other_rows, groups)
    predicted = [np.array(each.predicted)[own] for each, own in ((first, rows), (second, other_rows))]
    if len(shared) < MIN_FILES:
        raise UserError(f"{len(shared)} file is in both tables", expected="two files or more")
    if not np.isin(labels, np.concatenate([*predicted, first.classes, second.classes])).any():
        raise UserError(
            f"truths such as {labels[0]!r} and predictions such as {predicted[0][0]!r}",
            expected="the same names of classes in both",
        )
    correct = [each == labels for each in predicted]
    members = None if of_group is None else np.unique(of_group, return_inverse=True)[1]
    parts = zip((first, second), (rows, other_rows), _distinct(first, second), correct, strict=True)
    summaries = [_summary(table, own, name, hits, labels, members) for table, own, name, hits in parts]
    several = members if members is not None and members.max() > 0 else None  # one group is as none
    return PairedComparison(
        (summaries[0], summaries[1]),
        _verdict(summaries, correct, several),
        mcnemar(correct[1], correct[0]),
        _parts(labels, correct, several),
        [] if of_group is None else _parts(of_group, correct),
        (len(names) - len(shared), len(other_names) - len(shared)),
    )


def _verdict(
    models: Sequence[ModelSummary],
    correct: Sequence[Bool[np.ndarray, " n"]],
    members: Int[np.ndarray, " n"] | None,
) -> Verdict:
    ahead = correct[1].astype(float) - correct[0]
    names = (models[1].name, models[0].name)
    found = Difference(float(ahead.mean()), *mean_error(ahead, members))
    return Verdict(names, found, _p(correct, members))


def _summary(
    table: Predictions,
    rows: Int[np.ndarray, " n"],
    name: str,
    correct: Bool[np.ndarray, " n"],
    labels: np.ndarray,
    members: Int[np.ndarray, " n"] | None,
) -> ModelSummary:
    places = {each: index for index, each in enumerate(table.classes)}
    loss = error = by_chance = None
    if table.probabilities is not None and all(label in places for label in labels):
        truths = np.array([places[label] for label in labels], np.int64)
        probabilities = table.probabilities[rows].astype(np.float32)
        loss = log_loss(probabilities, truths)
        confidence = max_probability(probabilities)
        error = calibration_error(confidence, probabilities.argmax(1) == truths)
        by_chance = error_by_chance(confidence, resamples=CHANCE_RESAMPLES)
    over_groups = None if members is None else group_interval(correct.astype(float), members)
    hits = int(correct.sum())
    interval = wilson_interval(hits, len(correct))
    return ModelSummary(name, hits, len(correct), interval, over_groups, loss, error, by_chance)


def _parts(
    names: np.ndarray, correct: Sequence[Bool[np.ndarray, " n"]], members: Int[np.ndarray, " n"] | None = None
) -> list[PartDifference]:
    """The images by name, the largest differences first; tested over the groups, where `members` are given."""
    masks = [(str(name), names == name) for name in np.unique(names)]
    adjusted = holm(
        [_p([each[mask] for each in correct], None if members is None else members[mask]) for _, mask in masks]
    )
    found = [
        PartDifference(name, int(mask.sum()), (int(correct[0][mask].sum()), int(correct[1][mask].sum())), p)
        for (name, mask), p in zip(masks, adjusted, strict=True)
    ]
    return sorted(found, key=lambda part: (part.p, -abs(part.correct[1] - part.correct[0]) / part.images))


def _p(correct: Sequence[Bool[np.ndarray, " n"]], members: Int[np.ndarray, " n"] | None) -> float:
    """The p value of no difference: by McNemar's exact test, with groups by a t test over them.

    1 for images of a single group: how much groups differ is not known then.
    """
    if members is None:
        return mcnemar(correct[0], correct[1]).p
    if len(np.unique(members)) < 2:
        return 1.0
    ahead = correct[1].astype(float) - correct[0]
    return Difference(float(ahead.mean()), *mean_error(ahead, members)).p


def _truths(
    first: Predictions,
    second: Predictions,
    rows: Int[np.ndarray, " n"],
    other_rows: Int[np.ndarray, " n"],
    given: Mapping[str, str] | None,
) -> np.ndarray:
    if given is not None:
        found = _by_file(first, rows, given)
        missing = [first.files[row] for row, label in zip(rows, found, strict=True) if label is None]
        if missing:
            raise UserError(
                f"{counted(len(missing), 'file')} without a truth, such as {missing[0]}", expected="one for each file"
            )
        return np.array(found)
    own, other = (
        None if table.truths is None else np.array(table.truths)[places]
        for table, places in ((first, rows), (second, other_rows))
    )
    if own is not None and other is not None and (differ := own != other).any():
        row = int(differ.argmax())
        raise UserError(
            f"{first.files[rows[row]]}: {own[row]} is its truth in {first.path}, and {other[row]} in {second.path}",
            expected="the same",
            hint="give the right ones with --truth TABLE",
        )
    stated = other if own is None else own
    if stated is None:
        raise UserError(
            f"{first.path} and {second.path}: no column of truths",
            expected="truth or target in one of them",
            hint="or write --truth TABLE, with columns image_path and label",
        )
    return np.asarray(stated)


def _groups(
    first: Predictions,
    second: Predictions,
    rows: Int[np.ndarray, " n"],
    other_rows: Int[np.ndarray, " n"],
    given: Mapping[str, str] | None,
) -> np.ndarray | None:
    if given:
        return np.array([name or "" for name in _by_file(first, rows, given)])
    for table, places in ((first, rows), (second, other_rows)):
        if table.groups is not None:
            return np.asarray(np.array(table.groups)[places])
    return None


def _by_file(table: Predictions, rows: Int[np.ndarray, " n"], given: Mapping[str, str]) -> list[str | None]:
    """What is given for the files in these rows; None for those that it does not name."""
    names, known = same_names([table.files[row] for row in rows], list(given))
    by_name = dict(zip(known, given.values(), strict=True))
    return [by_name.get(name) for name in names]


def _distinct(first: Predictions, second: Predictions) -> tuple[str, str]:
    """The tables' names, with their folders where they are the same."""
    if first.name != second.name:
        return first.name, second.name
    return str(first.path.with_suffix("")), str(second.path.with_suffix(""))
