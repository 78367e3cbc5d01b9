"""Build the two pretrained models of the package from their training runs.

imparfait train --recipe robust --seed 0
imparfait train --recipe robust --augmentation clean --ood-fraction 0 --seed 0
python benchmarks/tools/build_pretrained.py digits=runs/robust-s0-… digits-clean=runs/robust-s0-…

Each model folder holds the files needed for inference, evaluation and fine-tuning, an ONNX file and a model card.
"""

import argparse
import json
import shutil
from pathlib import Path

from imparfait.export import export
from imparfait.models.pretrained import PRETRAINED

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
    for pair in parser.parse_args().runs:
        name, run = pair.split("=")
        build_pretrained(Path(run), name)


def build_pretrained(run: Path, name: str) -> None:
    """Fill the model folder of the package from a run."""
    folder = PRETRAINED[name].folder
    folder.mkdir(parents=True, exist_ok=True)
    for file in KEPT:
        shutil.copyfile(run / file, folder / file)
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
