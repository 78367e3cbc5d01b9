"""Build the pretrained models of the package from their training runs.

python benchmarks/tools/build_digit_data.py build/digits --meters METERS --mnist-copies 2
imparfait train --settings benchmarks/tools/digits.toml --data build/digits/digits.npz --init-from digits
python benchmarks/tools/build_pretrained.py digits=runs/digits-s0-… --digits build/digits
python benchmarks/tools/record_self_test.py
python benchmarks/tools/build_references.py

Each model folder holds the files needed for inference, evaluation and fine-tuning, an ONNX file and a model card.
With --digits, temperature and abstention threshold are set on images that the model was not trained on: the fonts,
hands, writers and devices of `val.npz`. Of Turkey's writers and of the generator of pen strokes other images were in
training.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

sys.path.insert(0, str(Path(__file__).parents[1]))

from accuracy.real_images import answers_for

from imparfait import evaluate, load_data
from imparfait.core.storage import write_json
from imparfait.evaluation.calibration import fit_temperature, threshold_over_sources
from imparfait.export import export
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import pooled
from imparfait.models.loading import load_classifier
from imparfait.models.metadata import CONFIG, Threshold, read_config
from imparfait.models.pretrained import PRETRAINED

ERROR_RATE = 0.005  # of accepted predictions, as the observed mean over sources
PER_SOURCE = 100  # images of a source that the temperature is fitted on
TRAINED_ON = {"w28", "w54"}  # sources of real.csv that show Semeion's and optdigits' writers
SHOWN_SETTINGS = ("model", "model_args", "augmentation", "epochs", "learning_rate", "ood_fraction", "seed")
KEPT = ("model.safetensors", "config.json", "settings.json", "environment.json")
CARD = """# {name}

{summary}. Image classifier for handwritten digits: 28×28 grey images, classes {classes}.

Trained with `imparfait train` ({settings}) on {images:,} of MNIST's training images, then
`python benchmarks/tools/build_pretrained.py`, at commit {commit} on {processor} with PyTorch {torch}. The same settings
give the same weights, bit for bit, on the same processor, thread count and versions. Temperature and threshold were
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

