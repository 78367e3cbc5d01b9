"""The founding study's networks in Keras, driven by study.py: reads commands from stdin and prints a reply to each.

Runs in its own environment (benchmarks/peers/keras.txt) without imparfait. Commands, one JSON list per line: ["build",
"cnn", seed]; ["train", images], null for one epoch; ["score", images], null for all; ["weights", file], which sets the
weights and replies with the network's probabilities.
"""

import json
import os
import platform
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow
from keras import layers

BATCH = 32  # Keras's default, which the study did not change


def trunk() -> list[layers.Layer]:
    """The convolutions that both networks share."""
    stack: list[layers.Layer] = [keras.Input((28, 28, 1))]
    for filters in (32, 64, 128):
        for _ in range(2):
            stack += [layers.Conv2D(filters, 3, activation="relu", padding="same"), layers.BatchNormalization()]
        stack += [layers.MaxPooling2D(2, strides=2), layers.Dropout(0.3)]
    return stack


def build(kind: str) -> keras.Model:
    """Annex 1 (`cnn`) or Annex 2 (`cnn_gru`), compiled as the study did."""
    if kind == "cnn":
        head = [layers.Flatten()]
        for rate in (0.25, 0.5):
            head += [layers.Dense(512, activation="relu"), layers.Dropout(rate), layers.BatchNormalization()]
        optimizer = keras.optimizers.AdamW(learning_rate=1e-4)
    else:
        head = [layers.Reshape((-1, 128))]
        head += [layers.Bidirectional(layers.GRU(512, activation="relu", return_sequences=True)), layers.Dropout(0.25)]
        head += [layers.Bidirectional(layers.GRU(256, activation="relu")), layers.Dropout(0.5)]
        optimizer = keras.optimizers.Adam(learning_rate=1e-3, weight_decay=1e-4)
    model = keras.Sequential(trunk() + head + [layers.Dense(10, activation="softmax")])
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def shuffled(x: np.ndarray, y: np.ndarray) -> tensorflow.data.Dataset:
    """Batches in an order of its own each epoch, as `fit(x, y)` draws them, without tf.data's tuning.

    Its thread sleeps for up to a minute, and an epoch waits for it at its end: of 21 epochs 10 lasted a minute longer.
    """
    images, labels = tensorflow.constant(x), tensorflow.constant(y)
    options = tensorflow.data.Options()
    options.autotune.enabled = False
    rows = tensorflow.data.Dataset.range(len(y)).shuffle(len(y)).batch(BATCH)
    data = rows.map(lambda row: (tensorflow.gather(images, row), tensorflow.gather(labels, row)))
    return data.prefetch(1).with_options(options)


def main() -> None:
    threads = int(sys.argv[2])
    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    with np.load(sys.argv[1]) as file:
        x, y = file["mixture_x"].astype("float32")[..., None], file["mixture_y"]
        scored = {name.removeprefix("score "): file[name] for name in file.files if name.startswith("score ")}
    x /= 255  # in place: a copy would count as training memory
    versions = {"python": platform.python_version(), "keras": keras.__version__, "tensorflow": tensorflow.__version__}
    print(json.dumps(versions | {"numpy": np.__version__}), flush=True)
    model, data = None, {}
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        reply = {}
        if command == "build":
            keras.backend.clear_session()
            keras.utils.set_random_seed(arguments[1])
            model = build(arguments[0])
            reply = {"parameters": model.count_params()}
        elif command == "train":
            subset = slice(arguments[0])
            if arguments[0] not in data:  # copying the images into TensorFlow is not training
                data[arguments[0]] = shuffled(x[subset], y[subset])
            start = time.perf_counter()
            model.fit(data[arguments[0]], shuffle=False, verbose=0)
            reply = {"seconds": time.perf_counter() - start, "images": len(y[subset])}
        elif command == "score":
            for name, images in scored.items():
                predicted = model.predict(
                    images[: arguments[0], ..., None].astype("float32") / 255, batch_size=500, verbose=0
                ).argmax(1)
                reply[name] = predicted.tolist()
        elif command == "weights":
            with np.load(arguments[0]) as file:
                model.set_weights([file[f"arr_{index}"] for index in range(len(file.files))])
            sample = scored["clean"][:100, ..., None].astype("float32") / 255
            reply = {"probabilities": model.predict(sample, verbose=0).tolist()}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
