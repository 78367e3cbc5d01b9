"""Agreement between our networks and their exported .keras files in plain Keras, without imparfait.

python benchmarks/peers/exported_keras.py --python KERAS/bin/python [--run runs/default-s0-… …] [--out FOLDER]

KERAS is an environment with Keras, TensorFlow and JAX (benchmarks/peers/keras.txt, and jax), but without PyTorch and
imparfait. Tested are the given runs and the founding study's networks with random weights, for grey digits and for
colour images with odd sides, on 1,000 corrupted images each.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"  # for export; Keras itself then runs with each of BACKENDS

import numpy as np
import torch
from scipy.special import softmax
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait.data.images.input_format import InputFormat
from imparfait.export import KERAS_MODELS, metadata_of
from imparfait.export.keras import serialize
from imparfait.export.parity import corrupted_digits
from imparfait.models.loading import load_network
from imparfait.models.metadata import ExportMetadata
from imparfait.models.registry import build

BACKENDS = ("tensorflow", "jax")
SHAPES = ((1, 28, 28), (3, 33, 40))
CLASSES = tuple("0123456789")
KERAS_PROGRAM = """
import sys
import keras, numpy as np
assert not {"imparfait", "torch"} & set(sys.modules)
folder, *names = sys.argv[1:]
for name in names:
    model = keras.saving.load_model(f"{folder}/{name}.keras")
    images = np.load(f"{folder}/{name}.npy").transpose(0, 2, 3, 1).astype("float32") / 255
    np.save(f"{folder}/{name}.outputs.npy", model.predict(images, batch_size=250, verbose=0))
print(keras.__version__, keras.backend.backend())
"""


def random_network(model: str, shape: tuple[int, int, int]) -> tuple[nn.Module, ExportMetadata]:
    """A network with random weights and statistics, and its metadata."""
    channels, height, width = shape
    network = build(model, channels=channels, classes=len(CLASSES), height=height, width=width)
    random = torch.Generator().manual_seed(0)
    for name, values in network.state_dict().items():
        if name.endswith(("bias", "running_mean")):
            values.copy_(torch.randn(values.shape, generator=random) / 4)
        elif name.endswith("running_var"):
            values.copy_(torch.rand(values.shape, generator=random) + 0.5)
    spec = InputFormat(channels=channels, height=height, width=width, normalization="none")
    with torch.no_grad():
        images = torch.from_numpy(np.concatenate([*corrupted_digits(spec)]))
        logits = network.eval()(images[::4].float() / 255)
        last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
        last.bias -= logits.mean(0)  # otherwise it would predict one class only
        spread = float((logits - logits.mean(0)).std())
    metadata = ExportMetadata(
        name=model, model=model, recipe="none", classes=CLASSES, weights="0" * 64, settings="0" * 64,
        temperature=max(spread / 3, 0.01),
        input=spec,
    )  # fmt: skip
    return network, metadata


def probabilities_of(network: nn.Module, metadata: ExportMetadata, images: np.ndarray) -> np.ndarray:
    """Probabilities of the network in PyTorch."""
    with torch.inference_mode():
        logits = [network(batch.float() / 255) for batch in torch.from_numpy(images).split(250)]
    return softmax(torch.cat(logits).numpy() / metadata.temperature, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--run", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    networks = {
        f"{model} {'x'.join(map(str, shape))}": random_network(model, shape)
        for model in KERAS_MODELS
        for shape in SHAPES
    }
    for run in options.run:
        network, config = load_network(run)
        networks[run.name] = network.eval(), metadata_of(run.name, run, config)
    rows = []
    with tempfile.TemporaryDirectory() as home:
        folder, expected = Path(home), {}
        for name, (network, metadata) in networks.items():
            images = np.concatenate([*corrupted_digits(metadata.input)])
            np.save(folder / f"{name}.npy", images)
            (folder / f"{name}.keras").write_bytes(serialize(network, metadata))
            expected[name] = probabilities_of(network, metadata, images)
        for backend in BACKENDS:
            start = time.perf_counter()
            done = subprocess.run(
                [str(options.python), "-c", KERAS_PROGRAM, home, *networks],
                check=True, stdout=subprocess.PIPE, text=True,
                env={"PATH": os.environ["PATH"], "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}, cwd=home,
            )  # fmt: skip
            seconds = round(time.perf_counter() - start, 1)
            for name, ours in expected.items():
                theirs = np.load(folder / f"{name}.outputs.npy")
                rows.append(
                    {
                        "network": name,
                        "keras": done.stdout.split(),
                        "images": len(theirs),
                        "same_label": int((theirs.argmax(1) == ours.argmax(1)).sum()),
                        "largest_probability_difference": float(np.abs(theirs - ours).max()),
                        "labels_predicted": len(np.unique(ours.argmax(1))),
                    }
                )
            print(f"{backend}: {len(expected)} networks in {seconds} s", file=sys.stderr)
    summary = {
        "images": sum(row["images"] for row in rows),
        "same_label": sum(row["same_label"] for row in rows),
        "largest_probability_difference": max(row["largest_probability_difference"] for row in rows),
        "rows": rows,
    }
    print(json.dumps(summary, indent=2))
    if options.out:
        write_claim(options.out, summary)


if __name__ == "__main__":
    main()
