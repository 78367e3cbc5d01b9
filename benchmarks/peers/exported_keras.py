"""Exported .keras files opened by plain Keras, without imparfait: whether it answers as the networks they are from.

python benchmarks/exported_keras.py --python KERAS/bin/python [--run runs/default-s0-… …] [--out results/…]

KERAS is an environment with Keras, TensorFlow and JAX (benchmarks/keras.txt, and jax), and neither PyTorch nor
imparfait in it. The networks are the run folders given and, at random weights, each that imparfait has, for grey
digits and for colour images of odd sides; each is asked 1,000 corrupted images.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from claims import leave

os.environ["KERAS_BACKEND"] = "torch"  # here; there each of BACKENDS

import numpy as np
import torch
from torch import nn

from imparfait.evaluation.calibration import softmax
from imparfait.export import card_of
from imparfait.export.keras import content_of
from imparfait.export.parity import corrupted_digits
from imparfait.models import MODELS, build
from imparfait.models.loading import load_network
from imparfait.models.metadata import Card, Input

BACKENDS = ("tensorflow", "jax")
SHAPES = ((1, 28, 28), (3, 33, 40))
CLASSES = tuple("0123456789")
THEIRS = """
import sys
import keras, numpy as np
assert not {"imparfait", "torch"} & set(sys.modules)
folder, *names = sys.argv[1:]
for name in names:
    model = keras.saving.load_model(f"{folder}/{name}.keras")
    images = np.load(f"{folder}/{name}.npy").transpose(0, 2, 3, 1).astype("float32") / 255
    np.save(f"{folder}/{name}.answers.npy", model.predict(images, batch_size=250, verbose=0))
print(keras.__version__, keras.backend.backend())
"""


def at_random(model: str, shape: tuple[int, int, int]) -> tuple[nn.Module, Card]:
    channels, height, width = shape
    network = build(model, channels=channels, classes=len(CLASSES), height=height, width=width)
    random = torch.Generator().manual_seed(0)
    for name, numbers in network.state_dict().items():
        if name.endswith(("bias", "running_mean")):
            numbers.copy_(torch.randn(numbers.shape, generator=random) / 4)
        elif name.endswith("running_var"):
            numbers.copy_(torch.rand(numbers.shape, generator=random) + 0.5)
    taken = Input(channels=channels, height=height, width=width)
    with torch.no_grad():
        shown = torch.from_numpy(np.concatenate([*corrupted_digits(taken)]))
        logits = network.eval()(shown[::4].float() / 255)
        last = [part for part in network.modules() if isinstance(part, nn.Linear)][-1]
        last.bias -= logits.mean(0)  # or it would say the same of each image
        spread = float((logits - logits.mean(0)).std())
    card = Card(
        name=model, model=model, recipe="none", classes=CLASSES, weights="0" * 64, settings="0" * 64,
        temperature=max(spread / 3, 0.01),
        input=taken,
    )  # fmt: skip
    return network, card


def answers_of(network: nn.Module, card: Card, images: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        parts = [network(part.float() / 255) for part in torch.from_numpy(images).split(250)]
    return softmax(torch.cat(parts).numpy(), card.temperature)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--run", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    asked = {f"{model} {'x'.join(map(str, shape))}": at_random(model, shape) for model in MODELS for shape in SHAPES}
    for run in options.run:
        network, config = load_network(run)
        asked[run.name] = network.eval(), card_of(run.name, run, config)
    rows = []
    with tempfile.TemporaryDirectory() as home:
        folder, expected = Path(home), {}
        for name, (network, card) in asked.items():
            images = np.concatenate([*corrupted_digits(card.input)])
            np.save(folder / f"{name}.npy", images)
            (folder / f"{name}.keras").write_bytes(content_of(network, card))
            expected[name] = answers_of(network, card, images)
        for backend in BACKENDS:
            start = time.perf_counter()
            told = subprocess.run(
                [str(options.python), "-c", THEIRS, home, *asked], check=True, stdout=subprocess.PIPE, text=True,
                env={"PATH": os.environ["PATH"], "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}, cwd=home,
            )  # fmt: skip
            seconds = round(time.perf_counter() - start, 1)
            for name, answers in expected.items():
                theirs = np.load(folder / f"{name}.answers.npy")
                rows.append(
                    {
                        "network": name,
                        "keras": told.stdout.split(),
                        "images": len(theirs),
                        "same_label": int((theirs.argmax(1) == answers.argmax(1)).sum()),
                        "largest_difference_of_a_probability": float(np.abs(theirs - answers).max()),
                        "labels_answered": len(np.unique(answers.argmax(1))),
                    }
                )
            print(f"{backend}: {len(expected)} networks in {seconds} s", file=sys.stderr)
    summary = {
        "images": sum(row["images"] for row in rows),
        "same_label": sum(row["same_label"] for row in rows),
        "largest_difference_of_a_probability": max(row["largest_difference_of_a_probability"] for row in rows),
        "rows": rows,
    }
    print(json.dumps(summary, indent=2))
    if options.out:
        leave(options.out, summary)


if __name__ == "__main__":
    main()
