"""The study's networks here and in the study's own Keras code: on the same saved pixels, in turn in one run.

python -m venv ../keras && ../keras/bin/pip install -r benchmarks/keras.txt
python benchmarks/study.py --keras ../keras/bin/python --epochs 3 --out results/2026-11-24-beside-the-study

Speed: both learn `--pictures` pictures in batches of 32, by turns, `--rounds` times, each warmed up. Accuracy (`cnn`):
both learn the same 87,500 training pictures of the study's mixture and are scored on the same development pictures;
of the shrunk ones there are two versions, averaged over areas as here and reduced with Pillow's default as the study
did. Test pictures are not touched.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from imparfait import RECIPES, Draw, LabelledImages, Machine, as_classifier, build, load_data, split, the_three
from imparfait.datasets.mixtures import MIXTURES
from imparfait.machine import choose_machine, environment
from imparfait.models.gru import Gru
from imparfait.settings import TrainingSettings, recipe_of
from imparfait.statistics import bootstrap_interval, wilson_interval
from imparfait.training import Training


class Keras:
    """The peer, in a process of its own."""

    def __init__(self, python: str, pixels: Path):
        words = [python, str(Path(__file__).with_name("study_in_keras.py")), str(pixels)]
        self.child = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.versions = self._answer()

    def __call__(self, *command: object) -> dict:
        """What it answers to a command of study_in_keras.py."""
        print(json.dumps(command), file=self.child.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict:
        return json.loads(self.child.stdout.readline())


class Ours:
    """Our side: as fast and as precise as `imparfait train` would be here, or in float32."""

    def __init__(self, model: str, data: LabelledImages, epochs: int, seed: int, float32: bool):
        self.settings = settings_for(model, epochs, seed)
        _, channels, height, width = data.pixels.shape
        self.model = build(model, channels=channels, classes=len(data.classes), height=height, width=width, seed=seed)
        chosen = choose_machine(self.model, torch.from_numpy(data.pixels[:32]) / 255)
        self.machine = chosen.model_copy(update={"precision": "float32"}) if float32 else chosen
        self.training = Training(self.model, data, self.settings, self.machine)
        self.steps: Iterator = iter(self.training)

    def fit(self, pictures: int) -> float:
        """Seconds it takes to learn so many more pictures."""
        start = time.perf_counter()
        for _ in range(pictures // self.settings.batch_size):
            next(self.steps)
        return time.perf_counter() - start


def settings_for(model: str, epochs: int, seed: int) -> TrainingSettings:
    """The recipe of the model, on pictures that are already mixed."""
    recipe = RECIPES[recipe_of(model)].settings
    return recipe.model_copy(update={"model": model, "mixture": "clean", "epochs": epochs, "seed": seed})


def as_shown(data: LabelledImages) -> LabelledImages:
    """The pictures that the study's mixture shows of `data`, altered once and kept as uint8."""
    mixture, sources = MIXTURES["study"], torch.from_numpy(data.sources)
    rows = mixture.rows(0, 0, sources)
    shown = [
        mixture.show(torch.from_numpy(data.pixels[source]) / 255, share, 0, 0, sources[source])
        for source, share in (part.T for part in rows.split(5000))
    ]
    pixels = (torch.cat(shown) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    return replace(data.select(rows[:, 0].numpy()), pixels=pixels, name="the study's mixture")


def shrunk_by_pillow(data: LabelledImages) -> np.ndarray:
    """The protocol's shrunk pictures, at the same places, but reduced with Pillow's default as the study did."""
    side = data.pixels.shape[-1]
    places = Draw(0, "score shrunk", 0, torch.from_numpy(data.sources)).uniform("row, column", 2).double()
    reduced = np.empty_like(data.pixels)
    for picture, out, (row, column) in zip(data.pixels, reduced, (places * (side + 1)).long().tolist(), strict=True):
        canvas = np.zeros((2 * side, 2 * side), np.uint8)
        canvas[row : row + side, column : column + side] = picture[0]
        out[0] = np.asarray(Image.fromarray(canvas).resize((side, side)))
    return reduced


def weights_for_keras(model: nn.Module) -> list[np.ndarray]:
    """Every weight and running statistic, in Keras's order and layout."""
    weights: list[torch.Tensor] = []
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            weights += [layer.weight.permute(2, 3, 1, 0), layer.bias]
        elif isinstance(layer, nn.Linear):
            weights += [layer.weight.T, layer.bias]
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            weights += [layer.weight, layer.bias, layer.running_mean, layer.running_var]
        elif isinstance(layer, Gru):
            for direction in zip(layer.kernel, layer.recurrent, layer.bias, strict=True):
                weights += direction
    return [weight.detach().numpy() for weight in weights]


def largest_difference(keras: Keras, ours: Ours, data: LabelledImages, folder: Path) -> float:
    """Between the probabilities of both, when Keras's network has our weights; in float32."""
    file = folder / "weights.npz"
    np.savez(file, *weights_for_keras(ours.model))
    theirs = np.array(keras("weights", str(file))["probabilities"])
    logits = as_classifier(ours.model, Machine(threads=2))((data.pixels[:100] / 255).astype(np.float32))
    return float(np.abs(torch.from_numpy(logits).softmax(1).numpy() - theirs).max())


def speeds(keras: Keras, model: str, data: LabelledImages, pictures: int, rounds: int, folder: Path) -> dict:
    """Pictures learned a second, by turns: Keras, ours, ours in float32."""
    contenders = {
        "keras": lambda: keras("fit", pictures)["seconds"],
        "imparfait": (ours := Ours(model, data, 10, 0, float32=False)).fit,
        "imparfait, float32": (exact := Ours(model, data, 10, 0, float32=True)).fit,
    }
    numbers = keras("build", model, 0)["numbers"]
    for side in (ours, exact):
        side.fit(pictures // 4)
    keras("fit", pictures // 4)
    difference = largest_difference(keras, exact, data, folder)  # of trained weights: statistics have moved
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, fit in contenders.items():
            seconds[name].append(fit() if name == "keras" else fit(pictures))
    rates = {name: [pictures / each for each in values] for name, values in seconds.items()}
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "numbers": numbers,
        "precision": ours.machine.precision,
        "largest_difference_of_probabilities_with_equal_weights": difference,
        "pictures_per_second_median": {name: round(value) for name, value in medians.items()},
        "range": {name: [round(min(values)), round(max(values))] for name, values in rates.items()},
        "ratio_to_keras": {name: round(value / medians["keras"], 2) for name, value in medians.items()},
        "pictures_a_round": pictures,
        "rounds_in_turn": rounds,
    }


def accuracies(
    keras: Keras, data: LabelledImages, scored: dict[str, np.ndarray], labels: np.ndarray, epochs: int, seed: int
) -> Iterator[dict]:
    """Right answers of both after each epoch of `cnn`, and the mean of the three on both versions of shrunk.

    Our rows carry how far our mean lies above Keras's, in points, with its paired 95 % interval over source pictures.
    """
    keras("build", "cnn", seed)
    ours = Ours("cnn", data, epochs, seed, float32=False)
    classifier = as_classifier(ours.model, ours.machine)
    for epoch in range(1, epochs + 1):
        keras("fit", len(data))
        ours.fit(ours.training.steps_an_epoch * ours.settings.batch_size)
        theirs = {name: np.array(right) for name, right in keras("score").items()}
        mine = {
            name: classifier((pixels / 255).astype(np.float32)).argmax(1) == labels for name, pixels in scored.items()
        }
        for name, answers in (("keras", theirs), ("imparfait", mine)):
            row = {"epoch": epoch, "seed": seed, "system": name}
            row["right"] = {part: int(right.sum()) for part, right in answers.items()}
            for version, part in (("areas", "shrunk"), ("pillow", "shrunk, pillow")):
                three = np.stack([answers["clean"], answers["geometric"], answers[part]])
                row[f"mean_{version}"] = round(100 * float(three.mean()), 3)
            row["clean_interval"] = [round(100 * end, 2) for end in wilson_interval(row["right"]["clean"], len(labels))]
            if name == "imparfait":
                ahead = sum(mine[part].astype(int) - theirs[part] for part in ("clean", "geometric", "shrunk"))
                row["ahead_of_keras"] = round(100 * float(ahead.mean() / 3), 3)
                row["ahead_interval"] = [round(100 * end, 3) for end in bootstrap_interval(ahead, each=3)]
            yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", required=True, help="the Python that has benchmarks/keras.txt")
    parser.add_argument("--pictures", type=int, default=9600)
    parser.add_argument("--rounds", type=int, default=5, help="of the comparison of speeds; 0 leaves it out")
    parser.add_argument("--epochs", type=int, default=3, help="of the comparison of accuracies; 0 leaves it out")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    fit, development = split(load_data().train)
    data = as_shown(fit)
    scored = {part.alteration: part.data.pixels for part in the_three(development)}
    scored["shrunk, pillow"] = shrunk_by_pillow(development)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pixels.npz"
        saved = {name: pixels[:, 0] for name, pixels in scored.items()}
        np.savez(file, train_x=data.pixels[:, 0], train_y=data.labels, score_y=development.labels, **saved)
        keras = Keras(options.keras, file)
        summary: dict = {"peer": keras.versions, "batch_size": 32, "speed": {}}
        options.out.mkdir(parents=True, exist_ok=True)
        machine = choose_machine(build("petit", channels=1, classes=10), torch.rand(8, 1, 28, 28))
        (options.out / "environment.json").write_text(json.dumps(environment(machine), indent=2) + "\n")
        (options.out / "command.txt").write_text("python " + " ".join(sys.argv) + "\n")

        def keep() -> None:
            (options.out / "scores.json").write_text(json.dumps(summary, indent=2) + "\n")

        for model, share in (("cnn", 1), ("cnn_gru", 2)) if options.rounds else ():
            pictures = options.pictures // share
            summary["speed"][model] = speeds(keras, model, data, pictures, options.rounds, Path(folder))
            print(json.dumps({model: summary["speed"][model]}, indent=2), flush=True)
            keep()
        if options.epochs:
            summary["pillow_and_areas_differ_by_at_most_mean"] = round(
                float(np.abs(scored["shrunk"].astype(int) - scored["shrunk, pillow"]).max((1, 2, 3)).mean()), 1
            )
            summary["accuracy"] = []
            for seed in options.seeds:
                for row in accuracies(keras, data, scored, development.labels, options.epochs, seed):
                    summary["accuracy"].append(row)
                    print(json.dumps(row), flush=True)
                    keep()  # after each epoch: a run that is stopped has told what it knew


if __name__ == "__main__":
    main()
