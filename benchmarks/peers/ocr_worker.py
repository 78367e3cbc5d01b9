"""Read digits from images with one OCR library, in its own environment, for benchmarks/ocr/peers.py.

Each line of standard input is the path of a PNG file; each line of standard output answers it with JSON: for each
setting of the library, the lines of text in reading order, its own score, and the seconds of processor time. The caller
keeps the digits of the text only, and counts the setting that is best for the library on the whole set of images.

- rapidocr: its pipeline, with and without its threshold of 0.5 for a line; and recognition of the whole image as one
  line, which is documented for images of single lines. No angle classifier: the images are upright.
- tesseract: digits only (the documented whitelist); page segmentation modes 3, 6, 7 and 11, documented for pages, a
  block, a line and sparse text; and a border of 10 pixels, documented for closely cut text.
- ddddocr: both models on the whole image, the standard one on each box of its detector, because it advises to try both;
  characters restricted to digits, by its own filter or as the most probable of the digits at each step.
- imparfait: `imparfait.read`; its score is the product over the fields.
"""

import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from statistics import median

Said = tuple[str, float]
"""Text and score."""
Run = Callable[[str], dict[str, Said]]
"""What a library says of a file, by setting; settings that differ in the use of one result share a run."""
DIGITS = "0123456789"
MODES = (3, 6, 7, 11)  # Tesseract's: automatic, one block, one line, sparse text
BORDER_PX = 10
LINE_SCORE = 0.5  # RapidOCR's threshold for a line
BOX_ROWS = 0.5  # boxes whose middles differ by less than this times their height are in one line


def in_reading_order(boxes: list[tuple[float, float, float, float]]) -> list[int]:
    """Indices of boxes (left, top, right, bottom), line by line, each from left to right."""
    lines: list[list[int]] = []
    for index in sorted(range(len(boxes)), key=lambda each: boxes[each][1] + boxes[each][3]):
        _, top, _, bottom = boxes[index]
        if lines:
            _, first_top, _, first_bottom = boxes[lines[-1][0]]
            near = BOX_ROWS * max(first_bottom - first_top, bottom - top)
            if abs((top + bottom) - (first_top + first_bottom)) / 2 < near:
                lines[-1].append(index)
                continue
        lines.append([index])
    return [index for line in lines for index in sorted(line, key=lambda each: boxes[each][0])]


def has_digit(text: str) -> bool:
    return any(character in DIGITS for character in text)


