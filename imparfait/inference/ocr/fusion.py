"""A field's strings by two readers: the glyphs that were found, and the sequence recogniser."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from imparfait.inference.ocr.ctc import OfLength
from imparfait.inference.ocr.distribution import Segmentation


@dataclass(frozen=True)
class FusionWeights:
    """Exponents of a product of two readers' probabilities, fitted by benchmarks/tools/fit_sequences.py."""

    glyphs_length: float = 0.88
    sequence_length: float = 0.199
    glyphs_digit: float = 0.895
    sequence_digit: float = 0.895
    log_unseen_by_glyphs: float = -1.783
    """What replaces the logarithm of the probability of a length that has none."""
    log_unseen_by_sequence: float = -2.127


FUSION = FusionWeights()
SMALLEST = 1e-5  # probability of a digit: neither reader rules one out
MIN_UNSEEN = 0.03  # probability by the sequence, from which on a length counts that no glyphs have


def fused(
    by_glyphs: Sequence[Segmentation], by_sequence: Sequence[OfLength], weights: FusionWeights = FUSION
) -> list[Segmentation]:
    """The segmentations with the probabilities of both readers: first those by glyphs, then the sequence's others.

    Both are held to be experts for the whole string, so their weighted logarithms are added: for the length, and for
    each digit of it. Where one of them does not know a length, the other one's digits count alone.
    """
    of_length = {len(each.rows): each for each in by_sequence}
    both = weights.glyphs_digit + weights.sequence_digit
    logs, rows = [], []
    for each in by_glyphs:
        other = of_length.get(len(each.rows))
        length = weights.glyphs_length * np.log(max(each.probability, 1e-12))
        if other is None:
            likely = _powers(each.rows, both)
            length += weights.log_unseen_by_sequence
        else:
            likely = _powers(each.rows, weights.glyphs_digit) * _powers(other.rows, weights.sequence_digit)
            length += weights.sequence_length * np.log(other.probability)
        logs.append(length + np.log(likely.sum(1)).sum())
        rows.append(likely / likely.sum(1, keepdims=True))
    for other in only_in_sequence(by_glyphs, by_sequence):
        likely = _powers(other.rows, both)
        length = weights.log_unseen_by_glyphs + weights.sequence_length * np.log(other.probability)
        logs.append(length + np.log(likely.sum(1)).sum())
        rows.append(likely / likely.sum(1, keepdims=True))
    shares = np.exp(np.array(logs) - max(logs))
    return [Segmentation(float(share), row) for share, row in zip(shares / shares.sum(), rows, strict=True)]


def only_in_sequence(by_glyphs: Sequence[Segmentation], by_sequence: Sequence[OfLength]) -> list[OfLength]:
    """The lengths that no glyphs have and that are not improbable."""
    known = {len(each.rows) for each in by_glyphs}
    return [each for each in by_sequence if len(each.rows) not in known and each.probability >= MIN_UNSEEN]


def _powers(rows: Float[np.ndarray, "length digits"], exponent: float) -> Float[np.ndarray, "length digits"]:
    return np.asarray(np.clip(rows, SMALLEST, 1) ** exponent)
