"""Train the founding study's CNN for run.py in its own Keras code (study_in_keras.py), without augmentation.

One `fit` for all epochs, which a callback ends; between separate ones Keras would wait for a thread of tf.data.
"""

import keras
import numpy as np
import tensorflow
from study_in_keras import build, shuffled
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

    class AfterEpoch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            worker.threads_inside = tensorflow.config.threading.get_intra_op_parallelism_threads()
            if not worker.after_epoch(predict):
                self.model.stop_training = True

    model.fit(
        shuffled(images, worker.y), epochs=worker.epochs or 10, shuffle=False, verbose=0, callbacks=[AfterEpoch()]
    )


if __name__ == "__main__":
    main()
