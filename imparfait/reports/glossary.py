"""The glossary of reports: every metric in a sentence, and which of them a page shows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape

TAGS = re.compile(r"<(style|script|picture)\b.*?</\1>|<[^>]*>", re.S)


@dataclass(frozen=True)
class Term:
    """A metric, what it is, and how it is recognised on a page."""

    name: str
    meaning: str
    pattern: str
    """A regular expression of the words that stand for it."""
    anchor: str
    """Its heading in docs/metrics.md; the name of its drawing too."""


TERMS = (
    Term(
        "Accuracy",
        "The share of images that are classified correctly. With 10 classes of equal size, guessing gives 10 %.",
        r"\b[Aa]ccurac(y|ies)\b", "accuracy",
    ),
    Term(
        "95 % interval",
        "The range of true accuracies that fit the images seen. It shrinks with more images. Intervals of two models "
        "that overlap may still differ: the test of the difference decides.",
        r"95 %", "confidence-interval",
    ),
    Term(
        "Precision, recall and F1",
        "Precision: of the images predicted as a class, the share that are of it. Recall: of the images of a class, "
        "the share predicted as it. F1: their harmonic mean.",
        r"\b([Pp]recision|[Rr]ecall|F1)\b", "precision-recall-f1",
    ),
    Term(
        "NLL (negative log-likelihood, log loss)",
        "The mean of −log of the probability given to the true class; 0 is perfect. Being confident and wrong costs "
        "most. Equal probabilities for 10 classes give 2.30.",
        r"\bNLL\b|\blog loss\b", "nll",
    ),
    Term(
        "Brier score",
        "The mean squared distance of the probabilities from the truth; 0 is perfect, 2 the worst. Equal "
        "probabilities for 10 classes give 0.90.",
        r"\bBrier\b", "brier-score",
    ),
    Term(
        "ECE (expected calibration error)",
        "The mean distance between confidence and accuracy, over groups of images with similar confidence. 0 is "
        "perfect. Its interval allows for the error that few images add, so it may lie below the value.",
        r"\bECE\b", "ece",
    ),
    Term(
        "ECE by chance",
        "Few images give a positive ECE even to a perfectly calibrated model. Only an ECE above this value shows "
        "miscalibration.",
        r"\b[Bb]y chance\b", "ece-by-chance",
    ),
    Term(
        "AUROC",
        "The chance that an image of a known class gets a higher confidence than one of no class. 1 is perfect, 0.5 "
        "is guessing.",
        r"\bAUROC\b", "auroc",
    ),
    Term(
        "FPR95",
        "The share of images of no class that pass a threshold which 95 % of the known images pass. 0 % is perfect, "
        "95 % is guessing.",
        r"\bFPR95\b", "fpr95",
    ),
    Term(
        "Corruption error (CE)",
        "Errors under a corruption, divided by those of a baseline model. Below 1: fewer errors than the baseline.",
        r"\bCE\b|[Cc]orruption error", "corruption-error",
    ),
    Term(
        "p and the Holm correction",
        "p: how often chance alone gives a difference as large. Many tests find something by chance, so Holm raises "
        "their p. At most 0.05 counts as a difference.",
        r"\bHolm\b|\bp, adjusted\b|\bp =", "holm-correction",
    ),
)  # fmt: skip


def terms_in(page: str) -> Sequence[Term]:
    """The metrics whose words are in the text of an HTML page, in the order of the glossary."""
    text = unescape(TAGS.sub(" ", page)).replace("\N{NO-BREAK SPACE}", " ")
    return [term for term in TERMS if re.search(term.pattern, text)]
