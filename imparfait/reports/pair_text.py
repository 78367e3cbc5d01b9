"""Every sentence about two models that should agree."""

from collections.abc import Sequence

from imparfait.evaluation.external.preprocessing import Agreement
from imparfait.inference.model_pair import PairResult

HEADINGS = ("input of the other model", "same label", "difference")


def pair_rows(result: PairResult) -> Sequence[Sequence[str]]:
    """The other model with the reference's preprocessing, with the best found, and with each part of it left out."""
    found = result.explanation
    rows = [("as the reference", *_shown(found.as_reference)), ("best found", *_shown(found.best))]
    own = found.as_reference.preprocessing.parts
    return [*rows, *((f"… with {name} {own[name]}", *_shown(each)) for name, each in found.without.items())]


def pair_sentence(result: PairResult) -> str:
    """What explains the difference, or that nothing does."""
    found = result.explanation
    own, best = found.as_reference.preprocessing.parts, found.best.preprocessing.parts
    if found.as_reference.is_equal:
        return (
            f"The two models agree on {_count(found.as_reference)} with the same input{_scaled(found.as_reference)}: "
            "there is nothing to explain."
        )
    changes = "; ".join(f"{name} {best[name]}, not {own[name]}" for name in found.without)
    if found.best.is_equal:
        return (
            f"Preprocessing explains the difference. The other model gives the reference's labels for "
            f"{_count(found.best)} with {changes}; with the reference's input for {found.as_reference.same:,}"
            f"{_scaled(found.best)}."
        )
    if changes and found.best.same > found.as_reference.same:
        return (
            f"Preprocessing explains a part at most: {_count(found.best)} have the reference's label with {changes}, "
            f"{found.as_reference.same:,} with the reference's input. Weights or the order of classes may differ too."
        )
    closest = max(found.best, found.as_reference, key=lambda each: each.same)
    return (
        f"No preprocessing that was tried explains the difference: at best {_count(closest)} have the reference's "
        "label. Compare the weights and the order of classes."
    )


def _scaled(agreement: Agreement) -> str:
    """What is to be said where the logits have another scale, as after calibration."""
    if agreement.temperature == 1:
        return ""
    return f", and probabilities for logits divided by {agreement.temperature:.2g}"


def _count(agreement: Agreement) -> str:
    return f"{agreement.same:,} of {agreement.total:,} images"


def _shown(agreement: Agreement) -> tuple[str, str]:
    return f"{agreement.same:,}/{agreement.total:,}", f"{agreement.difference:.4f}"
