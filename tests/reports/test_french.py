"""Reports in French: every sentence of every kind, with the same numbers, and names as they are."""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any, ClassVar

import click
import matplotlib as mpl
import pytest
from helpers.report_kinds_study import KINDS

from imparfait.cli.main import commands
from imparfait.reports import page as page_module
from imparfait.reports.figures.drawing import LIGHT, figure_on
from imparfait.reports.latex import LatexTable, latex_table
from imparfait.reports.page import PageFigure
from imparfait.reports.translation import (
    CATALOGUES,
    NARROW,
    PLACEHOLDER,
    Translator,
    catalogue,
    french_numbers,
    spaced,
)

TEXT = re.compile(
    r'<style\b.*?</style>|<(?:pre|bdi|code)\b.*?</(?:pre|bdi|code)>|<table class="facts".*?</table>|<[^>]*>', re.S
)
NUMBER = re.compile(r"\d[\d.,\N{NARROW NO-BREAK SPACE}]*\d|\d")
ENTRIES = {
    english: french
    for part in tomllib.loads(CATALOGUES["fr"].read_text(encoding="utf-8")).values()
    for english, french in part.items()
}


class Noted(Translator):
    """A translator that is remembered."""

    made: ClassVar[list["Noted"]] = []

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self.made.append(self)


def _without_image(folder: Path, figure: PageFigure, vectors: bool, translator: Translator | None) -> dict[str, Any]:
    """What a template shows of a figure that is not drawn; what it says is looked up all the same."""
    if translator:
        with mpl.rc_context({"text.parse_math": False}):
            drawn = figure.draw(LIGHT)
            translator.figure(drawn)
            for axes in drawn.axes:
                axes.get_xticklabels(), axes.get_yticklabels()  # formats the ticks
    return {"about": figure, "width": 1, "height": 1, "inches": "1", "light": "", "dark": ""}


