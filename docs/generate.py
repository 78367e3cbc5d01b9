"""Writes the generated parts of the documentation from the package: tables of settings, corruptions, commands.

Between `<!-- generated: NAME -->` and `<!-- end -->` nothing is written by hand. Run `python docs/generate.py` after a
change of a setting, a help text, a docstring or a corruption; with `--check` it writes nothing and exits with 1 where a
page is out of date.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from signatures import indented, signature

DOCS = Path(__file__).parent
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.S)
FAMILIES = {
    "geometry": "Geometry", "pen": "Pen and stroke", "noise": "Noise", "blur": "Blur and resolution", "light": "Light",
    "strokes": "Overlays (family `strokes`)", "edges": "Edges", "weather": "Weather", "digital": "Digital processing",
}  # fmt: skip


def table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(_in_a_row(field) for field in row)} |\n" for row in lines)


def recipes() -> str:
    """The recipes: what each trains, its cost and the accuracy to expect."""
    from imparfait.training.recipes import RECIPES

    rows = []
    for name, recipe in RECIPES.items():
        settings = recipe.settings
        rows.append(
            (
                f"`{name}`",
                f"`{settings.model}`",
                f"`{settings.augmentation}`",
                settings.epochs,
                recipe.cost,
                recipe.expect,
            )
        )
    return table(("recipe", "model", "augmentation", "epochs", "time", "core mean, or use"), rows)


def settings() -> str:
    """Every setting of a training."""
    from imparfait.training.settings import TrainingSettings

    return _fields(TrainingSettings, lambda name: "`[model_args]`" if name == "model_args" else f"`--{_flag(name)}`")


def serving() -> str:
    """Every setting of a server."""
    from imparfait.serving.settings import ServingSettings

    return _fields(ServingSettings, lambda name: f"`--{_flag(name)}`")


def augmentations() -> str:
    """The augmentations by name."""
    from imparfait.data.augmentation import AUGMENTATIONS

    return table(
        ("augmentation", "images of an epoch"), [(f"`{n}`", each.summary) for n, each in AUGMENTATIONS.items()]
    )


def corruptions() -> str:
    """A table of corruptions for each family."""
    from imparfait.corruptions import CORRUPTIONS

    parts = []
    for family in dict.fromkeys(each.family for each in CORRUPTIONS.values()):
        rows = []
        for name, each in CORRUPTIONS.items():
            if each.family == family:
                mnist_c = "" if each.mnist_c is None else f"{each.mnist_c:.2g}{' (like)' if each.in_kind else ''}"
                core = "" if each.protocol is None else f"{each.protocol:g}"
                rows.append((f"`{name}`", _sentences(each.function), mnist_c, core))
        title = FAMILIES.get(str(family), str(family).capitalize())
        parts.append(f"### {title}\n\n{table(('corruption', 'what it does', 'MNIST-C at', 'core'), rows)}")
    return "\n".join(parts)


def photo_corruptions() -> str:
    """A table of all corruptions of photographs."""
    from imparfait.corruptions import PHOTO_CORRUPTIONS

    rows = []
    for name, each in PHOTO_CORRUPTIONS.items():
        source = "" if not each.imagenet_c else "in kind" if each.in_kind else "yes"
        rows.append((f"`{name}`", FAMILIES[str(each.family)].lower(), _sentences(each.function), source))
    return table(("corruption", "family", "what it does", "ImageNet-C"), rows)


def endpoints() -> str:
    """The paths of the HTTP API."""
    from imparfait.serving.app import make_app
    from imparfait.serving.models import models_for
    from imparfait.serving.service import Service
    from imparfait.serving.settings import ServingSettings

    service = Service(models_for("digits"), ServingSettings())
    described = make_app(service).openapi()
    service.end()
    rows = []
    for path, methods in described["paths"].items():
        for method, each in methods.items():
            query = ", ".join(
                f"`{parameter['name']}`" for parameter in each.get("parameters", []) if parameter["in"] == "query"
            )
            rows.append((f"`{method.upper()} {path}`", each.get("description", "").split("\n")[0], query))
    return table(("request", "response", "query"), rows)


def cli() -> str:
    """A section for each command: its usage, what it does, its options."""
    from imparfait.cli.main import commands as main

    parts = []
    with click.Context(main, info_name="imparfait") as root:
        for name in main.list_commands(root):
            command = main.get_command(root, name)
            assert command
            with click.Context(command, info_name=name, parent=root) as context:
                parts.append(f"## {name}\n\n{_command(command, context)}")
    return "\n".join(parts)


def api() -> str:
    """A section for each public name: its signature and its docstring."""
    import imparfait

    missing = set(imparfait.__all__).symmetric_difference(name for names in USES.values() for name in names)
    assert not missing, f"names to add to USES, or to leave out there: {sorted(missing)}"
    parts = []
    for use, names in USES.items():
        members = (f"#### {name}\n\n{_member(name, getattr(imparfait, name))}" for name in names)
        parts.append(f"### {use}\n\n" + "\n".join(members))
    return "\n".join(parts)


def uses() -> str:
    """The public names by what they are for, in the order in which they are used."""
    return table(("to", "use"), [(use.lower(), ", ".join(f"`{name}`" for name in USES[use])) for use in USES])


USES: dict[str, tuple[str, ...]] = {
    "Predict": ("predict", "read", "explain", "open_model", "Prediction", "Explanation", "Predictor", "UserError"),
    "Load and split data": ("load_data", "split", "fold", "LabelledImages"),
    "Build and train": (
        "ImageClassifier", "build", "train", "TrainingSettings", "RECIPES", "MODELS", "AUGMENTATIONS", "ComputeConfig",
    ),
    "Save, load, export": ("save_run", "load_classifier", "export"),
    "Evaluate": ("evaluate", "as_classifier", "ensemble", "Scores", "plot_scores"),
    "Corrupt images": (
        "corrupt", "core_suite", "full_suite", "ConditionImages", "CORRUPTIONS", "PHOTO_CORRUPTIONS", "Corruption",
        "CounterRng",
    ),
    "Compare and search": ("compare", "search", "run_job", "Job", "JobResult"),
}  # fmt: skip
"""The public names by what they are for."""


PARTS: dict[str, Callable[[], str]] = {
    each.__name__: each
    for each in (recipes, settings, serving, augmentations, corruptions, photo_corruptions, endpoints, cli, uses, api)
}


def pages() -> Iterator[tuple[Path, str, str]]:
    """Each page with generated parts: its path, its text and the text it should have."""
    made: dict[str, str] = {}

    def part(found: re.Match[str]) -> str:
        begin, name, end = found.groups()
        made[name] = made.get(name) or PARTS[name]().strip()
        return f"{begin}\n{made[name]}\n\n{end}"

    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        if "<!-- generated" in text:
            yield path, text, PART.sub(part, text)


def _fields(model: Any, flag: Callable[[str], str]) -> str:
    rows = [
        (flag(name), field.description, f"`{field.default}`" if field.default not in ("", {}) else "")
        for name, field in model.model_fields.items()
    ]
    return table(("flag", "meaning", "default"), rows)


def _flag(name: str) -> str:
    return name.replace("_", "-")


def _in_a_row(field: Any) -> str:
    return " ".join(str(field).split()).replace("|", "\\|")


def _sentences(function: Any) -> str:
    """A docstring's first paragraph without its closing colon."""
    return (inspect.getdoc(function) or "").split("\n\n")[0].rstrip(":")


