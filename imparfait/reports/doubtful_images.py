"""Images that may spoil a run, as figures of its report: labels that are perhaps wrong, copies across a split."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imparfait.data.dataset import LabelledImages
from imparfait.data.duplicates import copies_of, fingerprints, near_copies_of
from imparfait.evaluation.suspect_labels import SuspectLabel
from imparfait.reports.figures.drawing import shown_name
from imparfait.reports.figures.fonts import shown_classes
from imparfait.reports.figures.runs import mistakes
from imparfait.reports.page import PageFigure

MOST_COPIES = 10  # validation images that are shown, each beside its training image


def suspects_figure(suspects: Sequence[SuspectLabel], images: LabelledImages, files: Sequence[str]) -> PageFigure:
    """The images whose labels are perhaps wrong, the most suspect first."""
    rows = {int(source): row for row, source in enumerate(images.sources)}
    names = shown_classes(images.classes)
    captions = [
        f"{names[each.label]} → {names[each.likely]}  {100 * each.probability:.0f} %\n{_name(each.source, files)}"
        for each in suspects
    ]
    pixels = images.pixels[[rows[each.source] for each in suspects]]
    return PageFigure(
        "suspect_labels",
        "Labels that are perhaps wrong",
        "Captions: label → prediction, its probability; below, the file. suspect_labels.csv has them too.",
        lambda theme: mistakes(pixels, captions, theme),
    )


def copies_figure(held_out: LabelledImages, trained_on: LabelledImages, files: Sequence[str]) -> PageFigure | None:
    """Validation images that are, or nearly are, training images, each beside its own; None where none is.

    The accuracy on them says nothing about new images.
    """
    own, others = fingerprints(held_out.pixels), fingerprints(trained_on.pixels)
    same, near = copies_of(own, others), near_copies_of(own, others)
    twins = np.where(same >= 0, same, near)
    rows = np.flatnonzero(twins >= 0)
    if not len(rows):
        return None
    shown = rows[np.argsort(same[rows] < 0, kind="stable")][:MOST_COPIES]  # the same pixels first
    names = shown_classes(held_out.classes)
    pixels, captions = [], []
    for row in shown:
        for what, data, at in (("validation", held_out, row), ("training", trained_on, twins[row])):
            pixels.append(data.pixels[at])
            captions.append(f"{what}, {names[data.labels[at]]}\n{_name(int(data.sources[at]), files)}")
    stacked = np.stack(pixels)
    return PageFigure(
        "copies",
        "Validation images that are also training images",
        f"{len(rows):,} of {len(held_out):,} validation images have a copy, or nearly one, among the training images, "
        f"and the accuracy on them is too high; {'the first ' if len(rows) > len(shown) else ''}{len(shown)} in pairs.",
        lambda theme: mistakes(stacked, captions, theme),
    )


def _name(source: int, files: Sequence[str]) -> str:
    return shown_name(Path(files[source]).name if files else f"image {source}")
