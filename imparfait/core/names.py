"""Names from data and files: which can be stored, and how they are written where some characters mean more."""

import json
import re
import unicodedata
from collections.abc import Iterable

from imparfait.core.errors import UserError

MAX_NAME = 200  # characters of a class's name
FORMULA = ("=", "+", "-", "@")  # what a spreadsheet runs as a formula, at the beginning of a cell
PLAIN_NUMBER = re.compile(r"[+-]?[0-9.][0-9 .,:/-]*(e[+-]?[0-9]+)?|[-+=@]")  # which it does not
ESCAPE = re.compile(r"x[0-9a-f]{2}|u[0-9a-f]{4}|U00(?:0[0-9a-f]|10)[0-9a-f]{4}")  # after a backslash, in a cell
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


def as_cell(text: str) -> str:
    r"""A cell of CSV on one line that no spreadsheet takes for a formula: an apostrophe is before what would be one.

    What is not printable is escaped: \x0a, \u200d or, for a byte that is not UTF-8, \udce9. `from_cell` gives the text
    back.
    """

    def apart(run: re.Match[str]) -> str:
        """Backslashes, twice where they would be read as those of an escape."""
        after = text[run.end() : run.end() + 1]
        return run[0] * (2 if not after.isprintable() or _unescaped(ESCAPE.match(text, run.end())) else 1)

    cell = "".join(letter if letter.isprintable() else _escape(ord(letter)) for letter in re.sub(r"\\+", apart, text))
    return f"'{cell}" if _is_formula(cell.lstrip("'")) else cell


def from_cell(cell: str) -> str:
    """The text of a cell that `as_cell` wrote. Others mostly stay as they are."""
    if cell.startswith("'") and _is_formula(cell.lstrip("'")):
        cell = cell[1:]

    def read(found: re.Match[str]) -> str:
        run, letter = found[1], _unescaped(ESCAPE.match(cell, found.end(1)))
        if not letter:
            return found[0]
        half = "\\" * (len(run) // 2)
        return half + (letter if len(run) % 2 else found[2])

    return re.sub(rf"(\\+)({ESCAPE.pattern})", read, cell)


def _is_formula(text: str) -> bool:
    return text.startswith(FORMULA) and not PLAIN_NUMBER.fullmatch(text)


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 1 << 8 else f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"


def _unescaped(found: re.Match[str] | None) -> str:
    """The letter of what follows the backslash of an escape; empty where `as_cell` writes no such one."""
    if found is None:
        return ""
    letter = chr(int(found[0][1:], 16))
    return "" if letter.isprintable() or _escape(ord(letter)) != f"\\{found[0]}" else letter


def as_yaml(text: str) -> str:
    """A string in YAML; JSON's form of a string is one."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def as_markdown(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return IN_MARKDOWN.sub(r"\\\1", "".join(letter if letter.isprintable() else "�" for letter in text))


def as_file_name(text: str, most: int) -> str:
    """A part of a file's name: without slashes, at most `most` bytes."""
    return text.replace("/", "-").encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
