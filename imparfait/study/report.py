"""The report of the founding study: its result on one page, and the files that the study itself produced."""

from functools import partial
from pathlib import Path
from typing import Any

from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.core.hardware import environment
from imparfait.core.storage import atomic_directory, write_json
from imparfait.data.dataset import LabelledImages
from imparfait.export import export
from imparfait.reports.comparison import accuracy_seconds_figure, comparison_json, difference_rows, write_comparison
from imparfait.reports.comparison_text import comparison_headings, comparison_rows, search_rows
from imparfait.reports.figures.comparisons import paired_differences
from imparfait.reports.figures.runs import confusion
from imparfait.reports.latex import LatexTable
from imparfait.reports.page import PageFigure, write_page
from imparfait.reports.search import search_json, write_search
from imparfait.reports.text import percent, verdict_sentence
from imparfait.reports.translation import Language
from imparfait.selection.search_result import SearchResult
from imparfait.study.claims import Study
from imparfait.study.figures import augmentation_figure, failure_figure, final_row, training_figure
from imparfait.study.final_runs import FinalRun, report_of
from imparfait.study.text import claim_rows, summary

FINAL_HEADINGS = (
    "network", "augmentation", "epochs", "clean", "geometric", "shrunk", "core mean", "95 %", "training",
)  # fmt: skip
COMPARISONS = {"cross-validation": "pair", "ablations": "ablations"}
"""Folder and attribute of each comparison, which has a report of its own."""
KERAS_FILE = Path("model") / "mon_model.keras"
"""The study's CNN, under the name that the study gave it."""


def write_study(
    folder: Path,
    title: str,
    study: Study,
    data: LabelledImages,
    held_out: LabelledImages,
    language: Language = "en",
) -> str:
    """Write `folder`, whole or not at all: `report.html`, `scores.json`, the study's own figures, reports and model.

    `data` are the training images; `held_out` those that no final network trained on. Returns a sentence on the export
    of the model.
    """
    with atomic_directory(folder) as unfinished:
        for name, attribute in COMPARISONS.items():
            comparison = getattr(study, attribute)
            write_comparison(
                unfinished / name, f"{name.capitalize()}: {', '.join(comparison.ranked)}", comparison, data, language
            )
        for name, result in study.searches.items():
            write_search(unfinished / f"search-{name}", f"Hyperparameter search: {name}", result, language)
        write_json(unfinished / "scores.json", study_json(study))
        cnn = study.finals["cnn"]
        for number, counts in ((1, cnn.confusion["clean"]), (2, cnn.corrupted)):
            report = report_of(counts, cnn.classes)
            (unfinished / f"classification_report_{number}.txt").write_text(report, encoding="utf-8")
        _write_page(unfinished, title, study, held_out, language)
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


def _write_page(folder: Path, title: str, study: Study, held_out: LabelledImages, language: Language) -> None:
    cnn = study.finals["cnn"]
    finals = [final_row(final) for final in study.finals.values()]
    write_page(
        folder,
        "study.html",
        title=title,
        figures=[
            *failure_figure(study.finals["cnn, clean only"], cnn, study.classes, held_out),
            augmentation_figure(study.finals),
            *_networks(study),
            training_figure(cnn),
            *_confusion(cnn),
        ],
        facts={final.name: final.settings.model_dump() for final in study.finals.values()}
        | {"compute": environment(study.pair.plan.profiles[0].compute)},
        language=language,
        classes=study.classes,
        names=_names(study),
        uses_test_set=study.scale.uses_test_set,
        training_images=f"{cnn.images:,}",
        summary=summary(study),
        claims=claim_rows(study),
        final_headings=FINAL_HEADINGS,
        rows=finals,
        latex=[
            LatexTable(
                f"{title} claims", f"{title}: claims.", ("claim", "outcome", "measured"), claim_rows(study), left=3
            ),
            LatexTable(f"{title} networks", f"{title}: final networks.", FINAL_HEADINGS, finals, left=2),
            LatexTable(
                f"{title} ablations",
                f"{title}: ablations.",
                comparison_headings(study.ablations),
                comparison_rows(study.ablations),
            ),
        ],
        ablation_headings=comparison_headings(study.ablations),
        ablation_rows=comparison_rows(study.ablations),
        verdicts=list(map(verdict_sentence, [study.verdict, *study.ablation_verdicts()])),
        searches=[_search(name, result) for name, result in study.searches.items()],
        comparisons=list(COMPARISONS),
    )


def _names(study: Study) -> set[str]:
    """Names of networks and settings, which are the same in every language."""
    settings = {cell for result in study.searches.values() for row in search_rows(result) for cell in row}
    return {*study.searches, *study.pair.ranked, *study.ablations.ranked} | settings


def _search(name: str, result: SearchResult) -> dict[str, Any]:
    """What the page shows of a search: its table, and the accuracies before and after."""
    before, after = ("-" if a is None else percent(a) for a in (result.start_accuracy, result.accuracy))
    verdict = verdict_sentence(result.verdict) if result.verdict else "not compared"
    return {"name": name, "rows": search_rows(result), "before": before, "after": after, "verdict": verdict}


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
            f"After {counted(epochs, 'epoch')}: higher and further left is better. Bars: one standard deviation over "
            "folds. Time: one training on one thread.",
            section="networks",
        ),
    ]


def _confusion(final: FinalRun) -> list[PageFigure]:
    matrices = ((1, "MNIST", final.confusion["clean"]), (2, "corrupted digits", final.corrupted))
    return [
        PageFigure(
            f"matrice_conf_{number}",
            f"Confusion matrix of {final.name}: {images}",
            "Rows: true class. Columns: predicted class. Coloured: mistakes.",
            partial(confusion, counts, final.classes),
            beside=True,
            section="cnn",
        )
        for number, images, counts in matrices
    ]
