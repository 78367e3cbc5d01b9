"""The report of the founding study: its result on one page, and the files that the study itself produced."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.hardware import environment
from imparfait.core.storage import atomic_directory, write_json
from imparfait.data.corrupted import core_suite
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.scores import score_conditions
from imparfait.export import export
from imparfait.models.loading import load_classifier
from imparfait.reports.comparison import accuracy_seconds_figure, comparison_json, difference_rows, write_comparison
from imparfait.reports.comparison_text import comparison_headings, comparison_rows, search_rows
from imparfait.reports.figures.comparisons import paired_differences
from imparfait.reports.figures.runs import accuracy_loss, confusion, errors, mistakes
from imparfait.reports.page import PageFigure, write_page
from imparfait.reports.search import search_json, write_search
from imparfait.reports.text import percent, percent_range, verdict_sentence
from imparfait.selection.search_result import SearchResult
from imparfait.study.claims import Study
from imparfait.study.final_runs import FinalRun, report_of
from imparfait.study.text import claim_rows, summary

EXAMPLES = 16  # digits that the network trained on clean ones gets wrong
COMPARISONS = {"cross-validation": "pair", "ablations": "ablations"}
"""Folder and attribute of each comparison, which has a report of its own."""
KERAS_FILE = Path("model") / "mon_model.keras"
"""The study's CNN, under the name that the study gave it."""


def write_study(folder: Path, title: str, study: Study, data: LabelledImages, held_out: LabelledImages) -> str:
    """Write `folder`, whole or not at all: `report.html`, `scores.json`, the study's own figures, reports and model.

    `data` are the training images; `held_out` those that no final network trained on. Returns a sentence on the export
    of the model.
    """
    with atomic_directory(folder) as unfinished:
        for name, attribute in COMPARISONS.items():
            write_comparison(unfinished / name, name, getattr(study, attribute), data)
        for name, result in study.searches.items():
            write_search(unfinished / f"search-{name}", f"search for {name}", result)
        write_json(unfinished / "scores.json", study_json(study))
        cnn = study.finals["cnn"]
        for number, counts in ((1, cnn.confusion["clean"]), (2, cnn.corrupted)):
            report = report_of(counts, cnn.classes)
            (unfinished / f"classification_report_{number}.txt").write_text(report, encoding="utf-8")
        _write_page(unfinished, title, study, held_out)
        return _export_keras(study, unfinished / KERAS_FILE)


def study_json(study: Study) -> dict[str, Any]:
    """The study as numbers, with the sentences about them."""
    content = study.to_json()
    content["cross_validation"] = comparison_json(study.pair)
    content["ablations"] = comparison_json(study.ablations) | {
        "verdicts": [
            {"sentence": verdict_sentence(verdict)} | numbers
            for verdict, numbers in zip(study.ablation_verdicts(), content["ablations"]["verdicts"], strict=True)
        ]
    }
    content["searches"] = {name: search_json(result) for name, result in study.searches.items()}
    rows = [dict(zip(("claim", "outcome", "evidence"), row, strict=True)) for row in claim_rows(study)]
    return content | {"summary": summary(study), "claims": rows}


