"""How fast trained classifiers answer, one image at a time and 512 together, and how many answers are right.

python -m venv ../openvino && ../openvino/bin/pip install -r benchmarks/peers/openvino.txt
python benchmarks/inference.py runs/default-s0-… runs/study-s0-… --openvino ../openvino/bin/python \\
    --out results/<date>-inference

PyTorch in float32 and bfloat16 (where the processor has units for it), ONNX Runtime in float32 and in int8, and as a
peer OpenVINO in the three; each in a process of its own, in turn, medians of the rounds, on all cores. int8 is ONNX
Runtime's static quantisation (each channel's weights apart, QDQ) of convolutions and matrix products, its ranges from
1,000 corrupted images that are for fitting. Accuracy is of the 10,000 validation images in their three forms.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from claims import development_run, leave

import imparfait
from imparfait.core.compute import usable_cores
from imparfait.core.hardware import has_bf16_units
from imparfait.export import export
from imparfait.models.metadata import config_of

BATCH = 512
WORKER = Path(__file__).with_name("peers") / "asking_with.py"


def int8_of(model: Path, pixels: np.ndarray) -> Path:
    """The ONNX file beside `model`, in int8."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Shown(CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = iter(np.array_split(pixels, 10))

        def get_next(self) -> dict[str, np.ndarray] | None:  # type: ignore[override]
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch}

    ready, made = model.with_suffix(".ready.onnx"), model.with_suffix(".int8.onnx")
    quant_pre_process(str(model), str(ready), skip_symbolic_shape=True)
    quantize_static(
        str(ready), str(made), Shown(), quant_format=QuantFormat.QDQ, per_channel=True,
        op_types_to_quantize=["Conv", "Gemm", "MatMul"],
    )  # fmt: skip
    return made


def ways_of(run: Path, place: Path, seen: np.ndarray, openvino: str | None) -> dict[str, list[str]]:
    """Each way to ask the classifier of a run: the command's words."""
    exact = export(run, to="onnx", out=place / f"{run.name}.onnx").path
    small = int8_of(exact, seen)
    here = sys.executable
    found = {"PyTorch float32": [here, str(WORKER), "torch", str(run), "float32"]}
    if has_bf16_units():
        found["PyTorch bfloat16"] = [here, str(WORKER), "torch", str(run), "bfloat16"]
    found["ONNX Runtime float32"] = [here, str(WORKER), "onnxruntime", str(exact), "float32"]
    found["ONNX Runtime int8"] = [here, str(WORKER), "onnxruntime", str(small), "int8"]
    if openvino:
        found["OpenVINO float32"] = [openvino, str(WORKER), "openvino", str(exact), "float32"]
        if has_bf16_units():
            found["OpenVINO bfloat16"] = [openvino, str(WORKER), "openvino", str(exact), "bfloat16"]
        found["OpenVINO int8"] = [openvino, str(WORKER), "openvino", str(small), "int8"]
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """For README."""
    lines = [
        "| network | asked by | one image, ms | images/s, 512 together | core mean |",
        "| --- " * 5 + "|",
    ]
    lines += [
        f"| `{row['model']}` | {row['way']} | {row['milliseconds_a_picture']:.2f} "
        f"| {row['pictures_a_second']:,.0f} | {row['percent']:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--openvino", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=10_000, help="of the validation images")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    fit, validation = imparfait.split(imparfait.load_data("mnist").train)
    three = imparfait.core_suite(validation.select(slice(0, options.images)))
    truths = np.concatenate([part.data.labels for part in three])
    few = fit.select(slice(0, 334))
    seen = np.concatenate([part.data.pixels for part in imparfait.core_suite(few)])
    rows = []
    with tempfile.TemporaryDirectory() as place:
        shown = Path(place) / "pixels.npz"
        np.savez(shown, pixels=np.concatenate([part.data.pixels for part in three]))
        more = ["--pixels", str(shown), "--batch", str(BATCH), "--threads", str(usable_cores())]
        for run in map(development_run, options.runs):
            ways = ways_of(run, Path(place), seen, options.openvino)
            told: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
            for _ in range(options.rounds):
                for way, words in ways.items():
                    done = subprocess.run([*words, *more], check=True, capture_output=True, text=True)
                    told[way].append(json.loads(done.stdout.splitlines()[-1]))
            for way, rounds in told.items():
                said = np.array([int(label) for label in rounds[0].pop("said")])
                rows.append(
                    {"model": config_of(run).model, "run": run.name, "way": way}
                    | {"percent": 100 * float((said == truths).mean())}
                    | {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
                )  # fmt: skip
                print(rows[-1], flush=True)
    print(table(rows))
    if options.out:
        leave(options.out, rows, imparfait.ComputeConfig(threads=usable_cores()), OPENVINO_PYTHON=options.openvino)
        (options.out / "table.md").write_text(table(rows) + "\n")


if __name__ == "__main__":
    main()