def rapidocr() -> list[Run]:
    from rapidocr import RapidOCR

    engine = RapidOCR(
        params={
            "Global.use_cls": False,
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )

    def kept(found: object, least: float) -> Said:
        if found.txts is None:
            return "", 0.0
        boxes = [(*map(float, box.min(0)), *map(float, box.max(0))) for box in found.boxes]
        lines = [(found.txts[index], found.scores[index]) for index in in_reading_order(boxes)]
        lines = [(text, score) for text, score in lines if score >= least and has_digit(text)]
        return "\n".join(text for text, _ in lines), min((score for _, score in lines), default=0.0)

    def pipeline(path: str) -> dict[str, Said]:
        found = engine(path, use_det=True, use_cls=False, use_rec=True, text_score=0.0)
        return {"pipeline": kept(found, LINE_SCORE), "pipeline, any score": kept(found, 0.0)}

    def line(path: str) -> dict[str, Said]:
        found = engine(path, use_det=False, use_cls=False, use_rec=True)
        return {"one line": ("\n".join(found.txts or ()), min(found.scores or (), default=0.0))}

    return [pipeline, line]


def tesseract() -> list[Run]:
    from PIL import Image, ImageOps

    def read(path: str, mode: int) -> Said:
        with Image.open(path) as image:
            width, height = image.size
            sides = (0, 0, width, 1), (0, height - 1, width, height), (0, 0, 1, height), (width - 1, 0, width, height)
            frame = [image.crop(side).get_flattened_data() for side in sides]
            ground = tuple(int(median(channel)) for channel in zip(*chain(*frame), strict=True))
            content = io.BytesIO()
            ImageOps.expand(image, BORDER_PX, ground).save(content, "PNG")
        command = ["tesseract", "stdin", "stdout", "--psm", str(mode), "--dpi", "300", "-c"]
        command += [f"tessedit_char_whitelist={DIGITS}", "tsv"]
        result = subprocess.run(command, input=content.getvalue(), capture_output=True, check=False)
        rows = [row.split("\t") for row in result.stdout.decode("utf-8", "replace").splitlines()[1:]]
        words = [(row[11], float(row[10])) for row in rows if len(row) == 12 and has_digit(row[11])]
        return " ".join(word for word, _ in words), min((score for _, score in words), default=0.0) / 100

    return [lambda path, mode=mode: {f"mode {mode}": read(path, mode)} for mode in MODES]


def ddddocr() -> list[Run]:
    import ddddocr as library
    import numpy as np
    from PIL import Image

    models = {
        name: library.DdddOcr(beta=beta, show_ad=False) for name, beta in (("standard model", False), ("beta", True))
    }
    for model in models.values():
        model.set_ranges(DIGITS)
    detector = library.DdddOcr(det=True, ocr=False, show_ad=False)

    def classify(model: library.DdddOcr, content: bytes) -> tuple[Said, Said]:
        found = model.classification(content, probability=True)
        rows = np.asarray(found["probabilities"])
        rows = rows.reshape(-1, rows.shape[-1])
        columns = [0, *(found["charset"].index(digit) for digit in DIGITS)]  # 0: none, between characters
        some = rows[:, columns] / rows[:, columns].sum(1, keepdims=True)
        best = some.argmax(1)
        steps = [step for step in range(len(best)) if best[step] and (step == 0 or best[step] != best[step - 1])]
        restricted = "".join(DIGITS[best[step] - 1] for step in steps), float(some.max(1).mean())
        return (found["text"], found["confidence"]), restricted

    def page(path: str, name: str) -> dict[str, Said]:
        filtered, restricted = classify(models[name], Path(path).read_bytes())
        return {f"{name}, filtered": filtered, f"{name}, restricted": restricted}

    def boxes(path: str) -> dict[str, Said]:
        content = Path(path).read_bytes()
        found = [tuple(map(float, box)) for box in detector.detection(content)]
        image, said = Image.open(io.BytesIO(content)), []
        for index in in_reading_order(found):
            left, top, right, bottom = found[index]
            if right - left >= 2 and bottom - top >= 2:
                part = io.BytesIO()
                image.crop((left, top, right, bottom)).save(part, "PNG")
                said.append(classify(models["standard model"], part.getvalue())[1])
        return {"boxes": ("".join(text for text, _ in said), min((score for _, score in said), default=0.0))}

    return [*(lambda path, name=name: page(path, name) for name in models), boxes]


def imparfait() -> list[Run]:
    import math

    from imparfait.inference.loading import load_predictor
    from imparfait.inference.ocr.readings import read

    predictor = load_predictor("digits")

    def whole(path: str) -> dict[str, Said]:
        reading = read(path, predictor)
        return {"read": (reading.text, math.prod(field.score for field in reading.fields) if reading.fields else 0.0)}

    return [whole]


LIBRARIES = {"rapidocr": rapidocr, "tesseract": tesseract, "ddddocr": ddddocr, "imparfait": imparfait}


def processor_seconds() -> float:
    """Of this process and of the processes it has run."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    with contextlib.redirect_stdout(sys.stderr):  # libraries print what they like
        runs = LIBRARIES[sys.argv[1]]()
        print(json.dumps("ready"), file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(answer_of(line.rstrip("\n"), runs)), file=answers, flush=True)


def answer_of(path: str, runs: list[Run]) -> dict[str, dict[str, str | float]]:
    """Of each setting the text, its score and the processor time; a page that a library fails on is one it misreads."""
    answer: dict[str, dict[str, str | float]] = {}
    for run in runs:
        before = processor_seconds()
        try:
            said = run(path)
        except Exception as raised:
            said = {}
            print(f"{path}: {type(raised).__name__}: {raised}", file=sys.stderr)
        seconds = processor_seconds() - before
        answer |= {
            name: {"text": text, "score": float(score), "seconds": seconds} for name, (text, score) in said.items()
        }
    return answer


if __name__ == "__main__":
    main()
