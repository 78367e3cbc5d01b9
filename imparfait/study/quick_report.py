"""The report of the quick study: examples with the predictions of both networks, and their accuracies."""

from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.hardware import environment
from imparfait.core.storage import atomic_directory, write_json
from imparfait.data.corrupted import core_suite
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.scores import score_conditions
from imparfait.models.loading import load_classifier
from imparfait.reports.figures.predictions import predictions
from imparfait.reports.latex import LatexTable
from imparfait.reports.page import PageFigure, write_page
from imparfait.reports.translation import Language
from imparfait.study.figures import augmentation_figure, failure_figure, final_row, training_figure
from imparfait.study.quick import QuickStudy
from imparfait.study.quick_text import conditions_sentence, quick_summary
from imparfait.training.manifest import read_manifest

HEADINGS = ("network", "clean", "geometric", "shrunk", "core mean", "95 %", "training")
OWN_COLUMNS = 3  # of the table: name, augmentation and epochs are in the sentences above


def write_quick_study(
    folder: Path, title: str, study: QuickStudy, held_out: LabelledImages, language: Language = "en"
) -> None:
    """Write `folder`, whole or not at all: `report.html`, its figures, and `scores.json`.

    `held_out` are the validation images, which neither network trained on.
    """
    with atomic_directory(folder) as unfinished:
        write_json(unfinished / "scores.json", quick_json(study))
        rows = [(name, *final_row(final)[OWN_COLUMNS:]) for name, final in study.finals.items()]
        failing = failure_figure(study.clean, study.corrupted, study.classes, held_out)
        write_page(
            unfinished,
            "study_quick.html",
            title=title,
            figures=[
                _examples(study, held_out),
                augmentation_figure(study.finals),
                *failing,
                training_figure(study.clean, "accuracy_loss_clean"),
                training_figure(study.corrupted, "accuracy_loss_corrupted"),
            ],
            facts={final.name: final.settings.model_dump() for final in study.finals.values()}
            | {"compute": environment(read_manifest(study.clean.folder).compute)},
            language=language,
            classes=study.classes,
            summary=quick_summary(study),
            conditions=conditions_sentence(study),
            headings=HEADINGS,
            rows=rows,
            latex=[LatexTable(title, f"{title}: accuracies on validation images.", HEADINGS, rows)],
        )


def quick_json(study: QuickStudy) -> dict[str, Any]:
    """The quick study as numbers, with the sentences about them."""
    return study.to_json() | {"summary": quick_summary(study), "conditions": conditions_sentence(study)}


def _examples(study: QuickStudy, held_out: LabelledImages) -> PageFigure:
    """The first image of each class under each condition, with the predictions of both networks."""
    firsts = held_out.select(np.unique(held_out.labels, return_index=True)[1])
    conditions = core_suite(firsts)
    sheet = {condition.corruption: condition.data.pixels for condition in conditions}
    predicted = {}
    for name, final in study.finals.items():
        scored = score_conditions(load_classifier(final.folder), conditions).conditions
        predicted[name.removeprefix("cnn, ")] = {
            condition.corruption: [study.classes[one] for one in of_condition.predicted]
            for condition, of_condition in zip(conditions, scored, strict=True)
        }
    accuracies = {
        name.removeprefix("cnn, "): {condition: final.accuracy(condition) for condition in sheet}
        for name, final in study.finals.items()
    }
    truths = [study.classes[label] for label in firsts.labels]
    return PageFigure(
        "predictions",
        "The same digits, clean and corrupted",
        "The first validation image of each class, as it is and corrupted. Below each image: the class predicted by "
        "each network, named by the digits that it was trained on, with its accuracy on all validation images. "
        "✗ marks a mistake.",
        lambda theme: predictions(sheet, predicted, truths, accuracies, theme),
        section="examples",
    )
