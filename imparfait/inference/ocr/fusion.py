"""Combines two readings of a field: by its glyphs, and by the sequence recogniser."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from imparfait.inference.ocr.ctc import LengthReading
from imparfait.inference.ocr.distribution import Segmentation


@dataclass(frozen=True)
class FusionWeights:
    """Exponents of a product of two readers' probabilities.

    Fitted by benchmarks/tools/fit_sequences.py on 3,029 fields of 640 composed pages.
    """

    glyphs_length: float = 0.88
    sequence_length: float = 0.199
    digit: float = 0.895
    """Of the probabilities of both."""
    log_unseen_by_glyphs: float = -1.783
    """What replaces the weighted logarithm of the probability of a length that has none."""
    log_unseen_by_sequence: float = -2.127


FUSION = FusionWeights()
MIN_DIGIT_PROBABILITY = 1e-5  # neither reader rules a digit out
MIN_LENGTH_PROBABILITY = 1e-12
# By the sequence, for lengths that no glyphs have. On 927 other fields 0 to 0.03 are as good, 0.1 is worse: the largest
# that costs nothing, for under constraints every length is an alternative.
MIN_UNSEEN = 0.03


def fused(
    by_glyphs: Sequence[Segmentation], by_sequence: Sequence[LengthReading], weights: FusionWeights = FUSION
) -> list[Segmentation]:
    """The segmentations with the probabilities of both readers: first those by glyphs, then the sequence's others.

    A product of experts over whole strings (Hinton, 2002): weighted log probabilities are added, for the length and for
    each digit. A reader that has a length alone counts for both, so its digits become surer.
    """
    of_length = {len(each.rows): each for each in by_sequence}
    pairs: list[tuple[Segmentation | None, LengthReading | None]] = []
    pairs += [(each, of_length.get(len(each.rows))) for each in by_glyphs]
    pairs += [(None, each) for each in only_in_sequence(by_glyphs, by_sequence)]
    logs, rows = [], []
    for mine, other in pairs:
        likely = _product(mine, other, weights)
        logs.append(_length_log(mine, other, weights) + np.log(likely.sum(1)).sum())
        rows.append(likely / likely.sum(1, keepdims=True))
    shares = np.exp(np.array(logs) - max(logs))
    return [Segmentation(float(share), row) for share, row in zip(shares / shares.sum(), rows, strict=True)]


def only_in_sequence(by_glyphs: Sequence[Segmentation], by_sequence: Sequence[LengthReading]) -> list[LengthReading]:
    """The lengths that no glyphs have and that are not improbable; that there is no digit, glyphs have to say too."""
    known = {0, *(len(each.rows) for each in by_glyphs)}
    return [each for each in by_sequence if len(each.rows) not in known and each.probability >= MIN_UNSEEN]


def _length_log(mine: Segmentation | None, other: LengthReading | None, weights: FusionWeights) -> float:
    by_glyphs, by_sequence = weights.log_unseen_by_glyphs, weights.log_unseen_by_sequence
    if mine:
        by_glyphs = weights.glyphs_length * np.log(max(mine.probability, MIN_LENGTH_PROBABILITY))
    if other:
        by_sequence = weights.sequence_length * np.log(max(other.probability, MIN_LENGTH_PROBABILITY))
    return float(by_glyphs + by_sequence)


def _product(
    mine: Segmentation | None, other: LengthReading | None, weights: FusionWeights
) -> Float[np.ndarray, "length digits"]:
    """Of the probabilities of each digit; a reader that is alone counts twice."""
    tables = [each.rows for each in (mine or other, other or mine) if each]
    powers = [np.clip(rows, MIN_DIGIT_PROBABILITY, 1) ** weights.digit for rows in tables]
    return np.asarray(np.prod(powers, axis=0))
