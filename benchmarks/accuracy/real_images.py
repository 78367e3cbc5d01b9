"""Accuracy and confidence of a digit model on a folder of real images, by kind and by source.

    python benchmarks/accuracy/real_images.py FOLDER [--model digits] [--out results/NAME]

FOLDER/real.csv has the columns image_path, label, group (the source), kind and several (1: more than one digit, left
out here). Images of one source are alike, so accuracy is given of images and as a mean over sources. With --failures,
a sheet of the wrong ones: each file beside what the model saw of it.
"""

import argparse
import csv
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import Predictor

HANDWRITING = ("paint", "photo", "scan")
ABSTAINED = (0.05, 0.1)
TILE_PX = 96


@dataclass(frozen=True)
class Answer:
    """What a model said of one image."""

    path: str
    label: str
    group: str
    kind: str
    predicted: str
    score: float
    confident: bool

    @property
    def correct(self) -> bool:
        return self.predicted == self.label


def answers_for(folder: Path, predictor: Predictor, left_out: set[str]) -> list[Answer]:
    """The answer to each image of a single digit whose source is not left out."""
    from imparfait import predict

    with (folder / "real.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["several"] == "0" and row["group"] not in left_out]
    answers = []
    for row in rows:
        prediction = predict(folder / row["image_path"], predictor)[0]
        answers.append(
            Answer(
                row["image_path"], row["label"], row["group"], row["kind"],
                prediction.label, prediction.score, prediction.confident,
            )
        )  # fmt: skip
    return answers


def summary(answers: list[Answer]) -> dict[str, float]:
    """Accuracy of images and as a mean over sources, and the errors among the accepted, as set and at ABSTAINED."""
    by_group = defaultdict(list)
    for answer in answers:
        by_group[answer.group].append(answer.correct)
    correct = np.array([answer.correct for answer in answers])
    confident = np.array([answer.confident for answer in answers])
    order = np.argsort([-answer.score for answer in answers], kind="stable")
    numbers = {
        "n": len(answers),
        "correct": int(correct.sum()),
        "accuracy": float(correct.mean()),
        "sources": len(by_group),
        "mean_over_sources": float(np.mean([np.mean(group) for group in by_group.values()])),
        "abstained": float(1 - confident.mean()),
        "wrong_and_confident": int((confident & ~correct).sum()),
        "wrong_among_confident": float((~correct[confident]).mean()) if confident.any() else 0.0,
    }
    for share in ABSTAINED:
        accepted = order[: round(len(order) * (1 - share))]
        numbers[f"wrong_among_accepted_at_{share:g}"] = float((~correct[accepted]).mean())
    return numbers


def failure_sheet(folder: Path, answers: list[Answer], predictor: Predictor) -> Image.Image:
    """Each wrong one: its file, what the model saw, the label and the prediction."""
    from imparfait.data.images.normalize import read_normalized

    wrong = [answer for answer in answers if not answer.correct]
    columns = 8
    cell = 2 * TILE_PX + 14
    sheet = Image.new("RGB", (columns * cell, -(-len(wrong) // columns) * (TILE_PX + 18)), "white")
    brush = ImageDraw.Draw(sheet)
    for index, answer in enumerate(wrong):
        x, y = index % columns * cell, index // columns * (TILE_PX + 18)
        with Image.open(folder / answer.path) as file:
            shown = file.convert("RGBA")
            white = Image.new("RGBA", shown.size, "white")
            white.alpha_composite(shown)
            white.thumbnail((TILE_PX, TILE_PX))
            sheet.paste(white.convert("RGB"), (x, y))
        seen = next(read_normalized(folder / answer.path, predictor.input_format)).pixels[0]
        sheet.paste(Image.fromarray(seen).resize((TILE_PX, TILE_PX), Image.Resampling.NEAREST), (x + TILE_PX + 2, y))
        text = f"{answer.label} -> {answer.predicted} {answer.score:.2f} {answer.group}"
        brush.text((x, y + TILE_PX + 2), text, fill="black" if answer.confident else "grey")
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="digits")
    parser.add_argument("--leave-out", default="", help="sources, separated by commas")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--failures", type=Path, help="a PNG of the wrong ones")
    options = parser.parse_args()
    predictor = load_predictor(options.model)
    answers = answers_for(options.folder, predictor, set(options.leave_out.split(",")))
    table = {"handwriting": summary([answer for answer in answers if answer.kind in HANDWRITING])}
    for kind in sorted({answer.kind for answer in answers}):
        table[kind] = summary([answer for answer in answers if answer.kind == kind])
    for name, numbers in table.items():
        print(
            f"{name:14} {numbers['correct']:4} of {numbers['n']:4} = {numbers['accuracy']:.1%}; mean over "
            f"{numbers['sources']:2} sources {numbers['mean_over_sources']:.1%}; abstained {numbers['abstained']:.1%}, "
            f"wrong among the rest {numbers['wrong_among_confident']:.2%}; "
            + ", ".join(f"at {share:.0%} {numbers[f'wrong_among_accepted_at_{share:g}']:.2%}" for share in ABSTAINED)
        )
    if options.failures:
        failure_sheet(options.folder, answers, predictor).save(options.failures)
    if options.out:
        by_source = {
            f"{kind}, {group}": summary([answer for answer in answers if (answer.kind, answer.group) == (kind, group)])
            for kind, group in sorted({(answer.kind, answer.group) for answer in answers})
        }
        write_claim(options.out, {"kinds": table, "sources": by_source}, FOLDER=str(options.folder))


if __name__ == "__main__":
    main()
