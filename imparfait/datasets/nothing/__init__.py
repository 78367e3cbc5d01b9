"""Pictures that show no digit: what a classifier should not be sure of."""

from imparfait.datasets.nothing.beside import nothing_beside
from imparfait.datasets.nothing.fitted import scrambled
from imparfait.datasets.nothing.sets import LIKE, NOTHING
from imparfait.datasets.nothing.table import Nothing

__all__ = ["LIKE", "NOTHING", "Nothing", "nothing_beside", "scrambled"]
