"""An HTML page with its figures, rendered from a template into one file that opens offline."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
from matplotlib.figure import Figure

from imparfait.reports.figures.drawing import THEMES, Theme, as_png

NARROW_RANGE = "\N{NO-BREAK SPACE}–\N{NO-BREAK SPACE}"
TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class PageFigure:
    """A figure of a page, and a caption on how to read it."""

    name: str
    """Of its PNG file."""
    heading: str
    caption: str
    draw: Callable[[Theme], Figure]
    square: bool = False
    """A square figure fits a phone; a wide one keeps its size and scrolls."""
    section: str = ""
    """The section it belongs to, on pages with sections."""

    def png(self, theme: Theme) -> bytes:
        """The figure as the content of a PNG file; `$` in a name is a dollar sign, not mathematics."""
        with mpl.rc_context({"text.parse_math": False}):
            return as_png(self.draw(theme))


def write_page(
    folder: Path,
    template: str,
    *,
    title: str,
    figures: Sequence[PageFigure],
    facts: Mapping[str, Mapping[str, Any]],
    **values: Any,
) -> None:
    """Write `report.html` in `folder`, and each figure as a PNG file beside it; `values` are the template's variables.

    `facts` are tables of settings and environment for the end of the page.
    """
    rendered = []
    for figure in figures:
        images = {name: figure.png(theme) for name, theme in THEMES.items()}
        (folder / f"{figure.name}.png").write_bytes(images["light"])
        rendered.append({"about": figure} | {name: base64.b64encode(png).decode() for name, png in images.items()})
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters["tight"] = lambda text: text.replace(" %", "\N{NO-BREAK SPACE}%").replace(" – ", NARROW_RANGE)
    environment.filters["sentence"] = lambda text: f"{text[:1].upper()}{text[1:]}."
    page = environment.get_template(template).render(title=title, figures=rendered, facts=facts, **values)
    (folder / "report.html").write_text(page, encoding="utf-8")
