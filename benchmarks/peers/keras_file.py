"""A .keras file of the study's network, answered here and by Keras itself: on how many images the label is the same.

python benchmarks/keras_file.py --python KERAS/bin/python --script study_in_keras.py --out results/2026-12-02-keras-file

KERAS is an environment with Keras and TensorFlow (benchmarks/keras.txt). The script trains the study's network on
MNIST's IDX files, saves it (--save) and the 30,000 images, clean and corrupted, that it is scored on (--pixels). Those
are validation images here, which it may have learned from: what counts is that both programs answer the same.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from claims import leave

from imparfait import load_data, split
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.external.adapter import adapt
from imparfait.evaluation.external.infer_spec import found
from imparfait.evaluation.external.input_spec import SpecHint
from imparfait.evaluation.external.load import open_external

PARTS = ("clean", "geometric", "shrunk")
THEIRS = """
import sys
import keras, numpy as np
model = keras.saving.load_model(sys.argv[1])
with np.load(sys.argv[2]) as file:
    parts = [file[name] for name in sys.argv[4:]]
answers = [model.predict(part.astype("float32") / 255, batch_size=500, verbose=0) for part in parts]
np.save(sys.argv[3], np.concatenate(answers))
print(keras.__version__, keras.backend.backend())
"""


def write_idx(folder: Path, train: LabelledImages, development: LabelledImages) -> None:
    """MNIST's four files, as the script reads them; `development` stands for the test images, which stay sealed."""
    for part, data in (("train", train), ("t10k", development)):
        for kind, array in (("images-idx3", data.pixels[:, 0]), ("labels-idx1", data.labels)):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            (folder / f"{part}-{kind}-ubyte").write_bytes(header + array.astype(np.uint8).tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--script", type=Path, required=True)
    parser.add_argument("--model", default="cnn", choices=["cnn", "cnn_gru"])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--range", help="what the network was trained on, 1; without it, it is found")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        train = load_data().train
        _, development = split(train)
        write_idx(folder, train, development)
        model, pixels, answers = folder / "model.keras", folder / "pixels.npz", folder / "answers.npy"
        words = [options.python, options.script, folder, "--model", options.model, "--images", options.images]
        words += ["--epochs", options.epochs, "--save", model, "--pixels", pixels]
        subprocess.run([str(word) for word in words], check=True)
        names = [f"{part}_x" for part in PARTS]
        program = [str(options.python), "-c", THEIRS, str(model), str(pixels), str(answers), *names]
        versions = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        theirs = np.load(answers)
        with np.load(pixels) as file:
            images = np.concatenate([file[name] for name in names]).transpose(0, 3, 1, 2).astype(np.float32) / 255
        with open_external(model, threads=options.threads) as function:
            start = time.perf_counter()
            taken = found(function, function.told, development, SpecHint(range=options.range))
            seconds_to_find = time.perf_counter() - start
            classifier = adapt(function, taken.conventions, development.classes)
            start = time.perf_counter()
            ours = classifier(images)
            seconds = time.perf_counter() - start
    summary = {
        "images": len(images),
        "same_label": int((ours.argmax(1) == theirs.argmax(1)).sum()),
        "largest_difference_of_a_probability": float(np.abs(np.exp(ours) - theirs).max()),
        "conventions": str(taken),
        "margin": taken.margin,
        "doubtful": taken.is_doubtful,
        "seconds_to_find_them": round(seconds_to_find, 1),
        "pictures_per_second": round(len(images) / seconds),
        "theirs": versions,
    }
    leave(options.out, summary)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
