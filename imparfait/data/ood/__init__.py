"""Out-of-distribution (OOD) images: of none of the classes, so a classifier should abstain on them."""

from imparfait.data.ood.base import OodSet
from imparfait.data.ood.outlier_exposure import draw_outliers
from imparfait.data.ood.registry import LIKE, OOD_SETS
from imparfait.data.ood.synthetic import scrambled

__all__ = ["LIKE", "OOD_SETS", "OodSet", "draw_outliers", "scrambled"]
