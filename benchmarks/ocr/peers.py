"""Digits read by RapidOCR, Tesseract, ddddocr and imparfait from the same images, in turn.

    python -m venv ../rapidocr && ../rapidocr/bin/pip install -r benchmarks/peers/rapidocr.txt
    python -m venv ../ddddocr && ../ddddocr/bin/pip install -r benchmarks/peers/ddddocr.txt
    apt-get install tesseract-ocr
    taskset -c 0 python benchmarks/ocr/peers.py --rapidocr ../rapidocr/bin/python --ddddocr ../ddddocr/bin/python \\
        --real FOLDER --composed 300 --answers ../answers --out results/ocr-peers

FOLDER/real.csv has the columns image_path, label, group, kind and several; images with several digits are read (1).
`--composed` are lines of `lines/`. Each library is run by benchmarks/peers/ocr_worker.py, whose first lines state the
settings. It gets an upright RGB image on a white ground, or on a black one where transparent ink is light. Of what it
reads, the digits count, in reading order. Of its settings, the one with the most exact numbers on each set of images is
reported: chosen on the images that are scored, in favour of the library. *Sent* are the images with its lowest scores.

Grids (groups of --grids) are photographs of sudokus, whose truth is the grid alone. They are left out of all scores but
one: the share of the grid's digits that are found in order, where other digits on the page cost nothing.

Seconds are of processor time a page, the median; run it on one idle core for them. With --answers, the answers are kept
in that folder, and what was read from the same pixels before is not read again, nor timed again; with --again
imparfait, that library does read all again.
"""

import argparse
import csv
import hashlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, ImageStat

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from ocr import scores
from ocr.lines import compose, held_out_hands
from ocr.lines.composer import word_fonts
from ocr.scores import Answer
from tools.claims import write_claim

BENCHMARKS = Path(__file__).parents[1]
WORKER = BENCHMARKS / "peers" / "ocr_worker.py"
SENT = 0.05  # share of the images that goes to a person, the least sure ones
Said = dict[str, dict[str, str | float]]
"""A library's text, score and seconds by setting."""


@dataclass(frozen=True)
class Item:
    """An image to read."""

    name: str
    image: Image.Image
    truth: str
    groups: tuple[str, ...]
    """What it is counted in, beside `all`."""
    grid: bool = False


class Library:
    """A worker process, and the answers it has given before."""

    def __init__(self, name: str, python: str, answers: Path | None = None, again: bool = False):
        self.name, self.python = name, python
        self.file = answers / f"{name}.jsonl" if answers else None
        self.known: dict[str, Said] = {}
        self.process: subprocess.Popen[str] | None = None
        if self.file and again:
            self.file.unlink(missing_ok=True)
        if self.file and self.file.exists():
            for line in self.file.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                self.known[row["sha256"]] = row["said"]

    def read(self, path: Path, sha256: str) -> Said:
        """What it says of a PNG file with these pixels."""
        if sha256 not in self.known:
            if self.process is None:
                self.process = subprocess.Popen(
                    [self.python, str(WORKER), self.name],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
                )  # fmt: skip
                self._line()
            assert self.process.stdin is not None
            print(path, file=self.process.stdin, flush=True)
            self.known[sha256] = said = self._line()
            if self.file:
                with self.file.open("a", encoding="utf-8") as file:
                    print(json.dumps({"sha256": sha256, "said": said}), file=file)
        return self.known[sha256]

    def close(self) -> None:
        """End the process."""
        if self.process:
            self.process.communicate()

    def _line(self) -> Said:
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: its worker ended; run {self.python} {WORKER} {self.name} to see why")
        return json.loads(line)


def upright(source: Path | bytes) -> Image.Image:
    """The image as a person sees it: turned as EXIF says, RGB, transparency on the ground that shows the ink."""
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
        image = ImageOps.exif_transpose(file)
        if image.mode.startswith("I;16"):
            image = image.point(lambda level: level / 256).convert("L")
        layer = image.convert("RGBA")
    alpha = layer.getchannel("A")
    light = alpha.getextrema()[1] and ImageStat.Stat(layer.convert("L"), alpha.point(lambda a: 255 * (a > 127))).mean[0]
    behind = "black" if alpha.getextrema()[0] < 255 and light > 127 else "white"
    ground = Image.new("RGBA", layer.size, behind)
    ground.alpha_composite(layer)
    return ground.convert("RGB")


