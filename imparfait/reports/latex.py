"""Tables for papers, in LaTeX."""

from collections.abc import Sequence

NEEDS = "% needs \\usepackage{booktabs}"
CHARACTERS = str.maketrans({"–": "--", "≥": r"$\geq$"})


def latex_table(name: str, headings: Sequence[str], rows: Sequence[Sequence[str]], *, left: int, total: bool) -> str:
    """A table under a comment with its name; its first `left` columns flush left, a `total` under a line of its own."""
    import pandas as pd

    style = pd.DataFrame(rows, columns=list(headings)).style.hide(axis="index")
    style = style.format(escape="latex").format_index(escape="latex", axis=1)
    columns = left * "l" + (len(headings) - left) * "r"
    table = style.to_latex(hrules=True, column_format=columns).translate(CHARACTERS)
    *body, last, bottom, end, _ = table.split("\n")
    return "\n".join([f"% {' '.join(name.split())}", *body, *([r"\midrule"] if total else []), last, bottom, end])
