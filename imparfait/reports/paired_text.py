"""What `imparfait compare a.csv b.csv` prints: a table of the models, a verdict, and where they differ."""

from collections.abc import Sequence
from typing import Any

from imparfait.core.counts import counted
from imparfait.core.storage import printable
from imparfait.evaluation.paired_predictions import ModelSummary, PairedComparison, PartDifference
from imparfait.evaluation.statistics import SIGNIFICANCE_LEVEL
from imparfait.reports.text import NONE, percent, percent_range, verdict_sentence

MAX_NAME = 40  # characters of a class or group
SHOWN_PARTS = 5


def paired_table(comparison: PairedComparison) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """A row for each model; columns without a value are left out."""
    models = comparison.models
    columns = [
        ("model", [printable(each.name, MAX_NAME) for each in models]),
        ("correct", [f"{each.correct:,} of {each.total:,}" for each in models]),
        ("accuracy", [percent(each.correct / each.total) for each in models]),
        ("95 % interval", [percent_range(each.interval) for each in models]),
        ("over groups", [percent_range(each.over_groups.interval) if each.over_groups else "" for each in models]),
        ("log loss", [_number(each.log_loss) for each in models]),
        ("ECE", [_percent(each.calibration_error) for each in models]),
        ("by chance", [_percent(each.calibration_error_by_chance) for each in models]),
    ]
    kept = [(heading, values) for heading, values in columns if any(values)]
    rows = [tuple(values[row] or NONE for _, values in kept) for row in range(len(models))]
    return [heading for heading, _ in kept], rows


def paired_sentences(comparison: PairedComparison) -> list[str]:
    """The verdict, what it rests on, and the classes and groups that differ most."""
    split, groups = comparison.discordance, len(comparison.by_group)
    second, first = (printable(each, MAX_NAME) for each in comparison.verdict.names)
    tested = f"t test over {groups} groups" if groups > 1 else "McNemar's exact test"
    lines = [
        verdict_sentence(comparison.verdict),
        f"only {first} is right on {counted(split.only_second, 'file')}, only {second} on {split.only_first:,}; "
        f"{tested}: p = {comparison.verdict.p:.2g}",
    ]
    lines += _parts("classes", comparison.by_class) + _parts("groups", comparison.by_group)
    if any(comparison.left_out):
        lines.append(f"left out: {counted(sum(comparison.left_out), 'file')} that only one of the two predicts")
    return lines


def paired_json(comparison: PairedComparison) -> dict[str, Any]:
    """The comparison as a JSON object."""
    verdict = comparison.verdict
    return {
        "files": comparison.files,
        "left_out": list(comparison.left_out),
        "models": [_model_json(each) for each in comparison.models],
        "difference": {
            "of": list(verdict.names),
            "mean": verdict.difference.mean,
            "interval": list(verdict.difference.interval),
            "p": verdict.p,
            "significant": verdict.is_significant,
        },
        "only_one_right": {
            verdict.names[0]: comparison.discordance.only_first,
            verdict.names[1]: comparison.discordance.only_second,
        },
        "by_class": [vars(part) for part in comparison.by_class],
        "by_group": [vars(part) for part in comparison.by_group],
        "sentence": verdict_sentence(verdict),
    }


def _parts(kind: str, parts: Sequence[PartDifference]) -> list[str]:
    """The classes or groups in which a difference is shown."""
    differing = [part for part in parts if part.p <= SIGNIFICANCE_LEVEL]
    if len(parts) < 2:
        return []
    if not differing:
        return [f"{kind}: no difference shown in any of {len(parts):,}, after correction for as many tests"]
    named = ", ".join(
        f"{printable(part.name, MAX_NAME)} ({part.correct[0]:,} → {part.correct[1]:,} of {part.images:,})"
        for part in differing[:SHOWN_PARTS]
    )
    more = f" and {len(differing) - SHOWN_PARTS:,} more" if len(differing) > SHOWN_PARTS else ""
    return [f"{kind} in which a difference is shown: {named}{more}"]


def _model_json(model: ModelSummary) -> dict[str, Any]:
    groups = model.over_groups and {"groups": model.over_groups.groups, "interval": list(model.over_groups.interval)}
    return vars(model) | {"interval": list(model.interval), "over_groups": groups}


def _percent(value: float | None) -> str:
    return "" if value is None else percent(value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
