"""The same images asked in every way there is: do all say the same?

python benchmarks/ways.py [--images 10000] --out results/2026-12-05-ways

Development images, stored as PNGs, dark on light. Asked: ONNX Runtime itself on the pixels; the Python function; the
command over the folder; the HTTP API; the page, in Chromium, by the function that it asks with; the weights in PyTorch,
float32. Labels are to be identical, the best answer's probability within 1e-5 of ONNX Runtime's.
"""

import argparse
import base64
import http.client
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime
from claims import leave
from PIL import Image
from playwright.sync_api import sync_playwright

import imparfait
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import PICTURES, PROBABILITIES
from imparfait.models.pretrained import PRETRAINED

IMPARFAIT = [sys.executable, "-m", "imparfait"]
ON_THE_PAGE = """
async (images) => {
  const { post } = await import(new URL("server.js", document.querySelector("script[src]").src));
  const answers = [];
  for (const image of images) {
    const bytes = Uint8Array.from(atob(image), (letter) => letter.charCodeAt(0));
    const told = await post("/v1/predict", new Blob([bytes]));
    answers.push([told.pages[0].predictions[0].label, told.pages[0].predictions[0].score]);
  }
  return answers;
}
"""
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]

ConditionResult = list[tuple[str, float]]


@contextmanager
def server() -> Iterator[str]:
    """A server on a free port; its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "imparfait", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for line in process.stdout:
            if found := re.search(r"http://([\w.:]+)", line):
                yield found[1]
                break
    finally:
        process.terminate()
        process.wait(20)


def by_http(files: list[Path], address: str) -> ConditionResult:
    line, answers = http.client.HTTPConnection(address), []
    for file in files:
        line.request("POST", "/v1/predict", file.read_bytes(), {"Content-Type": "image/png"})
        best = json.loads(line.getresponse().read())["pages"][0]["predictions"][0]
        answers.append((best["label"], best["score"]))
    return answers


def by_page(files: list[Path], address: str) -> ConditionResult:
    answers = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        page = browser.new_page()
        page.goto(f"http://{address}/")
        for start in range(0, len(files), 100):
            images = [base64.b64encode(file.read_bytes()).decode() for file in files[start : start + 100]]
            answers += [tuple(each) for each in page.evaluate(ON_THE_PAGE, images)]
        browser.close()
    return answers


def by_command(folder: Path) -> ConditionResult:
    out = folder / "answers.jsonl"
    subprocess.run(
        [sys.executable, "-m", "imparfait", "predict", str(folder), "--out", str(out)], check=True, capture_output=True
    )
    best = [json.loads(line)["predictions"][0] for line in out.read_text().splitlines()]
    return [(each["label"], each["score"]) for each in best]


def best_of(shares: np.ndarray, classes: tuple[str, ...]) -> ConditionResult:
    return [(classes[row.argmax()], float(row.max())) for row in shares]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    _, development = imparfait.split(imparfait.load_data().train)
    pixels = development.pixels[: options.images]
    ready = load_predictor("digits")
    weights = load_predictor(str(PRETRAINED["digits"].folder))  # the folder: PyTorch answers
    with tempfile.TemporaryDirectory() as place:
        files = [Path(place) / f"{row:06d}.png" for row in range(len(pixels))]
        for file, image in zip(files, pixels[:, 0], strict=True):
            Image.fromarray(255 - image).save(file)
        session = onnxruntime.InferenceSession(PRETRAINED["digits"].folder / "model.onnx")
        parts = [session.run([PROBABILITIES], {PICTURES: part})[0] for part in np.array_split(pixels, 40)]
        expected = best_of(np.concatenate(parts), ready.classes)
        python = [(each.label, each.score) for file in files for each in imparfait.predict(file, ready)]
        ways = {
            "weights in PyTorch": best_of(weights.probabilities(pixels), weights.classes),
            "Python": python,
            "command": by_command(Path(place)),
        }
        with server() as address:
            ways |= {"HTTP": by_http(files, address), "page": by_page(files, address)}
    told = {"images": len(pixels)}
    for way, answers in ways.items():
        apart = max(abs(one[1] - other[1]) for one, other in zip(expected, answers, strict=True))
        same = sum(one[0] == other[0] for one, other in zip(expected, answers, strict=True))
        told[way] = {"same_label": same, "largest_difference": float(f"{apart:.2g}")}
    print(json.dumps(told, indent=2))
    if options.out:
        leave(options.out, told)


if __name__ == "__main__":
    main()
