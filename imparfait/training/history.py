"""`train`: a training epoch by epoch, with its history as a table and a plot."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from imparfait.core.compute import ComputeConfig
from imparfait.core.optional import axes_or_new, frame_of
from imparfait.core.progress import ShowProgress, reporting
from imparfait.core.storage import exclusive_lock, fingerprint
from imparfait.data.dataset import LabelledImages
from imparfait.training.checkpoints import Epoch
from imparfait.training.loop import Training, checkpointed, resume
from imparfait.training.settings import TrainingSettings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLOURS = ("#1d2530", "#0072B2", "#D55E00", "#009E73", "#7a5195")  # training, then each condition of validation


class TrainingHistory(Iterator[Epoch]):
    """A training that runs as it is iterated over, and its finished epochs. A notebook shows their table."""

    def __init__(self, epochs: Generator[Epoch, None, None]) -> None:
        """`epochs` trains, and yields after each epoch."""
        self._epochs = epochs
        self.epochs: list[Epoch] = []
        """The finished ones."""

    def __next__(self) -> Epoch:
        epoch = next(self._epochs)
        self.epochs.append(epoch)
        return epoch

    def close(self) -> None:
        """Stop the training; with a `checkpoint_dir` it is saved first."""
        self._epochs.close()

    def to_frame(self) -> pd.DataFrame:
        """A pandas row per finished epoch: loss, accuracy (0..1, as trained), seconds, validation accuracies."""
        return frame_of([_row(epoch) for epoch in self.epochs])

    def plot(self, ax: Axes | None = None) -> Axes:
        """The accuracy after each finished epoch, on training images as shown and on validation images."""
        ax = axes_or_new(ax, 6.4, 3.8)
        numbers = [epoch.number for epoch in self.epochs]
        lines = {"training, as shown": [epoch.accuracy for epoch in self.epochs]}
        for epoch in self.epochs:
            for score in epoch.validation:
                lines.setdefault(f"validation, {score.corruption}", []).append(score.accuracy)
        for number, (name, values) in enumerate(lines.items()):
            style = "o--" if number == 0 else "o-"
            colour = COLOURS[number % len(COLOURS)]
            ax.plot(numbers, [100 * value for value in values], style, color=colour, label=name)
        ax.set(xlabel="epoch", ylabel="accuracy in %")
        ax.legend(fontsize=9)
        return ax

    def _repr_html_(self) -> str:
        return str(self.to_frame().to_html(float_format="{:.4f}".format, index=False)) if self.epochs else repr(self)

    def __repr__(self) -> str:
        last = f", the last with loss {self.epochs[-1].loss:.4f}" if self.epochs else ""
        return f"<{len(self.epochs)} finished epochs{last}>"


def train(
    model: nn.Module,
    data: LabelledImages,
    settings: TrainingSettings,
    compute: ComputeConfig | None = None,
    *,
    checkpoint_dir: str | Path | None = None,
    validation: LabelledImages | None = None,
    progress: ShowProgress = False,
) -> TrainingHistory:
    """Train `model` in place as you iterate over the result, which yields after each epoch; to stop, leave the loop.

    At each yield and at the end the model has the weights to evaluate or save (with `one_cycle` an average of recent
    ones). `validation` images are evaluated after each epoch, clean and corrupted. With `checkpoint_dir` the training
    is saved every ten seconds and when the loop is left. The same call continues from there: it yields the finished
    epochs first, and ends with the same weights, bit for bit, on the same machine with the same versions.
    `progress` True draws a bar; a function is called after each step with the epochs done, such as 0.25, and in all.
    The result has the epochs so far, `to_frame()` and `plot()`.

    Raises UserError for test images, for logits of the wrong shape, for a loss that is not finite, and for checkpoints
    of another training. Warns of a corrupted checkpoint, and uses the one before it.

    >>> few = imparfait.load_data("mnist").train.select(range(64))
    >>> settings = imparfait.TrainingSettings(epochs=2, batch_size=32)
    >>> model = imparfait.build(settings.model, channels=few.channels, classes=len(few.classes))
    >>> history = imparfait.train(model, few, settings)
    >>> [epoch.number for epoch in history]
    [1, 2]
    >>> list(history.to_frame())
    ['epoch', 'loss', 'accuracy', 'images', 'seconds']
    """
    return TrainingHistory(_epochs(model, data, settings, compute, checkpoint_dir, validation, progress))


def _epochs(
    model: nn.Module,
    data: LabelledImages,
    settings: TrainingSettings,
    compute: ComputeConfig | None,
    checkpoint_dir: str | Path | None,
    validation: LabelledImages | None,
    progress: ShowProgress,
) -> Generator[Epoch, None, None]:
    training = Training(model, data, settings, compute, validation=validation)
    with reporting(progress, "training", settings.epochs) as report:

        def finished(steps: Iterator[Any]) -> Iterator[Epoch]:
            for step in steps:
                report(settings.epochs * step.number / step.total, settings.epochs)
                if step.epoch:
                    yield step.epoch

        if checkpoint_dir is None:
            yield from finished(iter(training))
            return
        folder = Path(checkpoint_dir)
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(folder, "training"):
            identity = fingerprint(settings, training.compute, data.fingerprint())
            for path in resume(training, folder, identity):
                warnings.warn(f"{path}: corrupted; continuing from the checkpoint before it", stacklevel=3)
            yield from training.progress.epochs
            with closing(checkpointed(training, folder, identity)) as steps:
                yield from finished(steps)


def _row(epoch: Epoch) -> dict[str, Any]:
    """An epoch in a row of a table."""
    validation = {f"validation {score.corruption}": score.accuracy for score in epoch.validation}
    row = {"epoch": epoch.number, "loss": epoch.loss, "accuracy": epoch.accuracy, "images": epoch.images}
    return {**row, "seconds": epoch.seconds, **validation}
