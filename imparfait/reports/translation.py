"""Reports in another language: a finished page, its figures and its LaTeX tables, by a catalogue of sentences."""

import re
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from html import escape, unescape
from pathlib import Path
from typing import Any, Literal

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import Formatter

from imparfait.reports.latex import LatexTable

Language = Literal["en", "fr"]

CATALOGUES: Mapping[str, Path] = {"fr": Path(__file__).with_name("french.toml")}
NARROW = "\N{NARROW NO-BREAK SPACE}"
NUMBER = r"[+\-\N{MINUS SIGN}]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?"
KINDS = {"": ".+?", "n": NUMBER, "t": ".+?", "o": ".+?", "k": ".+?", "w": r"\S+"}
"""Of placeholders: `{name}` is any text and stays as it is, `{name:n}` is a number, `{name:t}` is translated,
`{name:o}` is translated where it is known, `{name:k}` is a name of the report, `{name:w}` is one word that stays."""
PLACEHOLDER = re.compile(r"\{(\w+):?([ntokw]?)\}")
LETTER = re.compile(r"[^\W\d_]")
GROUPED = re.compile(r"(?<![\d.,])(\d{1,3}(?:,\d{3})+)(?!,?\d)")
DECIMAL = re.compile(r"(?<![\d.])(\d+)\.(\d+)(?!\.?\d)")
BEFORE_SIGN = re.compile(r"[ \N{NO-BREAK SPACE}]?([;:!?])(?= |$)|[ \N{NO-BREAK SPACE}]([%»])")
THOUSANDS = re.compile(r"(?<=\d) (?=\d{3}\b)")
SPACES = re.compile(r"\s+")
PIECES = re.compile(r"(<style\b.*?</style>|<[^>]*>)", re.S)
TAG = re.compile(r"<(/?)(\w+)")
SPOKEN = re.compile(r'\b(alt|aria-label)="([^"]+)"')
KEPT_ELEMENTS = ("bdi", "code", "pre")  # and those with translate="no"
SENTENCES, CLAUSES, ITEMS = re.compile(r"(\. )"), re.compile(r"(; )"), re.compile(r"(, | and )")


@dataclass(frozen=True)
class Sentence:
    """A sentence with placeholders, and its translation."""

    pattern: re.Pattern[str]
    kinds: Mapping[str, str]
    translation: str
    english: str
    length: int
    """Letters outside placeholders: of several that fit, the longest is meant."""


class Translator:
    """Translates what the English reports say; what it does not know, such as names, stays as it is.

    The whole of a text is looked up in the catalogue, then each of its sentences and clauses. `names` are never
    translated, even where a class is called as a word of the catalogue.
    """

    def __init__(self, language: str, names: Collection[str] = ()) -> None:
        """With the catalogue of `language`."""
        self.language = language
        self.texts, self.sentences = catalogue(language)
        self.names = frozenset(names)
        self.missing: set[str] = set()
        """Texts with words that the catalogue does not have."""
        self._known: dict[str, str | None] = {}

    def text(self, text: str) -> str:
        """A text in the language, with the spaces at its ends."""
        plain = SPACES.sub(" ", text).strip()
        found = self._found(plain)
        if found is None:
            self.missing.add(plain)
            return text
        start = text[: len(text) - len(text.lstrip())]
        return f"{start}{found}{text[len(text.rstrip()) :]}" if plain else text

    def lines(self, text: str) -> str:
        """A text line by line, as figures have them."""
        return "\n".join(map(self.text, text.split("\n")))

    def page(self, page: str) -> str:
        """An HTML page; styles, commands, code and elements with translate="no" stay as they are."""
        pieces, kept, depth = [], "", 0
        for piece in PIECES.split(page):
            if not piece.startswith("<"):
                pieces.append(piece if kept else escape(self.text(unescape(piece)), quote=False))
                continue
            closing, name = found.groups() if (found := TAG.match(piece)) else ("", "")
            if kept:
                depth += (name == kept) * (-1 if closing else 1)
                kept = kept if depth else ""
            elif name in KEPT_ELEMENTS or 'translate="no"' in piece:
                kept, depth = name, 1
            pieces.append(SPOKEN.sub(lambda found: f'{found[1]}="{escape(self.text(unescape(found[2])))}"', piece))
        return "".join(pieces)

    def figure(self, figure: Figure) -> None:
        """All texts of a figure, and the numbers at its axes."""
        for axes in figure.axes:
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter(_Ticks(axis.get_major_formatter(), self.lines))
        for text in figure.findobj(Text):
            assert isinstance(text, Text)
            text.set_text(self.lines(text.get_text()))

    def table(self, table: LatexTable) -> LatexTable:
        """A table for papers; its label stays the same."""
        headings = [self.text(heading) for heading in table.headings]
        rows = [[self.text(str(cell)) for cell in row] for row in table.rows]
        return replace(table, caption=self.text(table.caption), headings=headings, rows=rows)

    def _found(self, text: str) -> str | None:
        if text not in self._known:
            self._known[text] = self._translated(text)
        return self._known[text]

    def _translated(self, text: str) -> str | None:
        if text in self.names:
            return text
        if not LETTER.search(text) or re.fullmatch(NUMBER, text):
            return french_numbers(text)
        if text.endswith(".") and not text.endswith(".."):
            found = self._found(text[:-1])
            return None if found is None else f"{found}."
        if known := self.texts.get(_small(text)):
            return _as_begun(known[1], known[0][:1], text[:1])
        return self._all(text, SENTENCES) or self._all(text, CLAUSES) or self._filled(text)

    def _all(self, text: str, between: re.Pattern[str], words: Mapping[str, str] = {"; ": f"{NARROW}; "}) -> str | None:
        """The parts between separators, if all of them are known."""
        parts = between.split(text)
        if len(parts) == 1:
            return None
        found = [words.get(part, part) if index % 2 else self._found(part) for index, part in enumerate(parts)]
        return None if None in found else "".join(map(str, found))

    def _filled(self, text: str) -> str | None:
        """The translation of the first sentence with placeholders that fits."""
        for sentence in self.sentences:
            if match := sentence.pattern.fullmatch(text):
                values = {name: self._value(value, sentence.kinds[name]) for name, value in match.groupdict().items()}
                if None not in values.values():
                    filled = sentence.translation.format(**values)
                    return _as_begun(filled, sentence.english[:1], text[:1])
        return None

    def _value(self, value: str, kind: str) -> str | None:
        if kind == "n":
            return french_numbers(value)
        if kind == "k":
            return value if value in self.names else None
        if kind in ("t", "o"):
            items = None if _small(value) in self.texts else self._all(value, ITEMS, {" and ": " et "})
            found = items or self._found(value)
            return value if found is None and kind == "o" else found
        return value


