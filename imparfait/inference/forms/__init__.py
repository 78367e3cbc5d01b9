"""Forms: numbers read from the same regions of every page, each under its own constraints."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from imparfait.core.errors import lookup
from imparfait.data.images.decode import Page
from imparfait.data.images.foreground import Box, lightness
from imparfait.inference.forms.fields_file import Form, FormField
from imparfait.inference.forms.numbers import decide, joined
from imparfait.inference.forms.regions import Region, adjoins_edge, crosses_edge, cuts_digits, is_empty, region_of
from imparfait.inference.ocr import Digit, Field, Reading, read_page
from imparfait.inference.ocr.constraints import Same, tell_digits
from imparfait.inference.ocr.distribution import StringDistribution
from imparfait.inference.ocr.marks import is_marked
from imparfait.inference.ocr.pipeline import DIFFER, MARKED
from imparfait.inference.predictor import Predictor

UNREADABLE = "something is drawn, but no digits were found"
MISSING = "it is empty, and required"
SEVERAL_LINES = "it has several lines"
CROSSING = "something crosses the edge of its region"
ADJOINING = "strokes stand beside it, outside its region"
TALL = "one stroke is much taller than the others, as of a printed frame"
MAX_HEIGHT_RATIO = 1.5  # of a number's tallest digit and its median
NOT_ALLOWED = "no likely number meets its constraints"
DOUBTFUL = "a digit of it is unsure"


@dataclass(frozen=True)
class FieldResult:
    """What was read in one field of a form."""

    name: str
    text: str
    """The number, with the separators of its pattern; "" where the region is empty or no digits were found."""
    score: float
    """The probability of the whole text; of an empty one 1 where nothing is drawn, else 0."""
    confident: bool
    reason: str | None
    """Why it is unsure; None where it is confident."""
    alternatives: tuple[tuple[str, float], ...]
    """The most probable numbers, the best first; also those that the constraints do not allow, made less probable."""
    box: Box
    """The region's left, top, right and bottom in the page's pixels; right and bottom are outside."""
    digits: tuple[Digit, ...] = field(repr=False)
    """As read without constraints, boxes in the page's pixels."""

    def to_json(self) -> dict[str, Any]:
        """The field in `read --fields --json`."""
        content: dict[str, Any] = {
            "name": self.name, "text": self.text, "score": round(self.score, 6), "confident": self.confident,
        }  # fmt: skip
        if self.reason:
            content["reason"] = self.reason
        alternatives = [{"text": text, "score": round(score, 6)} for text, score in self.alternatives]
        return {**content, "box": [*self.box], "alternatives": alternatives}


@dataclass(frozen=True)
class FormReading:
    """The fields of one page."""

    fields: tuple[FieldResult, ...]
    """In the order of fields.json."""
    page: int
    """From 1."""
    size: tuple[int, int]
    """The page's height and width, in the file's pixels."""

    @property
    def unsure(self) -> tuple[str, ...]:
        """The names of the fields to check."""
        return tuple(each.name for each in self.fields if not each.confident)

    def __getitem__(self, name: str) -> FieldResult:
        """The field of this name; raises UserError with the names of the fields where none is called so."""
        return lookup("field", name, {each.name: each for each in self.fields})

    def to_json(self) -> dict[str, Any]:
        """The page in `read --fields --json`."""
        return {"fields": [each.to_json() for each in self.fields], "unsure": [*self.unsure]}


def read_form(page: Page, form: Form, predictor: Predictor) -> FormReading:
    """The fields of a form on a page.

    The numbers of a region are joined from left to right, without the gaps; several lines are joined too, but unsure.
    An empty region is "": confident where nothing but straight lines is drawn, unless the field is required. A number
    that its region cuts, or that goes on beside it, is unsure. Raises UserError for a model whose labels have several
    characters.
    """
    found = {each.name: _found(page, each, predictor) for each in form.fields}
    results = tuple(_result(each, found, form) for each in form.fields)
    return FormReading(results, page.number, page.size)


@dataclass(frozen=True)
class _Found:
    """What is in a region, before constraints."""

    box: Box
    digits: tuple[Digit, ...] = ()
    distribution: StringDistribution | None = None
    """None where no digits were found."""
    problem: str | None = None
    doubtful: bool = False
    """Whether a number is not confident by itself."""
    marked: bool = False
    """Whether it has a comma or a sign."""
    differs: bool = False
    """Whether a number is another one read as a whole."""


