"""A page with its figures, written from a template."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure

from imparfait.reports.figures import THEMES, Theme, as_png

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Plate:
    """A figure of the report: its file, and one sentence on how to read it."""

    name: str
    heading: str
    caption: str
    draw: Callable[[Theme], Figure]
    square: bool = False
    """A square figure fits a phone; a wide one keeps its size there and is scrolled."""
    section: str = ""
    """Where it stands on a page that has sections."""


def write_page(
    folder: Path,
    template: str,
    *,
    title: str,
    plates: Sequence[Plate],
    facts: Mapping[str, Mapping[str, Any]],
    **said: Any,
) -> None:
    """`report.html` in `folder`, and each of its figures as a PNG beside it; `said` is what the template asks for."""
    figures = []
    for plate in plates:
        images = {name: as_png(plate.draw(theme)) for name, theme in THEMES.items()}
        (folder / f"{plate.name}.png").write_bytes(images["light"])
        figures.append({"plate": plate} | {name: base64.b64encode(png).decode() for name, png in images.items()})
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters["tight"] = lambda text: text.replace(" %", "\N{NO-BREAK SPACE}%")
    page = environment.get_template(template).render(title=title, figures=figures, facts=facts, **said)
    (folder / "report.html").write_text(page, encoding="utf-8")