def _command(command: click.Command, context: click.Context) -> str:
    from imparfait.cli.examples import EXAMPLES

    usage = " ".join(["imparfait", context.info_name or "", *command.collect_usage_pieces(context)])
    rows = []
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record:
            rows.append((f"`{record[0]}`", record[1]))
    does = inspect.cleandoc(command.help or "")
    examples = "\n".join(f"    {example}" for example in EXAMPLES[context.info_name or ""])
    return f"    {usage}\n\n{does}\n\n{table(('option', 'meaning'), rows)}\n{examples}\n"


def _with_examples(documentation: str) -> str:
    """A docstring whose examples are blocks of code."""
    text, start, examples = documentation.partition("\n>>> ")
    return f"{text.rstrip()}\n\n```pycon\n>>> {examples.strip()}\n```" if start else documentation


def _member(name: str, member: Any) -> str:
    documentation = _with_examples(inspect.getdoc(member) or "")
    if isinstance(member, dict):
        kinds = ", ".join(f"`{key}`" for key in member)
        return f"A dictionary by name: {kinds}.\n"
    if inspect.isclass(member):
        return _class(name, member, documentation)
    return f"{indented(name + signature(member))}\n\n{documentation}\n"


def _class(name: str, member: type, documentation: str) -> str:
    rows = []
    for attribute, value in inspect.getmembers_static(member):
        inherited = attribute not in vars(member) or attribute.startswith("_") or attribute.startswith("model_")
        if inherited or not (inspect.isfunction(value) or _getter(value)):
            continue
        shown = f"`{attribute}`" if _getter(value) else f"`{attribute}{signature(value)}`"
        rows.append((shown.replace("(self, ", "(").replace("(self)", "()"), _sentences(_getter(value) or value)))
    fields = [f"`{field}`" for field in getattr(member, "__annotations__", {}) if not field.startswith("_")]
    parts = [documentation, f"Fields: {', '.join(fields)}." if fields else ""]
    parts.append(table(("member", "meaning"), rows) if rows else "")
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _getter(value: Any) -> Any:
    """The function behind a property, computed once or each time."""
    return getattr(value, "fget", None) or (value.func if type(value).__name__ == "cached_property" else None)


def main(check: bool) -> int:
    """Write or check all pages; the exit status."""
    old = []
    for path, text, expected in pages():
        if text != expected:
            old.append(path)
            if not check:
                path.write_text(expected, encoding="utf-8")
    for path in old:
        print(f"{path.name}: {'out of date; run python docs/generate.py' if check else 'written'}")
    return int(check and bool(old))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
