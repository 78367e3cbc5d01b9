"""The most confident mistakes of a suite, and which places of the images their predictions depend on."""

import numpy as np

from imparfait.core.types import Classifier
from imparfait.evaluation.robustness import SuiteResult
from imparfait.reports.explained_mistakes import explained_figure
from imparfait.reports.figures.drawing import shown_name
from imparfait.reports.figures.fonts import shown_classes
from imparfait.reports.page import PageFigure
from imparfait.reports.suite_mistakes import ImageMaker, Mistake, confident_mistakes
from imparfait.reports.text import corruption_label, severity_number

WORST = 12  # images
OF_ONE_CORRUPTION = 3  # of these at most, so that one corruption does not fill them


def worst_mistakes(suite: SuiteResult, images: ImageMaker) -> list[Mistake]:
    """The most confident mistakes under all corruptions, no source image twice, at most three of one corruption."""
    ranked = [
        mistake
        for summary in suite.corruptions
        if images.can_make(summary.corruption)
        for mistake in confident_mistakes(suite, summary)
    ]
    chosen: list[Mistake] = []
    for mistake in sorted(ranked, key=lambda mistake: -mistake.confidence):
        same = sum(other.corruption == mistake.corruption for other in chosen)
        if same < OF_ONE_CORRUPTION and all(other.source != mistake.source for other in chosen):
            chosen.append(mistake)
        if len(chosen) == WORST:
            break
    return chosen


def worst_figure(suite: SuiteResult, images: ImageMaker, classifier: Classifier | None) -> PageFigure | None:
    """The worst mistakes with their confidence; with a `classifier`, which predicts again, occlusion maps beside them.

    None without mistakes.
    """
    worst = worst_mistakes(suite, images)
    if not worst:
        return None
    classes = shown_classes(suite.scores.classes)
    pixels = images.make_all([(each.corruption, each.severity, each.source) for each in worst])
    predicted = np.array([each.predicted for each in worst])
    captions = []
    for each in worst:
        where = f"{shown_name(corruption_label(each.corruption))} {severity_number(each.corruption, each.severity)}"
        captions.append((f"{classes[each.truth]} → {classes[each.predicted]}  {100 * each.confidence:.0f} %", where))
    about = (
        "The most confident of all corruptions, no source image twice, at most three of one corruption. Captions: true "
        "class → prediction, its confidence"
    )
    return explained_figure(
        "worst_mistakes", "Worst images", about, pixels, predicted, captions, len(classes), classifier, section="worst"
    )
