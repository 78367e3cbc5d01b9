"""What tells a digit from another glyph or none: the scores of each glyph, and its neighbours in the line."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from imparfait.inference.ocr.crops import SMALLEST, Opinions
from imparfait.inference.ocr.detector import DIGITS, Glyphs
from imparfait.inference.ocr.layout import find_lines

NEAR_HEIGHTS = 3.0  # distance at which a neighbour counts 1/e
MIN_HEIGHT_RATIO, MAX_RISE = 0.22, 0.65  # of neighbours, in heights of the larger: a comma has a digit beside it
RIVAL_OVERLAP = 0.6  # of the narrower of two glyphs: with more, only one of them is there
MOST_SIZE, MOST_OFF, MOST_FAINTER = 1.5, 2.0, 1.5  # differences from the neighbours; larger ones count as these
USUAL_PIXELS, LOG_HEIGHTS = 20.0, (-1.0, 1.5)  # height of a glyph, and logarithms of others' shares of it that count
ROUNDS = 2  # of presence by context: the neighbours' presence depends on their neighbours


@dataclass(frozen=True)
class Weights:
    """How evidence becomes probabilities: logistic regressions on composed pages (benchmarks/tools/fit_reader.py)."""

    alone: tuple[float, ...] = (1.306, 1.123, -0.503, 0.213, -0.392, -0.632, 0.91, 0.047)
    """Of `evidence`, for the presence of a digit by its own scores."""
    in_line: tuple[float, ...] = (
        0.972, 0.747, -0.218, 0.091, -0.251, -0.464, 0.889, 0.049, 1.258, -1.326, -1.89, -0.326, -2.166, -0.866,
    )  # fmt: skip
    """Of `evidence` and `context`."""
    label: tuple[float, ...] = (0.674, 0.388, 0.756)
    """Of `label_evidence`: the detector's, the classifier's and the glyph classifier's opinion."""
    label_by_height: tuple[float, ...] = (0.421, 0.071, -0.37)
    """What is added to each for a glyph e times as high as one of 20 pixels."""


WEIGHTS = Weights()


def presence(glyphs: Glyphs, opinions: Opinions, weights: Weights = WEIGHTS) -> Float[np.ndarray, " n"]:
    """The probability that each glyph on a page is a digit."""
    own = evidence(glyphs, opinions)
    chance = logistic(own @ np.array(weights.alone))
    lines = context_lines(glyphs)
    for _ in range(ROUNDS):
        chance = logistic(
            np.concatenate([own, context(glyphs, opinions.contrast, lines, chance)], 1) @ np.array(weights.in_line)
        )
    return chance


def evidence(glyphs: Glyphs, opinions: Opinions) -> Float[np.ndarray, "n features"]:
    """A glyph's own scores.

    A constant; the detector's score of the best digit and that of another glyph; the classifier's best score; how far
    both agree on the digit; the height at the scale where it was found; the glyph classifier's odds that it is a digit,
    and its share of the best one.
    """
    probabilities, in_place = opinions.probabilities, opinions.in_place
    best, other = glyphs.scores[:, :DIGITS].max(1), glyphs.scores[:, DIGITS]
    shares = glyphs.scores[:, :DIGITS] / glyphs.scores[:, :DIGITS].sum(1, keepdims=True)
    surest = probabilities.max(1, initial=0)
    agreed = (shares * probabilities).sum(1) if probabilities.shape[1:] == (DIGITS,) else surest
    clear = np.log(np.maximum(glyphs.heights, 1))
    seen = [_logit(1 - in_place[:, DIGITS]), _log(in_place[:, :DIGITS].max(1, initial=0))]
    return np.stack([np.ones(len(glyphs)), _logit(best), _logit(other), _log(surest), _log(agreed), clear, *seen], 1)


def context_lines(glyphs: Glyphs) -> list[list[int]]:
    """The lines of glyphs that `context` sees, small neighbours included."""
    return find_lines(glyphs.boxes, MIN_HEIGHT_RATIO, MAX_RISE)


