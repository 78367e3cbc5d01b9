"""Names from data and files: which can be stored, and how they are written where some characters mean more."""

import json
import re
import unicodedata
from collections.abc import Iterable

from imparfait.core.errors import UserError

MAX_NAME = 200  # characters of a class's name
FORMULA = ("=", "+", "-", "@")  # what a spreadsheet runs as a formula, at the beginning of a cell
PLAIN_NUMBER = re.compile(r"[+-]?[0-9.][0-9 .,:/-]*(e[+-]?[0-9]+)?|[-+=@]")  # which it does not
IN_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|$~&])")
SHOWN = 60  # characters of a name in an error


def without_controls(text: str) -> str:
    """The text itself; raises ValueError where it has control characters, which could move a terminal's cursor."""
    if any(unicodedata.category(letter) == "Cc" for letter in text):
        raise ValueError("no line breaks and no other control characters")
    return text


def check_names(where: str, names: Iterable[str]) -> None:
    """Raises UserError for a class name that a run could not store, and for two that are one but for case and spaces.

    `where` names the data.
    """
    by_name: dict[str, str] = {}
    for name in names:
        controls = any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)  # Cs: not UTF-8
        if controls or not 1 <= len(name) <= MAX_NAME:
            shown = repr(name) if len(name) <= SHOWN else f"{name[:SHOWN]!r}… of {len(name):,} characters"
            raise UserError(
                f"{where}: a class is called {shown}",
                expected=f"names of 1 to {MAX_NAME} characters in UTF-8, without line breaks and control characters",
                hint="rename the class, and give the command again",
            )
        same = unicodedata.normalize("NFC", name).strip()
        same = same.casefold() if len(same) > 1 else same  # letters may be classes, a beside A
        if same in by_name:
            raise UserError(f"{where}: two classes of one name, {by_name[same]!r} and {name!r}; rename or join them")
        by_name[same] = name


def escaped(text: str) -> str:
    r"""The text with what is not printable as an escape, such as \x1b, \n or, for a byte that is not UTF-8, \udce9."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def as_cell(text: str) -> str:
    """A cell of CSV on one line that no spreadsheet takes for a formula: an apostrophe is put before what would be one.

    What is not printable is escaped.
    """
    text = escaped(text)
    return f"'{text}" if text.startswith(FORMULA) and not PLAIN_NUMBER.fullmatch(text) else text


def as_yaml(text: str) -> str:
    """A string in YAML; JSON's form of a string is one."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def as_markdown(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return IN_MARKDOWN.sub(r"\\\1", "".join(letter if letter.isprintable() else "�" for letter in text))


def as_file_name(text: str, most: int) -> str:
    """A part of a file's name: without slashes, at most `most` bytes."""
    return text.replace("/", "-").encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
