"""`imparfait export`: a model as one file that runs without imparfait."""

import json
import shlex
from pathlib import Path

import click

from imparfait.cli import console, options
from imparfait.core.errors import UserError


@click.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--to", type=click.Choice(["onnx", "keras"]), default="onnx", show_default=True,
    help="File format; keras only for the founding study's networks.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), help="File to write.  [default: the run's name, in the current folder]"
)
@click.option(
    "--hugging-face", type=click.Path(path_type=Path), metavar="FOLDER",
    help="Write a new folder in Hugging Face's layout: model.onnx, config.json, preprocessor_config.json, README.md.",
)  # fmt: skip
@click.option("--network", help="my_net.py:build, for a run whose network is from a file of yours.")
@options.as_json
def export(
    model: str, to: str, out: Path | None, hugging_face: Path | None, network: str | None, as_json: bool
) -> None:
    """Write MODEL, a run folder or a pretrained model's name, as one file that runs without imparfait.

    ONNX takes uint8 images (0..255) and returns calibrated probabilities and logits. A .keras file takes images in
    0..1 and runs in Keras on TensorFlow, JAX or PyTorch. A file is only written if its predictions on
    corrupted images agree with MODEL's.
    """
    from imparfait.export import export as write
    from imparfait.export.hugging_face import export_folder

    if hugging_face is not None and (out is not None or to != "onnx"):
        raise UserError("--hugging-face with --out or --to", expected="the folder alone, with model.onnx in it")
    if hugging_face is not None:
        exported = export_folder(model, hugging_face, network=network)
    else:
        exported = write(model, to, out, network=network)
    if as_json:
        metadata = exported.metadata.model_dump(mode="json")
        click.echo(json.dumps({"file": str(exported.path), "bytes": exported.size, "metadata": metadata}))
        return
    click.echo(f"{exported.path}: {exported.size / 1e6:.2f} MB, {exported.parity}")
    file = shlex.quote(str(exported.path))
    if to == "onnx":
        console.next_step(f"imparfait predict photo.png --model {file}", "classify images with it")
    console.next_step(f"imparfait evaluate {file}", "its accuracy under corruption")
