"""Images that show no digit: what a classifier should not be sure of."""

from imparfait.data.ood.base import OodSet
from imparfait.data.ood.outlier_exposure import draw_outliers
from imparfait.data.ood.registry import LIKE, OOD_SETS
from imparfait.data.ood.synthetic import scrambled

__all__ = ["LIKE", "OOD_SETS", "OodSet", "draw_outliers", "scrambled"]
