"""`imparfait list`: the names that the other commands take."""

from collections.abc import Mapping
from typing import Any

import click

from imparfait.settings import RECIPES


@click.command(name="list")
def list_names() -> None:
    """Print the models, recipes, mixtures, alterations and data sets there are."""
    click.echo("recipes")
    for name, recipe in RECIPES.items():
        click.echo(f"  {name:<12} {recipe.settings.model}: about {recipe.cost} of training, {recipe.expect} expected")
    try:
        from imparfait.alterations import ALTERATIONS
        from imparfait.datasets.mixtures import MIXTURES
        from imparfait.datasets.reading import DATASETS
        from imparfait.models import MODELS
    except ModuleNotFoundError as error:
        click.echo(f"the rest needs {error.name}: pip install 'imparfait[train]'")
        return
    tables: dict[str, Mapping[str, Any]] = {
        "models": MODELS,
        "mixtures": MIXTURES,
        "alterations (others say corruptions or augmentations)": ALTERATIONS,
        "data": DATASETS,
    }
    for kind, table in tables.items():
        click.echo(kind)
        for name, entry in table.items():
            first_line = (getattr(entry, "summary", None) or entry.__doc__ or "").strip().splitlines()[0]
            click.echo(f"  {name:<12} {first_line}")
