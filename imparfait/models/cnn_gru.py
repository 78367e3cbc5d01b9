"""The founding study's recurrent networks."""

from jaxtyping import Float
from torch import Tensor, nn

from imparfait.core.tensors import Images
from imparfait.models import keras_layers
from imparfait.models.cnn import WIDTHS, trunk, trunk_size
from imparfait.models.gru import Candidate, Gru, at_the_end, side_by_side


class CnnGru(nn.Module):
    """The study's CNN×GRU (Annex 2): the trunk of `cnn`, then two bidirectional GRUs over its positions.

    Built for images of `height` × `width`, at least 8×8.
    """

    def __init__(self, *, channels: int, classes: int, height: int, width: int, candidate: Candidate = "relu"):
        super().__init__()
        trunk_size(height, width)
        self.height, self.width = height, width
        self.strokes = trunk(channels)
        self.first_reader = Gru(WIDTHS[-1], 512, directions=2, candidate=candidate)
        self.first_dropout = keras_layers.Dropout(0.25)
        self.second_reader = Gru(2 * 512, 256, directions=2, candidate=candidate)
        self.second_dropout = keras_layers.Dropout(0.5)
        self.head = keras_layers.dense(2 * 256, classes)

    def forward(self, images: Images) -> Float[Tensor, "n classes"]:
        """Logits for images in 0..1."""
        keras_layers.check_size("cnn_gru", self.height, self.width, images)
        steps = keras_layers.in_steps(self.strokes(images))  # n, places, 128
        sequence = self.first_dropout(side_by_side(self.first_reader(steps)))  # n, places, 1024
        summary = self.second_dropout(at_the_end(self.second_reader(sequence)))  # n, 512
        logits: Tensor = self.head(summary)
        return logits


class Rnn(nn.Module):
    """A GRU over the rows of an image; the study cites that this does not beat a CNN.

    Built for images of `height` × `width`. `units` is the size of its state.
    """

    def __init__(self, *, channels: int, classes: int, height: int, width: int, units: int = 256):
        super().__init__()
        self.height, self.width = height, width
        self.reader = Gru(channels * width, units)
        self.head = keras_layers.dense(units, classes)

    def forward(self, images: Images) -> Float[Tensor, "n classes"]:
        """Logits for images in 0..1."""
        keras_layers.check_size("rnn", self.height, self.width, images)
        rows = images.permute(0, 2, 3, 1).flatten(2)  # n, rows, columns and channels
        logits: Tensor = self.head(at_the_end(self.reader(rows)))
        return logits


def tanh(*, channels: int, classes: int, height: int, width: int) -> CnnGru:
    """`cnn_gru` with tanh in the GRUs, Keras's own default, instead of the annex's relu."""
    return CnnGru(channels=channels, classes=classes, height=height, width=width, candidate="tanh")
