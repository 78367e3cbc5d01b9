"""Pictures that show no digit: what a classifier should not be sure of."""

from imparfait.data.ood.base import Nothing
from imparfait.data.ood.outlier_exposure import nothing_beside
from imparfait.data.ood.registry import LIKE, NOTHING
from imparfait.data.ood.synthetic import scrambled

__all__ = ["LIKE", "NOTHING", "Nothing", "nothing_beside", "scrambled"]
