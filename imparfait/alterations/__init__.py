"""Alterations: pure functions from (images, severity, draw) to images; others say corruption or augmentation."""

from collections.abc import Callable

from imparfait.alterations.geometry import Severity, geometric, shrunk
from imparfait.randomness import Draw
from imparfait.tensors import Images

Alteration = Callable[[Images, Severity, Draw], Images]

ALTERATIONS: dict[str, Alteration] = {
    "geometric": geometric,
    "shrunk": shrunk,
}

__all__ = ["ALTERATIONS", "Alteration", "Severity", "geometric", "shrunk"]
