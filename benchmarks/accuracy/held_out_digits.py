"""Accuracy of a digit model on writers, fonts, hands and meters that it was not trained on.

python benchmarks/accuracy/held_out_digits.py build/digits/held_out.npz [--model digits] [--out results/NAME]

held_out.npz is written by `tools/build_digit_data.py`. Meters are predicted from both views of a file, the rest from
the framed digit. *European 1 and 7* are those of the fonts whose 1 has an upstroke or whose 7 has a bar. With
--failures, a figure of the most confident mistakes of each part.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import digit_fonts
from tools.claims import write_claim

from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import pooled
from imparfait.reports.figures.runs import mistakes

SHOWN = 12  # mistakes of each part


def failure_gallery(
    images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, parts: dict[str, np.ndarray]
) -> Figure:
    """The most confident mistakes of each part: truth → prediction, confidence."""
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    shown, captions = [], []
    for name, rows in parts.items():
        wrong = np.flatnonzero(rows & (predicted != labels))
        for row in wrong[np.argsort(-confidence[wrong], kind="stable")][:SHOWN]:
            shown.append(images[row][None])
            captions.append(
                f"{labels[row]} → {predicted[row]}  {100 * confidence[row]:.0f} %\n{name.partition(' (')[0]}"
            )
    return mistakes(np.stack(shown), captions, columns=12)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", default="digits")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--failures", type=Path, help="a PNG of the most confident mistakes")
    options = parser.parse_args()
    predictor = load_predictor(options.model)
    with np.load(options.file) as file:
        images, labels, sources = file["x"], file["y"].astype(int), file["sources"]
    probabilities = predictor.predict_proba(images[:, None])
    second = np.char.endswith(sources, ", whole")
    first = np.char.startswith(sources, "meter") & ~second
    rows = np.flatnonzero(second)
    both = rows[first[rows - 1]]
    owners = np.concatenate([np.arange(len(both)), np.arange(len(both))])
    if predictor.input_format.two_views:
        probabilities[both - 1] = pooled(np.concatenate([probabilities[both - 1], probabilities[both]]), owners)
        alone = np.setdiff1d(rows, both)  # nothing was found to cut out
        first[alone] = True
    correct = probabilities.argmax(1) == labels
    faces = {font.name: font for font in digit_fonts.manifest()}
    kinds = np.array([faces[name].kind if name in faces else "" for name in sources])
    european = np.array(
        [
            name in faces and ((digit == 1 and faces[name].upstroke_1) or (digit == 7 and faces[name].barred_7))
            for name, digit in zip(sources, labels, strict=True)
        ]
    )
    parts = {
        "Italian writers (Semeion)": np.char.startswith(sources, "italy"),
        "Turkish digits (optdigits)": np.char.startswith(sources, "turkey"),
        "pen strokes of other hands": np.char.startswith(sources, "hand"),
        "handwriting fonts": kinds == "handwriting",
        "printed fonts": kinds == "printed",
        "seven-segment and 14-segment": kinds == "segment",
        "European 1 and 7 of handwriting fonts": european & (kinds == "handwriting"),
        "meters": first,
    }
    if options.failures:
        gallery = {name: rows for name, rows in parts.items() if not name.startswith("European")}
        failure_gallery(images, labels, probabilities, gallery).savefig(options.failures, dpi=100)
    parts |= {
        f"meters, {name.removeprefix('meter ')}": first & np.char.startswith(sources, name)
        for name in np.unique(sources[first & ~second])
    }
    scores = {name: {"n": int(rows.sum()), "correct": int(correct[rows].sum())} for name, rows in parts.items()}
    for name, score in scores.items():
        print(f"{name:40} {score['correct']:5} of {score['n']:5} = {score['correct'] / score['n']:.1%}")
    if options.out:
        write_claim(options.out, scores)


if __name__ == "__main__":
    main()
