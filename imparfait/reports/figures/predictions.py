"""The same images in each row, corrupted differently by row, with the predictions of two or more models."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from imparfait.core.types import Pixels
from imparfait.reports.figures.drawing import LIGHT, Theme, figure_on, montage, shown_name

COLUMN_INCHES = 0.72  # width of an image
LINE = 0.34  # height of a line of predictions, in image heights
NAMES_INCHES = 2.0  # for the names on the left


def predictions(
    sheet: Mapping[str, Pixels],
    predicted: Mapping[str, Mapping[str, Sequence[str]]],
    truths: Sequence[str],
    accuracies: Mapping[str, Mapping[str, float]],
    theme: Theme = LIGHT,
) -> Figure:
    """Rows of images by condition, and below each row what each model predicts: a mistake is bold, red and crossed.

    `predicted` is by model and condition, and so are `accuracies`, as shares of all images, of which the sheet is a
    part; `truths` are the classes of a row's images.
    """
    lines = len(predicted)
    height, width = next(iter(sheet.values())).shape[-2:]
    row_inches = COLUMN_INCHES * (1.12 + LINE * lines)
    figure, axes = figure_on(theme, NAMES_INCHES + COLUMN_INCHES * len(truths), row_inches * len(sheet))
    positions = montage(axes, list(sheet.values()), gap=((0.12 + LINE * lines) * height, 0.12 * width), theme=theme)
    for index, (left, bottom) in enumerate(positions):
        row, column = divmod(index, len(truths))
        condition = list(sheet)[row]
        if column == 0:
            axes.text(-0.2 * width, bottom - height / 2, shown_name(condition), ha="right", va="center", weight="bold",
                color=theme.ink,
            )  # fmt: skip
        for line, (model, of_model) in enumerate(predicted.items()):
            level = bottom + LINE * (line + 0.5) * height
            if column == 0:
                name = f"{shown_name(model)}: {100 * accuracies[model][condition]:.1f} %"
                axes.text(-0.2 * width, level, name, ha="right", va="center", fontsize=9, color=theme.ink)
            answer = of_model[condition][column]
            wrong = answer != truths[column]
            axes.text(
                left + width / 2, level, f"{shown_name(answer)} ✗" if wrong else shown_name(answer), ha="center",
                va="center", fontsize=10, color=theme.series[1] if wrong else theme.ink,
                weight="bold" if wrong else "normal",
            )  # fmt: skip
    return figure
