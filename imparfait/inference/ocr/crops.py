"""What classifiers make of single glyphs: cut out, with their ground, and in their place on the page."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from PIL import Image

from imparfait.data.images.decode import page_of
from imparfait.data.images.foreground import MIN_CONTRAST, edges_of
from imparfait.data.images.input_format import InputFormat
from imparfait.data.images.normalize import whole_page
from imparfait.data.images.placement import place
from imparfait.inference.ocr.detector import DIGITS, Glyphs
from imparfait.inference.ocr.glyph_classifier import TAIL, classify_glyphs, rank_quantiles
from imparfait.inference.predictor import Predictor

MARGIN_SHARE = 0.10  # of a glyph's longer side, around it in the crop with its ground
GROUND_SHARE = 0.25  # of it, around a glyph that is cut out: enough to know the ground
CLEAR = 0.95  # quantile of the contrast that is ink
NOISE_SIGMAS = 3
KEPT_PIXELS = 48  # of a crop, nearly: the classifier sees less
MIN_INK = 0.3  # of the clearest ink: less is none
MIN_ODDS = 0.0067  # of a digit, by the detector times by the glyph classifier: below, 54 of 20,077 digits, all unread
SMALLEST = 1e-6  # probability that is divided by, or has a logarithm

Grey = Float32[np.ndarray, "height width"]
Input = UInt8[np.ndarray, "channels rows columns"]
GlyphBox = Float[np.ndarray, "4"]


@dataclass(frozen=True, eq=False)
class Opinions:
    """What the classifiers make of glyphs."""

    probabilities: Float32[np.ndarray, "n classes"]
    """Their sum is less than 1 where two views of a glyph disagree; equal where the classifier was not asked."""
    pixels: UInt8[np.ndarray, "n channels rows columns"]
    """The inputs that show each glyph cut out; empty where the classifier was not asked."""
    contrast: Float[np.ndarray, " n"]
    """Of the ink to its ground, 0..1; 1 where it was not measured."""
    in_place: Float32[np.ndarray, "n labels"]
    """By the glyph classifier, which sees the surroundings: ten digits and none."""


def opinions_on(grey: Grey, glyphs: Glyphs, predictor: Predictor) -> Opinions:
    """What the model's classifier and the glyph classifier make of the glyphs on a page.

    A classifier of two views also takes each with its ground. Then the probabilities are the geometric means of both.
    It is not asked about glyphs that are clearly none, as most letters are, and has no opinion on them.
    """
    form = predictor.input_format
    in_place = classify_glyphs(grey, glyphs.boxes)
    asked = np.flatnonzero(_may_be_digits(glyphs, in_place))
    pixels = np.zeros((len(glyphs), form.channels, form.height, form.width), np.uint8)
    contrast = np.ones(len(glyphs))
    probabilities = np.full((len(glyphs), len(predictor.classes)), 1 / len(predictor.classes), np.float32)
    for glyph in asked:
        pixels[glyph], contrast[glyph] = cut_out(grey, glyphs.boxes[glyph], form)
    if len(asked) and form.two_views:
        ground = np.array([with_ground(grey, box, form) for box in glyphs.boxes[asked]], np.uint8)
        both = np.clip(predictor.predict_proba(np.concatenate([pixels[asked], ground])), 0, 1)
        probabilities[asked] = np.sqrt(np.prod(np.split(both, 2), axis=0))
    elif len(asked):
        probabilities[asked] = predictor.predict_proba(pixels[asked])
    return Opinions(probabilities, pixels, contrast, in_place)


def _may_be_digits(glyphs: Glyphs, in_place: Float32[np.ndarray, "n labels"]) -> Bool[np.ndarray, " n"]:
    """Those that the detector and the glyph classifier together do not rule out."""
    chances = glyphs.scores[:, :DIGITS].max(1, initial=0), 1 - in_place[:, DIGITS]
    odds = [chance / np.maximum(1 - chance, SMALLEST) for chance in chances]
    return np.asarray(np.prod(odds, axis=0) > MIN_ODDS)


def with_ground(grey: Grey, box: GlyphBox, form: InputFormat) -> Input:
    """A glyph as it is on the page, its contrast stretched."""
    left, top, right, bottom = _around(grey, box, MARGIN_SHARE)
    return whole_page(page_of(grey[top:bottom, left:right]), form)


def cut_out(grey: Grey, box: GlyphBox, form: InputFormat) -> tuple[Input, float]:
    """The ink inside the box, light on dark, framed as MNIST's digits are, and its contrast to the ground.

    The input is empty where there is next to no contrast.
    """
    left, top, right, bottom = _around(grey, box, GROUND_SHARE)
    crop = grey[top:bottom, left:right]
    inside = box - np.array([left, top, left, top])
    if (reduction := max(crop.shape) // KEPT_PIXELS) > 1:
        crop = np.asarray(Image.fromarray(np.ascontiguousarray(crop)).reduce(reduction))
        inside = inside / reduction
    contrast = crop - np.median(crop)
    darkest, lightest, clearest, clearest_dark = rank_quantiles(contrast, TAIL, 1 - TAIL, CLEAR, 1 - CLEAR)
    if -darkest > lightest:
        contrast, clearest = -contrast, -clearest_dark
    strength = max(clearest, MIN_CONTRAST)
    clear = contrast[contrast > strength / 2]
    strength = float(np.median(clear)) if clear.size else strength
    low = min(NOISE_SIGMAS * _noise(contrast, strength), strength / 3)
    first_x, first_y, last_x, last_y = (max(0, round(edge)) for edge in inside.tolist())
    ink = np.zeros_like(crop)
    within = slice(first_y, last_y), slice(first_x, last_x)
    ink[within] = np.clip((contrast[within] - low) / (strength - low), 0, 1)
    if ink.max() < MIN_INK:
        return np.zeros((1, form.height, form.width), np.uint8), strength
    plane, _ = place(ink, edges_of(ink), form.height, form.width)
    return np.asarray(np.rint(plane[None] * 255), np.uint8), strength


def _noise(contrast: Grey, strength: float) -> float:
    """The noise of the ground, by its median absolute deviation."""
    ground = np.abs(contrast[contrast < strength / 3])
    return 1.48 * float(np.median(ground)) if ground.size else 0.0


def _around(grey: Grey, box: GlyphBox, share: float) -> tuple[int, int, int, int]:
    """The box with a margin, on the page: left, top, right, bottom."""
    margin = share * max(box[2] - box[0], box[3] - box[1])
    height, width = grey.shape
    first_x, first_y, last_x, last_y = (round(edge) for edge in (box + margin * np.array([-1, -1, 1, 1])).tolist())
    left, top = min(max(0, first_x), width - 1), min(max(0, first_y), height - 1)
    return left, top, max(left + 1, min(width, last_x)), max(top + 1, min(height, last_y))