def context(
    glyphs: Glyphs, contrast: Float[np.ndarray, " n"], lines: list[list[int]], chance: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n features"]:
    """How a glyph fits its line, given the probability that each glyph is a digit.

    How many digits and how many other glyphs are near it; the differences from these digits in size and from their
    line; how much of it a probable digit covers; how much fainter it is than they are. A digit among digits of its size
    is one; a tick below them is none, nor is what shows through the paper.
    """
    features = np.zeros((len(glyphs), 6))
    other = glyphs.scores[:, DIGITS] * (1 - chance)
    for line in lines:
        if len(line) > 1:
            features[line] = _in_line(glyphs.boxes[line], contrast[line], chance[line], other[line])
    return features


def _in_line(
    boxes: Float[np.ndarray, "n 4"],
    contrast: Float[np.ndarray, " n"],
    chance: Float[np.ndarray, " n"],
    other: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "n features"]:
    (x, y), (wide, tall) = ((boxes[:, :2] + boxes[:, 2:]) / 2).T, (boxes[:, 2:] - boxes[:, :2]).T
    taller = np.maximum(tall, tall[:, None])
    near = np.exp(-np.abs(x - x[:, None]) / (NEAR_HEIGHTS * taller))
    common = np.minimum(boxes[:, 2], boxes[:, 2:3]) - np.maximum(boxes[:, 0], boxes[:, :1])
    overlap = np.clip(common, 0, None) / np.minimum(wide, wide[:, None])
    np.fill_diagonal(near, 0)
    np.fill_diagonal(overlap, 0)
    digits = near * chance * (overlap < RIVAL_OVERLAP)
    company = digits.sum(1)
    share = digits / np.maximum(company, SMALLEST)[:, None]
    size, middle_x, middle_y = np.exp(share @ np.log(tall)), share @ x, share @ y
    from_x, from_y = x - middle_x[:, None], y - middle_y[:, None]
    slope = (share * from_x * from_y).sum(1) / ((share * from_x**2).sum(1) + size**2)
    rise = np.abs(y - middle_y - slope * (x - middle_x)) / size
    fainter = share @ np.log(contrast) - np.log(contrast)
    counts = np.minimum(1, company)
    return np.stack([
        np.log1p(company), np.log1p((near * other).sum(1)), counts * np.minimum(MOST_SIZE, np.abs(np.log(tall / size))),
        counts * np.minimum(MOST_OFF, rise), (overlap * chance).max(1), counts * np.clip(fainter, 0, MOST_FAINTER),
    ], 1)  # fmt: skip


def label_evidence(glyphs: Glyphs, opinions: Opinions) -> Float[np.ndarray, "n opinions classes"]:
    """The logarithms of what the detector, the classifier and the glyph classifier take each digit for."""
    scores = glyphs.scores[:, :DIGITS] / glyphs.scores[:, :DIGITS].sum(1, keepdims=True)
    seen = opinions.in_place[:, :DIGITS] / np.maximum(opinions.in_place[:, :DIGITS].sum(1, keepdims=True), SMALLEST)
    return np.stack([_log(scores), _log(opinions.probabilities), _log(seen)], 1)


def relative_height(glyphs: Glyphs) -> Float[np.ndarray, " n"]:
    """How high glyphs are on the page: logarithms of shares of 20 pixels, within bounds."""
    tall = glyphs.boxes[:, 3] - glyphs.boxes[:, 1]
    return np.asarray(np.clip(np.log(np.maximum(tall, 1) / USUAL_PIXELS), *LOG_HEIGHTS))


def labels(glyphs: Glyphs, opinions: Opinions, weights: Weights = WEIGHTS) -> Float[np.ndarray, "n classes"]:
    """The probability of each digit by all opinions: a geometric mean, weighted by the height of each glyph.

    The glyph classifier is best at small ones, the other two at high ones.
    """
    each = np.outer(np.ones(len(glyphs)), weights.label) + np.outer(relative_height(glyphs), weights.label_by_height)
    logs = np.einsum("nol,no->nl", label_evidence(glyphs, opinions), each)
    likely = np.exp(logs - logs.max(1, keepdims=True, initial=-np.inf))
    return np.asarray(likely / likely.sum(1, keepdims=True))


def logistic(odds: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Probabilities for the logarithms of odds."""
    return np.asarray(1 / (1 + np.exp(-odds)))


def _logit(score: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return np.asarray(_log(score) - _log(1 - score))


def _log(probability: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(np.clip(probability, SMALLEST, 1)))
