"""Build the pretrained models of the package from their training runs.

python benchmarks/tools/build_digit_data.py build/digits --meters METERS
imparfait train --data build/digits/digits.npz --init-from digits --recipe robust --epochs 8 --learning-rate 0.006
python benchmarks/tools/build_pretrained.py digits=runs/robust-s0-… --digits build/digits

Each model folder holds the files needed for inference, evaluation and fine-tuning, an ONNX file and a model card.
With --digits, temperature and abstention threshold are set on images of sources that the model was not trained on: the
fonts, hands, writers and devices of `val.npz`.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
from scipy.special import softmax

from imparfait.core.storage import write_json
from imparfait.evaluation.calibration import fit_temperature, threshold_over_sources
from imparfait.export import export
from imparfait.models.loading import load_classifier
from imparfait.models.metadata import CONFIG, ModelConfig, Threshold, read_config
from imparfait.models.pretrained import PRETRAINED

ERROR_RATE = 0.01  # of accepted predictions, as a mean over sources unlike the training data
PER_SOURCE = 100  # images of a source that the temperature is fitted on
KEPT = ("model.safetensors", "config.json", "settings.json", "environment.json")
CARD = """# {name}

{summary}. Image classifier for handwritten digits: 28×28 grey images, classes {classes}.

Made by `{command}`, then `python benchmarks/tools/build_pretrained.py`, on {processor} with PyTorch {torch}. The same
settings give the same weights, bit for bit, on the same processor, thread count and versions. The network is `{model}`,
trained for {epochs} epochs with seed {seed} on {images:,} of MNIST's training images. Temperature and threshold were
set on other training images.

| validation set (10,000 training images) | accuracy |
| --- | --- |
{rows}

These weights were chosen without MNIST's test set; `results/TEST_LEDGER.csv` lists every later test access. MNIST was
written by Americans, so no accuracy is claimed for European 1s and 7s. Fine-tune on your own images with
`imparfait train --data FOLDER --init-from {name}`.

sha256 of `model.safetensors`: `{weights}`

MNIST (Y. LeCun, C. Cortes, C. J. C. Burges) is under CC BY-SA 3.0; the weights are, like the package, under Apache-2.0.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN")
    parser.add_argument("--digits", type=Path, help="folder of build_digit_data.py, to calibrate on its val.npz")
    options = parser.parse_args()
    for pair in options.runs:
        name, run = pair.split("=")
        build_pretrained(Path(run), name, options.digits)


def calibrated(run: Path, digits: Path) -> ModelConfig:
    """The run's config, calibrated on sources that it was not trained on; its arrays were framed by `digit`."""
    config = read_config(run)
    with np.load(digits / "val.npz") as file:
        images, labels, sources = file["x"], file["y"].astype(int), file["sources"]
    whole = np.char.endswith(sources, "whole") | np.char.startswith(sources, "crop")  # not what `digit` makes of a file
    images, labels, sources = images[~whole], labels[~whole], np.array([source_of(s) for s in sources[~whole]])
    classifier = load_classifier(run)
    logits = classifier(images[:, None].astype(np.float32) / 255) * (config.temperature or 1)
    weights = np.random.default_rng(0).permutation(len(labels))
    few = np.concatenate([weights[sources[weights] == source][:PER_SOURCE] for source in np.unique(sources)])
    temperature = fit_temperature(logits[few], labels[few])
    probabilities = softmax(logits.astype(np.float64) / temperature, 1)
    found = threshold_over_sources(probabilities.max(1), probabilities.argmax(1) == labels, sources, ERROR_RATE)
    print(f"{len(np.unique(sources))} sources, temperature {temperature:.3f}, threshold {found}")
    threshold = Threshold(confidence=found.confidence, error_rate=ERROR_RATE) if found else None
    update = {
        "temperature": temperature,
        "threshold": threshold,
        "input": config.input.model_copy(update={"normalization": "digit", "two_views": True}),
    }
    return config.model_copy(update=update)


def source_of(name: str) -> str:
    """The source an image of `val.npz` counts for: a font's family, a device, all pen strokes, Turkey's writers."""
    for start, source in (("hand ", "pen strokes"), ("turkey", "turkey"), ("meter", name)):
        if name.startswith(start):
            return source
    return name.rpartition("-")[0] or name


def build_pretrained(run: Path, name: str, digits: Path | None) -> None:
    """Fill the model folder of the package from a run."""
    folder = PRETRAINED[name].folder
    folder.mkdir(parents=True, exist_ok=True)
    for file in KEPT:
        shutil.copyfile(run / file, folder / file)
    if digits:
        write_json(folder / CONFIG, calibrated(run, digits).model_dump())
    exported = export(folder, to="onnx", out=folder / "model.onnx")
    manifest, machine, scores, config = (
        json.loads((run / file).read_text(encoding="utf-8"))
        for file in ("settings.json", "environment.json", "scores.json", "config.json")
    )
    settings = manifest["settings"]
    command = ["imparfait train --recipe", manifest["recipe"]]
    if settings["augmentation"] == "clean":
        command += ["--augmentation clean --ood-fraction 0"]
    rows = [
        f"| {condition['corruption']} | {condition['correct'] / condition['total']:.2%} |"
        for condition in scores["conditions"]
    ]
    card = CARD.format(
        name=name,
        summary=PRETRAINED[name].summary[0].upper() + PRETRAINED[name].summary[1:],
        classes=", ".join(config["classes"]),
        command=" ".join([*command, "--seed", str(settings["seed"])]),
        processor=machine["processor"],
        torch=machine["torch"],
        model=settings["model"],
        epochs=settings["epochs"],
        seed=settings["seed"],
        images=manifest["data"]["images"],
        rows="\n".join([*rows, f"| core mean | {scores['mean']:.2%} |"]),
        weights=exported.metadata.weights,
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    print(f"{folder}: {sum(file.stat().st_size for file in folder.iterdir()) / 1e6:.2f} MB; {exported.parity}")


if __name__ == "__main__":
    main()
