"""Tables for papers, in LaTeX."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FILE = "table.tex"
NEEDS = "% needs \\usepackage{booktabs}"
SPACES = re.compile(r"[ \t\r\n]+")
ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "≥": r"$\geq$", "\N{MINUS SIGN}": "$-$",
    "→": r"$\to$", "×": r"$\times$", "\N{NO-BREAK SPACE}": "~", "\N{NARROW NO-BREAK SPACE}": r"\,",
}  # fmt: skip


@dataclass(frozen=True)
class LatexTable:
    """A table of a report as it appears in a paper."""

    name: str
    """Of its label: a few words."""
    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[object]]
    left: int = 1
    """The first columns, flush left."""
    total: bool = False
    """Whether the last row stands under a line of its own."""


def write_latex(folder: Path, tables: Sequence[LatexTable]) -> None:
    """Write the tables with rows to `table.tex`; no file without any."""
    texts = [latex_table(table) for table in tables if table.rows]
    if texts:
        (folder / FILE).write_text("\n\n".join([NEEDS, *texts]) + "\n", encoding="utf-8")


def latex_table(table: LatexTable) -> str:
    """A floating table with its caption above and a label."""
    *rows, last = [_row(row) for row in table.rows]
    columns = table.left * "l" + (len(table.headings) - table.left) * "r"
    return "\n".join([
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escaped(table.caption)}}}",
        rf"\label{{tab:{_label(table.name)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _row(table.headings),
        r"\midrule",
        *rows,
        *([r"\midrule"] if table.total else []),
        last,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ])  # fmt: skip


def _row(cells: Sequence[object]) -> str:
    return " & ".join(_escaped(str(cell)) for cell in cells) + r" \\"


def _escaped(text: str) -> str:
    """Text on one line, with LaTeX's own characters as letters."""
    return "".join(ESCAPES.get(letter, letter) for letter in SPACES.sub(" ", text).strip())


def _label(name: str) -> str:
    """Letters, digits and hyphens, which every LaTeX engine takes in a label."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-").lower() or "table"
