"""The report of the founding study: its story on one page, and the files it left in its time."""

from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.hardware import environment
from imparfait.core.storage import write_json
from imparfait.data.corrupted import core_suite
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.scores import evaluate, percent, percents
from imparfait.models.loading import load_classifier
from imparfait.reports.comparison import write_comparison
from imparfait.reports.figures import (
    accuracy_against_seconds,
    accuracy_loss,
    confusion,
    errors,
    mistakes,
    paired_differences,
)
from imparfait.reports.page import Plate, write_page
from imparfait.reports.search import write_search
from imparfait.selection.comparison import points
from imparfait.selection.search_result import mean_of
from imparfait.study.claims import Study
from imparfait.study.final_runs import Final, report_of

SHOWN = 16  # digits that the clean-trained network fails on
PARTS = {"cross-validation": "pair", "ablations": "ablations"}
"""Folder and attribute of each comparison, which has a report of its own."""


def write_study(folder: Path, title: str, study: Study, pool: LabelledImages, kept: LabelledImages) -> None:
    """`report.html` and `scores.json` in `folder`, the study's own figures and reports beside them.

    `pool` are the training images; `kept` those of them that no final network was fitted on.
    """
    for name, attribute in PARTS.items():
        (folder / name).mkdir()
        write_comparison(folder / name, name, getattr(study, attribute), pool)
    for name, finding in study.searches.items():
        (folder / f"search-{name}").mkdir()
        write_search(folder / f"search-{name}", f"search for {name}", finding, study.pair.plan.entries[0].compute)
    write_json(folder / "scores.json", study.to_json())
    cnn = study.finals["cnn"]
    for number, counts in ((1, cnn.confusion["clean"]), (2, cnn.corrupted)):
        (folder / f"classification_report_{number}.txt").write_text(report_of(counts, cnn.classes), encoding="utf-8")
    write_page(
        folder,
        "study.html",
        title=title,
        plates=[
            *_failure(study, kept),
            _mixtures(study),
            *_networks(study),
            _course(cnn),
            *_matrices(cnn),
        ],
        facts={final.name: final.settings.model_dump() for final in study.finals.values()}
        | {"compute": environment(study.pair.plan.entries[0].compute)},
        study=study,
        rows=[_row(final) for final in study.finals.values()],
        searched=_searched(study),
        percent=percent,
        parts=PARTS,
        points=points,
    )


def _row(final: Final) -> tuple[str, ...]:
    """A line of the table of final networks."""
    shares = [percent(final.accuracy(part)) for part in final.confusion]
    settings = final.settings
    return (
        final.name, settings.augmentation, f"{settings.epochs}", *shares, percent(final.mean), percents(final.interval),
        f"{final.seconds:,.0f}",
    )  # fmt: skip


def _searched(study: Study) -> list[tuple[str, Any, str, str, str]]:
    """For each search its name, the rows of its table, and the accuracies of the annex's and of the found settings."""
    return [
        (name, found.rows(), percent(mean_of(found.own)), percent(found.accuracy), str(found.verdict or "not compared"))
        for name, found in study.searches.items()
    ]


def _failure(study: Study, kept: LabelledImages) -> list[Plate]:
    """Digits that the clean-trained network is wrong about, the surest first, and the other one right."""
    failing, holding = (load_classifier(study.finals[name].folder) for name in ("cnn, clean only", "cnn"))
    parts = core_suite(kept)
    one, other = evaluate(failing, parts), evaluate(holding, parts)
    found = []
    for part, wrong, correct in zip(parts[1:], one.parts[1:], other.parts[1:], strict=True):
        rows = np.flatnonzero((wrong.said != wrong.truths) & (correct.said == correct.truths))
        sure = wrong.probabilities[rows, wrong.said[rows]]
        for row in rows[np.argsort(-sure, kind="stable")][: SHOWN // 2]:
            caption = f"{study.classes[wrong.truths[row]]} → {study.classes[wrong.said[row]]}"
            found.append(
                (part.data.pixels[row], f"{caption}  {100 * wrong.probabilities[row].max():.0f} %\n{part.corruption}")
            )
    if not found:
        return []
    pixels, captions = np.stack([each for each, _ in found]), [caption for _, caption in found]
    return [
        Plate(
            "failure",
            "The failure that started it",
            "Training images of the validation set, corrupted: the true class, what cnn trained on clean digits says, "
            "and how sure it is. Trained on the study's augmentation, the same network reads all of these correctly.",
            lambda theme: mistakes(pixels, captions, theme),
            section="failure",
        )
    ]  # fmt: skip


def _mixtures(study: Study) -> Plate:
    shares = {
        final.name: {part: (final.accuracy(part), final.interval_of(part)) for part in final.confusion}
        for final in study.finals.values()
    }
    return Plate(
        "mixtures",
        "What each augmentation buys",
        "Wrong answers, on a logarithmic scale: further left is better. Each line is a 95 % interval.",
        lambda theme: errors(shares, theme),
        section="mixtures",
    )


def _networks(study: Study) -> list[Plate]:
    """Networks pair by pair, and against their seconds."""
    pairs = {}
    for comparison, verdicts in ((study.pair, [study.verdict]), (study.ablations, study.against_whole())):
        entries = {entry.name: entry for entry in comparison.plan.entries}
        for verdict in verdicts:
            better, other = (comparison.finished(entries[name]) for name in verdict.names)
            folds = [better[place].mean - other[place].mean for place in sorted(better.keys() & other.keys())]
            label = f"{verdict.names[0]}\nover {verdict.names[1]}"
            pairs[label] = (folds, verdict.difference.mean, verdict.difference.interval)
    ablations = study.ablations
    times = {
        entry.name: (entry.training_seconds(ablations.plan.fit), ablations.mean(entry), ablations.spread(entry))
        for entry in ablations.ranked
        if ablations.finished(entry)
    }
    return [
        Plate(
            "differences",
            "Network against network",
            "Cross-validation on identical images: each small dot is a fold. Where the interval holds the line at 0, "
            "no difference is shown.",
            lambda theme: paired_differences(pairs, theme),
            section="networks",
        ),
        Plate(
            "accuracy_seconds",
            "Accuracy against seconds",
            f"After {ablations.plan.entries[0].settings.epochs} epochs: higher and further left is better. The bars "
            "are one standard deviation of the folds; the seconds are of one training on one thread.",
            lambda theme: accuracy_against_seconds(times, theme),
            section="networks",
        ),
    ]


def _course(final: Final) -> Plate:
    names = [name for name in final.epochs[0] if name.startswith("validation_")]
    lines = {name.removeprefix("validation_"): final.course(name) for name in names}
    return Plate(
        "accuracy_loss",
        f"How {final.name} learned",
        "On the study's augmentation. Validation are training images of the validation set.",
        lambda theme: accuracy_loss(final.course("loss"), final.course("accuracy"), lines, theme),
        section="cnn",
    )


def _matrices(final: Final) -> list[Plate]:
    told = ((1, "MNIST", final.confusion["clean"]), (2, "corrupted digits", final.corrupted))
    return [
        Plate(
            f"matrice_conf_{number}",
            f"What {final.name} takes for what: {what}",
            "A row is a true class, a column an answer; what is off the diagonal is a mistake.",
            lambda theme, counts=counts: confusion(counts, final.classes, theme),  # type: ignore[misc]
            square=True,
            section="cnn",
        )
        for number, what, counts in told
    ]
