"""`imparfait list`: the names that the other commands take."""

import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from itertools import zip_longest

import click

GAP = 2  # spaces between columns
MIN_WIDTH = 12  # characters of a column


def _recipes() -> list[dict[str, str]]:
    from imparfait.training.recipes import RECIPES

    return [
        {
            "recipe": name,
            "network": recipe.settings.model,
            "training on 2 cores": recipe.cost,
            "accuracy": recipe.expect,
        }
        for name, recipe in RECIPES.items()
    ]


def _suites() -> list[dict[str, str]]:
    from imparfait.evaluation.suite import SUITES

    return [{"suite": name, "conditions": str(len(suite()))} for name, suite in SUITES.items()]


def _summaries(heading: str, module: str, name: str) -> list[dict[str, str]]:
    """A row per entry of a table, with the first line of its summary."""
    entries = getattr(import_module(module), name)
    texts = {key: getattr(entry, "summary", None) or entry.__doc__ or "" for key, entry in entries.items()}
    return [{heading: key, "what it is": text.strip().splitlines()[0]} for key, text in texts.items()]


# The table of each topic: its heading, its module and its name there.
TABLES = {
    "models": ("model", "imparfait.models.registry", "MODELS"),
    "backbones": ("backbone", "imparfait.training.backbones", "BACKBONES"),
    "augmentations": ("augmentation", "imparfait.data.augmentation", "AUGMENTATIONS"),
    "corruptions": ("corruption of digits", "imparfait.corruptions", "CORRUPTIONS"),
    "photo-corruptions": ("corruption of photographs", "imparfait.corruptions", "PHOTO_CORRUPTIONS"),
    "data": ("data set", "imparfait.data.load", "DATASETS"),
}
TOPICS: dict[str, Callable[[], list[dict[str, str]]]] = {
    "recipes": _recipes,
    **{topic: partial(_summaries, *table) for topic, table in TABLES.items()},
    "suites": _suites,
}


@click.command(name="list")
@click.argument("topics", nargs=-1, type=click.Choice(list(TOPICS)), metavar="[TOPIC]...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with a list for each topic.")
def list_names(topics: tuple[str, ...], as_json: bool) -> None:
    """List the models, recipes, augmentations, corruptions, suites and data sets.

    TOPIC is recipes, models, backbones, augmentations, corruptions, photo-corruptions, data or suites; all by default.
    """
    found: dict[str, list[dict[str, str]]] = {}
    missing = ""
    for topic in topics or TOPICS:
        try:
            found[topic] = TOPICS[topic]()
        except ModuleNotFoundError as error:
            if topics:
                raise
            missing = error.name or ""
            break
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        click.echo("\n\n".join(_table(rows) for rows in found.values()))
    if missing:
        from imparfait.core.install import install_hint

        click.echo(f"the rest needs {missing}; {install_hint('train')}", err=as_json)


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    """Aligned columns under headings; on a terminal the widest are wrapped until all fit."""
    cells = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    room = shutil.get_terminal_size().columns - GAP * (len(widths) - 1) if sys.stdout.isatty() else sys.maxsize
    while sum(widths) > room and max(widths) > MIN_WIDTH:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in cells:
        wrapped = [textwrap.wrap(cell, width) or [""] for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*wrapped, fillvalue=""):
            padded = (part.ljust(width + GAP) for part, width in zip(parts, widths, strict=True))
            lines.append("".join(padded).rstrip())
    heading = max(len(textwrap.wrap(cell, width)) for cell, width in zip(cells[0], widths, strict=True))
    return "\n".join([*lines[:heading], "─" * max(map(len, lines)), *lines[heading:]])
