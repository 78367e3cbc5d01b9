"""Fonts for letters that matplotlib's own font lacks, such as Chinese ones, and names of classes without any."""

from collections.abc import Sequence
from functools import cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, fontManager, get_font, weight_dict
from matplotlib.text import Text

from imparfait.reports.figures.drawing import ISOLATES, shown_name

DEFAULT = "DejaVu Sans"  # matplotlib brings it
NO_LETTERS = "Last Resort"  # matplotlib brings this font too: it has a box for every letter
REGULAR = 400


def font_families(text: str) -> list[str]:
    """matplotlib's font, and the fewest installed ones that together have its other letters, if any have them."""
    families, letters = [DEFAULT], _missing(text, _letters(DEFAULT))
    while letters:
        best = max(_installed(), key=lambda family: len(letters & _letters(family)))
        if not letters & _letters(best):
            break
        families.append(best)
        letters -= _letters(best)
    return families


def can_draw(text: str) -> bool:
    """Whether installed fonts have all its letters."""
    return not _missing(text, frozenset().union(*map(_letters, font_families(text))))


def shown_classes(classes: Sequence[str]) -> list[str]:
    """Names of classes for a figure: "class 3" where no installed font has the letters."""
    return [name if can_draw(name) else f"class {index}" for index, name in enumerate(map(shown_name, classes))]


def numbered_classes(classes: Sequence[str]) -> dict[str, str]:
    """What `shown_classes` shows as a number, and the names."""
    return {f"class {index}": name for index, name in enumerate(classes) if not can_draw(shown_name(name))}


def use_fonts_with_all_letters(figure: Figure) -> None:
    """Give each text of a figure fonts that have its letters."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        families = font_families(text.get_text())
        if len(families) > 1:
            text.set_fontfamily(families)


def _missing(text: str, letters: frozenset[int]) -> frozenset[int]:
    """The code points of `text` that are not among `letters`; what directs text has no glyph."""
    return frozenset(map(ord, text)) - letters - frozenset(map(ord, " \n\t" + ISOLATES))


@cache
def _installed() -> dict[str, str]:
    """The file of each upright font family, of its weight nearest to regular, sorted by name."""
    upright = sorted(fontManager.ttflist, key=lambda font: (font.name, abs(_weight(font) - REGULAR), font.fname))
    files: dict[str, str] = {}
    for font in upright:
        if font.style == "normal" and not font.name.startswith(NO_LETTERS):
            files.setdefault(font.name, font.fname)
    return files


def _weight(font: FontEntry) -> int:
    return font.weight if isinstance(font.weight, int) else weight_dict[font.weight]


@cache
def _letters(family: str) -> frozenset[int]:
    """The code points that a family has."""
    try:
        return frozenset(get_font(_installed()[family]).get_charmap())
    except (OSError, RuntimeError):  # the font was removed since matplotlib listed it, or FreeType cannot read it
        return frozenset()
