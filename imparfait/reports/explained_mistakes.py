"""A figure of mistakes, with the places that each wrong prediction depends on, for every report that shows mistakes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from imparfait.core.types import Classifier, Pixels
from imparfait.evaluation.occlusion import occlusion_maps
from imparfait.reports.figures.saliency import explained
from imparfait.reports.page import PageFigure

SECONDS = 20.0  # after which no further map is begun, for slow models
COLOURS = (
    "Beside each image an occlusion map: orange where a cover, a quarter of each side, lowers the confidence, so that "
    "the wrong prediction depends on these places; blue where it raises it"
)


def explained_figure(
    name: str,
    title: str,
    about: str,
    pixels: Pixels,
    predicted: Int[np.ndarray, " n"],
    captions: Sequence[tuple[str, str]],
    classes: int,
    classifier: Classifier | None,
    section: str = "",
) -> PageFigure:
    """Mistakes with their captions of two lines, and with a `classifier`, which predicts again, occlusion maps.

    `about` describes them, without its last full stop.
    """
    maps = list(occlusion_maps(classifier, pixels, predicted, classes, seconds=SECONDS)) if classifier else []
    lowest = [f"\ncovered: {100 * each.lowest:.0f} %" for each in maps] + [""] * (len(pixels) - len(maps))
    texts = [f"{first}\n{second}{low}" for (first, second), low in zip(captions, lowest, strict=True)]
    if maps:
        about += f", its lowest confidence with a part of the image covered. {COLOURS}"
    few = f" Only the first {len(maps)} have a map: the model is slow." if 0 < len(maps) < len(pixels) else ""
    return PageFigure(
        name,
        title,
        f"{about}.{few}",
        lambda theme: explained(pixels, [each.drop for each in maps], texts, theme),
        section=section,
    )
