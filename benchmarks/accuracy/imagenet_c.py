"""Agreement of the photo suite with the published generators of ImageNet-C, by corruption and level.

python -m venv ../ic && ../ic/bin/pip install -r benchmarks/peers/imagecorruptions.txt
python benchmarks/accuracy/imagenet_c.py --python ../ic/bin/python [--out results/imagenet-c-agreement]

Both corrupt the same 20 crops of 5 photographs at 224 pixels. Compared are the mean absolute difference to the clean
pixels (0..255), the share of the clean image's detail (energy of horizontal and vertical differences) that is left or
added, and the share of images that EfficientNet-Lite0 classifies as it does the clean ones (its accuracy, as it were).
A corruption agrees where the differences of all levels are within 10 % or one grey level of the generator's.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import write_claim

from imparfait.core.compute import ComputeConfig
from imparfait.core.hardware import environment
from imparfait.corruptions import PHOTO_CORRUPTIONS
from imparfait.data.corrupted import corrupt
from imparfait.data.dataset import LabelledImages
from imparfait.models.efficientnet_lite import EfficientNetLite0
from imparfait.training.backbones import load_backbone

WORKER = Path(__file__).parents[1] / "peers" / "imagenet_c_worker.py"
TOLERANCE, TOLERANCE_GREY_LEVELS = 0.1, 1.0
DRAWS = 3  # seeds of ours that are averaged


def theirs(python: str) -> dict[str, np.ndarray]:
    """Arrays [n, height, width, 3] by name: clean, fog_1, …"""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "theirs.npz"
        subprocess.run([python, str(WORKER), str(file)], check=True)
        with np.load(file) as made:
            return dict(made)


def damage(clean: np.ndarray, corrupted: np.ndarray) -> float:
    """Mean absolute difference in grey levels."""
    return float(np.abs(clean.astype(np.float32) - corrupted).mean())


def detail(images: np.ndarray) -> float:
    """Energy of the differences between neighbours."""
    pixels = images.astype(np.float32)
    return float((np.diff(pixels, axis=1) ** 2).mean() + (np.diff(pixels, axis=2) ** 2).mean())


def reference() -> Callable[[np.ndarray], np.ndarray]:
    """EfficientNet-Lite0 with its own head: the ImageNet classes of images [n, height, width, 3]."""
    tensors = dict(load_backbone("efficientnet-lite0").tensors)
    network = EfficientNetLite0(channels=3, classes=len(tensors["head.bias"]))
    network.load_state_dict({**network.state_dict(), **tensors})
    network.eval()

    def classes(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255).argmax(1).numpy()

    return classes


def main() -> None:
    """Compare, print a table and write the claim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True, help="the interpreter of the generators' environment")
    parser.add_argument("--out", type=Path, help="folder of the claim")
    options = parser.parse_args()
    published = theirs(options.python)
    clean = published["clean"]
    n = len(clean)
    data = LabelledImages(
        clean.transpose(0, 3, 1, 2).copy(),
        np.zeros(n, np.int64),
        np.arange(n),
        ("photo", "none"),
        "photos",
        "validation",
    )
    rows, unlike, classes = {}, [], reference()
    true = classes(clean)
    print("mean difference to clean, ours / theirs; share of detail; accuracy, %", flush=True)
    for name, known in PHOTO_CORRUPTIONS.items():
        if not known.imagenet_c:
            continue
        short, row = name.removeprefix("photo."), []
        for level in range(1, 6):
            drawn = [corrupt(data, name, level / 5, seed).pixels.transpose(0, 2, 3, 1) for seed in range(DRAWS)]
            their = published[f"{short}_{level}"]
            row.append(
                {
                    "ours": float(np.mean([damage(clean, each) for each in drawn])),
                    "theirs": damage(clean, their),
                    "detail_ours": float(np.mean([detail(each) for each in drawn])) / detail(clean),
                    "detail_theirs": detail(their) / detail(clean),
                    "to_theirs": damage(their, drawn[0]),
                    "accuracy_ours": float((classes(drawn[0]) == true).mean()),
                    "accuracy_theirs": float((classes(their) == true).mean()),
                }
            )
        agrees = all(
            abs(cell["ours"] - cell["theirs"]) <= max(TOLERANCE * cell["theirs"], TOLERANCE_GREY_LEVELS) for cell in row
        )
        unlike += [] if agrees else [short]
        rows[short] = {"levels": row, "agrees": agrees, "in_kind": known.in_kind}
        cells = "  ".join(f"{cell['ours']:5.1f}/{cell['theirs']:5.1f}" for cell in row)
        more = " ".join(f"{cell['detail_ours']:.2f}/{cell['detail_theirs']:.2f}" for cell in row)
        ours, their_mean = (100 * np.mean([cell[f"accuracy_{who}"] for cell in row]) for who in ("ours", "theirs"))
        verdict = "" if agrees else "in kind"
        print(f"{short:18s} {cells}   {more}   {ours:.0f}/{their_mean:.0f}  {verdict}", flush=True)
    everything = [cell for row in rows.values() for cell in row["levels"]]
    means = {who: float(np.mean([cell[f"accuracy_{who}"] for cell in everything])) for who in ("ours", "theirs")}
    print(f"accuracy over all: ours {means['ours']:.1%}, theirs {means['theirs']:.1%}")
    print(f"agree: {len(rows) - len(unlike)} of {len(rows)}; in kind only: {', '.join(unlike) or 'none'}")
    if options.out:
        scores = {"images": n, "seeds": DRAWS, "accuracy": means, "corruptions": rows}
        write_claim(options.out, scores, environment(ComputeConfig()), python=options.python)


if __name__ == "__main__":
    main()
