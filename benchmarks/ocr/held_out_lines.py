"""Accuracy of `read` on composed lines of digits, drawn by a generator that no tuning has seen.

    python benchmarks/ocr/held_out_lines.py --lines 1000 --out results/ocr-held-out-lines
    python benchmarks/ocr/held_out_lines.py --sheet build/lines.png

The lines are those of `lines/`: real digits of held-out writers, 2 to 12 a line, 14 to 160 pixels high, from wide apart
to overlapping. With --fonts, some have a printed word beside them; the truth is the digits alone. *Touching* are lines
where the ink of at least two neighbours meets. A line is read as one string: spaces between its fields do not count.

`list` is the same with constraints: the length is known, and the number is one of 500 random ones of that length.
Lines of fewer than four digits are left out there. Choose nothing by these numbers: then they are no longer unseen.
"""

import argparse
import csv
import io
import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from ocr import scores
from ocr.lines import ComposedLine, compose, held_out_hands
from ocr.lines.composer import word_fonts
from ocr.scores import Answer
from tools.claims import write_claim

from imparfait.data.images.decode import read_pages
from imparfait.inference.loading import load_predictor
from imparfait.inference.ocr import Reading, read_page
from imparfait.inference.ocr.constraints import Length, OneOf
from imparfait.inference.predictor import Predictor

FONTS = Path("build/fonts")
TOOLS = Path(__file__).parents[1] / "tools"
SENT, SENT_WITH_LIST = 0.05, 0.02  # shares that go to a person
LISTED, LISTED_DIGITS = 500, 4  # numbers on the list; digits from which on there is one
SHEET = (6, 8)  # columns, rows
TILE_PX = (330, 130)


@dataclass(frozen=True)
class ReadLine:
    """A composed line and what was read, without and with constraints."""

    line: ComposedLine
    answer: Answer
    listed: Answer | None


def read_line(line: ComposedLine, predictor: Predictor, seed: int = 0) -> ReadLine:
    """Read a line, and once more with its length and a list of numbers."""
    (page,) = read_pages(line.content)
    reading = read_page(page, predictor)
    answer = Answer(line.text, text_of(reading), score_of(reading), reading.confident)
    if len(line.text) < LISTED_DIGITS:
        return ReadLine(line, answer, None)
    numbers = list_with(line.text, np.random.default_rng([seed, line.number, 0x1157]))
    reading = read_page(page, predictor, [Length(len(line.text)), OneOf(numbers)])
    decided = [field for field in reading.fields if field.decision and field.decision.text is not None]
    best = max(decided, key=lambda field: field.score, default=None)
    listed = Answer(line.text, best.text, best.score, best.confident) if best else Answer(line.text, "", 0.0, False)
    return ReadLine(line, answer, listed)


def text_of(reading: Reading) -> str:
    """All digits, in reading order."""
    return scores.digits_of(reading.text)


def score_of(reading: Reading) -> float:
    """Probability that all fields are correct; 0 where nothing was found."""
    return math.prod(field.score for field in reading.fields) if reading.fields else 0.0


def list_with(text: str, rng: np.random.Generator) -> list[str]:
    """LISTED different numbers of the same length, `text` among them."""
    numbers = {text: None}
    while len(numbers) < LISTED:
        numbers["".join(map(str, rng.integers(0, 10, len(text))))] = None
    return sorted(numbers)


def summary(lines: Sequence[ReadLine]) -> dict[str, object]:
    """All scores of the lines, also by ground, source, spacing, size, slope and length."""
    groups: dict[str, list[Answer]] = defaultdict(list)
    for each in lines:
        for name in groups_of(each.line):
            groups[name].append(each.answer)
    answers = [each.answer for each in lines]
    listed = [each.listed for each in lines if each.listed]
    return {
        "exact": {"all": scores.exact(answers), "touching": scores.exact(groups["touching"])},
        "character_error_percent": scores.character_error_percent(answers),
        "own_threshold": scores.accepted_by_itself(answers),
        "accepted_wrong_at_5_percent_sent": scores.accepted_at(answers, SENT),
        "list": {
            "exact": scores.exact(listed),
            "own_threshold": scores.accepted_by_itself(listed),
            "accepted_wrong_at_2_percent_sent": scores.accepted_at(listed, SENT_WITH_LIST),
        },
        "groups": {
            name: {
                "exact": scores.exact(some),
                "character_error_percent": scores.character_error_percent(some),
                "own_threshold": scores.accepted_by_itself(some),
            }
            for name, some in sorted(groups.items())
        },
    }


def groups_of(line: ComposedLine) -> Iterator[str]:
    """The groups a line is counted in."""
    height, digits = line.height_px, len(line.text)
    yield "touching" if line.touching else "none touching"
    yield f"ground {line.kind}"
    yield f"source {line.source}"
    yield f"spacing {line.spacing}"
    yield f"height {'under 24' if height < 24 else '24 to 48' if height < 48 else '48 to 160'} pixels"
    yield f"slope {'under 4' if abs(line.slope) < 4 else '4 to 12'} degrees"
    yield f"digits {'2 to 4' if digits < 5 else '5 to 8' if digits < 9 else '9 to 12'}"
    yield "light on dark" if line.light_on_dark else "dark on light"
    if line.words:
        yield "with a printed word"
    if line.margin < 0.05:
        yield "ink at the frame"


def sheet_of(lines: Sequence[ComposedLine]) -> Image.Image:
    """The lines as tiles, each with its number and truth."""
    columns, _ = SHEET
    width, height = TILE_PX
    sheet = Image.new("RGB", (columns * width, -(-len(lines) // columns) * (height + 14)), (128, 128, 128))
    brush = ImageDraw.Draw(sheet)
    for index, line in enumerate(lines):
        image = Image.open(io.BytesIO(line.content)).convert("RGB")
        image.thumbnail((width - 6, height - 4))
        x, y = index % columns * width, index // columns * (height + 14)
        sheet.paste(image, (x + 3, y + 14))
        caption = (
            f"{line.number} {line.text} {line.kind} {line.source[:2]} {line.spacing} {line.height_px} t{line.touching}"
        )
        brush.text((x + 3, y + 1), caption, "white")
    return sheet


def row_of(each: ReadLine) -> dict[str, object]:
    """A row of lines.csv."""
    about = {name: value for name, value in vars(each.line).items() if name != "content"}
    row = about | {
        "predicted": each.answer.predicted,
        "score": round(each.answer.score, 5),
        "confident": each.answer.confident,
    }
    if each.listed:
        row |= {"list_predicted": each.listed.predicted, "list_score": round(each.listed.score, 5)}
        row |= {"list_confident": each.listed.confident}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="digits")
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fonts", type=Path, default=FONTS, help="of tools/digit_fonts.py, for words")
    parser.add_argument("--sheet", type=Path, help="only draw the first 48 lines into this PNG file")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    hands, fonts = held_out_hands(TOOLS / "hands"), word_fonts(options.fonts)
    composed = (compose(number, hands, fonts, options.seed) for number in range(options.lines))
    if options.sheet:
        sheet_of([next(composed) for _ in range(math.prod(SHEET))]).save(options.sheet)
        return
    predictor = load_predictor(options.model)
    lines = [read_line(line, predictor, options.seed) for line in composed]
    results = summary(lines) | {"printed_words": bool(fonts)}
    print(json.dumps(results, indent=2))
    if options.out:
        own = str(options.fonts) if options.fonts != FONTS else None
        write_claim(options.out, results, FONTS=own)
        with (options.out / "lines.csv").open("w", newline="", encoding="utf-8") as file:
            rows = [row_of(each) for each in lines]
            writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
