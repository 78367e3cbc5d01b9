"""`imparfait list`: the names that the other commands take."""

from collections.abc import Mapping
from typing import Any

import click

from imparfait.training.recipes import RECIPES


@click.command(name="list")
def list_names() -> None:
    """Print the models, recipes, augmentations, corruptions and data sets there are."""
    click.echo("recipes: the network, how long it trains on 2 cores, the core mean on validation images")
    _show({name: f"{each.settings.model}, {each.cost}, {each.expect}" for name, each in RECIPES.items()})
    try:
        from imparfait.corruptions import CORRUPTIONS
        from imparfait.data.augmentation import AUGMENTATIONS
        from imparfait.data.load import DATASETS
        from imparfait.models import MODELS
    except ModuleNotFoundError as error:
        click.echo(f"the rest needs {error.name}: pip install 'imparfait[train]'")
        return
    tables: dict[str, Mapping[str, Any]] = {
        "models": MODELS,
        "mixtures": AUGMENTATIONS,
        "corruptions (others say corruptions or augmentations)": CORRUPTIONS,
        "data": DATASETS,
    }
    for kind, table in tables.items():
        click.echo(kind)
        _show({name: getattr(entry, "summary", None) or entry.__doc__ or "" for name, entry in table.items()})


def _show(lines: Mapping[str, str]) -> None:
    """A name a line, with the first line of what is to be said of it."""
    widest = max(map(len, lines))
    for name, text in lines.items():
        click.echo(f"  {name:<{widest}}  {text.strip().splitlines()[0]}")
