"""An HTML page with its figures, rendered from a template into one file that opens offline."""

import base64
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
from matplotlib.figure import Figure

from imparfait.reports.figures.drawing import DARK, LIGHT, FileKind, Theme, as_file
from imparfait.reports.figures.fonts import numbered_classes, use_fonts_with_all_letters

NARROW_RANGE = "\N{NO-BREAK SPACE}–\N{NO-BREAK SPACE}"
TEMPLATES = Path(__file__).parent / "templates"
VECTORS = "figures"  # folder of figures for papers, beside the page
FILE_KINDS: tuple[FileKind, ...] = ("png", "svg", "pdf")


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
        return self.files(theme, ("png",))["png"]

    def files(self, theme: Theme, kinds: Sequence[FileKind] = FILE_KINDS) -> dict[FileKind, bytes]:
        """The figure as the content of files, by their suffix; it is drawn once."""
        with mpl.rc_context({"text.parse_math": False}):
            figure = self.draw(theme)
            use_fonts_with_all_letters(figure)
            return {kind: as_file(figure, kind) for kind in kinds}


def write_page(
    folder: Path,
    template: str,
    *,
    title: str,
    figures: Sequence[PageFigure],
    facts: Mapping[str, Mapping[str, Any]],
    classes: Sequence[str] = (),
    vectors: bool = True,
    **values: Any,
) -> None:
    """Write `report.html` in `folder`, and each figure beside it; `values` are the template's variables.

    A figure is a PNG file in `folder`, and with `vectors` an SVG and a PDF file for papers in `folder`/figures. `facts`
    are tables of settings and environment for the end of the page. `classes` are names: the page says how figures show
    those whose letters no font has.
    """
    rendered = []
    for figure in figures:
        light, dark = figure.files(LIGHT, FILE_KINDS if vectors else ("png",)), figure.png(DARK)
        (folder / f"{figure.name}.png").write_bytes(light["png"])
        if vectors:
            (folder / VECTORS).mkdir(exist_ok=True)
            for kind in ("svg", "pdf"):
                (folder / VECTORS / f"{figure.name}.{kind}").write_bytes(light[kind])
        width, height = struct.unpack(">II", light["png"][16:24])  # so that the page does not move as images arrive
        images = {"light": light["png"], "dark": dark}
        rendered.append(
            {"about": figure, "width": width, "height": height}
            | {name: base64.b64encode(png).decode() for name, png in images.items()}
        )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters["tight"] = lambda text: text.replace(" %", "\N{NO-BREAK SPACE}%").replace(" – ", NARROW_RANGE)
    environment.filters["sentence"] = lambda text: f"{text[:1].upper()}{text[1:]}."
    page = environment.get_template(template).render(
        title=title, figures=rendered, facts=facts, numbered=numbered_classes(classes), **values
    )
    (folder / "report.html").write_text(page, encoding="utf-8")
