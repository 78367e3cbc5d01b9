"""All misclassified images of a report, a page at a time, and the pairs of classes that are confused most often."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from imparfait.data.dataset import ConditionImages
from imparfait.data.images.encode import image_of_planes
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import ConditionResult, Scores
from imparfait.evaluation.suite import CLEAN
from imparfait.reports.suite_mistakes import ImageMaker, Place
from imparfait.reports.text import corruption_label, severity_number

MOST = 400  # images: half a megabyte of a page
ON_A_PAGE = 80
PAIRS = 8
SIDE = 64  # pixels, to which larger images are reduced


@dataclass(frozen=True)
class GalleryImage:
    """One misclassified image."""

    source: str
    """A data URL."""
    truth: str
    predicted: str
    confidence: str
    condition: str


@dataclass(frozen=True)
class GalleryPage:
    """Some images, counted from 1."""

    first: int
    last: int
    images: Sequence[GalleryImage]


@dataclass(frozen=True)
class Gallery:
    """Pages of misclassified images; none without mistakes."""

    pages: Sequence[GalleryPage] = ()
    remark: str = ""
    """How many there are, which are shown, and in which order."""
    pairs: Sequence[tuple[str, str, int]] = ()
    """True class, predicted class and how often, the most frequent first."""


def run_gallery(scores: Scores, conditions: Sequence[ConditionImages]) -> Gallery:
    """The mistakes under every condition, the most confident first."""
    places = sorted(
        (-float(result.confidence[row]), at, int(row))
        for at, result in enumerate(scores.conditions)
        for row in np.flatnonzero(~result.correct)
    )
    shown = [
        _image(conditions[at].data.pixels[row], scores.conditions[at], row, scores.classes)
        for _, at, row in places[:MOST]
    ]
    return _gallery(shown, len(places), scores.conditions, scores.classes, "the most confident first")


def suite_gallery(suite: SuiteResult, images: ImageMaker) -> Gallery:
    """The mistakes of a suite: in turn from each corruption, its most confident first."""
    conditions = [result for result in suite.conditions.values() if not result.correct.all()]
    by_corruption: dict[str, list[tuple[float, ConditionResult, int]]] = {}
    for result in conditions:
        if result.corruption == CLEAN or images.can_make(result.corruption):
            wrong = np.flatnonzero(~result.correct)
            ranked = wrong[np.argsort(-result.confidence[wrong], kind="stable")][:MOST]
            own = by_corruption.setdefault(result.corruption, [])
            own += [(float(result.confidence[row]), result, int(row)) for row in ranked]
    for own in by_corruption.values():
        own.sort(key=lambda entry: -entry[0])
    chosen = [entry for entry in chain.from_iterable(zip_longest(*by_corruption.values())) if entry][:MOST]
    if not chosen:
        return Gallery()
    places: list[Place] = [(one.corruption, one.severity, int(one.sources[row])) for _, one, row in chosen]
    pixels = images.make_all(places)
    classes = suite.scores.classes
    shown = [_image(image, one, row, classes) for image, (_, one, row) in zip(pixels, chosen, strict=True)]
    total = sum(int((~result.correct).sum()) for result in conditions)
    return _gallery(shown, total, conditions, classes, "in turn from each corruption, its most confident first")


def _gallery(
    shown: Sequence[GalleryImage], total: int, results: Sequence[ConditionResult], classes: Sequence[str], order: str
) -> Gallery:
    if not shown:
        return Gallery()
    pages = [
        GalleryPage(start + 1, min(start + ON_A_PAGE, len(shown)), shown[start : start + ON_A_PAGE])
        for start in range(0, len(shown), ON_A_PAGE)
    ]
    count = f"all {total:,}" if len(shown) == total else f"{len(shown):,} of {total:,}"
    remark = f"Shown: {count}, {order}. Each: true class → prediction, confidence, condition."
    return Gallery(pages, remark, _pairs(np.sum([result.confusion() for result in results], 0), classes))


def _pairs(counts: Int[np.ndarray, "classes classes"], classes: Sequence[str]) -> list[tuple[str, str, int]]:
    wrong = counts - np.diag(counts.diagonal())
    cells = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    places = [divmod(int(cell), len(classes)) for cell in cells]
    return [(classes[one], classes[other], int(wrong[one, other])) for one, other in places if wrong[one, other]]


def _image(
    pixels: UInt8[np.ndarray, "channels height width"], result: ConditionResult, row: int, classes: Sequence[str]
) -> GalleryImage:
    severity = f" {severity_number(result.corruption, result.severity)}" if result.severity else ""
    return GalleryImage(
        _as_url(pixels),
        classes[result.truths[row]],
        classes[result.predicted[row]],
        f"{100 * result.confidence[row]:.0f} %",
        f"{corruption_label(result.corruption)}{severity}",
    )


def _as_url(pixels: UInt8[np.ndarray, "channels height width"]) -> str:
    """The image as a data URL: small ones as they are, large ones reduced."""
    image = image_of_planes(pixels)
    is_large = max(image.size) > SIDE
    image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    buffer = io.BytesIO()
    if is_large:
        image.save(buffer, "JPEG", quality=85)
    else:
        image.save(buffer, "PNG")
    return f"data:image/{'jpeg' if is_large else 'png'};base64,{base64.b64encode(buffer.getvalue()).decode()}"
