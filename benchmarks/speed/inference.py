"""Inference latency, throughput and accuracy of trained networks in PyTorch, ONNX Runtime and OpenVINO.

python -m venv ../openvino && ../openvino/bin/pip install -r benchmarks/peers/openvino.txt
python benchmarks/speed/inference.py runs/default-s0-… runs/study-s0-… --openvino ../openvino/bin/python \\
    --out results/inference-runtimes

Latency is of one image at a time, throughput of batches of 512. PyTorch runs in float32 and bfloat16 (where the
processor supports it), ONNX Runtime in float32 and int8, OpenVINO in all three. Each variant runs in its own process on
all cores, in turn; the medians over rounds are reported. int8 is ONNX Runtime's static quantisation (per channel, QDQ)
of convolutions and matrix products, calibrated on 1,000 corrupted training images. Accuracy is the core mean on the
validation set.
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

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.claims import validation_run, write_claim

import imparfait
from imparfait.core.compute import usable_cores
from imparfait.core.hardware import has_bf16_units
from imparfait.export import export
from imparfait.inference.predictor import IMAGES
from imparfait.models.metadata import read_config

BATCH = 512
WORKER = Path(__file__).parents[1] / "peers" / "inference_worker.py"


def int8_of(model: Path, pixels: np.ndarray) -> Path:
    """Quantise an ONNX file to int8, next to it."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class CalibrationImages(CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = iter(np.array_split(pixels, 10))

        def get_next(self) -> dict[str, np.ndarray] | None:  # type: ignore[override]
            batch = next(self.batches, None)
            return None if batch is None else {IMAGES: batch}

    prepared, quantized = model.with_suffix(".prepared.onnx"), model.with_suffix(".int8.onnx")
    quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared), str(quantized), CalibrationImages(), quant_format=QuantFormat.QDQ, per_channel=True,
        op_types_to_quantize=["Conv", "Gemm", "MatMul"],
    )  # fmt: skip
    return quantized


def commands(run: Path, folder: Path, calibration: np.ndarray, openvino: str | None) -> dict[str, list[str]]:
    """The command of each variant (runtime and precision) of a run."""
    exact = export(run, to="onnx", out=folder / f"{run.name}.onnx").path
    small = int8_of(exact, calibration)
    python = sys.executable
    variants = {"PyTorch float32": [python, str(WORKER), "torch", str(run), "float32"]}
    if has_bf16_units():
        variants["PyTorch bfloat16"] = [python, str(WORKER), "torch", str(run), "bfloat16"]
    variants["ONNX Runtime float32"] = [python, str(WORKER), "onnxruntime", str(exact), "float32"]
    variants["ONNX Runtime int8"] = [python, str(WORKER), "onnxruntime", str(small), "int8"]
    if openvino:
        variants["OpenVINO float32"] = [openvino, str(WORKER), "openvino", str(exact), "float32"]
        if has_bf16_units():
            variants["OpenVINO bfloat16"] = [openvino, str(WORKER), "openvino", str(exact), "bfloat16"]
        variants["OpenVINO int8"] = [openvino, str(WORKER), "openvino", str(small), "int8"]
    return variants


def table(rows: list[dict[str, Any]]) -> str:
    """A Markdown table, as in the README."""
    lines = [
        "| network | runtime | latency, ms | images/s in batches of 512 | core mean, % |",
        "| --- " * 5 + "|",
    ]
    lines += [
        f"| `{row['model']}` | {row['variant']} | {row['latency_ms']:.2f} "
        f"| {row['images_per_second']:,.0f} | {row['percent']:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--openvino", metavar="PYTHON", help="a Python with OpenVINO; without it OpenVINO is skipped")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=10_000, help="number of validation images [default: 10000]")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    train, validation = imparfait.split(imparfait.load_data("mnist").train)
    core = imparfait.core_suite(validation.select(slice(0, options.images)))
    labels = np.concatenate([condition.data.labels for condition in core])
    subset = train.select(slice(0, 334))
    calibration = np.concatenate([condition.data.pixels for condition in imparfait.core_suite(subset)])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        pixels = Path(folder) / "pixels.npz"
        np.savez(pixels, pixels=np.concatenate([condition.data.pixels for condition in core]))
        arguments = ["--pixels", str(pixels), "--batch", str(BATCH), "--threads", str(usable_cores())]
        for run in map(validation_run, options.runs):
            variants = commands(run, Path(folder), calibration, options.openvino)
            results: dict[str, list[dict[str, Any]]] = {variant: [] for variant in variants}
            for _ in range(options.rounds):
                for variant, words in variants.items():
                    done = subprocess.run([*words, *arguments], check=True, capture_output=True, text=True)
                    results[variant].append(json.loads(done.stdout.splitlines()[-1]))
            for variant, rounds in results.items():
                predicted = np.array([int(label) for label in rounds[0].pop("predicted")])
                rows.append(
                    {"model": read_config(run).model, "run": run.name, "variant": variant}
                    | {"percent": 100 * float((predicted == labels).mean())}
                    | {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
                )  # fmt: skip
                print(rows[-1], flush=True)
    print(table(rows))
    if options.out:
        write_claim(
            options.out, rows, imparfait.ComputeConfig(threads=usable_cores()), OPENVINO_PYTHON=options.openvino
        )
        (options.out / "table.md").write_text(table(rows) + "\n")


if __name__ == "__main__":
    main()
