"""`imparfait parity`: why two models that should agree do not."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import console, options, parameters, spec_options
from imparfait.cli.checks import check_models
from imparfait.cli.names import OWN_NETWORK

if TYPE_CHECKING:
    from imparfait.evaluation.external.preprocessing import Agreement


@click.command()
@click.argument("reference", type=parameters.Model())
@click.argument("other", type=parameters.Model())
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@click.option(
    "--size", type=spec_options.SIDE, help="Side in pixels of the input of REFERENCE, where its file leaves it open."
)
@spec_options.input_spec
@options.as_json
def parity(
    reference: str,
    other: str,
    images: tuple[Path, ...],
    size: int | None,
    as_json: bool,
    spec: spec_options.SpecFlags,
) -> None:
    """Find out why OTHER does not predict what REFERENCE does, such as a trained model and its export.

    Both get the same IMAGEs, files or folders of them; labels are not needed. A model is whatever evaluate takes; one
    behind HTTP is given by its address. REFERENCE gets them as it was trained to,
    or as the flags say. For OTHER, other value ranges, colour orders, inversions, crops and resize kernels are tried,
    and the one that explains the difference is named. Exit code 1 where they differ and nothing explains it.
    """
    from imparfait.evaluation.external.remote import is_url
    from imparfait.inference.batch import files_in
    from imparfait.models.pretrained import find_model

    files, hint = list(files_in(images)), spec.hint()
    for model in (reference, other):
        if not (is_url(model) or OWN_NETWORK in model):
            check_models([find_model(model)])
    from imparfait.inference.model_pair import compare_pair
    from imparfait.inference.results_file import json_line
    from imparfait.reports.pair_text import HEADINGS, pair_rows, pair_sentence

    result = compare_pair(
        reference,
        other,
        files,
        hint=hint,
        centre=spec.centre(size),
        size=size,
        watch=console.watch("trying preprocessings"),
    )
    found = result.explanation
    if as_json:
        content = {
            "images": result.images,
            "reference_input": result.reference_input,
            "as_reference": _record(found.as_reference),
            "best": _record(found.best),
            "without": {name: _record(each) for name, each in found.without.items()},
            "sentence": pair_sentence(result),
        }
        click.echo(json_line(content))
    else:
        console.table(HEADINGS, pair_rows(result))
        click.echo(console.plain(pair_sentence(result)))
    if not found.best.is_equal:
        sys.exit(1)


def _record(agreement: "Agreement") -> dict[str, object]:
    counts = {"same": agreement.same, "images": agreement.total, "mean_difference": round(agreement.difference, 6)}
    return counts | {"input": agreement.preprocessing.parts}
