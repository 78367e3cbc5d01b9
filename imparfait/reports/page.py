"""An HTML page with its figures, rendered from a template into one file that opens offline."""

import base64
import re
import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from imparfait.reports.figures.drawing import DARK, DPI, LIGHT, FileKind, Theme, as_file
from imparfait.reports.figures.fonts import numbered_classes, use_fonts_with_all_letters
from imparfait.reports.glossary import terms_in
from imparfait.reports.latex import LatexTable, write_latex
from imparfait.reports.origin import GUIDE, origin
from imparfait.reports.translation import Language, Translator

NARROW_RANGE = "\N{NO-BREAK SPACE}–\N{NO-BREAK SPACE}"
TEMPLATES = Path(__file__).parent / "templates"
VECTORS = "figures"  # folder of figures for papers, beside the page
FILE_KINDS: tuple[FileKind, ...] = ("png", "svg", "pdf")
SECTION = re.compile(r'<h2 id="([^"]+)"[^>]*>(.*?)</h2>', re.S)
NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class PageFigure:
    """A figure of a page, and a caption on how to read it."""

    name: str
    """Of its PNG file."""
    heading: str
    caption: str
    draw: Callable[[Theme], Figure]
    beside: bool = False
    """Whether it stands beside its neighbours that do so too, where the window is wide enough."""
    section: str = ""
    """The section it belongs to, on pages with sections."""

    def png(self, theme: Theme) -> bytes:
        """The figure as the content of a PNG file; `$` in a name is a dollar sign, not mathematics."""
        return self.files(theme, ("png",))["png"]

    def files(
        self, theme: Theme, kinds: Sequence[FileKind] = FILE_KINDS, translator: Translator | None = None
    ) -> dict[FileKind, bytes]:
        """The figure as the content of files, by their suffix, in English or translated; it is drawn once."""
        with mpl.rc_context({"text.parse_math": False}):
            figure = self.draw(theme)
            if translator:
                translator.figure(figure)
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
    latex: Sequence[LatexTable] = (),
    language: Language = "en",
    names: Collection[str] = (),
    **values: Any,
) -> None:
    """Write `report.html` in `folder`, and each figure beside it; `values` are the template's variables.

    A figure is a PNG file in `folder`, and with `vectors` an SVG and a PDF file for papers in `folder`/figures, with
    the tables `latex` in `folder`/table.tex. `facts` are tables of settings and environment for the end of the page.
    `classes` are names: the page says how figures show those whose letters no font has. They and `names`, such as those
    of models, are the same in every `language`.
    """
    translator = None if language == "en" else Translator(language, {*classes, *names})
    if vectors:
        write_latex(folder, [translator.table(table) for table in latex] if translator else latex)
    rendered = [_rendered(folder, figure, vectors, translator) for figure in figures]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters["tight"] = lambda text: text.replace(" %", "\N{NO-BREAK SPACE}%").replace(" – ", NARROW_RANGE)
    environment.filters["sentence"] = _as_sentence
    environment.filters["id"] = lambda name: NOT_IN_AN_ID.sub("-", name)
    body = environment.get_template(template).render(
        title=title, figures=rendered, facts=facts, numbered=numbered_classes(classes), **values
    )
    made = origin()
    foot = [translator.text(text) if translator else text for text in (title, made.date)]
    page = environment.get_template("frame.html").render(
        language=language,
        title=title,
        origin=made,
        guide=GUIDE,
        body=Markup(body),
        sections=[(name, Markup(heading)) for name, heading in SECTION.findall(body)],
        terms=terms_in(body),
        foot=Markup(f"{_css_string(foot[0])} {_css_string(f'  ·  {foot[1]}')}"),
    )
    page = translator.page(page) if translator else page
    (folder / "report.html").write_text(page, encoding="utf-8")


def _rendered(folder: Path, figure: PageFigure, vectors: bool, translator: Translator | None) -> dict[str, Any]:
    """What the template shows of a figure, whose files are written."""
    light = figure.files(LIGHT, FILE_KINDS if vectors else ("png",), translator)
    dark = figure.files(DARK, ("png",), translator)["png"]
    (folder / f"{figure.name}.png").write_bytes(light["png"])
    if vectors:
        (folder / VECTORS).mkdir(exist_ok=True)
        for kind in ("svg", "pdf"):
            (folder / VECTORS / f"{figure.name}.{kind}").write_bytes(light[kind])
    width, height = struct.unpack(">II", light["png"][16:24])  # so that the page does not move as images arrive
    size = {"width": width, "height": height, "inches": f"{width / DPI:.2f}"}
    images = {"light": light["png"], "dark": dark}
    return {"about": figure} | size | {name: base64.b64encode(png).decode() for name, png in images.items()}


def _as_sentence(text: str, names: Sequence[str] = ()) -> str:
    """Text with a capital and a full stop; one of `names` at its beginning stays as it is."""
    is_name = any(text.startswith((f"{name} ", f"{name}:", f"{name},")) for name in names)
    return f"{text if is_name else text[:1].upper() + text[1:]}."


def _css_string(text: str) -> str:
    """A string for a style sheet inside a page: everything but plain letters and digits is escaped."""
    return '"' + "".join(letter if letter.isalnum() else f"\\{ord(letter):x} " for letter in text) + '"'