def _export_keras(study: Study, path: Path) -> str:
    """Export the study's CNN; returns the parity sentence, or without Keras, what it takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return f"{KERAS_FILE}: {export(study.finals['cnn'].folder, 'keras', path).parity}"
    except UserError as error:
        return f"{KERAS_FILE} is not written: {error}"


def _write_page(folder: Path, title: str, study: Study, held_out: LabelledImages) -> None:
    cnn = study.finals["cnn"]
    write_page(
        folder,
        "study.html",
        title=title,
        figures=[
            *_failures(study, held_out),
            _augmentations(study),
            *_networks(study),
            _training(cnn),
            *_confusion(cnn),
        ],
        facts={final.name: final.settings.model_dump() for final in study.finals.values()}
        | {"compute": environment(study.pair.plan.profiles[0].compute)},
        uses_test_set=study.scale.uses_test_set,
        training_images=f"{cnn.images:,}",
        summary=summary(study),
        claims=claim_rows(study),
        rows=[_row(final) for final in study.finals.values()],
        ablation_headings=comparison_headings(study.ablations),
        ablation_rows=comparison_rows(study.ablations),
        verdicts=list(map(verdict_sentence, [study.verdict, *study.ablation_verdicts()])),
        searches=[_search(name, result) for name, result in study.searches.items()],
        comparisons=list(COMPARISONS),
    )


def _row(final: FinalRun) -> tuple[str, ...]:
    """A row of the table of final networks."""
    accuracies = [percent(final.accuracy(corruption)) for corruption in final.confusion]
    mean = (percent(final.mean), percent_range(final.interval))
    return (
        final.name,
        final.settings.augmentation,
        f"{final.settings.epochs}",
        *accuracies,
        *mean,
        f"{final.seconds:,.0f}",
    )


def _search(name: str, result: SearchResult) -> dict[str, Any]:
    """What the page shows of a search: its table, and the accuracies before and after."""
    before, after = ("-" if a is None else percent(a) for a in (result.start_accuracy, result.accuracy))
    verdict = verdict_sentence(result.verdict) if result.verdict else "not compared"
    return {"name": name, "rows": search_rows(result), "before": before, "after": after, "verdict": verdict}


def _failures(study: Study, held_out: LabelledImages) -> list[PageFigure]:
    """Corrupted digits that only the network trained on clean ones gets wrong, the most confident first."""
    clean, augmented = (load_classifier(study.finals[name].folder) for name in ("cnn, clean only", "cnn"))
    conditions = core_suite(held_out)
    failing, correct = (score_conditions(one, conditions).conditions[1:] for one in (clean, augmented))
    examples = []
    for condition, one, other in zip(conditions[1:], failing, correct, strict=True):
        rows = np.flatnonzero(~one.correct & other.correct)
        confidence = one.probabilities[rows, one.predicted[rows]]
        for row in rows[np.argsort(-confidence, kind="stable")][: EXAMPLES // 2]:
            classes = f"{study.classes[one.truths[row]]} → {study.classes[one.predicted[row]]}"
            caption = f"{classes}  {100 * one.probabilities[row].max():.0f} %\n{condition.corruption}"
            examples.append((condition.data.pixels[row], caption))
    if not examples:
        return []
    pixels, captions = np.stack([image for image, _ in examples]), [caption for _, caption in examples]
    return [
        PageFigure(
            "failure",
            "The failure that started the study",
            "Corrupted images of the validation set: the true class, the class predicted by cnn trained on clean "
            "digits, and its confidence. Trained on the study's augmentation, it gets all of these right.",
            lambda theme: mistakes(pixels, captions, theme),
            section="failure",
        )
    ]


def _augmentations(study: Study) -> PageFigure:
    shares = {
        final.name: {name: (final.accuracy(name), final.interval_of(name)) for name in final.confusion}
        for final in study.finals.values()
    }
    return PageFigure(
        "augmentations",
        "The effect of each augmentation",
        "Errors, on a logarithmic scale: further left is better. Lines are 95 % intervals.",
        lambda theme: errors(shares, theme),
        section="augmentations",
    )


def _networks(study: Study) -> list[PageFigure]:
    """Networks pair by pair, and their accuracy against training time."""
    pairs = difference_rows(study.pair, [study.verdict])
    pairs |= difference_rows(study.ablations, study.ablation_verdicts())
    epochs = study.ablations.plan.profiles[0].settings.epochs
    return [
        PageFigure(
            "differences",
            "Network against network",
            "Cross-validation on identical images: each small dot is a fold. No difference is shown where the interval "
            "includes 0.",
            lambda theme: paired_differences(pairs, theme),
            section="networks",
        ),
        accuracy_seconds_figure(
            study.ablations,
            f"After {epochs} epochs: higher and further left is better. Bars: one standard deviation over folds. Time: "
            "one training on one thread.",
            section="networks",
        ),
    ]


def _training(final: FinalRun) -> PageFigure:
    columns = [name for name in final.epochs[0] if name.startswith("validation_")]
    lines = {name.removeprefix("validation_"): final.curve(name) for name in columns}
    return PageFigure(
        "accuracy_loss",
        f"Training of {final.name}",
        "On the study's augmentation; validation on the validation set.",
        lambda theme: accuracy_loss(final.curve("loss"), final.curve("accuracy"), lines, theme),
        section="cnn",
    )


def _confusion(final: FinalRun) -> list[PageFigure]:
    matrices = ((1, "MNIST", final.confusion["clean"]), (2, "corrupted digits", final.corrupted))
    return [
        PageFigure(
            f"matrice_conf_{number}",
            f"Confusion matrix of {final.name}: {images}",
            "A row per true class, a column per predicted class; mistakes are off the diagonal.",
            partial(confusion, counts, final.classes),
            square=True,
            section="cnn",
        )
        for number, images, counts in matrices
    ]
