"""Models opened for `imparfait evaluate`; to be imported from `inference/open_model`."""

from imparfait.inference.open_model import LoadedModel, names_of, open_model

__all__ = ["LoadedModel", "names_of", "open_model"]
