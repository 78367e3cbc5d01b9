"""Agreement between Keras and our reader on a .keras file of the study's network.

python benchmarks/peers/keras_file.py --python KERAS/bin/python --script study_in_keras.py --out results/keras-file

KERAS is an environment with Keras and TensorFlow (benchmarks/peers/keras.txt). The script is the study's own program,
which is not in this repository. It trains on MNIST's IDX files and saves its model (--save) and the 30,000 clean and
corrupted images that it is scored on (--pixels). Those are validation images here, and it may have trained on them:
only the agreement of the two programs counts.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait import load_data, split
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.external.adapter import adapt
from imparfait.evaluation.external.infer_spec import infer_spec
from imparfait.evaluation.external.input_spec import SpecHint
from imparfait.evaluation.external.load import open_external

CORE_SUITE = ("clean", "geometric", "shrunk")
KERAS_PROGRAM = """
import sys
import keras, numpy as np
model = keras.saving.load_model(sys.argv[1])
with np.load(sys.argv[2]) as file:
    conditions = [file[name] for name in sys.argv[4:]]
outputs = [model.predict(images.astype("float32") / 255, batch_size=500, verbose=0) for images in conditions]
np.save(sys.argv[3], np.concatenate(outputs))
print(keras.__version__, keras.backend.backend())
"""


def write_idx(folder: Path, train: LabelledImages, validation: LabelledImages) -> None:
    """Write MNIST's four files for the script; `validation` replaces the test images, which stay sealed."""
    for part, data in (("train", train), ("t10k", validation)):
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
    parser.add_argument("--range", help="pixel range of the network, such as 1 [default: inferred]")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        train = load_data().train
        _, validation = split(train)
        write_idx(folder, train, validation)
        model, pixels, outputs = folder / "model.keras", folder / "pixels.npz", folder / "outputs.npy"
        command = [options.python, options.script, folder, "--model", options.model, "--images", options.images]
        command += ["--epochs", options.epochs, "--save", model, "--pixels", pixels]
        subprocess.run([str(word) for word in command], check=True)
        names = [f"{name}_x" for name in CORE_SUITE]
        program = [str(options.python), "-c", KERAS_PROGRAM, str(model), str(pixels), str(outputs), *names]
        versions = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        theirs = np.load(outputs)
        with np.load(pixels) as file:
            images = np.concatenate([file[name] for name in names]).transpose(0, 3, 1, 2).astype(np.float32) / 255
        with open_external(model, threads=options.threads) as function:
            start = time.perf_counter()
            inferred = infer_spec(function, function.declared, validation, SpecHint(value_range=options.range))
            seconds_to_infer_spec = time.perf_counter() - start
            classifier = adapt(function, inferred.spec, validation.classes)
            start = time.perf_counter()
            ours = classifier(images)
            seconds = time.perf_counter() - start
    summary = {
        "images": len(images),
        "same_label": int((ours.argmax(1) == theirs.argmax(1)).sum()),
        "largest_probability_difference": float(np.abs(np.exp(ours) - theirs).max()),
        "input_spec": str(inferred.spec),
        "margin": inferred.margin,
        "ambiguous": inferred.is_ambiguous,
        "seconds_to_infer": round(seconds_to_infer_spec, 1),
        "images_per_second": round(len(images) / seconds),
        "keras": versions,
    }
    write_claim(options.out, summary)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
