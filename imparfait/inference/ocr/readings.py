"""Readings of images in any form, of one or of several; as tables of pandas and as plots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.core.optional import axes_or_new, frame_of
from imparfait.core.progress import ShowProgress, watch_with
from imparfait.core.storage import printable
from imparfait.data.images.decode import page_of
from imparfait.data.images.limits import Limits
from imparfait.data.images.sources import ImageSource, OneImage, content_of, images_of, name_of, pages_of
from imparfait.inference.loading import Model, as_predictor
from imparfait.inference.ocr import Reading, read_file, read_page
from imparfait.inference.ocr.constraints import Constraint, check_possible
from imparfait.inference.predictor import Predictor

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLUMNS = (
    "image", "page", "line", "text", "score", "confident", "left", "top", "right", "bottom", "reason",
)  # fmt: skip
CONFIDENT, UNSURE = "#0072B2", "#D55E00"  # Okabe and Ito's


class PageReadings(list[Reading]):
    """The readings of several images: a list, with `to_frame()`."""

    def __init__(self, readings: Iterable[Reading] = (), names: Sequence[str] = ()) -> None:
        """`names` of the images, as many as readings; by default their numbers from 0."""
        super().__init__(readings)
        self.names = list(names) or [str(number) for number in range(len(self))]

    def to_frame(self) -> pd.DataFrame:
        """A pandas row per field of each image, as `Reading.to_frame` has them."""
        return frame_of_readings(self, self.names)


@overload
def read(  # type: ignore[overload-overlap]  # a path and bytes are sequences too
    source: OneImage, model: Model = "digits", constraints: Sequence[Constraint] = (), *, progress: ShowProgress = False
) -> Reading: ...
@overload
def read(
    source: Sequence[OneImage],
    model: Model = "digits",
    constraints: Sequence[Constraint] = (),
    *,
    progress: ShowProgress = False,
) -> PageReadings: ...
def read(
    source: ImageSource,
    model: Model = "digits",
    constraints: Sequence[Constraint] = (),
    *,
    progress: ShowProgress = False,
) -> Reading | PageReadings:
    """The digits on an image or on the only page of a PDF; of a list of images, a list of readings.

    `source`, `model` and `progress` are as `predict` takes them. Boxes are in the image's pixels, rotated as EXIF says.
    Each field has to meet all `constraints`, which are in `imparfait.inference.ocr.constraints`. Readings have
    `to_frame()` and `plot()`. Raises UserError for what is no image, for a file with several pages, and for
    constraints that contradict each other.

    >>> import numpy as np
    >>> page = np.full((120, 200), 255, np.uint8)
    >>> page[30:90, 60:66] = page[30:90, 110:116] = 0
    >>> imparfait.read(page).text
    '1 1'
    """
    predictor = as_predictor(model)
    check_possible(constraints, predictor.classes)
    images, several = images_of(source)
    watched = watch_with(progress, "reading")(images, len(images))
    readings = [_read_one(image, predictor, constraints) for image in watched]
    if not several:
        return readings[0]
    return PageReadings(readings, [name_of(image) or str(number) for number, image in enumerate(images)])


def _read_one(source: OneImage, predictor: Predictor, constraints: Sequence[Constraint]) -> Reading:
    """The reading of an image or file with one page; raises UserError for another one."""
    content = content_of(source, Limits())
    if isinstance(content, Image.Image | np.ndarray):
        return read_page(page_of(content), predictor, constraints)
    readings = [reading for _, reading in read_file(content, predictor, constraints=constraints)]
    if len(readings) > 1:
        raise UserError(
            f"{name_of(source) or 'the image'}: has {len(readings)} pages",
            expected="one page",
            hint="for several, write: imparfait.inference.ocr.read_file(file, load_predictor('digits'))",
        )
    return readings[0]


def frame_of_readings(readings: Sequence[Reading], names: Sequence[str]) -> pd.DataFrame:
    """A pandas row per field of each reading."""
    return frame_of(
        [
            dict(
                zip(
                    COLUMNS,
                    (name, reading.page, row, field.text, field.score, field.confident, *field.box, field.reason),
                    strict=True,
                )
            )
            for reading, name in zip(readings, names, strict=True)
            for row, line in enumerate(reading.lines, 1)
            for field in line.fields
        ],
        COLUMNS,
    )


def plot_reading(reading: Reading, ax: Axes | None, image: OneImage | None) -> Axes:
    """The text and box of each field in matplotlib axes as wide and tall as the page."""
    height, width = reading.size
    ax = axes_or_new(ax, 6.4, max(1.5, min(10.0, 6.4 * height / max(1, width))))
    if image is not None:
        page = next(each for each in pages_of(image) if each.number == reading.page)
        ax.imshow(page.pixels.repeat(3 // page.pixels.shape[2], 2), extent=(0, width, height, 0))
    for field in reading.fields:
        left, top, right, bottom = field.box
        colour = CONFIDENT if field.confident else UNSURE
        ax.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=colour, linewidth=1.2)
        text = printable(field.text) + ("" if field.confident else " ?")
        ax.text(left, top - 0.01 * height, text, color=colour, va="bottom", fontsize=9)
    ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal", xlabel="pixels; orange, ?: unsure")
    return ax
