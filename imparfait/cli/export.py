"""`imparfait export`: a model as one file that runs without imparfait."""

import json
import shlex
from pathlib import Path

import click

from imparfait.cli import console, options, parameters
from imparfait.core.errors import UserError


@click.command()
@click.argument("model", type=parameters.Model(), metavar="MODEL")
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
@click.option(
    "--push-to-hub", metavar="USER/NAME",
    help="Upload such a folder to this model repository of the Hugging Face Hub, private if it is new.",
)  # fmt: skip
@click.option("--public", is_flag=True, help="With --push-to-hub: make a new repository public.")
@click.option(
    "--benchmark", metavar="DATASET:TASK",
    help="A benchmark of the Hub whose test images a run of train --final was evaluated on: its accuracies are added "
    "to such a folder as .eval_results.",
)  # fmt: skip
@click.option("--network", help="my_net.py:build, for a run whose network is from a file of yours.")
@options.as_json
def export(
    model: str,
    to: str,
    out: Path | None,
    hugging_face: Path | None,
    push_to_hub: str | None,
    public: bool,
    benchmark: str | None,
    network: str | None,
    as_json: bool,
) -> None:
    """Write MODEL, a run folder or a pretrained model's name, as one file that runs without imparfait.

    ONNX takes uint8 images (0..255) and returns calibrated probabilities and logits. A .keras file takes images in
    0..1 and runs in Keras on TensorFlow, JAX or PyTorch. A file is only written if its predictions on
    corrupted images agree with MODEL's. Nothing is uploaded without --push-to-hub.
    """
    from imparfait.export import export as write
    from imparfait.export.hub import check_hub, check_repository, push_folder
    from imparfait.export.hugging_face import export_folder

    is_folder = hugging_face is not None or push_to_hub is not None
    if is_folder and (out is not None or to != "onnx"):
        given = "--hugging-face" if hugging_face is not None else "--push-to-hub"
        raise UserError(f"{given} with --out or --to", expected="the folder alone, with model.onnx in it")
    if benchmark and not is_folder:
        raise UserError("--benchmark without a folder", hint="add --hugging-face FOLDER or --push-to-hub USER/NAME")
    if public and not push_to_hub:
        raise UserError("--public without --push-to-hub", hint="add --push-to-hub USER/NAME, or leave it out")
    if push_to_hub:
        check_repository(push_to_hub)
        check_hub()
    folder = hugging_face or Path(f"{(push_to_hub or '').partition('/')[2]}-folder")
    if is_folder:
        exported = export_folder(model, folder, network=network, benchmark=benchmark)
    else:
        exported = write(model, to, out, network=network)
    address = push_folder(folder, push_to_hub, public=public) if push_to_hub else None
    if as_json:
        metadata = exported.metadata.model_dump(mode="json")
        content = {"file": str(exported.path), "bytes": exported.size, "metadata": metadata}
        click.echo(json.dumps(content | ({"uploaded": address} if address else {})))
        return
    click.echo(f"{exported.path}: {exported.size / 1e6:.2f} MB, {exported.parity}")
    if address:
        click.echo(console.plain(f"uploaded: {address}"))
    file = shlex.quote(str(exported.path))
    if to == "onnx":
        console.next_step(f"imparfait predict photo.png --model {file}", "classify images with it")
    console.next_step(f"imparfait evaluate {file}", "its accuracy under corruption")
