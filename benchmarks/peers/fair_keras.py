"""The Keras contestant of peers_fair.py: the founding study's CNN, in its own code (study_in_keras.py).

One `fit` for the whole budget, which a callback ends. The images are in one array before it starts: a Python generator
feeds this network at little more than half the speed. tf.data's tuning is off: its thread sleeps for up to a minute,
and each `fit` waits for it. Threads are set before TensorFlow starts.
"""

import itertools
import math
import os
from collections.abc import Callable
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow
from fair_worker import Clock, Job, batches
from study_in_keras import BATCH, build

STEPS = 1000  # of an epoch; the number of epochs is larger than any budget has
LEARNING_RATE = 1e-4  # of the study, constant
MOMENTUM = 0.9  # of the batch normalisations' statistics: Keras's 0.99 needs more steps than short budgets have
IMAGES_PER_SECOND = 2000  # more than it trains on; then the images start again


class Budget(keras.callbacks.Callback):
    """Ends the training where the budget is used."""

    def __init__(self, clock: Clock):
        super().__init__()
        self.clock, self.loss = clock, float("nan")

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.clock.begin()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.loss = (logs or {}).get("loss", float("nan"))
        if self.clock.after_step() >= 1:
            self.model.stop_training = True


def as_images(pixels: np.ndarray) -> np.ndarray:
    return pixels.transpose(0, 2, 3, 1).astype("float32") / 255


def train(job: Job, clock: Clock) -> tuple[Callable[[np.ndarray], np.ndarray], dict[str, Any]]:
    """Train until the budget is used; a function from images to classes, and what to record."""
    tensorflow.config.threading.set_intra_op_parallelism_threads(job["threads"])
    tensorflow.config.threading.set_inter_op_parallelism_threads(job["threads"])
    keras.utils.set_random_seed(job["seed"])
    bf16 = job["precision"] == "bfloat16" or (job["precision"] == "auto" and job["bf16_units"])
    keras.mixed_precision.set_global_policy("mixed_bfloat16" if bf16 else "float32")
    steps = math.ceil(max(job["budget"], 1) * IMAGES_PER_SECOND / BATCH)
    parts = [part[:2] for part in itertools.islice(batches(job, BATCH), steps)]
    size = len(parts[0][1])
    pixels, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
    model = build("cnn")
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = MOMENTUM
    model.optimizer.learning_rate = LEARNING_RATE * job["factor"]
    # Kept as bytes; each batch is made float32 as the others' are.
    rows = tensorflow.data.Dataset.from_tensor_slices((pixels.transpose(0, 2, 3, 1), labels))
    data = rows.batch(size).map(lambda x, y: (tensorflow.cast(x, "float32") / 255, y)).repeat().prefetch(1)
    options = tensorflow.data.Options()
    options.autotune.enabled = False
    budget = Budget(clock)
    model.fit(
        data.with_options(options),
        epochs=1_000_000,
        steps_per_epoch=STEPS,
        shuffle=False,
        verbose=0,
        callbacks=[budget],
    )

    def predict(pixels: np.ndarray) -> np.ndarray:
        return model.predict(as_images(pixels), batch_size=500, verbose=0).argmax(1)

    return predict, {
        "batch": size,
        "learning_rate": LEARNING_RATE * job["factor"],
        "threads_inside": tensorflow.config.threading.get_intra_op_parallelism_threads(),
        "precision": "bfloat16" if bf16 else "float32",
        "parameters": model.count_params(),
        "last_losses": budget.loss,
        "versions": {"keras": keras.__version__, "tensorflow": tensorflow.__version__, "numpy": np.__version__},
    }
