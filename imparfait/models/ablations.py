"""The study's networks with one thing changed, to see what it was worth."""

from imparfait.models.cnn import Cnn
from imparfait.models.recurrent import CnnGru


def one_convolution(*, channels: int, classes: int, height: int, width: int) -> Cnn:
    """`cnn` with one convolution a block instead of two."""
    return Cnn(channels=channels, classes=classes, height=height, width=width, convolutions=1)


def no_normalisation(*, channels: int, classes: int, height: int, width: int) -> Cnn:
    """`cnn` without batch normalisation."""
    return Cnn(channels=channels, classes=classes, height=height, width=width, normalise=False)


def no_dropout(*, channels: int, classes: int, height: int, width: int) -> Cnn:
    """`cnn` without dropout."""
    return Cnn(channels=channels, classes=classes, height=height, width=width, dropout=False)


def tanh(*, channels: int, classes: int, height: int, width: int) -> CnnGru:
    """`cnn_gru` with tanh in the GRUs, Keras's own default, instead of the annex's relu."""
    return CnnGru(channels=channels, classes=classes, height=height, width=width, candidate="tanh")
