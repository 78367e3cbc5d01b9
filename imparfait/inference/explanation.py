"""Explanations of predictions: which parts of an image lower the probability of its label when they are covered."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8

from imparfait.core.errors import UserError, lookup
from imparfait.core.types import Pixels
from imparfait.data.images.decode import Page
from imparfait.data.images.input_format import FOREGROUND_LEVEL
from imparfait.data.images.normalize import NormalizedImage, normalize
from imparfait.data.images.sources import OneImage, name_of, pages_of
from imparfait.evaluation.occlusion import Place, cover_places, covered, map_of
from imparfait.inference.loading import Model, as_predictor
from imparfait.inference.predictor import Prediction, Predictor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL import Image


@dataclass(frozen=True, eq=False)
class Explanation:
    """An occlusion map: which parts of one image the probability of a label depends on. A notebook draws it."""

    label: str
    """The class that is explained: the predicted one unless another was asked for."""
    score: float
    """Its probability, of the whole image."""
    map: Float[np.ndarray, "height width"]
    """By how much covering a pixel of the model's input lowers `score`, -1..1; negative where it raises it."""
    drops: Float[np.ndarray, "rows columns"]
    """The same for each place of the cover, from top left to bottom right."""
    lowest: float
    """The probability of the label with the cover where it matters most."""
    prediction: Prediction
    model_input: UInt8[np.ndarray, "channels height width"]
    preprocessing: str
    """How the image was normalised."""
    model: str
    name: str = ""
    """Of the image's file; empty for other images."""
    page: Page | None = field(default=None, repr=False)
    """The decoded image, where it is known."""
    normalized: NormalizedImage | None = field(default=None, repr=False)

    def to_image(self) -> Image.Image:
        """The image, the model's input and the map on it, with a title and a legend."""
        from imparfait.inference.explanation_sheet import explanation_image

        return explanation_image(self)

    def save(self, path: str | Path) -> None:
        """Write `to_image()` into an image file. Raises UserError where it cannot be written."""
        try:
            self.to_image().save(path)
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be written: {error}", expected="a file such as why.png") from error

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the model's input with the map on it, and a colour bar; into `ax`, or new matplotlib axes."""
        from imparfait.inference.explanation_sheet import plot_explanation

        return plot_explanation(self, ax)

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.to_image().save(content, "PNG")
        return content.getvalue()

    def __repr__(self) -> str:
        return f"<{self.label!r} {self.score:.1%}; at least {self.lowest:.1%} with a part covered>"


def explain(image: OneImage, model: Model = "digits", *, label: str | None = None, page: int = 1) -> Explanation:
    """Which parts of an image its prediction depends on: an occlusion map, for any model.

    A square of a quarter of each side covers the model's input at 9 × 9 places (5 × 5 if a side has more than 64
    pixels) and shows the image's background there: its median colour, or in photographs the mean of the pixels
    around. The map's value at a pixel is the mean drop of the label's probability over the covers of it, -1..1. All
    is predicted in one batch; equal calls have equal maps. The map shows what this prediction depends on, not why,
    and a part that matters only together with another has a small drop.

    `image` and `model` are as `predict` takes them. `label` is the class to explain, by default the predicted one;
    `page` the page of a TIFF file. Raises UserError for what is no image, and for a class or page that is not there.

    >>> import numpy as np
    >>> seven = np.full((28, 28), 255, np.uint8)
    >>> seven[5:8, 6:20] = seven[8:24, 15:18] = 0
    >>> found = imparfait.explain(seven)
    >>> found.label, found.map.shape
    ('7', (28, 28))
    """
    predictor = as_predictor(model)
    for each in pages_of(image):
        if each.number == page:
            normalized = normalize(each, predictor.input_format)
            return replace(explain_normalized(normalized, predictor, label), page=each, name=name_of(image))
    raise UserError(f"there is no page {page}", expected="a page of the image, from 1", hint="leave page out")


def explain_normalized(image: NormalizedImage, predictor: Predictor, label: str | None = None) -> Explanation:
    """The explanation for an image as the model takes it; raises UserError for a class that the model does not have."""
    batch, places = with_covers(image)
    return explanation_from(predictor.probabilities_of(batch), image, places, predictor, label)


def with_covers(image: NormalizedImage) -> tuple[list[NormalizedImage], list[Place]]:
    """The image, then a copy under each cover, and the places. In a second view the same place is covered."""
    places = cover_places(image.pixels.shape[1], image.pixels.shape[2])
    copies = covered(image.pixels, places)
    whole: Sequence[np.ndarray | None] = [None] * len(places)
    if image.whole is not None:
        whole = list(covered(image.whole, _places_in_whole(image, places)))
    return [image, *(replace(image, pixels=one, whole=two) for one, two in zip(copies, whole, strict=True))], places


def explanation_from(
    probabilities: Float[np.ndarray, "covers_and_one classes"],
    image: NormalizedImage,
    places: Sequence[Place],
    predictor: Predictor,
    label: str | None = None,
) -> Explanation:
    """The explanation that follows from the probabilities of `with_covers`."""
    [prediction] = predictor.predictions_from(probabilities[:1], image.pixels[None], np.array([image.empty]))
    label = prediction.label if label is None else str(label)
    index = lookup("class", label, {name: number for number, name in enumerate(predictor.classes)})
    found = map_of(places, probabilities[:, index], image.pixels.shape[1:])
    rows = len({place[0].start for place in places})
    return Explanation(
        label=label,
        score=found.probability,
        map=found.drop.astype(np.float32),
        drops=(found.probability - probabilities[1:, index].astype(np.float64)).reshape(rows, -1).astype(np.float32),
        lowest=found.lowest,
        prediction=prediction,
        model_input=image.pixels,
        preprocessing=image.preprocessing,
        model=predictor.name,
        normalized=image,
    )


def _places_in_whole(image: NormalizedImage, places: Sequence[Place]) -> list[Place]:
    """Where the places of the cut-out digit are in the view of the whole page; at least a pixel each."""
    assert image.whole is not None
    height, width = image.whole.shape[1:]
    page_height, page_width = image.page_size
    scale = min(height / page_height, width / page_width)  # as the whole page is letterboxed
    tall, wide = max(1, round(page_height * scale)), max(1, round(page_width * scale))
    starts = (_first(image.pixels, 1), (height - tall) // 2, image.box[1]), (
        _first(image.pixels, 0), (width - wide) // 2, image.box[0],
    )  # fmt: skip
    moved = []
    for place in places:
        sides = []
        for part, (drawn, margin, edge), side in zip(place, starts, (height, width), strict=True):
            # From the input's pixels, where the foreground begins at `drawn`, to the page's, where it does at `edge`.
            first, last = (((end - drawn) / image.scale + edge) * scale + margin for end in (part.start, part.stop))
            start = int(np.clip(np.floor(first), 0, side - 1))
            sides.append(slice(start, int(np.clip(np.ceil(last), start + 1, side))))
        moved.append((sides[0], sides[1]))
    return moved


def _first(pixels: Pixels | UInt8[np.ndarray, "channels height width"], axis: int) -> int:
    """The first row (axis 1) or column (axis 0) in which something is drawn."""
    found: Any = np.flatnonzero(pixels.max(0).max(axis) > 255 * FOREGROUND_LEVEL)
    return int(found[0]) if len(found) else 0
