"""Fit how the two readers of a field count, on composed pages of writers and fonts that neither was trained on.

    python benchmarks/tools/train_reader.py compose build/choose --split choose --pages 1000 --meters METERS
    python benchmarks/tools/fit_sequences.py build/choose

Prints the weights for imparfait/inference/ocr/fusion.py, fitted on four fifths of the pages, and on the last fifth how
often each reader and their combination are correct.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from imparfait.inference.loading import load_predictor
from imparfait.inference.ocr import MIN_CONFIDENT_SCORE
from imparfait.inference.ocr.ctc import LengthReading
from imparfait.inference.ocr.detector import DIGITS, detect
from imparfait.inference.ocr.distribution import MISREAD_SHARE, Segmentation
from imparfait.inference.ocr.fusion import FusionWeights, fused
from imparfait.inference.ocr.layout import find_lines, split_into_fields
from imparfait.inference.ocr.pipeline import RecognisedGlyphs, recognise, segmentations_of
from imparfait.inference.ocr.sequence_recognizer import read_sequence

BESIDE = 0.45  # heights beside a field, in which a digit that was not found belongs to it


@dataclass(frozen=True, eq=False)
class Example:
    """A field of a page."""

    by_glyphs: list[Segmentation]
    by_sequence: list[LengthReading]
    truth: str
    page: int


def examples(folder: Path, limit: int) -> list[Example]:
    """The fields found on so many pages."""
    predictor = load_predictor("digits")
    found: list[Example] = []
    number = 0
    for path in sorted(folder.glob("choose-*.npz")):
        with np.load(path) as file:
            ends = np.cumsum(file["counts"])[:-1]
            parts = zip(file["images"], np.split(file["boxes"], ends), np.split(file["labels"], ends), strict=True)
            for image, boxes, labels in parts:
                if number == limit:
                    return found
                number += 1
                grey = image.astype(np.float32) / 255
                glyphs = recognise(grey, detect(grey), predictor)
                fields = true_fields(boxes, labels)
                for line in find_lines(glyphs.boxes):
                    for field in split_into_fields(line, glyphs.boxes, glyphs.presence):
                        truth = truth_of(glyphs.boxes[field], fields, boxes, labels)
                        if truth is not None:
                            found.append(example(grey, field, line, glyphs, truth, number))
    return found


def true_fields(boxes: np.ndarray, labels: np.ndarray) -> list[list[int]]:
    """The digits of each field of a page, by the reader's own layout of the true boxes."""
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1).astype(float)
    presence = np.where(labels == DIGITS, 0.0, 1.0)
    return [field for line in find_lines(corners) for field in split_into_fields(line, corners, presence)]


def truth_of(found: np.ndarray, fields: list[list[int]], boxes: np.ndarray, labels: np.ndarray) -> str | None:
    """The digits of the true fields that a found one is about.

    None if one of them is cut off or too small, and where it is not clear which digits belong to it: there are others
    close beside it.
    """
    low, high = found[:, :2].min(0), found[:, 2:].max(0)
    middles = boxes[:, :2] + boxes[:, 2:] / 2
    inside = ((middles > low) & (middles < high)).all(1)
    meant = [field for field in fields if inside[field].any()]
    meant.sort(key=lambda field: float(middles[field, 0].mean()))
    digits = [digit for field in meant for digit in field]
    beside = BESIDE * np.array([np.median(found[:, 3] - found[:, 1]), 0])
    close = ((middles > low - beside) & (middles < high + beside)).all(1) & (labels != DIGITS)
    if set(np.flatnonzero(close)) != set(digits) or (labels[digits] > DIGITS).any():
        return None
    return "".join(map(str, labels[digits]))


def example(
    grey: np.ndarray,
    field: list[int],
    line: list[int],
    glyphs: RecognisedGlyphs,
    truth: str,
    page: int,
) -> Example:
    """What both readers make of a field."""
    parts, _ = segmentations_of(field, line, glyphs)
    by_glyphs = [Segmentation(share, glyphs.probabilities[chosen]) for share, chosen in parts]
    _, possible = parts[0]
    lengths, _ = read_sequence(grey, glyphs.boxes[possible])
    return Example(by_glyphs, lengths, truth, page)


def likelihood(found: list[Segmentation], truth: str) -> float:
    """The probability of the truth."""
    rows = [(each.probability, each.rows) for each in found if len(each.rows) == len(truth)]
    places, labels = np.arange(len(truth)), [int(digit) for digit in truth]
    return sum(
        share * float(((1 - MISREAD_SHARE) * row + MISREAD_SHARE / DIGITS)[places, labels].prod())
        for share, row in rows
    )


def best(found: list[Segmentation]) -> tuple[str, float]:
    """The most probable string and its probability."""
    score, text = max((each.probability * each.rows.max(1).prod(), each.rows.argmax(1)) for each in found)
    return "".join(map(str, text)), float(score)


def weights_of(parameters: np.ndarray) -> FusionWeights:
    """One weight for the digits of both readers: on other pages a weight for each is no better."""
    return FusionWeights(*(round(float(each), 3) for each in parameters))


def loss(parameters: np.ndarray, some: list[Example]) -> float:
    """The mean negative logarithm of the truth's probability, where nothing is certain."""
    weights = weights_of(parameters)
    fields = (fused(each.by_glyphs, each.by_sequence, weights) for each in some)
    likely = [likelihood(found, each.truth) for each, found in zip(some, fields, strict=True)]
    return -float(np.log(0.001 + np.array(likely)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pages", type=int, default=1000)
    options = parser.parse_args()
    all_fields = examples(options.folder, options.pages)
    last = 0.8 * max(each.page for each in all_fields)
    fitted = [each for each in all_fields if each.page <= last]
    held_out = [each for each in all_fields if each.page > last]
    start = np.array([0.5, 0.4, 0.5, -2.5, -4.0])
    found = minimize(loss, start, (fitted,), "Nelder-Mead", options={"maxfev": 250, "xatol": 0.01, "fatol": 1e-5})
    weights = weights_of(found.x)
    print(weights)
    print(f"loss {loss(start, fitted):.4f} -> {found.fun:.4f} on {len(fitted)} fields")
    for name, which in [("all", held_out), ("two digits or more", [each for each in held_out if len(each.truth) > 1])]:
        glyphs = [best(each.by_glyphs) for each in which]
        alone = [
            best([Segmentation(o.probability, o.rows) for o in each.by_sequence] or each.by_glyphs) for each in which
        ]
        both = [best(fused(each.by_glyphs, each.by_sequence, weights)) for each in which]
        for reader, answers in (("glyphs", glyphs), ("sequence", alone), ("both", both)):
            correct = np.array([text == each.truth for (text, _), each in zip(answers, which, strict=True)])
            confident = np.array([score for _, score in answers]) >= MIN_CONFIDENT_SCORE
            print(
                f"{name}, {reader}: {correct.mean():.2%} of {len(which)} correct; confident {confident.mean():.1%}, "
                f"of these wrong {(~correct[confident]).mean():.2%}"
            )


if __name__ == "__main__":
    main()