Pages = dict[str, tuple[list[str], list[str], set[str], set[str]]]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """Of each kind the pages in both languages, the texts that were not translated, and the names."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_module, "Translator", Noted)
        patch.setattr(page_module, "_rendered", _without_image)
        for kind, write in KINDS.items():
            Noted.made.clear()
            texts = []
            for language in ("en", "fr"):
                folder = tmp_path_factory.mktemp(kind)
                write(folder, language)
                texts.append([path.read_text(encoding="utf-8") for path in sorted(folder.rglob("report.html"))])
            missing = {text for one in Noted.made for text in one.missing}
            found[kind] = (texts[0], texts[1], missing, {name for one in Noted.made for name in one.names})
    return found


every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_every_sentence_of_a_report_and_its_figures_has_a_french_one(pages: Pages, kind: str) -> None:
    english, french, missing, _ = pages[kind]
    assert missing == set()
    assert len(english) == len(french) > 0
    assert all('<html lang="en">' in page for page in english)
    assert all('<html lang="fr">' in page for page in french)


@every_kind
def test_no_part_of_a_sentence_is_left_in_english(pages: Pages, kind: str) -> None:
    """Not even three words inside a text that was translated around them."""
    parts = {part.strip() for one in ENTRIES for part in PLACEHOLDER.sub("\0", one).split("\0")}
    same = " ".join(ENTRIES.values())
    parts = {part for part in parts if len(re.findall(r"[^\W\d]{2,}", part)) > 2 and part not in same}
    assert len(parts) > 300
    for page in pages[kind][1]:
        text = _words(page)
        assert [part for part in parts if part in text] == []


@every_kind
def test_numbers_are_the_same_in_both_languages(pages: Pages, kind: str) -> None:
    english, french, *_ = pages[kind]
    for one, other in zip(english, french, strict=True):
        here = Counter(number.replace(",", "") for number in NUMBER.findall(_words(one)))
        there = Counter(number.replace(NARROW, "").replace(",", ".") for number in NUMBER.findall(_words(other)))
        assert here == there


def _words(page: str) -> str:
    """The text of a page on one line, without what is never translated; the time of writing is left out."""
    text = " ".join(unescape(TEXT.sub(" ", page)).replace("\N{NO-BREAK SPACE}", " ").split(" "))
    return " ".join(re.sub(r"\d\d?:\d\d UTC", "", text).replace("\n", " ").split(" "))


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("99.68 %", "99,68_%"),
        ("1,234,567", "1_234_567"),
        ("-0.5 – 1,200.25", "-0,5 – 1_200,25"),
        ("95 %: 3", "95_%_: 3"),
        ("3, 4", "3, 4"),
        ("13/60", "13/60"),
        ("2026-11-30 10:27", "2026-11-30 10:27"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_numbers_have_a_decimal_comma_and_narrow_spaces(english: str, french: str) -> None:
    assert french_numbers(english) == french.replace("_", NARROW)


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("Clean", "Intactes"),
        ("clean images: 91.67 %.", "images intactes : 91,67 %."),
        ("No mistakes under fog and mine.", "No mistakes under fog and mine."),
        (
            "No mistakes under glass blur (similar), fog and scale.",
            "Aucune erreur sous verre dépoli (semblable), brouillard et échelle.",
        ),
        (
            "noise is better than The net by 0.50 points (95 %: −0.10 to 1.10)",
            "noise est meilleur que The net de 0,50 points (95 % : de −0,10 à 1,10)",
        ),
        (
            "noise: 0.50 % of the clean images; 1.20 % without those 15",
            "noise : 0,50 % des images intactes ; 1,20 % sans ces 15",
        ),
        ("30 November 2026, 09:05 UTC", "30 novembre 2026, 09:05 UTC"),
        ("\n  by class: a class  ", "\n  par classe : a class  "),
        ("nobody knows. 1.5 of this", "nobody knows. 1.5 of this"),
    ],
)  # fmt: skip
def test_what_is_not_known_and_names_stay_as_they_are(english: str, french: str) -> None:
    translator = Translator("fr", ["noise", "a class"])
    assert translator.text(english).replace(NARROW, " ") == french
    assert bool(translator.missing) == (english == french)


def test_a_page_keeps_its_markup_and_what_is_marked_as_untranslatable() -> None:
    page = (
        "<!doctype html><style>p > a { content: 'accuracy' }</style><p title=\"x\">accuracy &lt; <b>mean</b></p>"
        '<pre>accuracy</pre><bdi>mean</bdi><table translate="no"><tr><td>accuracy<table></table>mean</td></tr></table>'
        '<img alt="figure: accuracy">'
    )
    translator = Translator("fr")
    translated = translator.page(page)
    expected = page.replace("<b>mean", "<b>moyenne").replace(
        'alt="figure: accuracy"', f'alt="figure{NARROW}: exactitude"'
    )
    assert translated == expected
    assert translator.missing == {"accuracy <"}


def test_figures_have_french_words_line_by_line_and_decimal_commas_at_their_axes() -> None:
    figure, axes = figure_on(LIGHT, 4, 3)
    axes.plot([0, 1], [0.25, 0.75])
    axes.set(xlabel="severity", title="a → b  98 %\nglass blur (similar)")
    Translator("fr", ["a", "b"]).figure(figure)
    figure.canvas.draw()
    assert axes.get_xlabel() == "sévérité"
    assert axes.get_title() == f"a → b 98{NARROW}%\nverre dépoli (semblable)"
    assert {"0,3", "0,7"} <= {label.get_text() for label in axes.get_yticklabels()}


def test_tables_for_papers_are_french_and_their_spaces_latex() -> None:
    table = LatexTable(
        "x by corruption", "x: accuracy by corruption, in percent.", ("class", "images"), [("a", "1,200")]
    )
    written = latex_table(Translator("fr", ["x", "a"]).table(table))
    assert r"\caption{x\,: exactitude par corruption, en pour cent.}" in written
    assert r"classe & images \\" in written
    assert r"a & 1\,200 \\" in written
    assert r"\label{tab:x-by-corruption}" in written


def test_both_sides_of_the_catalogue_have_the_same_placeholders_and_one_sentence() -> None:
    for english, french in ENTRIES.items():
        names = [name for name, _ in PLACEHOLDER.findall(english)]
        assert sorted(names) == sorted(name for name, _ in PLACEHOLDER.findall(french)), english
        assert len(names) == len(set(names)), english
        assert not re.search(r"[.;] |\.$|  ", english), english
        assert french.format(**dict.fromkeys(names, "")).strip() or names, english
    assert sum(map(len, catalogue("fr"))) == len(ENTRIES)


def test_the_french_has_the_typography_of_the_national_printers() -> None:
    for french in map(spaced, ENTRIES.values()):
        assert not re.search(rf"[^{NARROW}][;!?%»]|[^{NARROW}]:(?= |$)|«[^{NARROW}]", french), french
        assert "'" not in french, french
        assert '"' not in french, french
        assert not re.search(r"\d\.\d", french), french


@pytest.mark.parametrize("word", ["train", "evaluate", "compare", "search", "study", "drift", "learning-curve"])
def test_every_command_that_writes_a_report_can_write_it_in_french(word: str) -> None:
    command = commands.get_command(click.Context(commands), word)
    assert command
    [option] = [one for one in command.params if one.name == "language"]
    assert (option.default, option.type.choices) == ("en", ("en", "fr"))  # type: ignore[attr-defined]


REPORTS = Path(page_module.__file__).parent
ELSEWHERE = {  # modules and functions whose words are in no report, but on the command line, in a model card or a file
    *("model_card.py", "methods_text.py", "paired_text.py", "gate_text.py", "latex.py", "origin.py", "translation.py"),
    *("plan_lines", "search_plan", "evaluation_lines", "quick_plan_lines", "stage_lines", "spec_sentence", "_overlap"),
    *("data_table", "data_lines", "data_warnings", "_images", "_sizes", "_modes", "_export_keras", "evaluate_models"),
    *("pair_text.py", "corruption_sheet.py", "fonts.py"),
}
SOURCES = [
    path
    for folder in (REPORTS, REPORTS / "figures", REPORTS.parent / "study")
    for path in folder.glob("*.py")
    if path.name not in ELSEWHERE and (folder.name != "study" or path.stem.endswith(("text", "figures", "report")))
]
NOT_SAID = {
    *("best so far", "colour with transparency", "black and white"),  # on the command line
    *("channels height width", "outside upper left", "Glyph .* missing from font"),  # to libraries
}


@pytest.mark.parametrize("path", [*SOURCES, *(REPORTS / "templates").glob("*.html")], ids=lambda path: path.name)
def test_every_sentence_in_the_source_is_in_the_catalogue(path: Path) -> None:
    """Those of three words or more, whether or not the small reports above have them."""
    known = "\n".join(PLACEHOLDER.sub("\0", english) for english in ENTRIES).lower()
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        texts = re.split(r"\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", source, flags=re.S)
    else:
        texts = list(_strings(ast.parse(source)))
    clauses = (
        " ".join(clause.split()).strip(" ,:().;") for text in texts for clause in re.split(r"; |\. ", unescape(text))
    )
    said = {clause.strip(" ,:().;") for clause in clauses if re.search(r"[A-Za-z]{2,}( [A-Za-z]{2,}){2}", clause)}
    assert [
        clause for clause in said - NOT_SAID if clause.replace("\N{NO-BREAK SPACE}", " ").lower() not in known
    ] == []


def _strings(node: ast.AST) -> Iterator[str]:
    """The strings below a node, in their parts around values, without docstrings and what errors say."""
    if getattr(node, "name", "") in ELSEWHERE or isinstance(node, ast.Raise | ast.Assert):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
            yield from _strings(child)
