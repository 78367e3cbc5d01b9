"""Train the founding study's CNN for run.py in its own Keras code (study_in_keras.py), without augmentation."""

import keras
import numpy as np
import tensorflow
from study_in_keras import BATCH, build
from worker import Worker


def as_floats(x: np.ndarray) -> np.ndarray:
    return x[..., None].astype("float32") / 255


def main() -> None:
    worker = Worker()
    tensorflow.config.threading.set_intra_op_parallelism_threads(worker.threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(worker.threads)
    keras.utils.set_random_seed(worker.seed)
    worker.begin()
    images = as_floats(worker.x)
    model = build("cnn")

    def predict(x: np.ndarray) -> np.ndarray:
        return model.predict(as_floats(x), batch_size=500, verbose=0).argmax(1)

    for _ in range(worker.epochs or 10):
        model.fit(images, worker.y, batch_size=BATCH, verbose=0, shuffle=True)
        if not worker.after_epoch(predict):
            break


if __name__ == "__main__":
    main()