def real_items(folder: Path, grids: set[str]) -> Iterator[Item]:
    """The images of several digits in a folder of real ones."""
    with (folder / "real.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            truth = scores.digits_of(row["label"])
            if row["several"] == "1" and truth:  # a page that nobody has typed has none
                image = upright(folder / row["image_path"])
                yield Item(row["image_path"], image, truth, (row["kind"],), row["group"] in grids)


def composed_items(lines: int, fonts: Path) -> Iterator[Item]:
    """Composed lines, with seed 0."""
    hands, words = held_out_hands(BENCHMARKS / "tools" / "hands"), word_fonts(fonts)
    for number in range(lines):
        line = compose(number, hands, words)
        groups = [f"ground {line.kind}", "touching" if line.touching else "none touching"]
        groups += ["with a printed word"] if line.words else []
        groups += ["under 24 pixels"] if line.height_px < 24 else []
        yield Item(f"line {number}", upright(line.content), line.text, tuple(groups))


def read_all(items: Iterator[Item], libraries: Sequence[Library]) -> tuple[list[Item], dict[str, list[Said]]]:
    """What each library says of each image, one image after the other."""
    seen, said = [], defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for item in items:
            path = Path(folder) / "image.png"
            item.image.save(path)
            sha256 = hashlib.sha256(item.image.tobytes() + repr(item.image.size).encode()).hexdigest()
            for library in libraries:
                said[library.name].append(library.read(path, sha256))
            seen.append(Item(item.name, Image.new("RGB", (1, 1)), item.truth, item.groups, item.grid))
            print(f"{item.name}: {len(seen)} read", file=sys.stderr)
    return seen, said


def scored(items: Sequence[Item], said: Sequence[Said]) -> dict[str, object]:
    """A library's scores in its best setting, and the exact numbers in each."""
    settings = list(dict.fromkeys(name for answers in said for name in answers))
    numbers = {name: answers_in(items, said, name) for name in settings}
    single = {name: [a for a, item in zip(numbers[name], items, strict=True) if not item.grid] for name in settings}
    found = {name: [a for a, item in zip(numbers[name], items, strict=True) if item.grid] for name in settings}
    best = max(
        settings, key=lambda name: (sum(a.correct for a in single[name]), -scores.character_error_percent(single[name]))
    )
    groups = defaultdict(list)
    for answer, item in zip(single[best], (item for item in items if not item.grid), strict=True):
        for group in item.groups:
            groups[group].append(answer)
    seconds = [float(answers[best]["seconds"]) for answers in said if best in answers]
    result: dict[str, object] = {
        "setting": best,
        "exact": scores.exact(single[best]),
        "character_error_percent": scores.character_error_percent(single[best]),
        "accepted_wrong_at_5_percent_sent": scores.accepted_at(single[best], SENT),
        "seconds_median": round(statistics.median(seconds), 3),
        "groups": {name: scores.exact(answers) for name, answers in sorted(groups.items())},
        "exact_by_setting": {name: sum(answer.correct for answer in single[name]) for name in settings},
    }
    if found[best]:
        shares = {name: scores.digits_found(found[name]) for name in settings}
        most = max(shares, key=lambda name: shares[name])
        result["grids"] = {"images": len(found[most]), "setting": most, "digits_found_percent": shares[most]}
    return result


def answers_in(items: Sequence[Item], said: Sequence[Said], setting: str) -> list[Answer]:
    """The answers of a library in one setting; none where it failed."""
    answers = []
    for item, by_setting in zip(items, said, strict=True):
        answer = by_setting.get(setting, {"text": "", "score": 0.0})
        answers.append(Answer(item.truth, scores.digits_of(str(answer["text"])), float(answer["score"])))
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, help="folder of real images with real.csv")
    parser.add_argument(
        "--grids", default="w53", help="groups of real images whose truth is a grid, separated by commas"
    )
    parser.add_argument("--composed", type=int, default=0, help="composed lines")
    parser.add_argument("--fonts", type=Path, default=Path("build/fonts"), help="of tools/digit_fonts.py, for words")
    parser.add_argument("--rapidocr", help="the Python with benchmarks/peers/rapidocr.txt; without it, left out")
    parser.add_argument("--ddddocr", help="the Python with benchmarks/peers/ddddocr.txt; without it, left out")
    parser.add_argument("--no-tesseract", action="store_true", help="leave Tesseract out")
    parser.add_argument("--answers", type=Path, help="folder for the answers, outside the repository")
    parser.add_argument("--again", help="the library whose kept answers are dropped first")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.answers:
        options.answers.mkdir(parents=True, exist_ok=True)
    pythons = {"rapidocr": options.rapidocr, "ddddocr": options.ddddocr}
    pythons |= {"tesseract": None if options.no_tesseract else sys.executable, "imparfait": sys.executable}
    libraries = [
        Library(name, python, options.answers, name == options.again) for name, python in pythons.items() if python
    ]
    sets = {"real": real_items(options.real, set(options.grids.split(",")))} if options.real else {}
    sets |= {"composed": composed_items(options.composed, options.fonts)} if options.composed else {}
    results: dict[str, dict[str, object]] = {}
    for name, images in sets.items():
        items, said = read_all(images, libraries)
        results[name] = {library.name: scored(items, said[library.name]) for library in libraries}
    for library in libraries:
        library.close()
    print(json.dumps(results, indent=2))
    if options.out:
        hidden = {"FOLDER": options.real, "ANSWERS": options.answers}
        hidden |= {"RAPIDOCR": options.rapidocr, "DDDDOCR": options.ddddocr, "FONTS": options.fonts}
        write_claim(options.out, results, **{name: str(value) for name, value in hidden.items() if value})


if __name__ == "__main__":
    main()
