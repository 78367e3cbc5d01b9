"""The two classifiers that come with the package, from the runs that trained them.

imparfait train --recipe robust --seed 0
imparfait train --recipe robust --mixture clean --nothing 0 --seed 0
python benchmarks/box.py digits=runs/robust-s0-… digits-clean=runs/robust-s0-…

Each becomes a run folder with what asking, evaluating and further training need, an ONNX file and a model card.
"""

import argparse
import json
import shutil
from pathlib import Path

from imparfait.export import export
from imparfait.inference.pretrained import BOX

KEPT = ("model.safetensors", "config.json", "settings.json", "environment.json")
CARD = """# {name}

{summary}. An image classifier of handwritten digits, 28×28 in grey, for the classes {classes}.

Made by `{command}`, then `python benchmarks/box.py`, on {processor} with PyTorch {torch}; equal settings give equal
weights, bit for bit, on the same processor, thread count and versions. The network is `{model}`, {epochs} epochs, seed
{seed}, fitted on {pictures:,} of MNIST's training pictures; temperature and threshold are from others of them.

| 10,000 training pictures kept out of fitting | right |
| --- | --- |
{rows}

These weights were chosen without MNIST's test pictures; `results/TEST_LEDGER.csv` says whether these were opened for
them since. MNIST is by American writers: for European 1s and 7s no accuracy is claimed; show it yours with
`imparfait train --data FOLDER --from {name}`.

sha256 of `model.safetensors`: `{weights}`

MNIST (Y. LeCun, C. Cortes, C. J. C. Burges) is under CC BY-SA 3.0; the weights are, like the package, under Apache-2.0.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN")
    for pair in parser.parse_args().runs:
        name, run = pair.split("=")
        put(Path(run), name)


def put(run: Path, name: str) -> None:
    folder = BOX[name].folder
    folder.mkdir(parents=True, exist_ok=True)
    for file in KEPT:
        shutil.copyfile(run / file, folder / file)
    done = export(folder, to="onnx", out=folder / "model.onnx")
    told, here, scores, config = (
        json.loads((run / file).read_text(encoding="utf-8"))
        for file in ("settings.json", "environment.json", "scores.json", "config.json")
    )
    settings = told["settings"]
    words = ["imparfait train --recipe", told["recipe"]]
    if settings["mixture"] == "clean":
        words += ["--mixture clean --nothing 0"]
    rows = [f"| {part['alteration']} | {part['right'] / part['total']:.2%} |" for part in scores["parts"]]
    card = CARD.format(
        name=name,
        summary=BOX[name].summary[0].upper() + BOX[name].summary[1:],
        classes=", ".join(config["classes"]),
        command=" ".join([*words, "--seed", str(settings["seed"])]),
        processor=here["processor"],
        torch=here["torch"],
        model=settings["model"],
        epochs=settings["epochs"],
        seed=settings["seed"],
        pictures=told["data"]["pictures"],
        rows="\n".join([*rows, f"| mean of the three | {scores['mean']:.2%} |"]),
        weights=done.card.weights,
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    print(f"{folder}: {sum(file.stat().st_size for file in folder.iterdir()) / 1e6:.2f} MB; {done.parity}")


if __name__ == "__main__":
    main()
