"""Alterations: pure functions from (images, severity, draw) to images; others say corruption or augmentation."""

from imparfait.alterations.geometry import geometric, shrunk
from imparfait.alterations.severity import Severity
from imparfait.alterations.table import Alteration, Listed

ALTERATIONS: dict[str, Listed] = {
    "geometric": Listed(geometric, "geometry", protocol=0.5),
    "shrunk": Listed(shrunk, "geometry", protocol=1.0),
}

__all__ = ["ALTERATIONS", "Alteration", "Listed", "Severity", "geometric", "shrunk"]