class _Ticks(Formatter):
    """The texts of an axis, translated; matplotlib passes lists and arrays of any numbers."""

    def __init__(self, formatter: Formatter, translate: Callable[[str], str]) -> None:
        self.formatter, self.translate = formatter, translate

    def __call__(self, x: Any, pos: int | None = None) -> str:
        return self.translate(self.formatter(x, pos))

    def format_ticks(self, values: Any) -> list[str]:
        return [self.translate(each) for each in self.formatter.format_ticks(values)]

    def get_offset(self) -> str:
        return self.translate(self.formatter.get_offset())

    def set_locs(self, locs: Any) -> None:
        self.formatter.set_locs(locs)


def language_of(page: Path) -> str:
    """The language of a report; empty without a file."""
    if not page.is_file():
        return ""
    with page.open(encoding="utf-8") as file:
        found = re.search(r'<html lang="(\w+)"', file.read(200))
    return found[1] if found else ""


def french_numbers(text: str) -> str:
    """Numbers and signs with a decimal comma and narrow spaces: "1,200.5 %" becomes "1 200,5 %"."""
    text = GROUPED.sub(lambda found: found[1].replace(",", NARROW), text)
    return spaced(DECIMAL.sub(r"\1,\2", text))


def spaced(text: str) -> str:
    """French with narrow no-break spaces before high signs and inside quotation marks."""
    return BEFORE_SIGN.sub(lambda found: f"{NARROW}{found[1] or found[2]}", text).replace("« ", f"«{NARROW}")


def _small(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}"


def _as_begun(translation: str, in_catalogue: str, in_text: str) -> str:
    """The translation with a capital or small first letter where the English text differs so from the catalogue."""
    if in_catalogue.islower() and in_text.isupper():
        return f"{translation[:1].upper()}{translation[1:]}"
    return _small(translation) if in_catalogue.isupper() and in_text.islower() else translation


@cache
def catalogue(language: str) -> tuple[Mapping[str, tuple[str, str]], Sequence[Sentence]]:
    """Texts with their translations, by the text with a small first letter; then sentences, the longest first."""
    texts, sentences = {}, []
    for part in tomllib.loads(CATALOGUES[language].read_text(encoding="utf-8")).values():
        for english, translation in part.items():
            translation = spaced(THOUSANDS.sub(NARROW, translation))
            if PLACEHOLDER.search(english):
                sentences.append(_sentence(english, translation))
            else:
                texts[_small(english)] = english, translation
    return texts, sorted(sentences, key=lambda one: -one.length)


def _sentence(english: str, translation: str) -> Sentence:
    kinds = dict(PLACEHOLDER.findall(english))
    literal = PLACEHOLDER.split(english)
    pattern = "".join(
        f"(?P<{part}>{KINDS[literal[index + 1]]})" if index % 3 == 1 else re.escape(part)
        for index, part in enumerate(literal)
        if index % 3 != 2
    )
    first = english[:1]
    if first.isalpha():
        pattern = f"[{first.lower()}{first.upper()}]{pattern[1:]}"
    return Sentence(re.compile(pattern), kinds, translation, english, sum(map(len, literal[::3])))
