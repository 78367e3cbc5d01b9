"""Agreement of predictions across ONNX Runtime, Python, the command line, HTTP, the web page and PyTorch.

python benchmarks/reliability/consistency.py [--images 10000] --out results/prediction-consistency/interfaces

Validation images are stored as PNG files, dark on light, and predicted by each interface: ONNX Runtime on the pixels,
the Python function, the command on the folder, the HTTP API, the web page in Chromium, and the weights in PyTorch
(float32). Labels must be identical, and top probabilities within 1e-5 of ONNX Runtime's.
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
from PIL import Image
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

import imparfait
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import IMAGES, PROBABILITIES
from imparfait.models.pretrained import PRETRAINED

IMPARFAIT = [sys.executable, "-m", "imparfait"]
PAGE_SCRIPT = """
async (images) => {
  const { post } = await import(new URL("server.js", document.querySelector("script[src]").src));
  const predictions = [];
  for (const image of images) {
    const bytes = Uint8Array.from(atob(image), (letter) => letter.charCodeAt(0));
    const response = await post("/v1/predict", new Blob([bytes]));
    const [best] = response.pages[0].predictions;
    predictions.push([best.label, best.score]);
  }
  return predictions;
}
"""
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]

Predictions = list[tuple[str, float]]
"""Label and probability of the most likely class, one image after the other."""


@contextmanager
def server() -> Iterator[str]:
    """Start a server on a free port; yields its address."""
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


def by_http(files: list[Path], address: str) -> Predictions:
    """Predictions of the HTTP API."""
    connection, predictions = http.client.HTTPConnection(address), []
    for file in files:
        connection.request("POST", "/v1/predict", file.read_bytes(), {"Content-Type": "image/png"})
        best = json.loads(connection.getresponse().read())["pages"][0]["predictions"][0]
        predictions.append((best["label"], best["score"]))
    return predictions


def by_page(files: list[Path], address: str) -> Predictions:
    """Predictions of the web page, by its own function."""
    predictions = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        page = browser.new_page()
        page.goto(f"http://{address}/")
        for start in range(0, len(files), 100):
            images = [base64.b64encode(file.read_bytes()).decode() for file in files[start : start + 100]]
            predictions += [tuple(each) for each in page.evaluate(PAGE_SCRIPT, images)]
        browser.close()
    return predictions


def by_command(folder: Path) -> Predictions:
    """Predictions of `imparfait predict`."""
    out = folder / "results.jsonl"
    subprocess.run(
        [sys.executable, "-m", "imparfait", "predict", str(folder), "--out", str(out)], check=True, capture_output=True
    )
    best = [json.loads(line)["predictions"][0] for line in out.read_text().splitlines()]
    return [(each["label"], each["score"]) for each in best]


def best_of(probabilities: np.ndarray, classes: tuple[str, ...]) -> Predictions:
    """The most likely class of each row."""
    return [(classes[row.argmax()], float(row.max())) for row in probabilities]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    _, validation = imparfait.split(imparfait.load_data().train)
    pixels = validation.pixels[: options.images]
    predictor = load_predictor("digits")
    weights = load_predictor(str(PRETRAINED["digits"].folder))  # a folder: runs in PyTorch
    with tempfile.TemporaryDirectory() as home:
        files = [Path(home) / f"{row:06d}.png" for row in range(len(pixels))]
        for file, image in zip(files, pixels[:, 0], strict=True):
            Image.fromarray(255 - image).save(file)
        session = onnxruntime.InferenceSession(PRETRAINED["digits"].folder / "model.onnx")
        batches = [session.run([PROBABILITIES], {IMAGES: batch})[0] for batch in np.array_split(pixels, 40)]
        expected = best_of(np.concatenate(batches), predictor.classes)
        python = [(each.label, each.score) for file in files for each in imparfait.predict(file, predictor)]
        interfaces = {
            "weights in PyTorch": best_of(weights.predict_proba(pixels), weights.classes),
            "Python": python,
            "command": by_command(Path(home)),
        }
        with server() as address:
            interfaces |= {"HTTP": by_http(files, address), "page": by_page(files, address)}
    results = {"images": len(pixels)}
    for interface, predictions in interfaces.items():
        difference = max(abs(one[1] - other[1]) for one, other in zip(expected, predictions, strict=True))
        same = sum(one[0] == other[0] for one, other in zip(expected, predictions, strict=True))
        results[interface] = {"same_label": same, "largest_difference": float(f"{difference:.2g}")}
    print(json.dumps(results, indent=2))
    if options.out:
        write_claim(options.out, results)


if __name__ == "__main__":
    main()
