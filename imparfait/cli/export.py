"""`imparfait export`: a classifier as a file that others run."""

import json
import shlex
from pathlib import Path

import click

from imparfait.cli import console, options


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--to", type=click.Choice(["onnx", "keras"]), default="onnx", show_default=True, help="The format.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The file to write.  [default: the run's name, in this folder]"
)
@click.option("--network", help="my_net.py:build, where a run's network is from a file of your own.")
@options.as_json
def export(model: str, to: str, out: Path | None, network: str | None, as_json: bool) -> None:
    """Write MODEL, a run folder or the name of a model in the package, as one file that needs nothing of ours.

    ONNX takes images as they are stored, whole numbers in 0..255, and answers with calibrated probabilities and
    logits. A .keras file takes them in 0..1 and opens in plain Keras on TensorFlow, JAX or PyTorch. Either is asked
    1,000 corrupted images, and only written if it answers as MODEL does.
    """
    from imparfait.export import export as written

    done = written(model, to, out, network=network)
    if as_json:
        told = {"file": str(done.path), "bytes": done.size, "card": done.card.model_dump(mode="json")}
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    click.echo(f"{done.path}: {done.size / 1e6:.2f} MB, {done.parity}")
    file = shlex.quote(str(done.path))
    if to == "onnx":
        console.next_step(f"imparfait predict photo.png --model {file}", "what it says of an image")
    console.next_step(f"imparfait evaluate {file}", "it scores as its run does, in float32")
