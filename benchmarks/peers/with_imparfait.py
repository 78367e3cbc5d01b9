"""Train one of our recipes for run.py, as `imparfait train` does, for its own number of epochs.

A twentieth of the images is kept out for calibration, as `imparfait train` does; the peers train on all of them. Clean
images are augmented by the recipe, resampled each epoch. The images of the mixture are not augmented further, except by
the jitter of the spatial normaliser, which is part of the network.
"""

from collections.abc import Iterator

import numpy as np
from worker import Worker

from imparfait import RECIPES, LabelledImages, as_classifier, build
from imparfait.data.splits import split_calibration
from imparfait.training.checkpoints import Epoch
from imparfait.training.loop import Training


def main() -> None:
    worker = Worker()
    assert worker.recipe is not None
    changes: dict[str, object] = {"seed": worker.seed}
    if worker.epochs:
        changes["epochs"] = worker.epochs
    if not worker.own_augmentation:
        changes["augmentation"] = "clean"
    settings = RECIPES[worker.recipe].settings.model_copy(update=changes)
    worker.begin()
    classes = tuple("0123456789")
    data = LabelledImages(worker.x[:, None], worker.y, worker.sources, classes, "saved pixels", "train")
    data, _ = split_calibration(data)
    if not worker.own_augmentation:  # shuffling is by source, and here a source occurs up to three times
        data = LabelledImages(data.pixels, data.labels, np.arange(len(data)), classes, data.name, "train")
    model = build(
        settings.model, channels=1, classes=10, height=28, width=28, seed=worker.seed, model_args=settings.model_args
    )
    training = Training(model, data, settings)
    assert training.compute.threads == worker.threads
    worker.precision, worker.threads_inside = training.compute.precision, training.compute.threads
    classifier = as_classifier(model, training.compute)

    def epochs() -> Iterator[Epoch]:
        return (step.epoch for step in training if step.epoch)

    for _ in epochs():
        if not worker.after_epoch(lambda x: classifier(x[:, None].astype(np.float32) / 255).argmax(1)):
            break


if __name__ == "__main__":
    main()