def _found(page: Page, each: FormField, predictor: Predictor) -> _Found:
    region = region_of(each, *page.pixels.shape[:2])
    box = region.in_file(page)
    left, top, right, bottom = region.box
    if is_empty(lightness(page.pixels[top:bottom, left:right])):
        return _Found(box, problem=MISSING if each.required else None)
    lines = _numbers(read_page(region.page(page), predictor), region, page)
    numbers = [number for line in lines for number in line]
    if not numbers:
        return _Found(box, problem=UNREADABLE)
    digits = tuple(digit for number in numbers for digit in number.digits)
    inside = [_decoded(digit, page) for digit in digits]
    problem = (
        CROSSING if any(map(region.is_crossed_by, inside)) or crosses_edge(page, region, inside)
        or cuts_digits(page, region, inside)
        else ADJOINING if adjoins_edge(page, region, inside)
        else SEVERAL_LINES if len(lines) > 1 else TALL if _has_tall_digit(inside) else None
    )  # fmt: skip
    doubtful, differs = not all(number.confident for number in numbers), any(each.reason == DIFFER for each in numbers)
    outer, corner = region.page(page), np.array([*region.outer[:2], *region.outer[:2]])
    marked = is_marked(lightness(outer.pixels), np.array(inside, float) - corner)
    return _Found(box, digits, joined([number.distribution for number in numbers]), problem, doubtful, marked, differs)


def _result(each: FormField, found: dict[str, _Found], form: Form) -> FieldResult:
    mine = found[each.name]
    linked = form.same_as(each.name)
    others = [found[name] for name in linked]
    if mine.distribution is None:
        differs = [name for name, other in zip(linked, others, strict=True) if other.distribution]
        problem = mine.problem or (f"it is empty, and {differs[0]} is not" if differs else None)
        return FieldResult(each.name, "", float(problem is None), problem is None, problem, (), mine.box, ())
    own = form.constraints[each.name]
    decided = decide(mine.distribution, own)
    problem = mine.problem or (None if decided.allowed else NOT_ALLOWED)
    theirs = [constraint for name in linked for constraint in form.constraints[name]]
    if others and not all(other.distribution for other in others):
        empty = next(name for name in linked if found[name].distribution is None)
        problem = problem or f"{empty} has no number"
    elif others:
        same = [Same(other.distribution) for other in others if other.distribution]
        together = decide(mine.distribution, [*own, *theirs, *same])
        decided = together if together.allowed else decided
        problem = problem or (None if together.allowed else f"differs from {' and '.join(linked)}")
    # Without constraints the reader's own judgement counts, too: it may know more than the distribution.
    if problem is None and not (own or theirs) and mine.marked:
        problem = MARKED
    if problem is None and not (tell_digits(own) or others) and mine.differs:
        problem = DIFFER
    if problem is None and not (own or others) and mine.doubtful:
        problem = DOUBTFUL
    if problem is None and not decided.confident:
        problem = f"the probability of its number is {decided.score:.2f}"
    return FieldResult(
        each.name, decided.text, decided.score, problem is None, problem, decided.alternatives, mine.box, mine.digits
    )


def _numbers(reading: Reading, region: Region, page: Page) -> list[list[Field]]:
    """The numbers of each line that have a digit in the region, with boxes in the page's pixels."""
    lines = []
    for line in reading.lines:
        numbers = []
        for number in line.fields:
            digits = tuple(replace(digit, box=region.on_page(digit.box, page)) for digit in number.digits)
            if any(region.holds(_decoded(digit, page)) for digit in digits):
                numbers.append(replace(number, digits=digits))
        if numbers:
            lines.append(numbers)
    return lines


def _has_tall_digit(boxes: list[Box]) -> bool:
    heights = sorted(bottom - top for _, top, _, bottom in boxes)
    return heights[-1] > MAX_HEIGHT_RATIO * heights[len(heights) // 2]


def _decoded(digit: Digit, page: Page) -> Box:
    """A digit's box in pixels of `page.pixels`."""
    left, top, right, bottom = (round(edge / page.reduced) for edge in digit.box)
    return left, top, right, bottom
