"""Every sentence about drift: what changed, by how much, and what was compared."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from imparfait.core.counts import counted
from imparfait.core.storage import printable
from imparfait.evaluation.drift import CLASSES, CONFIDENCE, LIMITS, UNSURE, Change, ClassChange, Drift
from imparfait.evaluation.drift import LIMIT as NUMBER_LIMIT
from imparfait.evaluation.statistics import SIGNIFICANCE_LEVEL

NONE = "–"  # an empty cell; reports.text, which has it too, would import torch
HEADINGS = ("of the images", "before", "now", "difference", "p", "verdict")
LEAST_P = 1e-3
SMALL_DIRECTION = 0.1  # below it, values are not larger or smaller but spread differently
NAMED_CLASSES = 3  # in a sentence
SHOWN_CLASSES = 30  # in a table
ENDS = {
    "brightness": ("darker", "brighter"),
    "contrast": ("of lower contrast", "of higher contrast"),
    "sharpness": ("blurrier", "sharper or noisier"),
    "colourfulness": ("paler", "more colourful"),
    "eccentricity": ("nearer to the centre", "further from the centre"),
    "scale": ("of smaller objects", "of larger objects"),
    "zoom": ("from files of more pixels", "from files of fewer pixels"),
    CONFIDENCE: ("predicted with lower confidence", "predicted with higher confidence"),
}
"""What images are called whose values are smaller, or larger."""
DIGIT_ENDS = {
    "brightness": ("drawn with thinner or fainter strokes", "drawn with thicker or brighter strokes"),
    "contrast": ENDS["contrast"],
}
"""The same where the background is always black."""


def drift_sentences(found: Drift, before: str, on_black: bool = False) -> list[str]:
    """A sentence for each change that is worth acting on; `before` is the other side, such as "in training"."""
    sentences = []
    for change in found.changed:
        if change.name == CLASSES:
            sentences.append(_classes_sentence(change, found.classes, before))
        elif change.name == UNSURE:
            shares = f"{_share(change.now)} of images, {_share(change.before)} {before}"
            sentences.append(f"the model is unsure of {shares} ({p_text(change.p)})")
        else:
            sentences.append(_number_sentence(change, before, on_black))
    return sentences


def verdict_sentence(found: Drift) -> str:
    """Whether anything changed, what changed by little, and what would have been found."""
    little = [change.name for change in found.changes if change.outcome == "little"]
    slightly = f"changed, but by little: {', '.join(little)}" if little else ""
    if found.changed:
        return slightly
    numbers = [change for change in found.changes if change.detectable is not None]
    largest = max((each.detectable or 0 for each in numbers), default=0.0)
    seen = f"a difference of more than {largest:.2f} would have been significant" if numbers else ""
    if not little:
        return "; ".join(filter(None, ("no change shown", seen)))
    return f"no change that is worth acting on; {slightly}"


def _number_sentence(change: Change, before: str, on_black: bool) -> str:
    figures = f"{number(change.now)}, {number(change.before)} {before} ({p_text(change.p)})"
    if abs(change.direction) < SMALL_DIRECTION or number(change.now) == number(change.before):
        return f"{change.name} is spread differently: median {figures}; see the figure"
    ends = (DIGIT_ENDS if on_black else {}).get(change.name, ENDS[change.name])
    return f"images are {ends[change.direction > 0]}: median {change.name} {figures}"


def _classes_sentence(change: Change, classes: Sequence[ClassChange], before: str) -> str:
    clear = [each for each in classes if each.p <= SIGNIFICANCE_LEVEL][:NAMED_CLASSES]
    if not clear:
        return f"other classes are predicted: the share of {_share(change.effect)} has moved ({p_text(change.p)})"
    said = [f"{printable(each.name, 40)} is predicted {_how_often(each, before)}" for each in clear]
    more = sum(each.p <= SIGNIFICANCE_LEVEL for each in classes) - len(clear)
    others = f"; and {counted(more, 'more class', 'more classes')}" if more > 0 else ""
    return f"{'; '.join(said)}{others} ({p_text(change.p)})"


def _how_often(change: ClassChange, before: str) -> str:
    figures = f"{_share(change.now)} of images, {_share(change.before)} {before}"
    if change.before == 0 or change.now == 0:
        return f"for {figures}"
    times = change.now / change.before
    return f"{f'{times:.2g} times as' if times > 1 else 'less'} often: {figures}"


def drift_rows(found: Drift) -> list[tuple[str, ...]]:
    """A table row for each test, under HEADINGS; the median of numbers, the share that is unsure."""
    return [
        (
            change.name,
            _cell(change, change.before),
            _cell(change, change.now),
            f"{change.effect:.3f} of {LIMITS.get(change.name, NUMBER_LIMIT):g}",
            p_text(change.p).removeprefix("p = ").removeprefix("p "),
            {"changed": "changed", "little": "by little", "not shown": "not shown"}[change.outcome],
        )
        for change in found.changes
    ]


def _cell(change: Change, value: float) -> str:
    if change.name == CLASSES:
        return NONE
    return _share(value) if change.name == UNSURE else number(value)


def class_rows(found: Drift) -> list[tuple[str, str, str]]:
    """A table row for each class, the most changed first: its share before and now."""
    return [(printable(each.name, 40), _share(each.before), _share(each.now)) for each in found.classes[:SHOWN_CLASSES]]


def how_to_read() -> str:
    """What the columns of the table mean, and the limits."""
    return (
        f"Before and now are medians. The difference is the largest one of the two distributions, 0 to 1: at "
        f"{NUMBER_LIMIT:g}, a tenth of the images has moved. For classes it is the share of images with another class; "
        f"for unsure, the difference of the shares. After “of” is the limit from which on a change counts. p is "
        f"adjusted for all rows (Holm): the chance of any false alarm is {100 * SIGNIFICANCE_LEVEL:g} %."
    )


def compared_sentence(images: int, used: int, model: str, first: float, last: float, reference: str) -> str:
    """What was compared with what."""
    sample = f", of which {used:,} drawn at random" if used < images else ""
    of = f" by {printable(model)}" if model else ""
    when = span_text(first, last)
    return f"{counted(images, 'image')} predicted{of}{sample}, {when}; compared with {reference}"


def blocks_sentence(block: str, is_single: bool) -> str:
    """What counts as one independent block of images."""
    if is_single:
        return (
            "requests count as independent, because there are too few hours and addresses to tell: a burst of one "
            "client would be taken for a change"
        )
    return f"images of one {block} count as alike as they are found to be"


def span_text(first: float, last: float) -> str:
    """From when until when, in UTC, to the minute."""
    start, end = (f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}" for seconds in (first, last))
    return f"{start} UTC" if start == end else f"{start} to {end} UTC"


def number(value: float) -> str:
    """A median with three significant digits."""
    return f"{value:.3g}"


def p_text(p: float) -> str:
    """ "p < 0.001" or "p = 0.012"."""
    return f"p < {LEAST_P:g}" if p < LEAST_P else f"p = {p:.2g}"


def _share(value: float) -> str:
    return f"{100 * value:.3g} %"


def drift_json(found: Drift, more: Mapping[str, Any]) -> dict[str, Any]:
    """A comparison as numbers, with the sentences about it in `more`."""
    changes = [
        {name: None if value != value else value for name, value in change.__dict__.items()} for change in found.changes
    ]
    classes = [change.__dict__ for change in found.classes]
    return {"changed": bool(found.changed), **more, "changes": changes, "classes": classes}
