"""Several digits on a page: found, read, and told in the order in which they are written."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imparfait.core.errors import UserError
from imparfait.core.types import Pixels
from imparfait.data.images.decode import Page, read_pages
from imparfait.data.images.foreground import Box
from imparfait.data.images.limits import Limits
from imparfait.inference.ocr.pipeline import DetectedField, find
from imparfait.inference.predictor import Predictor

# On 700 lines of tests/composed.py (1.5 % of neighbours made to touch) 4.1 % of the five-digit fields are less probable
# than that, or have not five digits, and 10 of the other 671 are wrong; up to 0.72 it would be less than 5 %.
SURE = 0.65
"""How probable a field's string is at least, that is sure."""
NO_DIGITS_MESSAGE = "no digits were found on it"


@dataclass(frozen=True)
class Digit:
    """A sign that was read as one of the model's classes."""

    label: str
    score: float
    """How probable it is that this sign, cut like this, is there."""
    sure: bool
    box: Box
    """Left, top, right, bottom, in the page's pixels as a person sees it; right and bottom are outside."""
    pixels: Pixels = field(repr=False, compare=False)
    """As the model took it: [1, channels, height, width]."""


@dataclass(frozen=True)
class Field:
    """Digits with no wide gap between them: a number, a postcode."""

    digits: tuple[Digit, ...]
    score: float
    """How probable it is that this is what is written there, all of it."""
    sure: bool

    @property
    def text(self) -> str:
        """Its labels."""
        return "".join(digit.label for digit in self.digits)

    @property
    def box(self) -> Box:
        """Around all of its digits."""
        left, top, right, bottom = zip(*(digit.box for digit in self.digits), strict=True)
        return min(left), min(top), max(right), max(bottom)


@dataclass(frozen=True)
class Line:
    """Fields beside each other, from left to right."""

    fields: tuple[Field, ...]

    @property
    def text(self) -> str:
        """Its fields, with a space between two."""
        return " ".join(field.text for field in self.fields)


@dataclass(frozen=True)
class Reading:
    """What is written on a page."""

    lines: tuple[Line, ...]
    """From top to bottom."""
    page: int
    """From 1."""
    size: tuple[int, int]
    """The page's height and width, in the file's pixels."""

    @property
    def text(self) -> str:
        """Its lines, one below the other; empty where there are none."""
        return "\n".join(line.text for line in self.lines)

    @property
    def fields(self) -> tuple[Field, ...]:
        """All fields, in the order in which they are written."""
        return tuple(field for line in self.lines for field in line.fields)

    @property
    def sure(self) -> bool:
        """Whether something was read, and all of it is to be relied on."""
        return bool(self.lines) and all(field.sure for field in self.fields)

    def to_json(self) -> dict[str, Any]:
        """As `read --json` and the HTTP API write it."""
        return {
            "text": self.text,
            "sure": self.sure,
            "lines": [
                {
                    "text": line.text,
                    "fields": [
                        {
                            "text": each.text, "score": round(each.score, 6), "sure": each.sure, "box": [*each.box],
                            "digits": [
                                {"label": d.label, "score": round(d.score, 6), "sure": d.sure, "box": [*d.box]}
                                for d in each.digits
                            ],
                        }
                        for each in line.fields
                    ],
                }
                for line in self.lines
            ],
        }  # fmt: skip


def read(source: bytes | str | Path, model: str | Predictor = "digits") -> Reading:
    """The digits on the one page of an image file; `model` is as `load_predictor` takes it, or one that it opened.

    Boxes are in the image's pixels, turned as EXIF says. Raises UserError as `read_pages` does, and for several
    pages.
    """
    from imparfait.inference.loading import load_predictor

    ready = load_predictor(model) if isinstance(model, str) else model
    pages = list(read_file(source, ready))
    if len(pages) > 1:
        raise UserError(
            f"{'the image' if isinstance(source, bytes) else source}: has {len(pages)} pages; "
            "for one after the other write: imparfait.reading.read_file(source, open_model(…))"
        )
    return pages[0][1]


def read_file(
    source: bytes | str | Path, ready: Predictor, name: str | None = None, limits: Limits | None = None
) -> Iterator[tuple[Page, Reading]]:
    """The digits on each page of an image file; `name` is how an error calls it.

    Raises UserError as `read_pages` does.
    """
    for page in read_pages(source, name, limits):
        yield page, read_page(page, ready)


def read_page(page: Page, ready: Predictor) -> Reading:
    """The digits on a page, by a model for cropped digits. Raises UserError for another."""
    normalization = ready.input_format.normalization
    if normalization != "digit":
        raise UserError(
            f"{ready.name}: was trained on images normalised by {normalization}",
            expected="a model for single digits, light on dark",
            hint="use digits, or train with --normalize digit",
        )
    lines = tuple(Line(tuple(_field(found, page, ready) for found in row)) for row in find(page.pixels, ready))
    return Reading(lines, page.number, page.size)


def _field(found: DetectedField, page: Page, ready: Predictor) -> Field:
    height, width = page.size
    least = min(range(len(found.signs)), key=lambda place: found.signs[place].score)
    sure = found.score >= SURE
    digits = []
    for place, sign in enumerate(found.signs):
        left, top, right, bottom = (edge * page.reduced for edge in sign.box)
        box = left, top, min(right, width), min(bottom, height)
        certain = sign.score >= SURE and (sure or place != least)
        digits.append(Digit(ready.classes[sign.label], sign.score, certain, box, sign.pixels[None]))
    return Field(tuple(digits), found.score, sure)
