"""`imparfait list`: the names that the other commands take."""

from collections.abc import Mapping
from typing import Any

import click


@click.command(name="list")
def list_names() -> None:
    """List the models, recipes, augmentations, corruptions and data sets."""
    from imparfait.training.recipes import RECIPES

    click.echo("recipes: network, training time on 2 cores, core mean on validation images")
    _print({name: f"{recipe.settings.model}, {recipe.cost}, {recipe.expect}" for name, recipe in RECIPES.items()})
    try:
        from imparfait.corruptions import CORRUPTIONS, PHOTO_CORRUPTIONS
        from imparfait.data.augmentation import AUGMENTATIONS
        from imparfait.data.load import DATASETS
        from imparfait.models.registry import MODELS
        from imparfait.training.backbones import BACKBONES
    except ModuleNotFoundError as error:
        click.echo(f"the rest needs {error.name}: pip install 'imparfait[train]'")
        return
    tables: dict[str, Mapping[str, Any]] = {
        "models": MODELS,
        "backbones": BACKBONES,
        "augmentations": AUGMENTATIONS,
        "corruptions of digits": CORRUPTIONS,
        "corruptions of photographs": PHOTO_CORRUPTIONS,
        "data": DATASETS,
    }
    for kind, table in tables.items():
        click.echo(kind)
        _print({name: getattr(entry, "summary", None) or entry.__doc__ or "" for name, entry in table.items()})


def _print(summaries: Mapping[str, str]) -> None:
    """A name per line, with the first line of its summary."""
    width = max(map(len, summaries))
    for name, text in summaries.items():
        click.echo(f"  {name:<{width}}  {text.strip().splitlines()[0]}")
