"""The founding study's networks as Keras code, driven by study.py: reads commands, prints an answer to each.

It runs in an environment of its own (benchmarks/keras.txt) and knows nothing of imparfait. Commands, one JSON list a
line: ["build", "cnn", seed], ["fit", images], where null is an epoch, ["score", images], where null is all, and
["weights", file], which sets them and says what the network then answers.
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
        for dropped in (0.25, 0.5):
            head += [layers.Dense(512, activation="relu"), layers.Dropout(dropped), layers.BatchNormalization()]
        optimizer = keras.optimizers.AdamW(learning_rate=1e-4)
    else:
        head = [layers.Reshape((-1, 128))]
        head += [layers.Bidirectional(layers.GRU(512, activation="relu", return_sequences=True)), layers.Dropout(0.25)]
        head += [layers.Bidirectional(layers.GRU(256, activation="relu")), layers.Dropout(0.5)]
        optimizer = keras.optimizers.Adam(learning_rate=1e-3, weight_decay=1e-4)
    model = keras.Sequential(trunk() + head + [layers.Dense(10, activation="softmax")])
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    threads = int(sys.argv[2])
    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    with np.load(sys.argv[1]) as file:
        x, y = file["shown"].astype("float32")[..., None], file["shown_y"]
        scored = {name.removeprefix("score "): file[name] for name in file.files if name.startswith("score ")}
    x /= 255  # in place: a second copy would count as memory that training needs
    versions = {"python": platform.python_version(), "keras": keras.__version__, "tensorflow": tensorflow.__version__}
    print(json.dumps(versions | {"numpy": np.__version__}), flush=True)
    model = None
    for line in sys.stdin:
        command, *words = json.loads(line)
        answer = {}
        if command == "build":
            keras.backend.clear_session()
            keras.utils.set_random_seed(words[1])
            model = build(words[0])
            answer = {"numbers": model.count_params()}
        elif command == "fit":
            few = slice(words[0])
            start = time.perf_counter()
            model.fit(x[few], y[few], batch_size=BATCH, verbose=0, shuffle=True)
            answer = {"seconds": time.perf_counter() - start, "images": len(y[few])}
        elif command == "score":
            for name, images in scored.items():
                said = model.predict(
                    images[: words[0], ..., None].astype("float32") / 255, batch_size=500, verbose=0
                ).argmax(1)
                answer[name] = said.tolist()
        elif command == "weights":
            with np.load(words[0]) as file:
                model.set_weights([file[f"arr_{index}"] for index in range(len(file.files))])
            few = scored["clean"][:100, ..., None].astype("float32") / 255
            answer = {"probabilities": model.predict(few, verbose=0).tolist()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