WORLD_CARD = """# {name}

{summary}. Image classifier for single digits: 28×28 grey images, classes {classes}. Trained on
American, Italian and Turkish hands, pen strokes of European variants, printed type, segment displays and meters.

Trained in four steps, each from the weights of the one before, on {processor} with PyTorch {torch}: 20 epochs on MNIST
(commit 20b3f4e), 8 and 10 epochs on the data below (51b6ae2, 687d902; peak learning rates 0.006 and 0.005), and
`imparfait train --settings benchmarks/tools/digits.toml --data build/digits/digits.npz --init-from RUN` on {images:,}
images of `benchmarks/tools/build_digit_data.py --mnist-copies 2` (commit {commit}: {settings}). Then
`benchmarks/tools/build_pretrained.py`. It looks at a file twice, as the digit cut out and as
the whole image, and pools both.

## Training data

| part | images | source | licence |
| --- | --- | --- | --- |
{parts}

MNIST's 50,000 images are there twice. Held out: MNIST's validation and test images, the first ten Italian writers, 500
Turkish digits, one font design in four, five of 16 meters; 200 of the Turkish digits and two of the meters to choose.

## Accuracy

| MNIST, validation set (10,000 training images) | accuracy |
| --- | --- |
{rows}

Real images of other people, from public sources; none was trained on. They were used to choose and to set the
threshold, so expect slightly less.

| kind | images | correct | sources | mean over sources | abstained | wrong of the accepted |
| --- | --- | --- | --- | --- | --- | --- |
{real}

It abstains below a confidence of {confidence:.2f}. That is set so that of what it accepts at most {error_rate:.1%} is
wrong on the images it was set on, as a mean over sources. There is no bound for chance. None of these images was in
training, but other images of two of the sources were: Turkish writers and drawn pen strokes.

## Limits

One digit an image. A 1 whose upstroke is flatter than 35° and a 7 without a bar look alike to it. Letters are not
always refused. Meters of a kind it has not seen: see `results/held-out-digits`.

sha256 of `model.safetensors`: `{weights}`

The weights are, like the package, under Apache-2.0.
"""
PARTS = {
    "mnist": ("MNIST (LeCun, Cortes, Burges)", "CC BY-SA 3.0"),
    "strokes": ("`benchmarks/tools/pen_strokes.py`", "Apache-2.0"),
    "handwriting": ("handwriting fonts of `digit_fonts.json`", "OFL, Apache-2.0, public domain"),
    "printed": ("printed fonts of `digit_fonts.json`", "OFL, Apache-2.0, UFL, BSD"),
    "segment": ("DSEG fonts", "OFL"),
    "italy": ("Semeion Handwritten Digit, Semeion Research Center and Tattile, 1994; UCI id 178", "CC BY 4.0"),
    "turkey": ("optdigits, Alpaydin and Kaynak, 1995–1998; UCI id 80", "CC BY 4.0"),
    "crops": ("fonts and pen strokes as close crops", "as above"),
    "meters": ("Tenth-of-step-of-a-meter-digit, haverland", "Apache-2.0"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN")
    parser.add_argument("--digits", type=Path, help="folder of build_digit_data.py, to calibrate on its val.npz")
    parser.add_argument("--real", type=Path, help="folder with real.csv, to calibrate on too; see real_images.py")
    parser.add_argument("--scores", type=Path, help="scores.json of real_images.py, for the card")
    options = parser.parse_args()
    for pair in options.runs:
        name, run = pair.split("=")
        build_pretrained(Path(run), name, options.digits, options.real, options.scores)


def calibrate_over_sources(folder: Path, digits: Path, real: Path | None) -> None:
    """Set temperature and threshold of the model in `folder` on images, and mostly sources, it was not trained on.

    Its input becomes `digit` in two views: the arrays it was trained on were framed by them.
    """
    config = read_config(folder)
    with np.load(digits / "val.npz") as file:
        images, labels, sources = file["x"], file["y"].astype(int), file["sources"]
    logits = load_classifier(folder)(images[:, None].astype(np.float32) / 255) * (config.temperature or 1)
    # A file is predicted from two views. Of the meters both are there, one after the other; crops are whole pages only.
    whole = np.char.endswith(sources, ", whole")
    kept = ~whole & ~np.char.startswith(sources, "crop")
    names = np.array([source_of(name) for name in sources])
    few = np.concatenate([rows_of(names, name) for name in np.unique(names[kept])])
    temperature = fit_temperature(logits[few], labels[few])
    probabilities = softmax(logits.astype(np.float64) / temperature, 1).astype(np.float32)
    second = np.flatnonzero(whole[1:] & kept[:-1]) + 1
    owners = np.concatenate([np.arange(kept.sum()), np.searchsorted(np.flatnonzero(kept), second - 1)])
    probabilities = pooled(np.concatenate([probabilities[kept], probabilities[second]]), owners)
    confidence, correct, names = probabilities.max(1), probabilities.argmax(1) == labels[kept], names[kept]

    two_views = config.input.model_copy(update={"normalization": "digit", "two_views": True})
    update = {"temperature": temperature, "threshold": None, "input": two_views}
    config = config.model_copy(update=update)
    write_json(folder / CONFIG, config.model_dump())
    if real:
        answers = [
            answer for answer in answers_for(real, load_predictor(str(folder)), TRAINED_ON) if answer.kind != "dataset"
        ]
        confidence = np.append(confidence, np.array([answer.score for answer in answers], np.float32))
        correct = np.append(correct, [answer.correct for answer in answers])
        names = np.append(names, [f"real {answer.group}" for answer in answers])
    for name in np.unique(names):
        print(f"{name:24} {np.count_nonzero(names == name):5}  {correct[names == name].mean():.2%}")
    found = threshold_over_sources(confidence, correct, names, ERROR_RATE)
    print(f"{len(np.unique(names))} sources, temperature {temperature:.3f}, threshold {found}")
    threshold = Threshold(confidence=found.confidence, error_rate=ERROR_RATE) if found else None
    write_json(folder / CONFIG, config.model_copy(update={"threshold": threshold}).model_dump())


def rows_of(sources: np.ndarray, name: str) -> np.ndarray:
    """At most PER_SOURCE rows of a source, in random order."""
    return np.random.default_rng(0).permutation(np.flatnonzero(sources == name))[:PER_SOURCE]


def source_of(name: str) -> str:
    """The source an image of `val.npz` counts for: a font's family, a device, all pen strokes, Turkey's writers."""
    for start, source in (("hand ", "pen strokes"), ("turkey", "turkey"), ("meter", name)):
        if name.startswith(start):
            return source
    return name.rpartition("-")[0] or name


def build_pretrained(run: Path, name: str, digits: Path | None, real: Path | None, scores: Path | None) -> None:
    """Fill the model folder of the package from a run."""
    folder = PRETRAINED[name].folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").unlink(missing_ok=True)
    for file in KEPT:
        shutil.copyfile(run / file, folder / file)
    if digits:
        calibrate_over_sources(folder, digits, real)
    exported = export(folder, to="onnx", out=folder / "model.onnx")
    manifest, machine, config = (
        json.loads((folder / file).read_text(encoding="utf-8"))
        for file in ("settings.json", "environment.json", "config.json")
    )
    _, validation = load_data("mnist").train_val()
    suite = evaluate(load_classifier(folder), validation)
    settings = manifest["settings"]
    facts = {
        "name": name,
        "summary": PRETRAINED[name].summary[0].upper() + PRETRAINED[name].summary[1:],
        "classes": ", ".join(config["classes"]),
        "settings": ", ".join(f"{key} {value}" for key, value in settings.items() if key in SHOWN_SETTINGS),
        "commit": str(machine["commit"])[:7],
        "processor": machine["processor"],
        "torch": machine["torch"],
        "model": settings["model"],
        "epochs": settings["epochs"],
        "seed": settings["seed"],
        "images": manifest["data"]["images"],
        "rows": "\n".join(
            [f"| {score.corruption} | {score.accuracy:.2%} |" for score in suite.scores]
            + [f"| core mean | {suite.mean:.2%} |"]
        ),
        "weights": exported.metadata.weights,
    }
    card = CARD.format(**facts) if digits is None else world_card(facts, digits, config, scores)
    (folder / "README.md").write_text(card, encoding="utf-8")
    print(f"{folder}: {sum(file.stat().st_size for file in folder.iterdir()) / 1e6:.2f} MB; {exported.parity}")


def world_card(facts: dict[str, Any], digits: Path, config: dict[str, Any], scores: Path | None) -> str:
    """The card of a model of many sources."""
    counts = json.loads((digits / "parts.json").read_text(encoding="utf-8"))["train"]
    parts = [f"| {part} | {counts[part]:,} | {source} | {licence} |" for part, (source, licence) in PARTS.items()]
    kinds = json.loads(scores.read_text(encoding="utf-8"))["kinds"] if scores else {}
    real = [
        f"| {kind} | {n['n']} | {n['accuracy']:.1%} | {n['sources']} | {n['mean_over_sources']:.1%} | "
        f"{n['abstained']:.1%} | {n['wrong_among_confident']:.2%} |"
        for kind, n in kinds.items()
    ]
    return WORLD_CARD.format(
        **facts,
        parts="\n".join(parts),
        real="\n".join(real),
        confidence=config["threshold"]["confidence"],
        error_rate=config["threshold"]["error_rate"],
    )


if __name__ == "__main__":
    main()
